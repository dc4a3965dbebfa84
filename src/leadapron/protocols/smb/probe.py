"""SMB as a protocol: what is asked next, least first. `jobs` asks, `verdicts` says what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from leadapron.model import Attempt, Completed, Failed, Observation, Reason, Stage
from leadapron.net.conversation import Job
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.files.result import Found
from leadapron.protocols.health import Answered, looked_after, told
from leadapron.protocols.smb import verdicts
from leadapron.protocols.smb.jobs import BLANK, HELLO, SMB1, TREE, GreetSmb1, Hello, LogIn, WalkShare
from leadapron.protocols.smb.results import LoggedIn, Smb1, Spoken

_PERHAPS_SMB1 = frozenset({Reason.RESET, Reason.PROTOCOL, Reason.TIMEOUT})
"""How a server that knows SMB 1 only may take our hello."""


class Smb(Protocol):
    """SMB 2 and 3 over direct TCP."""

    name = verdicts.PROTOCOL
    results: ClassVar[Mapping[str, type[Any]]] = {
        "spoken": Spoken,
        "smb1": Smb1,
        "logged_in": LoggedIn,
        "found": Found,
        "answered": Answered,
    }

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:  # noqa: ARG002 - no banner is matched
        attempts = self.decoded(case.attempts)
        hello = Hello(endpoint=case.endpoint)
        return looked_after(_following(case, attempts), attempts, hello) if HELLO in attempts else hello

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = self.decoded(case.attempts)
        return told(verdicts.conclude(case, attempts), attempts)


PROTOCOL = Smb()


def _following(case: Case, attempts: Mapping[str, Attempt[Any]]) -> Job[Any] | None:
    """Behind the hello."""
    hello = attempts[HELLO]
    if len(attempts) >= case.terms.associations:
        return None
    if SMB1 not in attempts and (isinstance(hello, Completed) or _may_be_smb1(hello)):
        return GreetSmb1(endpoint=case.endpoint, speaks_smb2=isinstance(hello, Completed))
    if isinstance(hello, Failed) or not verdicts.may_log_in(case):
        return None
    return _next_share(case, attempts) if BLANK in attempts else LogIn(endpoint=case.endpoint)


def _may_be_smb1(hello: Failed) -> bool:
    return hello.stage is Stage.HANDSHAKE and hello.reason in _PERHAPS_SMB1


def _next_share(case: Case, attempts: Mapping[str, Attempt[Any]]) -> WalkShare | None:
    blank = attempts[BLANK]
    shares = blank.result.shares if isinstance(blank, Completed) else ()
    for share in shares:
        if share.refused is None and TREE + share.shown not in attempts:
            return WalkShare(endpoint=case.endpoint, shown=share.shown, terms=case.terms)
    return None
