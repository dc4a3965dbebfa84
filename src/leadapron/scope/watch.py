"""Reads the scope file again while a run goes on. What it now denies is denied; what it newly grants is not."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import time
from pathlib import Path

from leadapron.errors import InputError, RunStopped, ScopeErrors
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.policy import nowhere

SETTLING = 2.0
"""Seconds after a change in which the time stamp is not trusted: two changes may share one."""


class ScopeWatch:
    """Watches the file that the gate's scope was read from.

    The day of the first reading decides what counts as expired in the file: a grant that expires while the run goes on
    is denied by the gate, and does not make the file unreadable.
    """

    def __init__(self, path: Path, gate: Gate, *, today: dt.date | None = None) -> None:
        self._path, self._gate = path, gate
        self._today = today or dt.datetime.now(dt.UTC).date()
        self._sha256 = gate.scope.sha256
        self._seen: tuple[int, int, int, int] | None = None

    def poll(self) -> str | None:
        """Look once; cheap while nothing changes. The SHA-256 of the file when it holds another scope than at the last
        look, and the gate is narrowed by it. Raises RunStopped when the file is gone or holds mistakes, and when it names
        infrastructure among the targets that this run did not resolve."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen or self._digest() == self._sha256:
                self._remember(seen, stat)
                return None
            scope = load_scope(self._path, today=self._today)
        except ScopeErrors as error:
            raise RunStopped(f"the scope no longer holds: {error.errors[0]}") from None
        except (OSError, InputError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise RunStopped(f"the scope file {self._path} cannot be read: {reason}") from None
        if unknown := nowhere(scope, self._gate.pins):
            raise RunStopped(
                f"the scope no longer holds: {unknown[0]} of [infrastructure] was not resolved for this run"
            )
        self._gate.narrow(scope)
        self._sha256 = scope.sha256
        return scope.sha256

    def _digest(self) -> str:
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _remember(self, seen: tuple[int, int, int, int], stat: os.stat_result) -> None:
        """Only what has settled: a fresh file is read again next time."""
        settled = abs(time.time() - stat.st_mtime) > SETTLING and abs(time.time() - stat.st_ctime) > SETTLING
        self._seen = seen if settled else None
