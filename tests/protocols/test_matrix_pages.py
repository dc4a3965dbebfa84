"""The page of each door says what the matrix holds it to."""

import pytest
from matrix import matrix
from matrix.pages import DOCS, page


@pytest.mark.parametrize("door", sorted(matrix()))
def test_the_page_of_a_door_has_its_table(door: str) -> None:
    """`make pages` writes it anew."""
    assert "## Tried on\n" in page(door, matrix()[door])
    assert (DOCS / f"{door}.md").read_text() == page(door, matrix()[door])
