"""Exclusions of those who asked a survey to leave them alone: dated, against every grant, for as long as the file lasts.

A line each, its columns apart by a tab or by two spaces; what follows a # at the beginning of a line is a comment.

    198.18.0.7    2026-11-28T12:40:00Z    asked by mail    noc@example.net

The file only grows: a run that goes on is told from its beginning by how many there were then.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from leadapron.errors import InputError
from leadapron.scope import parse
from leadapron.scope.grant import Exclusion, Scope
from leadapron.scope.parse import Mistake
from leadapron.settings import replace_private

MOST = 100_000
MAX_SIZE = 64 << 20
"""Bytes."""

HEADER = "# Never touched. NETWORK, since (UTC), because, asked by: a tab between. Add lines, and take none out.\n"

_COLUMNS = re.compile(r"\t+| {2,}")
_SINCE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A file up to the end of a line: its bytes, how many lines they are, and what stands in them."""

    data: bytes = b""
    lines: int = 0
    found: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hashed:
    of: tuple[Exclusion, ...] = ()
    state: hashlib._Hash = field(default_factory=hashlib.sha256)


class _Last:
    """The last file that was read. One that only grew is read, and hashed, on from where it ended: a run looks at it often,
    and of 100,000 lines one is new."""

    read = _Read()
    hashed = _Hashed()


def read_exclusions(path: Path, name: str) -> tuple[Exclusion, ...]:
    """In the order of the file. `name` is how the scope names it. Raises Mistake, which names the line."""
    try:
        data = _data(path)
    except OSError as error:
        remedy = "begin it with `leadapron survey exclude`, or with an empty file: without it nobody is left alone"
        raise Mistake(f"{name!r} cannot be read: {error.strerror}", remedy) from None
    return _parsed(data, name)


def digest(exclusions: tuple[Exclusion, ...]) -> str:
    """SHA-256 of the networks, one a line; "" of none. Dates and reasons decide nothing."""
    known = _Last.hashed if exclusions[: len(_Last.hashed.of)] == _Last.hashed.of else _Hashed()
    state = known.state.copy()
    state.update("".join(f"{each.network}\n" for each in exclusions[len(known.of) :]).encode())
    _Last.hashed = _Hashed(of=exclusions, state=state)
    return state.hexdigest() if exclusions else ""


def with_exclusions(scope: Scope, exclusions: tuple[Exclusion, ...]) -> Scope:
    """The scope with these in place of its own."""
    return replace(scope, exclusions=exclusions, exclusions_sha256=digest(exclusions))


def as_begun(scope: Scope, count: int, sha256: str) -> Scope:
    """The scope with the first `count` of its exclusions, as it was when a run began. Raises InputError where they are not
    what they were by their digest: then nobody knows which addresses that run is about."""
    if digest(scope.exclusions[:count]) != sha256:
        where = scope.survey.exclusions if scope.survey and scope.survey.exclusions else scope.path
        raise InputError(
            f"{where}: an exclusion that the run began with is not there any more; put it back, or begin anew"
        )
    return with_exclusions(scope, scope.exclusions[:count])


def add_exclusions(path: Path, asked: Iterable[Exclusion]) -> list[Exclusion]:
    """Those of them that are new to the file, which now holds them; a network that stands there already is left as it is.

    The file is made where it is lacking, replaced whole (mode 0600), and locked against others who add to it. Raises
    InputError; then it is what it was.
    """
    path = Path(os.path.realpath(path))
    try:
        with _locked(path.parent):
            before = _data(path) if path.exists() else HEADER.encode()
            known = {exclusion.network for exclusion in _parsed(before, path.name)}
            wanted = {each.network: each for each in asked if each.network not in known}
            if new := list(wanted.values()):
                replace_private(path, _ended(before) + "".join(map(_line, new)).encode())
    except OSError as error:
        raise InputError(f"{path}: the exclusions cannot be written: {error.strerror}; nothing was added") from None
    except Mistake as mistake:
        raise InputError(f"{path}: {mistake}; nothing was added") from None
    return new


def _data(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SIZE + 1)


def _parsed(data: bytes, name: str) -> tuple[Exclusion, ...]:
    remedy = "name a file of `leadapron survey exclude`"
    if len(data) > MAX_SIZE:
        raise Mistake(f"{name!r} is larger than 64 MiB", remedy)
    known = _Last.read if data.startswith(_Last.read.data) else _Read()
    try:
        lines = data[len(known.data) :].decode().split("\n")
    except UnicodeDecodeError:
        raise Mistake(f"{name!r} is not UTF-8", remedy) from None
    found = [*known.found, *_exclusions(lines, known.lines, name)]
    if len(found) > MOST:
        raise Mistake(f"{name!r} holds more than {MOST:,} exclusions", "merge networks that lie side by side")
    result = known.found if len(found) == len(known.found) else tuple(found)
    if data.endswith(b"\n"):
        _Last.read = _Read(data=data, lines=known.lines + len(lines) - 1, found=result)
    return result


def _exclusions(lines: Iterable[str], before: int, name: str) -> Iterator[Exclusion]:
    """`before`: how many lines of the file come before these."""
    for number, line in enumerate(lines, before + 1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                yield _exclusion(text)
            except Mistake as mistake:
                raise Mistake(f"line {number} of {name!r}: {mistake.problem}", mistake.remedy) from None


def _exclusion(text: str) -> Exclusion:
    columns = _COLUMNS.split(text)
    if not 3 <= len(columns) <= 4:
        form = "write NETWORK, 2026-11-28T12:40:00Z and the reason, with a tab between"
        raise Mistake("is not an exclusion", form)
    network, since, because, *asked_by = columns
    return Exclusion(
        network=parse.network(network),
        since=_since(since),
        because=parse.line(because),
        asked_by=parse.optional_line(asked_by[0]) if asked_by else "",
    )


def _since(text: str) -> dt.datetime:
    try:
        if _SINCE.fullmatch(text):
            return dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    raise Mistake(f"{text!r} is not a time", "write it in UTC, 2026-11-28T12:40:00Z")


def _line(exclusion: Exclusion) -> str:
    since = exclusion.since.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    columns = [str(exclusion.network), since, _one_column(exclusion.because)]
    columns += [_one_column(exclusion.asked_by)] if exclusion.asked_by else []
    return "\t".join(columns) + "\n"


def _one_column(text: str) -> str:
    return " ".join(text.split())


def _ended(data: bytes) -> bytes:
    return data if not data or data.endswith(b"\n") else data + b"\n"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Held by one process at a time. Of the folder, since the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
