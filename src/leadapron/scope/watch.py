"""Reads the scope file, and that of its exclusions, again while a run goes on. What they now deny is denied; what is newly
granted is not."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from pathlib import Path

from leadapron.errors import InputError, RunStopped, ScopeErrors
from leadapron.scope.exclusions import read_exclusions, with_exclusions
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope, identity, load_scope
from leadapron.scope.parse import Mistake
from leadapron.scope.policy import nowhere

SETTLING = 2.0
"""Seconds after a change in which the time stamp is not trusted: two changes may share one."""

_Stamp = tuple[int, int, int, int]


class ScopeWatch:
    """Watches the files that the gate's scope was read from.

    The day of the first reading decides what counts as expired in the file: a grant that expires while the run goes on
    is denied by the gate, and does not make the file unreadable.
    """

    def __init__(self, path: Path, gate: Gate, *, today: dt.date | None = None) -> None:
        self._path, self._gate, self._scope = path, gate, gate.scope
        self._today = today or dt.datetime.now(dt.UTC).date()
        self._seen: dict[Path, _Stamp] = {}
        """of files that have settled"""

    def poll(self) -> Scope | None:
        """Look once; cheap while nothing changes. The scope as it now stands, when it is another than at the last look, and
        the gate is narrowed by it. Raises RunStopped when a file is gone or holds mistakes, and when it names infrastructure
        among the targets that this run did not resolve."""
        scope = self._read()
        if scope is None:
            return None
        if unknown := nowhere(scope, self._gate.pins):
            raise RunStopped(
                f"the scope no longer holds: {unknown[0]} of [infrastructure] was not resolved for this run"
            )
        self._gate.narrow(scope)
        self._scope = scope
        return scope

    def _read(self) -> Scope | None:
        try:
            if (stamp := self._changed(self._path)) and self._identity() != self._scope.sha256:
                return load_scope(self._path, today=self._today)
        except ScopeErrors as error:
            raise RunStopped(f"the scope no longer holds: {error.errors[0]}") from None
        except (OSError, InputError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise RunStopped(f"the scope file {self._path} cannot be read: {reason}") from None
        if stamp:
            self._remember(self._path, stamp)
        return self._read_exclusions()

    def _read_exclusions(self) -> Scope | None:
        """That file alone, whatever stands in the other."""
        path = self._scope.survey.exclusions if self._scope.survey else None
        if path is None:
            return None
        try:
            if not (stamp := self._changed(path)):
                return None
            exclusions = read_exclusions(path, path.name)
        except OSError as error:
            raise RunStopped(f"the exclusions {path} cannot be read: {error.strerror}") from None
        except Mistake as mistake:
            raise RunStopped(f"the exclusions no longer hold: {mistake.problem}") from None
        self._remember(path, stamp)
        return with_exclusions(self._scope, exclusions) if exclusions != self._scope.exclusions else None

    def _changed(self, path: Path) -> _Stamp | None:
        """What tells that a file is not the one that was seen last. Raises OSError."""
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        return stamp if stamp != self._seen.get(path) else None

    def _identity(self) -> str:
        """Of the file as it is, with the snapshots of the last reading: what they say by now is for another run."""
        with self._path.open("rb") as file:
            return identity(hashlib.file_digest(file, "sha256").hexdigest(), self._scope.snapshots)

    def _remember(self, path: Path, stamp: _Stamp) -> None:
        """Only what has settled: a fresh file is read again next time."""
        now = time.time_ns()
        if all(abs(now - at) > SETTLING * 1e9 for at in stamp[:2]):
            self._seen[path] = stamp
        else:
            self._seen.pop(path, None)
