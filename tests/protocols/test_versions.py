"""A version is numbers and a few known words: nothing else that a server calls so is kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.versions import stated_version


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("1.12.4", "1.12.4"),
        ("7.4.0-SNAPSHOT", "7.4.0-SNAPSHOT"),
        ("5.1.0-beta2", "5.1.0-beta2"),
        ("1.4.17d", "1.4.17d"),
        ("mainline", "mainline"),
        ("7.4.0-MUSTERMANN", "7.4.0"),
        ("7.4.0+build.of.MUSTERMANN", "7.4.0"),
        ("4.17.12 (for MUSTERMANN)", ""),
        ("MUSTERMANN", ""),
        ("MUSTERMANN.7.4", ""),
        ("v7", ""),
        ("7.4.0\n", ""),
        ("7" * 40, ""),
        ("", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_what_is_kept_of_a_version(stated: object, kept: str) -> None:
    assert stated_version(stated) == kept


@given(st.text() | st.from_regex(r"[0-9.]{1,9}[-+.][A-Za-z0-9.]{1,20}", fullmatch=True))
def test_no_word_of_a_server_is_kept(stated: str) -> None:
    words = re.findall("[A-Za-z]{2,}", stated_version(stated))
    assert {*words} <= {"SNAPSHOT", "RELEASE", "Final", "alpha", "beta", "rc", "mainline"}
