"""What is said of a failure that nobody expected: where it happened, and nothing that it held.

The message of an exception may hold anything, also what a peer sent: only its type and its place are shown.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def in_one_line(error: BaseException) -> str:
    """An error of the system names its file, where that is not one of a peer; any other is ours."""
    if isinstance(error, OSError) and isinstance(error.errno, int) and not _is_about_a_peer(error):
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return f"{place}{os.strerror(error.errno)}; not finished, what was written before is kept"
    return (
        f"not finished: a fault of ours, {type(error).__name__} at {_place(error)}; "
        "what was written before is kept. Please report it, with what `leadapron --debug` says"
    )


def trace(error: BaseException, known: frozenset[int] = frozenset()) -> Iterator[str]:
    """Types and places, without messages and locals, for `--debug`; causes and members of groups behind it."""
    yield f"{type(error).__module__}.{type(error).__qualname__}"
    for entry in traceback.format_tb(error.__traceback__):
        yield from entry.rstrip("\n").splitlines()
    members: tuple[BaseException, ...] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for behind in (*members, error.__cause__ or error.__context__):
        if behind is not None and id(behind) not in known:
            yield "behind it:"
            yield from trace(behind, known | {id(error)})


def _ours(error: BaseException, below: Path = PACKAGE) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if Path(frame.filename).is_relative_to(below)]


def _is_about_a_peer(error: OSError) -> bool:
    """Where a folder is walked the files are those of patients."""
    return bool(_ours(error, PACKAGE / "protocols"))


def _place(error: BaseException) -> str:
    """The innermost of our own lines."""
    ours = _ours(error)
    if not ours:
        return "a place outside of leadapron"
    return f"{Path(ours[-1].filename).relative_to(PACKAGE.parent)}:{ours[-1].lineno}"
