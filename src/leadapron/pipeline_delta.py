"""Delta runs: what findings need, asked again, and a share of the space a time, until all of it was swept anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from leadapron.assess.catalogue import catalogue
from leadapron.discover.space import key_of
from leadapron.errors import InputError
from leadapron.model import VERIFY, Again, Delta, Depth, Endpoint, Run
from leadapron.scope.gate import Gate
from leadapron.scope.policy import Policy, Standing
from leadapron.store.history import SETTLED
from leadapron.store.store import Store

SHARES = 7
"""A share a day: all of it in a week."""


def next_share(store: Store, run: Run, since: str, shares: int, gate: Gate) -> Delta:
    """Of a new run: the share after that of the last delta run since the same one. `since` is an id, or the beginning of
    one; that of a delta run stands for the run that it is a delta of. `gate`: of the new run. Raises InputError."""
    base = store.run(since)
    if base.delta is not None:
        base = store.run(base.delta.since)
    _check(store, run, base)
    earlier = (each.delta for each in store.runs() if each.delta is not None and each.delta.since == base.id)
    last = next(earlier, None)
    part = (last.part + 1) % shares if last is not None and last.parts == shares else 0
    return Delta(since=base.id, part=part, parts=shares, again=tuple(_asked_again(store, run, gate)))


def _asked_again(store: Store, run: Run, gate: Gate) -> Iterator[Again]:
    """Where findings stand, of those places that the scope grants: a store may hold other scopes beside this one."""
    needed: dict[tuple[int, int, int], Depth] = {}
    for finding in store.standing(run):
        endpoint, control = finding.service.endpoint, catalogue().get(finding.control)
        if finding.status not in SETTLED and is_granted(gate.policy, endpoint, run.ports):
            place = endpoint.address.version, int(endpoint.address), endpoint.port
            depth = control.depth if control is not None else Depth.TALK
            needed[place] = max(depth, needed.get(place, Depth.CONNECT))
    for (version, value, port), depth in sorted(needed.items()):
        yield Again(address=(IPv4Address if version == 4 else IPv6Address)(value), port=port, depth=depth)


def is_granted(policy: Policy, endpoint: Endpoint, ports: Sequence[int]) -> bool:
    """Whether a scope has the place, at whatever time."""
    spot = policy.spot(endpoint.address, endpoint.port)
    rules = [policy.rule(endpoint.address)] if endpoint.port in ports else []
    return any(rule.standing is Standing.GRANTED for rule in (*rules, *([spot] if spot is not None else ())))


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
