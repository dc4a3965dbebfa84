"""Whole files of each kind: the same two ports are found in all, and nothing else of them survives."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import OPEN, WHOLE, shown

from leadapron.discover.seeds.pairs import Kind, Seeds
from leadapron.discover.seeds.read import read_seeds
from leadapron.errors import InputError

PORTS = (104, 11112)


def read(folder: Path, data: str | bytes, name: str = "scan.txt") -> Seeds:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_seeds(path, PORTS)


@pytest.mark.parametrize("name", WHOLE)
def test_each_format_is_told_by_what_is_in_it(name: str, tmp_path: Path) -> None:
    seeds = read(tmp_path, WHOLE[name], "results.doc")
    assert shown(seeds) == OPEN
    assert seeds.kind is Kind("censys" if name.startswith("platform") else name.partition("_")[0])
    assert seeds.sha256 == hashlib.sha256(WHOLE[name].encode()).hexdigest()


@pytest.mark.parametrize("name", WHOLE)
def test_packed_with_a_mark_and_with_other_line_ends(name: str, tmp_path: Path) -> None:
    packed = gzip.compress(WHOLE[name].encode())
    seeds = read(tmp_path, packed)
    assert shown(seeds) == OPEN
    assert seeds.sha256 == hashlib.sha256(packed).hexdigest()
    assert shown(read(tmp_path, "\ufeff" + WHOLE[name].replace("\n", "\r\n"))) == OPEN


def test_a_list_of_addresses_has_the_ports_of_the_scope(tmp_path: Path) -> None:
    assert shown(read(tmp_path, "198.18.0.4\n198.18.0.2\n")) == [
        f"198.18.0.{last}:{port}" for last in (2, 4) for port in PORTS
    ]
    assert shown(read(tmp_path, "[2001:db8::2]:104\n2001:db8::1\n")) == [
        "[2001:db8::1]:104",
        "[2001:db8::1]:11112",
        "[2001:db8::2]:104",
    ]


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_but_addresses_and_ports_survives(name: str, tmp_path: Path) -> None:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logging.getLogger().addHandler(handler)
    try:
        whole = read(tmp_path, WHOLE[name])
        said = [repr(whole)]
        for broken in (WHOLE[name].replace("198.18.0.", "CANARY"), WHOLE[name].replace("104", '"CANARY"')):
            with pytest.raises(InputError) as caught:
                read(tmp_path, broken)
            said.append(f"{caught.value!r} {caught.value.__context__!r} {vars(caught.value)}")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "CANARY" not in "".join(said) + heard.getvalue()


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "saddr,sport\n", "#masscan\n# end\n", "[]", "[\n]\n"])
def test_a_file_that_names_nothing_is_a_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scan\.txt: (names no open TCP port|has no record)") as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("list", "zmap_json", "shodan")])
def test_what_is_cut_off_does_not_pass_as_whole(name: str, tmp_path: Path) -> None:
    """Lists and JSON lines do not say where they end; one that is cut within a line is found out, where it is JSON."""
    whole = WHOLE[name].encode().rstrip(b"\n") + b"\n" * (name in ("zmap", "zmap_all"))
    for end in range(1, len(whole), 17):
        if name.endswith("lines") and whole[:end].endswith((b"}", b"\n")):
            continue
        with pytest.raises(InputError):
            read(tmp_path, whole[:end])


HEADS = [text[: len(text) // 2].encode() for text in WHOLE.values()] + [
    b"",
    b"{",
    b"[\n",
    b"<",
    b"\x1f\x8b",
    b"saddr,sport\n",
]


@given(st.sampled_from(HEADS), st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_seeds_or_one_line(head: bytes, rest: bytes) -> None:
    with TemporaryDirectory() as folder:
        try:
            seeds = read(Path(folder), head + rest)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            assert "CANARY" not in str(error)
        else:
            assert len(seeds)
