from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from scans import found

from leadapron.discover.seeds import source
from leadapron.discover.seeds.source import MAX_RECORD, lines, opened
from leadapron.errors import InputError


def written(folder: Path, data: bytes) -> Path:
    path = folder / "scan"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
def test_lines_and_the_digest_of_the_file_as_it_lies_there(pack: object, mark: bytes, tmp_path: Path) -> None:
    data = pack(mark + b"one\r\n\ntwo \xff\nthree")  # type: ignore[operator]
    made = found()
    with opened(written(tmp_path, data)) as file:
        assert file.start().startswith(b"one")
        assert list(lines(file.stream, made)) == ["one", "", "two \ufffd", "three"]
        assert file.sha256() == hashlib.sha256(data).hexdigest()
    assert (made.at, made.has_ended) == (4, False)


def test_the_digest_is_of_the_whole_file_whatever_was_read(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    with opened(written(tmp_path, data)) as file:
        file.stream.read(10)
        assert file.sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("length", [MAX_RECORD, MAX_RECORD + 1])
def test_a_line_has_a_bound(length: int, tmp_path: Path) -> None:
    with opened(written(tmp_path, b"a\n" + b"x" * (length - 1) + b"\nb")) as file:
        if length <= MAX_RECORD:
            assert [len(line) for line in lines(file.stream, found())] == [1, MAX_RECORD - 1, 1]
        else:
            with pytest.raises(InputError, match="line 2: is longer than 1 MiB"):
                list(lines(file.stream, found()))


def read(path: Path) -> bytes:
    with opened(path) as file:
        return file.stream.read()


def test_a_packed_file_that_is_cut_off_or_damaged_is_a_line(tmp_path: Path) -> None:
    whole = gzip.compress(b"198.18.0.1\n" * 10_000)
    with pytest.raises(InputError, match="ends in the middle"):
        read(written(tmp_path, whole[:-9]))
    for damaged in (whole[:-8] + bytes(8), whole + b"rest", b"\x1f\x8bnothing of that"):
        with pytest.raises(InputError, match=r"scan: is damaged \(gzip\)"):
            read(written(tmp_path, damaged))


def test_what_is_packed_has_a_bound_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "MAX_UNPACKED", 1 << 20)
    assert len(read(written(tmp_path, gzip.compress(bytes(1 << 20))))) == 1 << 20
    with pytest.raises(InputError, match="holds more than"):
        read(written(tmp_path, gzip.compress(bytes((1 << 20) + 1))))


def test_a_large_file_is_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)
    with pytest.raises(InputError, match="larger than 4 GiB"):
        read(path)


def test_what_is_no_file_is_a_line_and_nobody_waits(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, says in (
        (pipe, "is no file"),
        (tmp_path, "is no file"),
        (tmp_path / "lost", "No such file"),
        (Path("-"), "No"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1
