"""The replay of "Full Body Exposure" at 1:100 (`make survey` does it at 1:1): a million addresses at four ports, swept by
SYN packets, and what accepts asked while that goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from net_pairs import require

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from survey import Measured, countries, measure, table

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("survey")]

AUDIT = """
import sys
from pathlib import Path
from leadapron.cli.progress import TerminalProgress
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import audit_scope

audit_scope(
    Path(sys.argv[1]), url=f"sqlite:///{Path(sys.argv[1]).parent}/s.db", resume=False,
    options=Options(hello_timeout=2.0), progress=TerminalProgress(quiet=True),
)
"""
"""As `leadapron audit`, but that it waits for two seconds for a first word: there is no distance here."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    require("ip", "nft")
    return measure(100, 200_000, tmp_path_factory.mktemp("survey"), (sys.executable, "-c", AUDIT))


def test_every_open_server_is_found_in_every_country_and_nothing_else_is_claimed(measured: Measured) -> None:
    found = measured.comparison
    assert (found["status"], found["found"], found["missed"]) == ("complete", found["exposed"], [])
    assert found["exposed"] > 25
    for wrong in ("false_alarms", "genuineness", "countries_wrong"):
        assert found[wrong] == [], wrong
    assert countries(found).startswith(f"{len(found['countries'])} of {len(found['countries'])},")


def test_unique_images_lie_in_the_stated_interval_and_near_the_truth(measured: Measured) -> None:
    """At 1:100 a single server that caps is a percent; at 1:1 the total is held to one."""
    images = measured.comparison["totals"]["unique_images"]
    assert images["holds_the_truth"]
    assert abs(images["error"]) < 0.03


def test_each_target_gets_one_packet_and_each_server_few_bytes(measured: Measured) -> None:
    figures = measured.run.sweep
    assert figures is not None
    assert figures.sent == measured.run.endpoints_tried == 4 * measured.addresses
    assert (figures.method, figures.lost, figures.not_sent) == ("syn", 0, {})
    hosts = len(measured.bytes_to)
    assert figures.sent <= measured.syn < figures.sent + 50 * hosts, "and those of connections that followed"
    assert all(measured.bytes_to[address] < 100_000 for address in measured.exposed)


def test_its_table_says_so(measured: Measured) -> None:
    text = table(measured)
    assert f"{measured.comparison['found']:,} of {measured.comparison['exposed']:,}" in text
    assert "holds the truth" in text
    assert "extrapolated, not measured" in text
