"""Records of JSON in a stream: one a line, the elements of an array, or those of `hits` in answers of an API."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from leadapron.discover.seeds.pairs import Found
from leadapron.discover.seeds.source import MAX_RECORD, lines

Record = dict[str, Any]

_BETWEEN = re.compile(r"[\s,]*")
_SCALARS = r'(?:[^"{}\[\]]|"(?:[^"\\]++|\\.)*+")*?'
_HITS = rf'{_SCALARS}"(?:hits|matches)"\s*:\s*\['
_ANSWER = re.compile(rf'\{{(?:{_SCALARS}"(?P<result>result)"\s*:\s*\{{)?{_HITS}')
"""The beginning of an answer of an API, up to the first of its records: `{"result": {"hits": [`, `{"matches": [`."""
_FINISHED = re.compile(r'\{\s*"?finished"?\s*:\s*1\s*\}')
"""The last line of an older masscan, which is no JSON."""


def records(stream: io.BufferedReader[Any], found: Found) -> Iterator[Record]:
    """Each record, `found.at` its number or that of its line. Raises InputError for what is no JSON, or is cut off."""
    start = stream.peek(MAX_RECORD).decode("utf-8", "replace")
    if _is_a_record_a_line(start):
        return _by_line(lines(stream, found), found)
    found.unit = "record"
    return _Elements(stream, found).read()


def _is_a_record_a_line(start: str) -> bool:
    """As of JSON lines and of masscan's array."""
    for line in start.split("\n"):
        text = line.strip(" \t\r,")
        if text not in ("", "["):
            is_whole = bool(_object(text)) or _FINISHED.fullmatch(text) is not None
            return is_whole and not _ANSWER.match(text)
    return False


def _object(text: str) -> Record | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # a number may be too long, too
        return None
    return value if isinstance(value, dict) else None


def _by_line(texts: Iterator[str], found: Found) -> Iterator[Record]:
    is_open = False
    for line in texts:
        text = line.strip(" \t\r,")
        if text in ("[", "]"):
            is_open = text == "["
        elif text and not _FINISHED.fullmatch(text):
            record = _object(text)
            if record is None:
                raise found.mistake("is no JSON object; is it cut off? Fetch or write it again")
            yield record
    if is_open:
        raise found.mistake("is the last line, and the list has no end; let the scanner end, or write the ] if it did")


class _Elements:
    """The elements of arrays, one after the other, with never more than some megabytes in memory."""

    def __init__(self, stream: io.BufferedReader[Any], found: Found) -> None:
        self._stream, self._found = stream, found
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._parse = json.JSONDecoder().raw_decode
        self._text, self._at, self._is_over = "", 0, False

    def read(self) -> Iterator[Record]:
        while self._next():
            if self._take("["):
                yield from self._array()
            elif answer := _ANSWER.match(self._text, self._at):
                self._at = answer.end()
                yield from self._array()
                self._close(2 if answer["result"] else 1)
            else:
                yield self._record()

    def _array(self) -> Iterator[Record]:
        """Up to the end of an array whose beginning is behind us."""
        while self._next():
            if self._take("]"):
                return
            yield self._record()
        raise self._cut_off()

    def _close(self, depth: int) -> None:
        """To the end of so many objects; what else stands in them is let go."""
        while depth:
            if not self._next():
                raise self._cut_off()
            if self._take("}"):
                depth -= 1
            else:
                self._value()
                self._next()
                if self._take(":"):
                    self._next()
                    self._value()

    def _record(self) -> Record:
        self._found.at += 1
        value = self._value()
        if not isinstance(value, dict):
            raise self._found.mistake("is no JSON object; is this the result of a scan?")
        return value

    def _value(self) -> Any:
        value, end = None, 0
        with contextlib.suppress(ValueError, RecursionError):
            value, end = self._parse(self._text, self._at)
        if not end:  # outside of the handler: an exception of the parser carries the text
            raise self._cut_off()
        if end - self._at > MAX_RECORD:
            raise self._found.mistake(f"is longer than {MAX_RECORD >> 20} MiB; leave it out")
        self._at = end
        return value

    def _cut_off(self) -> Exception:
        return self._found.mistake("is no JSON, is cut off, or is longer than 1 MiB; fetch or write it again")

    def _take(self, sign: str) -> bool:
        is_there = self._text.startswith(sign, self._at)
        self._at += is_there
        return is_there

    def _next(self) -> bool:
        """To what comes after spaces and commas, with the whole of a record in sight; False at the end."""
        while True:
            self._fill()
            match = _BETWEEN.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text) and (self._is_over or len(self._text) - self._at > MAX_RECORD):
                return True
            if self._is_over:
                return False

    def _fill(self) -> None:
        """So that more than a whole record is in sight, or all that is left."""
        while len(self._text) - self._at <= MAX_RECORD and not self._is_over:
            data = self._stream.read(4 * MAX_RECORD)
            self._is_over = not data
            self._text = self._text[self._at :] + self._decode(data, final=self._is_over)
            self._at = 0
