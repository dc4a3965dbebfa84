"""`leadapron` with one of its functions broken where it is given what a peer sent: a program.

    broken.py HOW PROOF MODULE:FUNCTION ARGUMENTS...

What it is given goes into an exception (or a warning, or a log line, as HOW says), and into the file PROOF. It is broken
only where that holds a canary; else it does what it always does.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import logging
import pkgutil
import re
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn

from canaries import MARK, is_in

MOST, DEEPEST = 400, 3
"""Items and attributes of one value, and levels of values in values, that are shown."""


def shown(value: object, depth: int = 0) -> str:
    """All that a value holds, however it is wrapped: what a careless message would format."""
    if isinstance(value, memoryview | bytearray):
        return repr(bytes(value))
    if depth == DEEPEST or isinstance(value, bytes | str | int | float | None):
        return repr(value)
    inner: list[object]
    if isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    else:
        names = {*getattr(value, "__dict__", {}), *getattr(type(value), "__slots__", ())}
        inner = [getattr(value, name, None) for name in sorted(names)]
    return f"{type(value).__name__}({', '.join(shown(each, depth + 1) for each in inner[:MOST])})"


def raised(kind: Callable[[str], BaseException]) -> Callable[[str], NoReturn]:
    def complain(message: str) -> NoReturn:
        raise kind(message)

    return complain


def chained(message: str) -> NoReturn:
    try:
        {}[message]
    except KeyError as error:
        error.add_note(message)
        raise ExceptionGroup(message, [ValueError(message), OSError(5, message, message)]) from error


def in_a_thread(message: str) -> None:
    thread = threading.Thread(target=raised(ValueError), args=(message,), name=message)
    thread.start()
    thread.join()


class _Unraisable:
    def __init__(self, message: str) -> None:
        self.message = message

    def __del__(self) -> None:
        raise ValueError(self.message)


def logged(message: str) -> None:
    for name in ("pydicom", "asyncio", message):
        log = logging.getLogger(name)
        log.debug(message)
        log.warning("%d", message)  # which cannot be formatted
        log.error("%s", message, exc_info=ValueError(message), stack_info=True)


_remembered: list[str] = []


def remembered_until_the_end(message: str) -> None:
    """Raised in the pipeline itself, when all has been asked."""
    from leadapron.pipeline import Audit

    def conclude(_: Audit) -> NoReturn:
        chained(_remembered[0])

    _remembered.append(message)
    Audit.conclude = conclude  # type: ignore[method-assign]


def looked_up(message: str) -> None:
    """As a library would that follows where a peer leads."""
    found = re.search(f"{MARK}[0-9A-Z]+", message)
    assert found is not None, "names that are plain text only"
    for dial in (socket.getaddrinfo, lambda *place: socket.socket().connect(place)):
        with contextlib.suppress(OSError):
            dial(f"{found[0]}.example", 80)


HOW: dict[str, Callable[[str], object]] = {
    "RuntimeError": raised(RuntimeError),
    "KeyError": raised(KeyError),
    "OSError": raised(lambda message: FileNotFoundError(2, message, message)),
    "UnicodeError": raised(lambda message: UnicodeDecodeError("utf-8", message.encode(), 0, 1, message)),
    "LookupError, chained": chained,
    "KeyboardInterrupt": raised(KeyboardInterrupt),
    "SystemExit": raised(SystemExit),
    "GeneratorExit": raised(GeneratorExit),
    "a crash of the pipeline": remembered_until_the_end,
    "a warning": lambda message: warnings.warn(message, UserWarning, stacklevel=1),
    "a log line": logged,
    "a look-up": looked_up,
    "a thread": in_a_thread,
    "unraisable": lambda message: _Unraisable(message) and None,
}


def broken(whole: FunctionType, how: Callable[[str], object], proof: Path) -> Callable[..., Any]:
    @functools.wraps(whole)
    def instead(*arguments: object, **more: object) -> object:
        message = f"a bug that formats {shown(arguments)} {shown(more)}"
        if is_in(message.encode()):
            with proof.open("a") as file:
                file.write(message + "\n")
            how(message)
        return whole(*arguments, **more)

    return instead


def take_the_place_of(whole: FunctionType, instead: Callable[..., Any]) -> None:
    """Everywhere: modules, and classes in them, hold it under names of their own."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("leadapron"):
            continue
        for holder in (module, *(each for each in vars(module).values() if isinstance(each, type))):
            for attribute, value in list(vars(holder).items()):
                inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
                if inner is whole:
                    setattr(holder, attribute, instead if inner is value else type(value)(instead))


def load_all() -> None:
    package = importlib.import_module("leadapron")
    for each in pkgutil.walk_packages(package.__path__, "leadapron."):
        if "__main__" not in each.name and ".migrations" not in each.name:
            importlib.import_module(each.name)


def found(place: str) -> FunctionType:
    module, _, path = place.partition(":")
    holder: Any = importlib.import_module(module)
    *way, name = path.split(".")
    for step in way:
        holder = getattr(holder, step)
    whole = inspect.getattr_static(holder, name)
    whole = whole.__func__ if isinstance(whole, classmethod | staticmethod) else whole
    assert isinstance(whole, FunctionType), place
    return whole


if __name__ == "__main__":
    _, how, proof, place, *arguments = sys.argv
    load_all()
    function = found(place)
    take_the_place_of(function, broken(function, HOW[how], Path(proof)))
    sys.argv = ["leadapron", *arguments]
    from leadapron.cli.main import run

    run()
