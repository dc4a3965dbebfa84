"""Surveys that stop, and surveys that are seen through: packets by nftables counters where they leave."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from net_pairs import Pair, pair
from survey_runs import (
    CONNECTIONS,
    SERVERS,
    SILENT,
    SYN_PACKETS,
    TARGETS,
    UPPER,
    Audited,
    Running,
    Survey,
    answering,
    command_of,
    stands_still,
    wait_until,
)

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("syn")]

WAYS = pytest.mark.parametrize(("method", "processes"), [(SYN_PACKETS, 1), (CONNECTIONS, 2)], ids=["syn", "connect"])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair() as ours, answering(ours, tmp_path_factory.mktemp("answers")):
        yield ours


@pytest.fixture(scope="module")
def whole(both: Pair, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """An undisturbed audit, by connections in one process."""
    return Survey(both, tmp_path_factory.mktemp("whole"), method=CONNECTIONS).audit()


@WAYS
def test_each_target_is_asked_once_and_what_answers_is_greeted_and_asked(
    both: Pair, whole: Audited, tmp_path: Path, method: str, processes: int
) -> None:
    survey = Survey(both, tmp_path, method=method, processes=processes)

    audited = survey.audit()

    assert (audited.exit_code, audited.status, audited.err) == (1, "complete", "")
    sent = survey.sent()
    assert sent["addresses"] == TARGETS
    assert sent["refusing"] == TARGETS - SILENT - SERVERS
    assert sent["elsewhere"] == 0
    if method == SYN_PACKETS:
        assert sent["silent"] == SILENT
    assert audited.report["totals"]["endpoints_reached"] == len(audited.report["services"]) == SERVERS
    assert audited.seen() == whole.seen()


# -- a survey that stops -----------------------------------------------------------------------------------------------


def stop(survey: Survey, _running: Running) -> None:
    assert survey.run("stop").returncode == 0


def interrupt(_survey: Survey, running: Running) -> None:
    running.signal(signal.SIGINT)


def break_the_scope(survey: Survey, _running: Running) -> None:
    survey.edit("[ports]", "[ports")


def let_a_grant_expire(survey: Survey, _running: Running) -> None:
    yesterday = survey.tomorrow - dt.timedelta(days=2)
    survey.edit(f"valid_until = {survey.tomorrow}", f"valid_until = {yesterday}")


@pytest.mark.parametrize(
    ("method", "processes", "act", "why"),
    [
        (SYN_PACKETS, 1, stop, "stopped by `leadapron stop`"),
        (SYN_PACKETS, 1, break_the_scope, "the scope no longer holds: "),
        (SYN_PACKETS, 1, let_a_grant_expire, "the scope no longer holds: "),
        (CONNECTIONS, 2, stop, "stopped by `leadapron stop`"),
        (CONNECTIONS, 2, interrupt, "stopped by SIGINT"),
    ],
)
def test_what_stops_it_stops_it_within_seconds_and_it_can_be_seen_through(
    both: Pair,
    whole: Audited,
    tmp_path: Path,
    method: str,
    processes: int,
    act: Callable[[Survey, Running], None],
    why: str,
) -> None:
    survey = Survey(both, tmp_path, method=method, processes=processes, rate=400)
    granted = survey.scope.read_text()

    with survey.auditing() as running:
        wait_until(lambda: survey.sent()["addresses"] > 300)
        since = time.monotonic()
        act(survey, running)
        time.sleep(max(0.0, since + 5 - time.monotonic()))
        stopped = survey.sent()
        audited = running.finish()

    assert (audited.exit_code, audited.status) == (3, "stopped")
    assert audited.why.startswith(why)
    assert "leadapron audit --resume" in audited.err
    assert survey.sent() == stopped
    assert 300 < stopped["addresses"] < TARGETS - 400

    survey.scope.write_text(granted)
    check_seen_through(survey, whole, stopped)


@WAYS
def test_a_second_interrupt_ends_it_at_once_and_its_sweep_with_it(
    both: Pair, whole: Audited, tmp_path: Path, method: str, processes: int
) -> None:
    survey = Survey(both, tmp_path, method=method, processes=processes, rate=400)

    with survey.auditing() as running:
        wait_until(lambda: survey.sent()["addresses"] > 300)
        sweepers = running.sweepers()
        running.signal(signal.SIGINT)
        time.sleep(0.2)
        running.signal(signal.SIGINT)
        audited = running.finish(within=20)
        assert not any(map(command_of, sweepers))

    assert (audited.exit_code, audited.out) == (3, "")
    assert audited.err.startswith("\nStopped at once; what was measured is kept. To go on")
    check_seen_through(survey, whole, survey.sent())


def check_seen_through(survey: Survey, whole: Audited, before: Mapping[str, int]) -> Audited:
    """What goes on ends like an audit that was never disturbed, and asks only whom it did not know. `before`: packets sent
    until then."""
    resumed = survey.audit("--resume")
    assert (resumed.status, resumed.err) == ("complete", "")
    assert resumed.seen() == whole.seen()
    sent = survey.sent()
    assert sent["addresses"] == TARGETS
    assert sent["elsewhere"] == 0
    assert before["refusing"] < sent["refusing"]
    return resumed


def exclude(survey: Survey, _running: Running) -> None:
    assert survey.run("survey", "exclude", survey.scope, UPPER, "--because", "asked by mail").returncode == 0


def remove_a_grant(survey: Survey, _running: Running) -> None:
    text = survey.scope.read_text()
    survey.edit(text[text.index('[[grant]]\nid = "upper"') :], "")


@WAYS
@pytest.mark.parametrize("act", [exclude, remove_a_grant])
def test_what_is_allowed_no_longer_is_left_alone_within_seconds_and_the_rest_goes_on(
    both: Pair,
    whole: Audited,
    tmp_path: Path,
    method: str,
    processes: int,
    act: Callable[[Survey, Running], None],
) -> None:
    survey = Survey(both, tmp_path, method=method, processes=processes, rate=400)

    with survey.auditing() as running:
        wait_until(lambda: survey.sent()["upper"] > 100)
        lower, since = survey.sent()["lower"], time.monotonic()
        act(survey, running)
        upper = stands_still(survey.sent, "upper", since=since)
        audited = running.finish()

    sent, lower_half = survey.sent(), TARGETS // 2
    assert (sent["upper"], sent["elsewhere"]) == (upper, 0)
    assert upper < lower_half
    assert lower < sent["lower"]
    assert sent["addresses"] >= lower_half
    assert (audited.exit_code, audited.status) == (3, "incomplete")
    left = of_the_sweep(audited.report["unknowns"])
    assert left["out_of_scope"] == TARGETS - audited.report["totals"]["endpoints_tried"]
    assert survey.denied_in_sweep() == left["out_of_scope"], "each is denied in the audit log, with a reason"


def of_the_sweep(unknowns: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """By reason, and not those of single hosts that it reached."""
    swept = (each for each in unknowns if each["endpoint"].startswith("scope "))
    return {each["reason"]: each["count"] for each in swept if each["stage"] == "connect"}


# -- a survey that is killed -------------------------------------------------------------------------------------------


@WAYS
def test_when_it_is_killed_its_sweep_ends_by_itself_within_seconds_and_nothing_is_lost(
    both: Pair, whole: Audited, tmp_path: Path, method: str, processes: int
) -> None:
    survey = Survey(both, tmp_path, method=method, processes=processes, rate=400)

    with survey.auditing() as running:
        wait_until(lambda: survey.sent()["addresses"] > 1000)
        sweepers = running.sweepers()
        running.signal(signal.SIGKILL)
        running.process.wait()
        time.sleep(1)
        stopped = survey.sent()
        wait_until(lambda: not any(map(command_of, sweepers)), seconds=4)
        assert survey.sent() == stopped
        assert len(sweepers) == processes

    before = survey.known()
    assert 0 < len(before.reached) < SERVERS
    assert before.spoken <= before.reached
    assert 0 < before.tried < TARGETS
    resumed = check_seen_through(survey, whole, stopped)
    assert resumed.report["run"]["id"] == before.run
    repeated = survey.sent()["refusing"] - (TARGETS - SILENT - SERVERS)
    assert 0 <= repeated <= 3 * 400, "more than the pieces that were under way"
    greeted = survey.greeted()
    assert {address for address, times in greeted.items() if times > 1} <= before.reached - before.spoken


@WAYS
def test_when_its_sweep_is_killed_it_says_so_and_can_be_seen_through(
    both: Pair, whole: Audited, tmp_path: Path, method: str, processes: int
) -> None:
    survey = Survey(both, tmp_path, method=method, processes=processes, rate=400)

    with survey.auditing() as running:
        wait_until(lambda: survey.sent()["addresses"] > 600)
        os.kill(running.sweepers()[0], signal.SIGKILL)
        audited = running.finish(within=10)

    assert (audited.exit_code, audited.status) == (3, "stopped")
    assert audited.why == "a process of the sweep ended before its time: was it killed, or out of memory?"
    assert len(audited.err.splitlines()) == 2, audited.err
    check_seen_through(survey, whole, survey.sent())


def test_a_sweep_that_does_not_hear_of_a_stop_is_killed(both: Pair, tmp_path: Path) -> None:
    survey = Survey(both, tmp_path, rate=400)

    with survey.auditing(prefix=("-c", IMPATIENT)) as running:
        wait_until(lambda: survey.sent()["addresses"] > 300)
        (sweeper,) = running.sweepers()
        os.kill(sweeper, signal.SIGSTOP)
        running.signal(signal.SIGINT)
        audited = running.finish(within=15)

    assert (audited.exit_code, audited.status, audited.why) == (3, "stopped", "stopped by SIGINT")
    assert not command_of(sweeper)


def test_while_the_audit_is_suspended_the_sweep_begins_nothing_more(both: Pair, whole: Audited, tmp_path: Path) -> None:
    survey = Survey(both, tmp_path, rate=400)

    with survey.auditing() as running:
        wait_until(lambda: survey.sent()["addresses"] > 300)
        running.signal(signal.SIGSTOP)
        stands_still(survey.sent, "addresses", since=time.monotonic())
        running.signal(signal.SIGCONT)
        audited = running.finish()

    assert (audited.status, audited.seen()) == ("complete", whole.seen())
    assert survey.sent()["refusing"] == TARGETS - SILENT - SERVERS


IMPATIENT = """
import leadapron.pipeline_away
leadapron.pipeline_away.GRACE = 3.0
from leadapron.cli.main import run
run()
"""


# -- a survey that is held up ------------------------------------------------------------------------------------------

NARROW = """
import sys
import leadapron.pipeline_assessing as assessing
import leadapron.pipeline_flow as flow

flow.GREETINGS, assessing.UNDER_WAY = 2, 3 / 1024
peak = [0, 0]

class Flow(flow.Flow):
    def is_full(self):
        waiting = sum(map(len, self._greetings.values()))
        peak[:] = max(peak[0], waiting), max(peak[1], self._assessing._under_way)
        held.append(full := super().is_full())
        return full

held = []
import leadapron.pipeline as pipeline
pipeline.Flow = Flow
from leadapron.cli.main import run
try:
    run()
finally:
    print("peak", *peak, sum(held), file=sys.stderr)
"""
"""Two endpoints that wait for their greeting, or three that are asked, hold up the sweep."""


@WAYS
def test_slow_servers_hold_up_the_sweep(whole: Audited, tmp_path: Path, method: str, processes: int) -> None:
    with pair() as both, answering(both, tmp_path, pause=1.0):
        survey = Survey(both, tmp_path, method=method, processes=processes, rate=1000)
        with survey.auditing(prefix=("-c", NARROW)) as running:
            wait_until(lambda: survey.sent()["addresses"] >= 1000)
            time.sleep(4)
            held = survey.sent()["addresses"]
            audited = running.finish()

    word, waiting, under_way, turns = audited.err.split()
    assert held < TARGETS, "at its own pace it would have asked all by then"
    assert (word, audited.status, audited.seen()) == ("peak", "complete", whole.seen())
    assert int(under_way) < SERVERS
    assert int(waiting) < SERVERS
    assert int(turns) > 20


# -- a survey that does not hear all -----------------------------------------------------------------------------------

DEAF = """
import leadapron.net.syn.engine as engine

class Deaf(engine.Ring):
    def dropped(self):
        return super().dropped() + 1

engine.Ring = Deaf
"""
"""Each time the ring is asked, it has dropped an answer."""


def test_a_sweep_whose_answers_were_dropped_is_not_complete(both: Pair, tmp_path: Path) -> None:
    survey = Survey(both, tmp_path)
    (tmp_path / "deaf").mkdir()
    (tmp_path / "deaf" / "sitecustomize.py").write_text(DEAF)

    audited = survey.audit(path=tmp_path / "deaf")

    assert (audited.exit_code, audited.status) == (3, "incomplete")
    assert audited.why == "this machine had no local port or open file left for some targets, or lost answers"
    left = of_the_sweep(audited.report["unknowns"])
    assert left["limit"] >= SILENT
    assert left["limit"] == TARGETS - audited.report["totals"]["endpoints_tried"]

    resumed = survey.audit("--resume")
    assert (resumed.status, resumed.report["totals"]["endpoints_reached"]) == ("complete", SERVERS)
