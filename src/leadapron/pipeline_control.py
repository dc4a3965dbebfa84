"""What an audit is run with: options, progress, and why to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

from leadapron.errors import RunStopped
from leadapron.scope.audit_log import Fact
from leadapron.scope.watch import ScopeWatch

SWEEP_TIMEOUT = 3.0
HELLO_TIMEOUT = 10.0
"""Seconds: for the TCP handshake of the sweep; for connecting and the first answer."""


class Progress(Interface):
    """Where the command line shows what goes on: several phases at once."""

    def begin(self, phase: str, total: int, done: int) -> None: ...
    def more(self, phase: str, amount: int) -> None:
        """There is so much more to do."""

    def advance(self, phase: str, amount: int, **figures: int) -> None: ...
    def end(self, phase: str) -> None: ...


class Unseen:
    """Progress of a process for which another shows it."""

    def begin(self, phase: str, total: int, done: int) -> None: ...
    def more(self, phase: str, amount: int) -> None: ...
    def advance(self, phase: str, amount: int, **figures: int) -> None: ...
    def end(self, phase: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line adds to the scope."""

    full: bool = False
    """lift the budget of answers and of seconds"""
    concurrency: int = 4096
    """sockets of the wide stages, and a quarter of it in the deep one"""
    sweep_timeout: float = SWEEP_TIMEOUT
    hello_timeout: float = HELLO_TIMEOUT


class Log(Interface):
    """Where a change of the scope is written down."""

    def write(self, event: str, **facts: Fact) -> object: ...


class Control:
    """Why to stop: a signal, `leadapron stop`, or a scope that no longer holds. Polled, and cheap to poll."""

    INTERVAL = 0.5

    def __init__(self, watch: ScopeWatch, stop_file: Path, log: Log) -> None:
        self._watch, self.stop_file, self._log = watch, stop_file, log
        self._next = 0.0
        self.why = ""

    def request(self, why: str) -> None:
        """Stop for this reason (safe in a signal handler)."""
        self.why = self.why or why

    def stopped(self) -> bool:
        """Whether a stop was asked for, without looking again."""
        return bool(self.why)

    def should_stop(self) -> bool:
        """Look, at most every `INTERVAL` seconds, and tell."""
        now = time.monotonic()
        if not self.why and now >= self._next:
            self._next = now + self.INTERVAL
            self._look()
        return bool(self.why)

    def _look(self) -> None:
        if self.stop_file.exists():
            self.request("stopped by `leadapron stop`")
            return
        try:
            changed = self._watch.poll()
        except RunStopped as stopped:
            self.request(stopped.why)
        else:
            if changed:
                scope_sha256, exclusions_sha256 = changed.digests
                self._log.write("scope_narrowed", scope_sha256=scope_sha256, exclusions_sha256=exclusions_sha256)
