"""From the store to the view: the only place where reports read."""

from __future__ import annotations

from leadapron.report.view import View, build_view
from leadapron.store.store import Store


def load_view(url: str, run_id: str | None) -> View:
    """The view of a run, of the latest one for None. Raises `InputError` or `StoreError` where there is none."""
    with Store.open(url, create=False) as store:
        run = store.run(run_id)
        return build_view(run, store.observations(run.id), store.findings(run.id), store.unknowns(run.id))
