"""The audit log: one JSON object a line, each with the hash of the one before, so that no line can change unnoticed.

    {"event":"denied","facts":{…},"hash":"…","n":2,"prev":"…","time":"2026-11-23T20:00:00.000000Z"}

`hash` is SHA-256 over the canonical JSON of the other keys (sorted, no spaces, ASCII); `prev` of the first line is 64
zeros. Lines that are cut off at the end show only against the head that a run recorded: `run.audit_head`.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from leadapron.errors import InputError, RunStopped

Fact = str | int | float | bool | None | Sequence["Fact"] | Mapping[str, "Fact"]

GENESIS = "0" * 64
MAX_LINE = 1 << 20
TRUNCATED = "log.truncated"
"""Written when the last line was found unfinished: `bytes` and `sha256` of what was cut off."""


class Chain(NamedTuple):
    entries: int
    head: str


class AuditLog:
    """An open log. Each entry is written whole, and handed to the system before `write` returns."""

    def __init__(self, descriptor: int, chain: Chain, clock: Callable[[], dt.datetime]) -> None:
        self._descriptor, self._chain, self._clock = descriptor, chain, clock
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], dt.datetime] | None = None) -> AuditLog:
        """Open `path` (mode 0600) to go on with it, or begin it. A last line that a crash cut off is taken out, and
        noted. Raises InputError when the chain is broken, or when another process has the log open."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputError(f"{path}: the audit log cannot be opened: {error.strerror}") from None
        try:
            return cls._go_on(path, descriptor, clock or _utc_now)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def _go_on(cls, path: Path, descriptor: int, clock: Callable[[], dt.datetime]) -> AuditLog:
        os.fchmod(descriptor, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{path}: the audit log is in use by another process; wait for its end") from None
        with path.open("rb") as file:
            chain, rest = _follow(path, file)
        log = cls(descriptor, chain, clock)
        if rest:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(rest))
            log.write(TRUNCATED, bytes=len(rest), sha256=hashlib.sha256(rest).hexdigest())
        return log

    @property
    def head(self) -> str:
        """The hash of the last entry."""
        return self._chain.head

    @property
    def entries(self) -> int:
        return self._chain.entries

    def write(self, event: str, **facts: Fact) -> None:
        """Append an entry. Raises RunStopped when the disk does not take it: the run must not go on unlogged."""
        with self._lock:
            number = self._chain.entries + 1
            time = self._clock().astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            entry = {"n": number, "time": time, "event": event, "facts": facts, "prev": self._chain.head}
            digest = _hash(entry)
            try:
                _write_whole(self._descriptor, _canonical(entry | {"hash": digest}) + b"\n")
            except OSError as error:
                raise RunStopped(f"the audit log cannot be written: {error.strerror}") from None
            self._chain = Chain(number, digest)

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.fsync(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def in_use(path: Path) -> bool:
    """Whether a process holds the log open for writing: its run goes on."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def verify(path: Path) -> Chain:
    """The number of entries and the head. Raises InputError at the first line that breaks the chain."""
    try:
        with path.open("rb") as file:
            chain, rest = _follow(path, file)
    except OSError as error:
        raise InputError(f"{path}: the audit log cannot be read: {error.strerror}") from None
    if rest:
        raise _broken(path, chain.entries + 1, "it is not finished")
    return chain


def _follow(path: Path, file: BinaryIO) -> tuple[Chain, bytes]:
    """The chain of all whole lines, and what follows the last line end."""
    chain = Chain(0, GENESIS)
    for line in _lines(path, file):
        if not line.endswith(b"\n"):
            return chain, line
        chain = _link(path, chain, line)
    return chain, b""


def _lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise _broken(path, number, "it is longer than 1 MiB")
        yield line


def _link(path: Path, chain: Chain, line: bytes) -> Chain:
    number = chain.entries + 1
    try:
        entry: Any = json.loads(line)
        written = isinstance(entry, dict) and _canonical(entry) + b"\n" == line
    except (ValueError, RecursionError):
        raise _broken(path, number, "it is not JSON") from None
    if not written:
        raise _broken(path, number, "it is not in the form in which it was written")
    digest = entry.pop("hash", None)
    if entry.get("n") != number or entry.get("prev") != chain.head:
        raise _broken(path, number, "it does not follow the line before")
    if digest != _hash(entry):
        raise _broken(path, number, "its hash is wrong")
    return Chain(number, str(digest))


def _broken(path: Path, number: int, why: str) -> InputError:
    return InputError(f"{path}:{number}: the audit log was changed: {why}; keep the file and begin a new one")


def _canonical(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _hash(entry: Mapping[str, object]) -> str:
    return hashlib.sha256(_canonical(entry)).hexdigest()


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
