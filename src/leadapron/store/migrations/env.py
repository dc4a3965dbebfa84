"""Alembic's environment: it migrates the connection that `leadapron.store.store` hands over."""

from alembic import context

from leadapron.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
