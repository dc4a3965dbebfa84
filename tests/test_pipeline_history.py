"""Runs after each other, on one store: what a later run may say about the findings of an earlier one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from audits import Silent
from leadapron import pipeline_vantage
from leadapron.lab.archive import made_up
from leadapron.lab.listen import free_port
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint, FindingStatus, Reason, Run, RunStatus
from leadapron.net.target import Outcome
from leadapron.pipeline_assessing import Assessing
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import audit_scope
from leadapron.store.store import Store
from listening import listening
from scope_file import write_scope

pytestmark = pytest.mark.usefixtures("disarmed_afterwards")

OPEN = Behaviour(archives={"": made_up(5, 3)})
KNOWS_CALLERS = dataclasses.replace(OPEN, calling=frozenset({"FRIEND"}))
KNOWS_ITSELF = dataclasses.replace(OPEN, called=frozenset({"PACS"}))

Statuses = Mapping[str, FindingStatus]
NEW, STANDS, CLOSED, GONE, AGAIN = (
    FindingStatus.NEW,
    FindingStatus.OPEN,
    FindingStatus.CLOSED,
    FindingStatus.NOT_OBSERVED,
    FindingStatus.REOPENED,
)


class Estate:
    """One server, whose behaviour changes between audits from the internet."""

    def __init__(self, folder: Path, server: Server, endpoint: Endpoint) -> None:
        self.folder, self.server, self.endpoint = folder, server, endpoint
        self.url = f"sqlite:///{folder / 's.db'}"
        self.vantage = ""
        """keys to add to `[vantage]`"""

    def audit(self, *, ports: list[int] | None = None, depth: str = "count", resume: bool = False) -> Statuses:
        """The status of each finding after another audit, by control."""
        run, statuses = self.run(ports=ports, depth=depth, resume=resume)
        assert run.status is RunStatus.COMPLETE, run.why
        return statuses

    def run(
        self, *, ports: list[int] | None = None, depth: str = "count", resume: bool = False
    ) -> tuple[Run, Statuses]:
        scope = write_scope(
            self.folder / "scope.toml",
            networks=[f"{self.endpoint.address}/32"],
            ports=ports or [self.endpoint.port],
            depth=depth,
        )
        scope.write_text(scope.read_text().replace("[vantage]\n", f"[vantage]\n{self.vantage}", 1))
        options = Options(sweep_timeout=1.0, hello_timeout=2.0)
        run, findings = audit_scope(scope, url=self.url, resume=resume, options=options, progress=Silent())
        assert len({finding.key for finding in findings}) == len(findings)
        return run, {finding.control: finding.status for finding in findings}


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    server = Server(OPEN)
    with contextlib.ExitStack() as stack:
        (endpoint,) = stack.enter_context(listening(server.serve))
        here = Estate(tmp_path, server, endpoint)
        yield here


@contextlib.contextmanager
def closing(tmp_path: Path) -> Iterator[tuple[Estate, contextlib.ExitStack]]:
    """An estate whose port closes when the stack does."""
    server = Server(OPEN)
    with contextlib.ExitStack() as stack:
        (endpoint,) = stack.enter_context(listening(server.serve))
        yield Estate(tmp_path, server, endpoint), stack


def test_a_refusal_that_may_be_our_own_firewalls_closes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener falls away while the port of the finding refuses: who refused is not known."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    with closing(tmp_path) as (here, stack):
        first = here.audit()
        stack.close()
        looks = iter([None, Reason.REFUSED])
        monkeypatch.setattr(pipeline_vantage.WayOut, "_ask_port", lambda *_: next(looks))
        (tmp_path / "token").write_text("a token of a test\n")
        here.vantage = f'listener = "{here.endpoint.address}:443"\ntoken_file = "token"\n'

        run, statuses = here.run()

    assert (run.status, run.endpoints_tried) == (RunStatus.BLIND, 1)
    assert first["LA-01"] is NEW
    assert CLOSED not in statuses.values()


def test_another_port_says_nothing_about_findings_on_this_one(estate: Estate) -> None:
    first = estate.audit()
    assert set(first.values()) == {NEW}

    assert estate.audit(ports=[free_port([str(estate.endpoint.address)])]) == first


def test_a_run_that_may_not_list_says_nothing_about_lists(estate: Estate) -> None:
    estate.audit()

    talked = estate.audit(depth="talk")
    assert (talked["LA-11"], talked["LA-07"], talked["LA-13"]) == (NEW, STANDS, STANDS)

    connected = estate.audit(depth="connect")
    assert connected == talked


def test_a_server_that_begins_to_check_callers_closes_what_strangers_got_and_is_still_reachable(estate: Estate) -> None:
    first = estate.audit()
    assert set(first) >= {"LA-01", "LA-07", "LA-08", "LA-10", "LA-11", "LA-13", "LA-14"}

    estate.server.behaviour = KNOWS_CALLERS
    assert estate.audit() == dict.fromkeys(first, CLOSED) | {"LA-01": STANDS, "LA-19": STANDS, "LA-36": GONE}

    assert estate.audit() == dict.fromkeys(first, CLOSED) | {"LA-01": STANDS, "LA-19": STANDS, "LA-36": GONE}

    estate.server.behaviour = OPEN
    assert estate.audit() == dict.fromkeys(first, AGAIN) | {"LA-01": STANDS, "LA-19": STANDS, "LA-36": STANDS}

    assert estate.audit() == dict.fromkeys(first, STANDS)


def test_a_server_that_begins_to_check_the_title_called_says_nothing_about_callers(estate: Estate) -> None:
    first = estate.audit()

    estate.server.behaviour = KNOWS_ITSELF

    assert estate.audit() == dict.fromkeys(first, CLOSED) | {
        "LA-01": STANDS,
        "LA-19": STANDS,
        "LA-08": GONE,
        "LA-36": GONE,
    }


def test_a_port_that_refuses_closes_that_it_is_reachable_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    with closing(tmp_path) as (estate, stack):
        first = estate.audit()
        stack.close()

        assert estate.audit() == dict.fromkeys(first, GONE) | {"LA-01": CLOSED, "LA-19": CLOSED}

        place = (str(estate.endpoint.address), estate.endpoint.port)
        with listening(estate.server.serve, places=[place]):
            assert estate.audit() == dict.fromkeys(first, STANDS) | {"LA-01": AGAIN, "LA-19": AGAIN}


def test_a_refusal_is_kept_when_the_run_is_stopped_behind_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    with closing(tmp_path) as (estate, stack):
        first = estate.audit()
        stack.close()
        with monkeypatch.context() as patched:

            def die(_assessing: Assessing) -> None:
                raise SystemExit

            patched.setattr(Assessing, "rest", die)
            with pytest.raises(SystemExit):
                estate.run()

        assert estate.audit(resume=True) == dict.fromkeys(first, GONE) | {"LA-01": CLOSED, "LA-19": CLOSED}


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.RESET, Outcome.UNREACHABLE])
def test_a_port_that_is_silent_closes_nothing(
    estate: Estate, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    from leadapron.net.wide import WideEngine

    first = estate.audit()
    drive = WideEngine.drive

    async def deaf(self: WideEngine, source: object, sink: object, **options: object) -> object:
        def heard(target: object, _outcome: object, answer: object) -> None:
            sink(target, outcome if target.port == estate.endpoint.port else Outcome.REFUSED, answer)  # type: ignore[attr-defined, operator]

        return await drive(self, source, heard, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(WideEngine, "drive", deaf)

    other = free_port([str(estate.endpoint.address)])
    assert estate.audit(ports=[estate.endpoint.port, other]) == dict.fromkeys(first, GONE)


def test_a_run_that_was_stopped_says_nothing_about_what_it_did_not_see(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = estate.audit()

    def stopped(assessing: Assessing, *_: object) -> None:
        assessing._context.control.request("enough")

    monkeypatch.setattr(Assessing, "put", stopped)
    run, statuses = estate.run()

    assert run.status is RunStatus.STOPPED
    assert statuses["LA-11"] is first["LA-11"]
    assert statuses["LA-07"] is STANDS


def test_two_titles_of_one_server_are_reachable_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    server = Server(dataclasses.replace(OPEN, called=frozenset({"ONE", "TWO"})))
    with listening(server.serve) as (endpoint,):
        scope = write_scope(
            tmp_path / "scope.toml",
            networks=[f"{endpoint.address}/32"],
            ports=[endpoint.port],
            called_aets=("ONE", "TWO"),
        )
        url = f"sqlite:///{tmp_path / 's.db'}"
        options = Options(sweep_timeout=1.0, hello_timeout=2.0)
        run, findings = audit_scope(scope, url=url, resume=False, options=options, progress=Silent())

        controls = [finding.control for finding in findings]
        assert controls.count("LA-11") == 2
        assert controls.count("LA-01") == 1
        with Store.open(url) as store:
            assert len(store.findings(run.id)) == len(findings)
