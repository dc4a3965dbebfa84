import subprocess
import sys
from pathlib import Path

import pytest
from real_servers import require

BENCH = Path(__file__).parents[2] / "bench" / "run.py"


@pytest.mark.peer
@pytest.mark.timeout(420)
@pytest.mark.xdist_group("bench")
def test_every_contest_of_the_bench_runs_and_finds_what_the_servers_are(tmp_path: Path) -> None:
    require("ip", "nft", "gcc", "nmap", "findscu", "dcmdump", "Orthanc", "nginx", "smbd", "zmap", "masscan")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")

    done = subprocess.run(
        [sys.executable, str(BENCH), "--small", "--rounds", "1", "--write", str(page)],
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert done.stdout.strip() in page.read_text()
    for contest in (
        "1 in 1,024 accepts, the rest: silent",
        "1 in 1,024 accepts, the rest: refused",
        "40 servers, the rest of the network: silent",
        "40 servers, the rest of the network: refused",
        "8,192",
        "all open",
        "all closed",
        "1 % open, rest closed",
        "1 % open, rest silent",
        "one PDU",
        "fragments",
        "UIDs",
        "every attribute",
        "pieces",
    ):
        assert any(line.startswith(f"| {contest}") for line in lines), contest


def test_a_page_without_a_place_for_figures_is_said_so(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no place\n")
    code = f"import run, pathlib; run.write(pathlib.Path({str(page)!r}), 'x')"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60, cwd=BENCH.parent
    )
    assert done.returncode == 1
    assert "no place for figures" in done.stderr
    assert page.read_text() == "no place\n"
