from __future__ import annotations

import contextlib

import pytest

from leadapron.cli import failure
from leadapron.protocols.files import names
from leadapron.scope.window import Window

VALUE = "DOE^JANE"


def caught(error: Exception) -> Exception:
    with pytest.raises(type(error)) as info:
        raise error
    return info.value


def test_the_innermost_of_our_own_lines_is_named() -> None:
    with pytest.raises(ValueError) as info:
        Window.parse(VALUE)

    line = failure.in_one_line(info.value)

    assert ": a fault of ours, " in line
    assert " at leadapron/scope/window.py:" in line
    assert VALUE not in line
    assert "\n" not in line


def test_what_happened_elsewhere_has_no_line_of_ours() -> None:
    assert "ValueError at a place outside of leadapron" in failure.in_one_line(caught(ValueError(VALUE)))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/a/file"), "/a/file: No space left on device; "),
        (OSError(28, "No space left on device"), "No space left on device; "),
        (OSError(9, "Bad file descriptor", 7), "Bad file descriptor; "),
        (OSError(9, VALUE), "Bad file descriptor; "),
        (OSError(VALUE, VALUE), "not finished: a fault of ours, OSError at a place"),
    ],
)
def test_an_error_of_the_system_says_what_and_where(error: OSError, said: str) -> None:
    assert failure.in_one_line(error).startswith(said)


def test_the_name_of_a_peers_file_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bug in a parser would say it, where no boundary of a job is in between: `leadapron files`."""

    def broken(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, VALUE, VALUE)

    monkeypatch.setattr(names.hashlib, "blake2b", broken)
    with pytest.raises(FileNotFoundError) as info:
        names.shown_name(VALUE.encode())
    line = failure.in_one_line(info.value)
    assert "a fault of ours, FileNotFoundError at leadapron/protocols/files/names.py:" in line
    assert VALUE not in line


def test_a_trace_has_types_and_places_and_ends_also_in_a_circle() -> None:
    first, second = ValueError(VALUE), KeyError(VALUE)
    with contextlib.suppress(ValueError):
        raise first from second
    second.__cause__ = first

    lines = list(failure.trace(first))

    assert [line for line in lines if not line.startswith(" ")] == [
        "builtins.ValueError",
        "behind it:",
        "builtins.KeyError",
    ]
    assert any("test_failure.py" in line for line in lines)
    assert VALUE not in "".join(lines)
