"""In which line of a TOML file a key stands. `tomllib` does not say.

The scanner follows the grammar of TOML 1.0 as far as places need it, and expects text that `tomllib` has accepted.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""`("grant", 0, "networks", 1)`: keys, and indices of arrays and arrays of tables."""

_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([btnfr"\\]))')
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def find_lines(text: str) -> Mapping[Path, int]:
    """The 1-based line of every table, key, array and item of an array; of a table, the first line that names it."""
    return _Scanner(text).scan()


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, else of the nearest thing around it; 0 when there is none."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 0)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._sizes: dict[Path, int] = {}
        """of the arrays of tables"""

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        while self._skip_blank():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._value(self._key(table))
        return self._lines

    def _skip_blank(self) -> bool:
        """Whether anything is left after spaces, line ends, comments and commas."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _skip(self, characters: str) -> None:
        while self._at < len(self._text) and self._text[self._at] in characters:
            self._at += 1

    def _mark(self, path: Path) -> None:
        self._lines.setdefault(path, bisect_right(self._breaks, self._at - 1) + 1)

    def _header(self) -> Path:
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        path: Path = ()
        keys = self._keys()
        for position, key in enumerate(keys, 1):
            path += (key,)
            self._mark(path)
            if many and position == len(keys):
                self._sizes[path] = self._sizes.get(path, 0) + 1
            if path in self._sizes:
                path += (self._sizes[path] - 1,)
                self._mark(path)
        self._skip(" \t]")
        return path

    def _key(self, table: Path) -> Path:
        """A key and its equals sign."""
        start = self._at
        keys = self._keys()
        after, self._at = self._at, start
        for end in range(1, len(keys) + 1):
            self._mark((*table, *keys[:end]))
        self._at = max(after, start + 1)
        self._skip(" \t=")
        return (*table, *keys)

    def _keys(self) -> list[str]:
        """The parts of a dotted key."""
        keys: list[str] = []
        while True:
            self._skip(" \t.")
            if match := _BARE.match(self._text, self._at):
                keys.append(match[0])
            elif match := _STRING.match(self._text, self._at):
                keys.append(_unquote(match[0]))
            else:
                return keys
            self._at = match.end()

    def _value(self, path: Path) -> None:
        """A value with all that lies in it. `open_arrays` holds the arrays around, with the size of each so far; an
        inline table has None."""
        open_arrays: list[tuple[Path, int | None]] = []
        while self._at < len(self._text):
            self._mark(path)
            character = self._text[self._at]
            if character in "[{":
                open_arrays.append((path, 0 if character == "[" else None))
                self._at += 1
            else:
                match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
                self._at = match.end() if match else self._at
            next_path = self._next_item(open_arrays)
            if next_path is None:
                return
            path = next_path

    def _next_item(self, open_arrays: list[tuple[Path, int | None]]) -> Path | None:
        """Close what ends here; the path of the item that follows, or None at the end of the whole value."""
        while open_arrays and self._skip_blank():
            around, size = open_arrays.pop()
            if self._text[self._at] in "]}":
                self._at += 1
                continue
            if size is None:
                open_arrays.append((around, None))
                return self._key(around)
            open_arrays.append((around, size + 1))
            return (*around, size)
        return None


def _unquote(quoted: str) -> str:
    if quoted[0] == "'":
        return quoted[1:-1]
    return _ESCAPE.sub(
        lambda match: _ESCAPED[match[3]] if match[3] else chr(int(match[1] or match[2], 16)), quoted[1:-1]
    )
