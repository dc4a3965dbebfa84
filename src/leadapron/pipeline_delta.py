"""Delta runs: what findings need, asked again, and a share of the space a time, until all of it was swept anew."""

from __future__ import annotations

from leadapron.discover.space import key_of
from leadapron.errors import InputError
from leadapron.model import VERIFY, Delta, Run
from leadapron.store.store import Store

SHARES = 7
"""A share a day: all of it in a week."""


def next_share(store: Store, run: Run, since: str, shares: int) -> Delta:
    """Of a new run: the share after that of the last delta run since the same one. `since` is an id, or the beginning of
    one; that of a delta run stands for the run that it is a delta of. Raises InputError."""
    base = store.run(since)
    if base.delta is not None:
        base = store.run(base.delta.since)
    _check(store, run, base)
    earlier = (each.delta for each in store.runs() if each.delta is not None and each.delta.since == base.id)
    last = next(earlier, None)
    part = (last.part + 1) % shares if last is not None and last.parts == shares else 0
    return Delta(since=base.id, part=part, parts=shares)


def _check(store: Store, run: Run, base: Run) -> None:
    if base.kind == VERIFY or base.seeds:
        raise InputError(f"--since: run {base.id} did not sweep its scope; name an audit that did")
    if (base.scope_id, base.vantage.kind) != (run.scope_id, run.vantage.kind):
        raise InputError(
            f"--since: run {base.id} is of scope {base.scope_id} from vantage {base.vantage.kind.value}; name a run of "
            f"{run.scope_id} from {run.vantage.kind.value}"
        )
    try:
        key_of(store.permutation_key(base.id))
    except ValueError:
        raise InputError(
            f"--since: run {base.id} was made by an earlier version, which swept in another order; audit the scope once"
        ) from None
