"""What is said of a failure that nobody expected: where it happened, and nothing that it held.

The message of an exception may hold anything, also what a peer sent: only its type and its place are shown.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def in_one_line(error: Exception) -> str:
    """An error of the system names its file; any other is ours."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return f"{place}{error.strerror}; not finished, what was written before is kept"
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


def _place(error: Exception) -> str:
    """The innermost of our own lines."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    if not ours:
        return "a place outside of leadapron"
    return f"{Path(ours[-1].filename).relative_to(PACKAGE.parent)}:{ours[-1].lineno}"
