from __future__ import annotations

import pytest

from leadapron.errors import InputError
from leadapron.report.tlp import DEFAULT_TLP, TLP, tlp_label


@pytest.mark.parametrize("marking", TLP)
def test_a_marking_may_be_written_shorter(marking: str) -> None:
    assert tlp_label(marking) == tlp_label(marking.removeprefix("TLP:").lower()) == marking


def test_the_default_is_a_marking() -> None:
    assert DEFAULT_TLP in TLP


@pytest.mark.parametrize("marking", ["", "TLP:PINK", 'TLP:RED"; } body { display: none', "\x1b"])
def test_an_unknown_marking_is_an_input_error(marking: str) -> None:
    with pytest.raises(InputError, match="choose one of TLP:RED"):
        tlp_label(marking)
