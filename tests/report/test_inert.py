from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.report.inert import cell, plain


@pytest.mark.parametrize("text", ["", "PACS-1", "Ospedale Città · 東京 – ≥ 12", "a b"])
def test_readable_text_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    "character",
    [
        "\x1b",
        "\x00",
        "\n",
        "\r",
        "\t",
        "\x7f",
        "\x9b",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\u2028",
        "\ud800",
        "\ue000",
    ],
)
def test_a_character_that_acts_is_replaced(character: str) -> None:
    assert plain(f"a{character}b") == "a\ufffdb"


@given(st.text())
def test_plain_text_holds_only_what_is_read(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(text)
    assert all(unicodedata.category(character)[0] != "C" for character in shown)
    assert plain(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\x1b=1", "\u200b=1", "＝1", "＋1", "－1", "＠1", "\n-1"],
)
def test_a_formula_is_text_in_a_cell(text: str) -> None:
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", ["", "PACS", "198.18.0.1", "a=b", "12", "'quoted"])
def test_other_cells_stay(text: str) -> None:
    assert cell(text) == text
