"""The error tree. Everything that Lead Apron raises on purpose is one of these.

    LeadApronError
    ├── InputError          bad file, option or request: one line, exit code 2
    │   ├── ScopeError      a mistake in a scope file: file, line, key, what to do
    │   └── ScopeErrors     all mistakes of one scope file
    ├── OutOfScope          the gate denied an address (also an OSError, so that libraries treat it as one)
    ├── WireError           bytes of a peer that break a standard; the only error a parser raises
    ├── StoreError          the store cannot be opened, is newer than this version, or is locked
    └── RunStopped          a run ends early, on request or because its scope no longer holds

A peer's failure is not an exception but a value: `leadapron.model.Failed`.
"""

from __future__ import annotations

from pathlib import Path


class LeadApronError(Exception):
    """Base of the tree."""


class InputError(LeadApronError):
    """What the user gave cannot be used. The message is one line: what is wrong, where, what to do."""


class ScopeError(InputError):
    """A mistake in a scope file.

    `path`, `line` (1-based; 0 when the file as a whole is meant) and `key` (dotted, `grant[0].networks[1]`) say where;
    `problem` says what, `remedy` what to do.
    """

    def __init__(self, path: Path, line: int, key: str, problem: str, remedy: str) -> None:
        self.path, self.line, self.key, self.problem, self.remedy = path, line, key, problem, remedy
        place = f"{path}:{line}" if line else str(path)
        named = f" {key}:" if key else ""
        super().__init__(f"{place}:{named} {problem}; {remedy}")


class ScopeErrors(InputError):  # noqa: N818 - several errors
    """All mistakes of one scope file, in the order of their lines; the message has one line each."""

    def __init__(self, errors: tuple[ScopeError, ...]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


class OutOfScope(LeadApronError, PermissionError):  # noqa: N818 - what happened, in the words of the design
    """The gate denied an address. `reason` is a `leadapron.scope.gate.Denied` value."""

    def __init__(self, address: str, reason: str) -> None:
        self.address, self.reason = address, reason
        super().__init__(f"{address} is not permitted: {reason}")


class WireError(LeadApronError):
    """Bytes that break the standard, or a limit of ours.

    `rule` is our own short text. It never contains, quotes or formats a value of the peer.
    """

    def __init__(self, rule: str, *, limit: bool = False) -> None:
        self.rule, self.limit = rule, limit
        super().__init__(rule)


class StoreError(LeadApronError):
    """The store cannot be used. One line, exit code 2."""


class RunStopped(LeadApronError):  # noqa: N818 - not an error: somebody stopped it
    """A run ends before its work is done. `why` is shown to the user and stored with the run."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)
