from __future__ import annotations

import datetime as dt
import io
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.scope.delegated import NotDelegated, is_delegated, read_delegated

FILE = b"""\
# made up
2|ripencc|1790287199|8|19830705|20261126|+0100
ripencc|*|ipv4|*|5|summary
ripencc|*|asn|*|1|summary
ripencc|*|ipv6|*|2|summary
ripencc|DE|ipv4|11.0.0.0|1536|20100712|allocated|647c2f10
ripencc|DE|ipv4|12.0.0.0|256|20100712|assigned
ripencc|FR|ipv4|13.0.0.0|256|20100712|allocated|9a489e65
ripencc||ipv4|14.0.0.0|256||available|
ripencc|DE|ipv4|15.0.0.0|256|20100712|reserved|647c2f10
ripencc|DE|asn|64500|1|20100712|allocated|647c2f10
ripencc|de|ipv6|2a00:1450::|32|20090904|allocated|647c2f10
ripencc|FR|ipv6|2a01::|32|20090904|allocated|9a489e65
"""


def spans(data: bytes, *countries: str) -> dict[int, list[tuple[int, int]]]:
    return read_delegated(io.BytesIO(data), countries).spans


def number(text: str) -> int:
    return int(ip_address(text))


def test_what_was_allocated_or_assigned_to_a_country() -> None:
    found = read_delegated(io.BytesIO(FILE), ["DE"])
    assert (found.registry, found.date) == ("ripencc", dt.date(2026, 11, 26))
    assert found.spans == {
        4: [(number("11.0.0.0"), number("11.0.5.255")), (number("12.0.0.0"), number("12.0.0.255"))],
        6: [(number("2a00:1450::"), number("2a00:1450:ffff:ffff:ffff:ffff:ffff:ffff"))],
    }
    assert spans(FILE, "FR", "DE")[4] == [*found.spans[4], (number("13.0.0.0"), number("13.0.0.255"))]
    assert spans(FILE, "IT") == {4: [], 6: []}


def test_all_the_rest_of_ipv4_may_be_one_record() -> None:
    whole = FILE.replace(b"11.0.0.0|1536", b"0.0.0.0|4294967296")
    assert spans(whole, "DE")[4][0] == (0, (1 << 32) - 1)


def test_the_joined_file_and_lines_that_end_as_in_windows() -> None:
    joined = FILE.replace(b"2|ripencc", b"2.3|nro").replace(b"\n", b"\r\n")
    found = read_delegated(io.BytesIO(joined), ["DE"])
    assert (found.registry, len(found.spans[4])) == ("nro", 2)


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (FILE, True),
        (b"2.3|nro|x", True),
        (b"# c\n\n2|arin|", True),
        (b"", False),
        (b"198.18.0.0/24\n", False),
        (b"21|", False),
    ],
)
def test_it_is_told_by_its_version_line(data: bytes, is_one: bool) -> None:
    file = io.BytesIO(data)
    assert is_delegated(file) is is_one
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"2|ripencc|", b"3|ripencc|", "has no version line at its beginning"),
        (b"2|ripencc|1790287199|8|19830705|20261126|+0100\n", b"", "has no version line at its beginning"),
        (b"2|ripencc|", b"2|<b>|", "names no registry in its version line"),
        (b"|20261126|", b"|20261326|", "has no date in its version line"),
        (b"|20261126|", b"|tomorrow|", "has no date in its version line"),
        (b"|1536|", b"|0|", "has no network in line 6"),
        (b"|1536|", b"|-1|", "has no number where one belongs in line 6"),
        (b"|1536|", b"|1e9|", "has no number where one belongs in line 6"),
        (b"|1536|", b"|" + b"9" * 11 + b"|", "has no number where one belongs in line 6"),
        (b"|1536|", b"|4110417921|", "has no network in line 6"),
        (b"11.0.0.0|", b"11.0.0.256|", "has no network in line 6"),
        (b"11.0.0.0|", b"\xff|", "has no network in line 6"),
        (b"2a00:1450::|32", b"2a00:1450::|129", "has no network in line 12"),
        (b"2a00:1450::|32", b"2a00:1450::|16", "has no network in line 12"),
        (b"2a00:1450::|32", b"::|0", "has no network in line 12"),
        (b"12.0.0.0|256|20100712|assigned", b"12.0.0.0", "has no record in line 7"),
        (b"|ipv4|*|5|", b"|ipv4|*|6|", "has fewer records than its summary lines promise: it was cut off"),
        (b"|ipv4|*|5|", b"|ipv4|*|many|", "has no number where one belongs in line 3"),
        (b"# made up", b"#" * 5000, "is cut off, or too long, in line 1"),
    ],
)
def test_what_breaks_the_format_is_said_with_its_line_and_without_its_text(
    old: bytes, new: bytes, problem: str
) -> None:
    assert old in FILE
    with pytest.raises(NotDelegated) as caught:
        spans(FILE.replace(old, new, 1), "DE")
    assert str(caught.value) == problem


def test_a_file_that_is_cut_off_anywhere_is_no_smaller_country() -> None:
    """Behind the summary lines there is no place to cut at that leaves a file which passes."""
    summaries = FILE.index(b"ripencc|DE|ipv4|11")
    for end in range(summaries, len(FILE)):
        with pytest.raises(NotDelegated):
            spans(FILE[:end], "DE")


@given(st.binary(max_size=300) | st.lists(st.sampled_from(FILE.split(b"\n")), max_size=12).map(b"\n".join))
def test_any_bytes_give_spans_or_the_one_error(data: bytes) -> None:
    try:
        found = spans(data, "DE")
    except NotDelegated:
        return
    assert all(0 <= first <= last < 1 << 32 for first, last in found[4])
