"""What is checked, and packed, before a cluster begins to work on a scope."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from leadapron.cluster.conduct import ClusterAudit, Crew
from leadapron.cluster.luggage import pack
from leadapron.errors import InputError
from leadapron.model import Finding, Run
from leadapron.pipeline_control import Options, Progress
from leadapron.pipeline_run import audit_scope
from leadapron.scope.grant import Scope, load_scope
from leadapron.store.database import server_endpoint


def audit_with(
    crew: Crew,
    path: Path,
    *,
    url: str,
    seats: int,
    scheduler: tuple[str, int] | None = None,
    shards: int | None = None,
    resume: bool = False,
    options: Options,
    progress: Progress,
    inventories: Sequence[Path] = (),
) -> tuple[Run, list[Finding]]:
    """As `leadapron.pipeline_run.audit_scope`, with the hands of a crew. `seats`: workers at once, each with an equal share
    of the pace; `scheduler`: what is to be infrastructure beside the store. Raises InputError (also ScopeErrors, StoreError)
    before anything is touched."""
    check(load_scope(path), url=url, scheduler=scheduler)
    made = partial(ClusterAudit, crew=crew, url=url, luggage=pack(path), seats=seats, shards=shards)
    return audit_scope(
        path, url=url, resume=resume, options=options, progress=progress, inventories=inventories, made=made
    )


def check(scope: Scope, *, url: str, scheduler: tuple[str, int] | None) -> None:
    """Raises InputError for what a cluster cannot keep, StoreError for what is no store."""
    if gapped := [zone.name for zone in scope.zones if zone.gap_seconds]:
        raise InputError(
            f"{scope.path}: zone {gapped[0]} wants a gap between connections, which several workers cannot keep; audit it "
            "with `leadapron audit`"
        )
    if server_endpoint(url) is None:
        raise InputError("a cluster needs a store that its workers reach; name one on a PostgreSQL server with --store")
    if scheduler is not None and scheduler not in scope.infrastructure:
        host, port = scheduler
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise InputError(
            f'{scope.path}: the scheduler is not in [infrastructure]; add "{shown}" to its allow, so that it is never a '
            "target"
        )
