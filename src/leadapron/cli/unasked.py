"""What Python and its libraries say of their own accord: warnings, log lines, exceptions that nobody caught.

Any of it may hold what a peer sent, since their messages format whatever they were given. So the kind and the place are
said, and nothing else; and that only with `--debug`, but for what ends the process.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import TextIO

from leadapron.cli import failure
from leadapron.cli.output import say

OURS = ("leadapron", "sqlalchemy", "alembic")
"""Loggers that are given nothing of a peer's: our own, and what speaks to the store, which holds nothing of it."""

log = logging.getLogger(__name__)


def say_no_values() -> None:
    """For the whole process, from its beginning."""
    logging.raiseExceptions = False  # a line that cannot be formatted would be shown with all that it was given
    warnings.showwarning = _warned
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda unraisable: _ignored(unraisable.exc_value, "nowhere")
    threading.excepthook = lambda caught: _ignored(caught.exc_value, "a thread")


def log_without_values(level: int) -> None:
    """To stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class _Formatter(logging.Formatter):
    converter = __import__("time").gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Of a library's line its place alone, by a copy: other handlers may be given the record too."""
        if record.name.partition(".")[0] in OURS:
            return super().format(record)
        kept = logging.makeLogRecord(record.__dict__)
        kept.msg, kept.args, kept.stack_info = f"at {record.filename}:{record.lineno}", (), None
        kept.name, kept.exc_text = record.module, None
        return super().format(kept)

    def formatException(self, ei: tuple[object, ...]) -> str:  # noqa: N802 - logging's name
        error = ei[1]
        return "\n".join(failure.trace(error)) if isinstance(error, BaseException) else ""


def _warned(
    message: Warning | str,  # noqa: ARG001 - the value
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    log.debug("%s at %s:%d", category.__name__, filename, lineno)


def _ignored(error: BaseException | None, where: str) -> None:
    if error is not None:
        log.debug("in %s: %s", where, "\n".join(failure.trace(error)))


def _uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    say(failure.in_one_line(error))
