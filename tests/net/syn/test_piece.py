from typing import Any

import pytest

from leadapron.net.syn import SynEngine, SynSettings
from leadapron.net.syn.packets import SIZE


def rate(**given: Any) -> float:
    unused: Any = None
    return SynEngine(SynSettings(**given), key=bytes(16), index_of=unused, permits=unused).rate


def test_the_lower_of_the_two_rates_holds() -> None:
    assert rate(packets_per_second=1000) == 1000
    assert rate(packets_per_second=1000, bits_per_second=8 * SIZE * 10) == 10
    assert rate(packets_per_second=1000, bits_per_second=8 * SIZE * 5000) == 1000


@pytest.mark.parametrize(
    "given",
    [
        {"packets_per_second": 0},
        {"packets_per_second": -1},
        {"packets_per_second": float("nan")},
        {"bits_per_second": 0},
        {"probes": 0},
        {"cooldown": -0.1},
        {"source_ports": range(10)},
        {"source_ports": range(61000, 61000)},
        {"source_ports": range(61000, 65537)},
        {"source_ports": range(61000, 62000, 2)},
    ],
)
def test_settings_that_mean_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rate|probe|source ports"):
        SynSettings(**{"packets_per_second": 100, **given})
