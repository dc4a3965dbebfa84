from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import (
    CENSYS,
    CENSYS_ANSWER,
    HOSTS,
    MASSCAN,
    MASSCAN_OLD,
    PLATFORM_ANSWER,
    PLATFORM_HITS,
    SHODAN_ANSWER,
    found,
)

from leadapron.discover.seeds.records import records
from leadapron.discover.seeds.source import MAX_RECORD
from leadapron.errors import InputError


class Trickling(io.RawIOBase):
    """Gives so many bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self._data, self._size = io.BytesIO(data), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._data.read(min(self._size, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def read(text: str | bytes, size: int = 1 << 20) -> list[object]:
    data = text.encode() if isinstance(text, str) else text
    return list(records(io.BufferedReader(Trickling(data, size), 1 << 16), found()))


@pytest.mark.parametrize("size", [1 << 20, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CENSYS, HOSTS),
        (CENSYS_ANSWER, HOSTS),
        (f"{CENSYS_ANSWER}\n{CENSYS_ANSWER}", HOSTS * 2),
        (PLATFORM_ANSWER, PLATFORM_HITS),
        (SHODAN_ANSWER, json.loads(SHODAN_ANSWER)["matches"]),
        (MASSCAN, json.loads(MASSCAN)),
        (json.dumps(HOSTS[0], indent=2), [HOSTS[0]]),
        (json.dumps({"result": HOSTS[0]}, indent=2), [{"result": HOSTS[0]}]),
        ("[]", []),
        (" [ ] ", []),
        ('{"matches": [], "total": 0}', []),
    ],
)
def test_records_in_every_shape(text: str, expected: list[object], size: int) -> None:
    assert read(text, size) == expected


def test_what_older_masscans_write_and_is_no_json() -> None:
    assert len(read(MASSCAN_OLD)) == 2
    assert read("[\n{finished: 1}\n]\n") == []
    assert len(read('[\n{"ip": "198.18.0.1"},\n{"ip": "198.18.0.2"},\n]\n')) == 2


@pytest.mark.parametrize("text", [CENSYS, CENSYS_ANSWER, PLATFORM_ANSWER, SHODAN_ANSWER, MASSCAN])
def test_what_is_cut_off_is_a_line_wherever_it_is_cut(text: str) -> None:
    whole = text.rstrip()
    for end in range(1, len(whole), max(1, len(whole) // 200)):
        with pytest.raises(InputError) as caught:
            read(whole[:end])
        assert len(str(caught.value).splitlines()) == 1
        assert "CANARY" not in str(caught.value)
        assert caught.value.__context__ is None, "an exception of the parser carries the text"


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        '["198.18.0.1"]',
        "[[]]",
        "{]",
        "[\n{}\n{]\n",
        '{"a":1}\n{"b"\n',
        '{"a":1}\n[1]\n',
        "[" * 100_000,
        '{"a":' * 100_000,
        '[{"a": ' + "1" * 5000 + "}]",
        '{"a": ' + "1" * 5000 + "}\n",
        '{"hits": [{}]',
        '{"hits": [{}], "links": }',
    ],
)
def test_what_is_no_list_of_objects_is_a_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^scan: (record|line) \d+: ") as caught:
        read(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["{}\n%s\n", "[%s]", '{"hits": [%s]}'])
def test_a_record_has_a_bound(text: str) -> None:
    def record(size: int) -> str:
        return '{"a": "' + "x" * (size - 9) + '"}'

    assert len(read(text % record(MAX_RECORD - 1))) >= 1
    with pytest.raises(InputError, match="longer than 1 MiB"):
        read(text % record(MAX_RECORD + 2))


def test_memory_does_not_grow_with_the_file() -> None:
    class Endless(io.RawIOBase):
        left = 60

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            if not self.left:
                return 0
            self.left -= 1
            piece = b'[{"a": [1, 2]},' if self.left == 59 else b'{"a": [1, 2]},'
            data = (piece * (len(buffer) // len(piece)))[: len(buffer)] if self.left != 59 else piece
            buffer[: len(data)] = data
            return len(data)

    reading = records(io.BufferedReader(Endless(), 1 << 20), found())
    assert sum(1 for _ in zip(reading, range(1_000_000), strict=False)) == 1_000_000


@given(
    st.lists(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=4)),
    st.sampled_from([None, 0, 3]),
    st.sampled_from(["%s", '{"code": 1, "x": "{[", "result": {"hits": %s, "links": {"a": [1]}}}', '{"matches": %s}']),
    st.booleans(),
)
def test_what_is_written_is_read(
    objects: list[dict[str, object]], indent: int | None, around: str, ascii_: bool
) -> None:
    text = around % json.dumps(objects, indent=indent, ensure_ascii=ascii_)
    assert read(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")) == json.loads(
        text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        if around == "%s"
        else json.dumps(objects)
        if ascii_
        else json.dumps(objects, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


@given(st.sampled_from(["{", "[{", "[\n{", '{"hits": [', '{"result": {"hits": [{}', "[\n"]), st.text())
def test_any_text_gives_records_or_one_line(head: str, rest: str) -> None:
    try:
        read((head + rest).encode("utf-8", "replace"))
    except InputError as error:
        assert len(str(error).splitlines()) == 1
