from __future__ import annotations

import pytest
from scans import MASSCAN_LIST, OPEN, ZMAP, found, shown

from leadapron.discover.seeds.lists import read_list, read_masscan_list, read_zmap
from leadapron.discover.seeds.pairs import Found, Kind, Skipped
from leadapron.errors import InputError


def counted(text: str, made: Found) -> object:
    """The lines, as `source.lines` gives them."""
    for line in text.splitlines():
        made.at += 1
        yield line.strip()
    made.has_ended = text.endswith("\n")


def read(reader: object, text: str) -> Found:
    made = found()
    reader(iter(counted(text, made)), made)  # type: ignore[operator, call-overload]
    return made


@pytest.mark.parametrize(
    ("line", "targets"),
    [
        ("198.18.0.2", ["198.18.0.2:104", "198.18.0.2:11112"]),
        ("  198.18.0.2:4242  # the archive", ["198.18.0.2:4242"]),
        ("198.18.0.2, 4242", ["198.18.0.2:4242"]),
        ("2001:db8::2", ["[2001:db8::2]:104", "[2001:db8::2]:11112"]),
        ("[2001:db8::2]", ["[2001:db8::2]:104", "[2001:db8::2]:11112"]),
        ("[2001:DB8::2]:4242", ["[2001:db8::2]:4242"]),
        ("[::ffff:198.18.0.2]:4242", ["198.18.0.2:4242"]),
    ],
)
def test_a_line_of_a_list(line: str, targets: list[str]) -> None:
    assert shown(read(read_list, f"# ours\n\n{line}").seeds(Kind.LIST, "")) == targets


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("pacs.hospital.example", "has no IP address"),
        ("pacs.hospital.example:104", "has no IP address"),
        ("SYNTHETIC^CANARY", "has no IP address"),
        ("198.18.0.0/24", "has no IP address"),
        ("198.18.0.1-198.18.0.9", "has no IP address"),
        ("198.18.0.2:0", "has no port from 1"),
        ("198.18.0.2:70000", "has no port from 1"),
        ("198.18.0.2:", "has no IP address"),
        ("198.18.0.2:104:105", "has no IP address"),
        ("198.18.0.2,104,synack", "has columns"),
    ],
)
def test_a_line_that_is_no_target(line: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"^scan: line 2: {says}") as caught:
        read(read_list, f"198.18.0.1\n{line}\n198.18.0.3")
    assert line.strip() not in str(caught.value)


def test_zmap_tells_what_is_open() -> None:
    made = read(read_zmap, ZMAP)
    assert shown(made.seeds(Kind.ZMAP, "")) == OPEN
    assert made.skipped == {Skipped.NOT_OPEN: 1}


@pytest.mark.parametrize(
    ("text", "targets", "skipped"),
    [
        ("saddr\n198.18.0.2\n", ["198.18.0.2:104", "198.18.0.2:11112"], {}),
        ("classification, saddr\nsynack, 198.18.0.2\n", ["198.18.0.2:104", "198.18.0.2:11112"], {}),
        ("saddr,success\n198.18.0.2,1\n198.18.0.3,0\n", ["198.18.0.2:104", "198.18.0.2:11112"], {Skipped.NOT_OPEN: 1}),
        (
            "saddr,sport,classification\n198.18.0.2,104,synack\n198.18.0.3,104,rst\n198.18.0.3,53,udp\n",
            ["198.18.0.2:104"],
            {Skipped.NOT_OPEN: 1, Skipped.NOT_TCP: 1},
        ),
        ("saddr,sport\n198.18.0.2,104\n198.18.0.2,0\n", ["198.18.0.2:104"], {Skipped.NO_PORT: 1}),
    ],
)
def test_zmap_with_other_fields(text: str, targets: list[str], skipped: dict[Skipped, int]) -> None:
    made = read(read_zmap, text)
    assert shown(made.seeds(Kind.ZMAP, "")) == targets
    assert made.skipped == skipped


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ZMAP[:-1], "line 4: has no end"),
        (ZMAP[:-10], "line 4: has other columns"),
        ("saddr,sport\n198.18.0.2,x\n", "line 2: has no port"),
        ("saddr,sport\n198.18.0.2,1e3\n", "line 2: has no port"),
        ("saddr,sport\n198.18.0.2,-1\n", "line 2: has no port"),
        ("saddr,sport\npacs.example,104\n", "line 2: has no IP address"),
        ('saddr,sport\n"198.18.0.2,104\n', "is no CSV"),
        ("saddr,sport\n" + "1" * 140_000 + ",104\n", "line 2: is no CSV"),
    ],
)
def test_a_csv_that_zmap_did_not_write_to_its_end(text: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"^scan: .*{says}"):
        read(read_zmap, text)


def test_the_list_of_masscan() -> None:
    made = read(read_masscan_list, MASSCAN_LIST)
    assert shown(made.seeds(Kind.MASSCAN, "")) == OPEN
    assert made.skipped == {Skipped.NOT_OPEN: 1, Skipped.NOT_TCP: 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MASSCAN_LIST.removesuffix("# end\n"), "line 5: is the last line, and not `# end`"),
        (MASSCAN_LIST + "open tcp 104 198.18.0.7 1795869779\n", "line 7: is the last line"),
        ("#masscan\nopen tcp 104\n# end\n", "line 2: is no line of masscan"),
        ("#masscan\nperhaps tcp 104 198.18.0.2 1\n# end\n", "line 2: is no line of masscan"),
        ("#masscan\nopen tcp many 198.18.0.2 1\n# end\n", "line 2: has no port"),
    ],
)
def test_a_list_that_masscan_did_not_write_to_its_end(text: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"^scan: {says}"):
        read(read_masscan_list, text)
