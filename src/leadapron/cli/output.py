"""Standard output and error: what becomes of a reader that leaves early, and of characters that it cannot show."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Around what prints a result. A reader that leaves (`| head`) is no error, and changes no exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def never_fail_to_encode() -> None:
    """In a locale that lacks a character, a question mark stands for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
