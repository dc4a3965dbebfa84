"""What the attempts of NFS mean: the rows of the table in `docs/nfs.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Failed,
    Observation,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.protocols.base import Case
from leadapron.protocols.files import verdicts as files
from leadapron.protocols.files.result import Found
from leadapron.protocols.nfs.jobs import EXPORTS, HELLO, TREE
from leadapron.protocols.nfs.result import WHOLE, Export, Exports, Greeting, Refused, Root, Spoken

PROTOCOL = "nfs"
Attempts = Mapping[str, Attempt[Any]]

_HELLO_CONNECTIONS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks:
    """Which exports are walked: those that the budget of connections allows, those given to everyone first."""

    within: tuple[Export, ...]
    beyond: tuple[Export, ...]
    may_walk_whole: bool
    """a connection is left for version 4"""


def walks(found: Exports, endpoint_port: int, associations: int) -> Walks:
    """A walk has one connection, and a second one where MOUNT has a port of its own; the list of exports had one more,
    for the portmapper."""
    beside = int(found.mount_port not in (0, endpoint_port))
    left = associations - _HELLO_CONNECTIONS - 1 - 2 * beside
    most = max(0, left // (1 + beside))
    first = sorted(found.exports, key=lambda export: not export.everyone)
    used = len(first[:most]) * (1 + beside)
    return Walks(within=tuple(first[:most]), beyond=tuple(first[most:]), may_walk_whole=left > used)


def is_whole_worth_a_walk(attempts: Attempts, found: Exports) -> bool:
    """Whether version 4 is walked from its root: it is open, and no export could be walked in version 3."""
    walked = (attempt for name, attempt in attempts.items() if name.startswith(TREE) and name != f"{TREE}{WHOLE}")
    return found.root is Root.OPEN and not any(
        isinstance(attempt, Completed) and isinstance(attempt.result, Found) for attempt in walked
    )


def conclude(case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
    """The endpoint itself, then each export."""
    hello = attempts.get(HELLO, Failed(stage=Stage.CONNECT, reason=Reason.STOPPED))
    if isinstance(hello, Failed):
        return (), hello
    listed = attempts.get(EXPORTS)
    seen = [_endpoint(case, hello.result, listed)]
    if isinstance(listed, Completed):
        seen += [_export(case, attempts, export, listed.result) for export in listed.result.exports]
        if (whole := attempts.get(f"{TREE}{WHOLE}")) is not None:
            seen.append(_walked(case, WHOLE, whole, {"version_4": True}))
    return seen, None


def _endpoint(case: Case, greeting: Greeting, listed: Attempt[Exports] | None) -> Observation:
    """Its `list` is the list of exports, as far as that is refused or not known: what is exported has lines of its own."""
    verdict, unknowns = _list_of_exports(case, greeting, listed)
    facts = _facts_of(greeting) | (_facts_of_exports(listed.result) if isinstance(listed, Completed) else {})
    return Observation(
        service=Service(endpoint=case.endpoint, protocol=PROTOCOL),
        access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict),
        owner=case.terms.owner,
        facts=facts,
        unknowns=unknowns,
    )


def _list_of_exports(
    case: Case, greeting: Greeting, listed: Attempt[Exports] | None
) -> tuple[Verdict, tuple[Failed, ...]]:
    if case.terms.depth < Depth.COUNT:
        return Verdict.NOT_ASKED, ()
    if Spoken.YES not in (greeting.version_3, greeting.version_4):
        if Spoken.AUTH in (greeting.version_3, greeting.version_4):
            return Verdict.REFUSED, ()
        return _unknown(Failed(stage=Stage.LIST, reason=Reason.PROTOCOL, detail="no version that we speak"))
    if listed is None:
        return _unknown(Failed(stage=Stage.LIST, reason=Reason.BUDGET))
    if isinstance(listed, Failed):
        return _unknown(listed)
    return _of_a_list(greeting, listed.result)


def _of_a_list(greeting: Greeting, found: Exports) -> tuple[Verdict, tuple[Failed, ...]]:
    if found.missing is not None:
        return _unknown(found.missing)
    if greeting.version_3 is not Spoken.YES:
        if found.root is Root.REFUSED:
            return Verdict.REFUSED, ()
        return (Verdict.NOT_ASKED, ()) if found.root is Root.OPEN else _unknown(_odd_root())
    if found.unlisted:
        return _unknown(Failed(stage=Stage.LIST, reason=Reason.PROTOCOL, detail="the server has no list of exports"))
    if not found.total:
        return _unknown(Failed(stage=Stage.LIST, reason=Reason.EMPTY, detail="no exports, or none that we are shown"))
    if len(found.exports) < found.total:
        return _unknown(Failed(stage=Stage.LIST, reason=Reason.LIMIT, detail="more exports than are looked at"))
    return Verdict.NOT_ASKED, ()


def _odd_root() -> Failed:
    return Failed(stage=Stage.LIST, reason=Reason.PROTOCOL, detail="the root of version 4")


def _unknown(why: Failed) -> tuple[Verdict, tuple[Failed, ...]]:
    return Verdict.UNKNOWN, (why,)


def _facts_of(greeting: Greeting) -> dict[str, int | bool]:
    facts: dict[str, int | bool] = {
        name: spoken is Spoken.YES
        for name, spoken in (
            ("version_3", greeting.version_3),
            ("version_4", greeting.version_4),
            ("mount_on_same_port", greeting.mount),
        )
        if spoken is not None
    }
    if greeting.highest:
        facts |= {"versions.lowest": greeting.lowest, "versions.highest": greeting.highest}
    return facts


def _facts_of_exports(found: Exports) -> dict[str, int | bool]:
    facts: dict[str, int | bool] = {}
    if found.missing is None and found.mount_port and not found.unlisted:
        facts |= {"exports": found.total, "exports.everyone": found.everyone, "exports.alike": found.alike}
    if found.portmapper is not None:
        facts["portmapper"] = found.portmapper
    if found.root is not None:
        facts["root_open"] = found.root is Root.OPEN
    return facts


def _export(case: Case, attempts: Attempts, export: Export, found: Exports) -> Observation:
    facts: dict[str, int | bool] = {} if found.unlisted else {"groups": export.groups, "everyone": export.everyone}
    attempt = attempts.get(f"{TREE}{export.shown}")
    if attempt is None:
        attempt = Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    return _walked(case, export.shown, attempt, facts)


def _walked(case: Case, resource: str, attempt: Attempt[Any], facts: Mapping[str, int | bool]) -> Observation:
    service = Service(endpoint=case.endpoint, protocol=PROTOCOL, resource=resource)
    if isinstance(attempt, Completed) and isinstance(attempt.result, Found):
        return files.observe(attempt.result, service, case.terms, facts={**facts, "mounted": True, "clear": True})
    is_refused = isinstance(attempt, Completed) and isinstance(attempt.result, Refused)
    verdict = Verdict.REFUSED if is_refused else Verdict.UNKNOWN
    return Observation(
        service=service,
        access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict, write=verdict),
        owner=case.terms.owner,
        facts={**facts, "mounted": False} if is_refused else facts,
        unknowns=(attempt,) if isinstance(attempt, Failed) else (),
    )
