"""NFS as a protocol: what is asked next. `jobs` are the connections, `verdicts` what they mean.

The verdict table is in `docs/nfs.md`; `tests/protocols/nfs/` holds it row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadapron.model import Completed, Depth, Failed, Observation
from leadapron.net.conversation import Job
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.files.result import Found
from leadapron.protocols.health import Answered, looked_after, told
from leadapron.protocols.nfs import verdicts
from leadapron.protocols.nfs.jobs import EXPORTS, HELLO, TREE, Hello, ListExports, walk_of
from leadapron.protocols.nfs.result import WHOLE, Exports, Greeting, Refused, Spoken


class Nfs(Protocol):
    """NFS over TCP."""

    name = verdicts.PROTOCOL
    results = {"greeting": Greeting, "exports": Exports, "refused": Refused, "found": Found, "answered": Answered}  # noqa: RUF012

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        attempts = self.decoded(case.attempts)
        hello = attempts.get(HELLO)
        if hello is None:
            return Hello(endpoint=case.endpoint)
        if not isinstance(hello, Completed) or case.terms.depth < Depth.COUNT:
            return None
        again = Hello(endpoint=case.endpoint)
        return looked_after(_following(case, attempts, hello.result), attempts, again)

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = self.decoded(case.attempts)
        return told(verdicts.conclude(case, attempts), attempts)


def _following(case: Case, attempts: verdicts.Attempts, greeting: Greeting) -> Job[Any] | None:
    if Spoken.YES not in (greeting.version_3, greeting.version_4):
        return None
    listed = attempts.get(EXPORTS)
    if listed is None:
        return ListExports(endpoint=case.endpoint, greeting=greeting)
    return _next_walk(case, attempts, listed.result) if isinstance(listed, Completed) else None


def _next_walk(case: Case, attempts: verdicts.Attempts, found: Exports) -> Job[Any] | None:
    walks = verdicts.walks(found, case.endpoint.port, case.terms.associations)
    for export in walks.within:
        if f"{TREE}{export.shown}" not in attempts:
            return walk_of(export.shown, case.endpoint, found.mount_port, case.terms)
    is_due = walks.may_walk_whole and f"{TREE}{WHOLE}" not in attempts
    if is_due and verdicts.is_whole_worth_a_walk(attempts, found):
        return walk_of(WHOLE, case.endpoint, 0, case.terms)
    return None


PROTOCOL = Nfs()
