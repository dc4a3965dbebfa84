"""Standard output and error: readers that leave early, streams that are closed or full, characters that are lacking."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import typer

from leadapron.errors import InputError


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Around what prints a result. A reader that leaves (`| head`) is no error, and changes no exit code. Raises
    InputError when the result could not be written, to a disk that is full."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError:
        if (why := broken_stdout()) is None:
            raise
        raise InputError(f"stdout: {why}; the result is not whole") from None


def say(text: str, *, end: str = "\n") -> None:
    """To stderr, if somebody listens: what is said there changes no exit code."""
    try:
        typer.echo(text, err=True, nl=False)
        typer.echo(end, err=True, nl=False)
    except OSError:
        _discard(sys.stderr)


def broken_stdout() -> str | None:
    """Why stdout did not take what was written to it; None if it did. What still waits there is dropped."""
    if _Watched.why is not None:
        _discard(sys.stdout)
    return _Watched.why


class _Watched(io.FileIO):
    """The descriptor of stdout. An error that arrives elsewhere does not say by itself what it is about."""

    why: str | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            _Watched.why = error.strerror or "cannot be written"
            raise


def make_ready() -> None:
    """At the start: streams that the caller closed become ones that nobody reads, and none fails to encode.

    The number of a closed stream would be given to the next file that is opened, such as the store.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    # None for a closed one, whatever typeshed says
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = _watched(sys.stdout) if sys.stdout else _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # in a locale that lacks a character, a question mark stands for it


def _watched(stream: TextIO) -> TextIO:
    raw = _Watched(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, line_buffering=stream.isatty())


def _nowhere(mode: str) -> TextIO:
    stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives
    assert isinstance(stream, io.TextIOWrapper)
    return stream


def _discard(stream: TextIO) -> None:
    """What waits in `stream` and what comes after goes nowhere; else the end of the process would try it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    with contextlib.suppress(OSError):
        stream.flush()
