"""What the wide stages visit, and how a visit can end."""

from __future__ import annotations

import enum
import errno
from typing import Any, NamedTuple

from leadapron.model import Reason


class Target(NamedTuple):
    """One (address, port) to visit. `tag` is the caller's own and comes back with the outcome."""

    address: int
    version: int
    """4 or 6"""
    port: int
    tag: Any = None


class Outcome(enum.StrEnum):
    """How the visit to a target ended."""

    CONNECTED = "connected"
    """sweep: the port is open"""
    ANSWERED = "answered"
    """handshake: the answer is whole"""
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    """before we saw it connected"""
    SILENT = "silent"
    """handshake: connected, but no whole answer before the deadline"""
    HUNG_UP = "hung_up"
    """handshake: connected, then RST or FIN before the answer was whole"""
    OVERLONG = "overlong"
    """handshake: `max_answer` bytes, and still not whole"""
    EXHAUSTED = "exhausted"
    """ours: no local port or file to be had, in many attempts"""
    OUT_OF_SCOPE = "out_of_scope"
    STOPPED = "stopped"
    """taken from the source, not finished"""

    @property
    def connected(self) -> bool:
        """Whether the target is known to accept connections."""
        return self in _CONNECTED

    @property
    def reason(self) -> Reason:
        """Why the visit did not complete. KeyError for CONNECTED and ANSWERED: nothing failed."""
        return _REASONS[self]


_CONNECTED = frozenset({Outcome.CONNECTED, Outcome.ANSWERED, Outcome.SILENT, Outcome.HUNG_UP, Outcome.OVERLONG})
_REASONS = {
    Outcome.REFUSED: Reason.REFUSED,
    Outcome.TIMEOUT: Reason.TIMEOUT,
    Outcome.UNREACHABLE: Reason.UNREACHABLE,
    Outcome.RESET: Reason.RESET,
    Outcome.SILENT: Reason.TIMEOUT,
    Outcome.HUNG_UP: Reason.RESET,
    Outcome.OVERLONG: Reason.LIMIT,
    Outcome.EXHAUSTED: Reason.LIMIT,
    Outcome.OUT_OF_SCOPE: Reason.OUT_OF_SCOPE,
    Outcome.STOPPED: Reason.STOPPED,
}
_ERRORS = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ETIMEDOUT: Outcome.TIMEOUT,
    errno.ECONNRESET: Outcome.RESET,
    errno.ECONNABORTED: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
}


def of_error(number: int) -> Outcome:
    """The outcome of a connect that failed with this `errno`; those that are not named here mean unreachable."""
    return _ERRORS.get(number, Outcome.UNREACHABLE)
