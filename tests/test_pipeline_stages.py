"""The stages of an audit, one after the other on servers of our own: what is not asked, what is kept, what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from audits import Place, place, stages
from leadapron.errors import RunStopped
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import CountKind, Depth, Endpoint, RunStatus, Verdict
from leadapron.net.target import Outcome
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Options
from leadapron.pipeline_greeting import hello_payload
from leadapron.protocols.dicom.probe import Dicom
from leadapron.protocols.dicom.wire.items import UserInformation
from leadapron.protocols.dicom.wire.pdu import AssociateAC
from leadapron.scope.grant import Scope, Zone
from listening import listening

HOUR = 3600.0


class Host:
    """A server that counts connections and those on which something was said, by address."""

    def __init__(self, studies: int = 3) -> None:
        self.server = Server(Behaviour(archives={"": made_up(5, studies)}))
        self.connections, self.spoken = Counter[str](), Counter[str]()
        self.on_spoken: Callable[[str, int], bool] = lambda *_: True
        """told of address and how often it was spoken to; False: nothing is ever answered"""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        self.connections[address] += 1
        data = await reader.read(65_536)
        if data:
            self.spoken[address] += 1
            if not self.on_spoken(address, self.spoken[address]):
                await reader.read()
                return
            replay = asyncio.StreamReader()
            replay.feed_data(data)
            forward = asyncio.ensure_future(self._forward(reader, replay))
            await self.server.serve(replay, writer)
            forward.cancel()

    async def _forward(self, reader: asyncio.StreamReader, replay: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                replay.feed_data(data)
        replay.feed_eof()


@pytest.fixture
def host() -> Host:
    return Host()


def zone(networks: list[str], rule: str) -> str:
    return f'[[zone]]\nname = "z"\nnetworks = {networks}\n{rule}\n'


def window_of_now() -> str:
    """Half an hour around the present."""
    now = dt.datetime.now(dt.UTC)
    return f'window = "{now - dt.timedelta(minutes=30):%H:%M}-{now + dt.timedelta(minutes=30):%H:%M} UTC"'


@contextlib.contextmanager
def several(host: Host, count: int) -> Iterator[list[Endpoint]]:
    """Endpoints on one port of several addresses."""
    with listening(host.serve) as (first,):
        others = [(f"127.88.7.{number}", first.port) for number in range(2, count + 1)]
        with listening(host.serve, places=others) if others else contextlib.nullcontext([]) as rest:
            yield [first, *rest]


def test_a_window_that_is_shut_is_swept_on_resume(host: Host, tmp_path: Path) -> None:
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints, extra=zone(["127.88.0.1/32"], window_of_now()))
        here.clock.shift = 2 * HOUR

        run, seen, unknowns = here.run()

        assert (run.status, run.endpoints_tried, seen, host.connections) == (RunStatus.INCOMPLETE, 0, [], {})
        assert unknowns == {("scope test", "connect", "out_of_scope")}
        here.clock.shift = 0.0

        run, seen, unknowns = here.run()

        assert (run.status, run.endpoints_tried, len(seen), unknowns) == (RunStatus.COMPLETE, 1, 1, set())


def test_a_window_that_closes_behind_the_sweep_sends_no_hello_and_is_asked_on_resume(
    host: Host, tmp_path: Path
) -> None:
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints, extra=zone(["127.88.0.1/32"], window_of_now()))
        with here.audit() as audit:
            audit.discover()
            here.clock.shift = 2 * HOUR
            audit.identify()
            asyncio.run(audit.assess())
            run = audit.conclude()
            assert audit.store.attempts(run.id) == {}
            unknowns = [(each.endpoint, each.stage.value, each.reason.value) for each in audit.store.unknowns(run.id)]
        assert run.status is RunStatus.INCOMPLETE
        assert unknowns == [(str(endpoints[0]), "handshake", "out_of_scope")]
        assert host.spoken.total() == 0
        here.clock.shift = 0.0

        run, seen, _ = here.run()

    assert run.status is RunStatus.COMPLETE
    assert [observation.access.list for observation in seen] == [Verdict.PROVEN]
    assert host.connections.total() - host.spoken.total() == 1


def test_the_audit_log_tells_what_was_touched_and_what_was_denied(host: Host, tmp_path: Path) -> None:
    with several(host, 3) as endpoints:
        zones = zone(["127.88.7.2/32"], 'max_depth = "connect"')
        zones += zone(["127.88.7.3/32"], window_of_now()).replace('"z"', '"shut"')
        here = place(tmp_path, endpoints, extra=zones)
        with here.audit() as audit:
            audit.discover()
            audit.identify()
            here.clock.shift = 2 * HOUR
            asyncio.run(audit.assess())
        here.clock.shift = 2 * HOUR
        (tmp_path / "s.db").unlink()
        with here.audit() as audit:
            audit.discover()

    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    told = [(line["event"], line["facts"]) for line in lines]
    first, port = [str(each.address) for each in endpoints], endpoints[0].port
    hellos = {"port": port, "job": "hello", "grant": "g"}
    chunks = [facts for event, facts in told if event == "permitted_in_sweep"]
    assert {(facts["start"], facts["stop"]) for facts in chunks} == {(0, 2), (2, 3)}, (
        "two networks, then the larger one"
    )
    assert sum(facts["count"] for facts in chunks) == 3 + 2
    assert [facts["reasons"] for event, facts in told if event == "denied_in_sweep"] == [{"window": 1}]
    assert {facts["left"] for event, facts in told if event == "swept"} == {0, 1}
    dialled = [facts for event, facts in told if event == "dial"]
    assert {"address": first[0], **hellos} in dialled
    assert {facts["address"] for facts in dialled if facts["job"] != "hello"} == {first[0]}
    assert ("denied", {"host": first[1], "port": port, "reason": "depth"}) in told
    assert ("denied", {"host": first[2], "port": port, "reason": "window"}) in told


def test_a_name_is_told_and_changes_neither_what_is_resumed_nor_the_key_of_a_finding(
    host: Host, tmp_path: Path
) -> None:
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints)
        _, (seen,), _ = here.run()
        (nameless,) = keys(here)
        (tmp_path / "s.db").rename(tmp_path / "first.db")
        named = here.scope.read_text().replace("networks", 'names = ["pacs.example", "alias.example"]\nnetworks', 1)
        here.scope.write_text(named)
        here.pins = dict.fromkeys(("pacs.example", "alias.example"), (endpoints[0].address,))
        with here.audit() as audit:
            audit.discover()
            audit.identify()
        asked = host.spoken.total()

        _, (again,), _ = here.run()

    assert (seen.service.endpoint.name, again.service.endpoint.name) == ("", "alias.example")
    assert keys(here) == {nameless}
    assert host.spoken.total() == asked + 1


def keys(here: Place) -> set[str]:
    with here.audit() as audit:
        return {finding.key for finding in audit.store.findings(audit.run_.id) if finding.control == "LA-11"}


def test_a_zone_of_depth_connect_is_never_sent_a_handshake_and_lets_the_run_be_complete(
    host: Host, tmp_path: Path
) -> None:
    with several(host, 3) as endpoints:
        here = place(tmp_path, endpoints, extra=zone(["127.88.7.0/24"], 'max_depth = "connect"'))
        run, seen, unknowns = here.run()

    assert host.connections == {**dict.fromkeys(("127.88.7.2", "127.88.7.3"), 1), "127.88.0.1": 3}
    assert host.spoken == {"127.88.0.1": 2}
    assert (run.status, run.endpoints_reached, len(seen)) == (RunStatus.COMPLETE, 3, 1)
    assert unknowns == {("grant g, depth connect", "handshake", "out_of_scope")}


def narrowed(audit: Audit, *, exclude: str = "", greet_not: str = "") -> Scope:
    """The scope of the audit as its owner changes it while the run goes on."""
    (grant,) = audit.scope.grants
    if exclude:
        grant = replace(grant, exclude=(IPv4Network(exclude),))
    zones = (Zone(name="late", networks=(IPv4Network(greet_not),), max_depth=Depth.CONNECT),) if greet_not else ()
    return replace(audit.scope, grants=(grant,), zones=zones, sha256="1" * 64)


@pytest.mark.parametrize("change", ["exclude", "greet_not"])
def test_what_is_narrowed_while_others_are_greeted_is_not_greeted(host: Host, tmp_path: Path, change: str) -> None:
    """The gate is asked right before each dial, not when the targets were lined up; it is asked for the depth, too."""
    with several(host, 2) as endpoints:
        here = place(tmp_path, endpoints)
        here.scope.write_text(here.scope.read_text().replace("per_second = 5000", "per_second = 2"))
        with here.audit() as audit:
            audit.discover()

            def narrow(_address: str, _times: int) -> bool:
                audit.gate.narrow(narrowed(audit, **{change: "127.88.7.2/32"}))
                return True

            host.on_spoken = narrow
            audit.identify()
            run = audit.conclude()

    assert host.spoken == {"127.88.0.1": 1}
    assert host.connections == {"127.88.0.1": 2, "127.88.7.2": 1}
    assert run.status is RunStatus.INCOMPLETE


@pytest.mark.parametrize("change", [{"depth": Depth.COUNT}, {"cleartext_census": False}], ids=["depth", "in clear"])
def test_a_census_that_is_withdrawn_while_the_run_goes_on_is_not_taken(
    host: Host, tmp_path: Path, change: dict[str, object]
) -> None:
    """The count goes on; no attribute of a patient is asked for any more."""
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints, depth="census", cleartext_census=True)
        with here.audit() as audit:
            audit.discover()
            audit.identify()
            (grant,) = audit.scope.grants
            audit.gate.narrow(replace(audit.scope, grants=(replace(grant, **change),), sha256="1" * 64))  # type: ignore[arg-type]
            asyncio.run(audit.assess())
            (seen,) = audit.store.observations(audit.conclude().id)
    assert (seen.access.list, seen.census) == (Verdict.PROVEN, None)
    assert host.server.asked["find"] == 1


def test_a_census_that_is_granted_is_taken(host: Host, tmp_path: Path) -> None:
    with listening(host.serve) as endpoints:
        _, (seen,), _ = place(tmp_path, endpoints, depth="census", cleartext_census=True).run()
    assert seen.census is not None
    assert (seen.census.sampled, host.server.asked["find"]) == (3, 2)


def test_a_question_cut_by_a_late_exclusion_is_told_not_stored_and_asked_on_resume(host: Host, tmp_path: Path) -> None:
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints)
        with here.audit() as audit:

            def narrow(_address: str, times: int) -> bool:
                if times == 2:
                    audit.gate.narrow(narrowed(audit, exclude="127.88.0.1/32"))
                return times != 2

            host.on_spoken = narrow
            stages(audit)
            run = audit.conclude()
            (jobs,) = audit.store.attempts(run.id).values()
            unknowns = {(each.stage.value, each.reason.value) for each in audit.store.unknowns(run.id)}
        assert set(jobs) == {"hello"}
        assert run.status is RunStatus.INCOMPLETE
        assert unknowns == {("handshake", "out_of_scope")}

        run, (seen,), left = here.run()

    assert (run.status, seen.access.list, left) == (RunStatus.COMPLETE, Verdict.PROVEN, set())
    assert host.spoken == {"127.88.0.1": 3}


def test_a_stop_keeps_the_answers_and_asks_the_rest_on_resume(host: Host, tmp_path: Path) -> None:
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints)
        with here.audit() as audit:
            host.on_spoken = lambda _address, times: times != 2 or audit.control.request("enough")  # type: ignore[func-returns-value]
            stages(audit)
            run = audit.conclude()
            unknowns = {(each.stage.value, each.reason.value) for each in audit.store.unknowns(run.id)}
        assert (run.status, run.why, unknowns) == (RunStatus.STOPPED, "enough", {("handshake", "stopped")})

        run, (seen,), _ = here.run()

    assert (run.status, seen.access.list) == (RunStatus.COMPLETE, Verdict.PROVEN)
    assert host.connections - host.spoken == {"127.88.0.1": 1}


def test_what_was_measured_under_a_grant_that_ended_is_still_its_owners(host: Host, tmp_path: Path) -> None:
    with several(host, 2) as endpoints:
        here = place(tmp_path, endpoints)
        text = here.scope.read_text()
        one, two = (text.index("[[grant]]"), text.index("[ports]"))
        second = text[one:two].replace('"g"', '"other"').replace("127.88.0.1", "127.88.7.2")
        first = text[one:two].replace(', "127.88.7.2/32"', "")
        here.scope.write_text(text[:one] + first + second + text[two:])
        with here.audit() as audit:
            stages(audit)
            here.clock.shift = 5 * 24 * HOUR
            run = audit.conclude()
            owners = {str(seen.service.endpoint.address): seen.owner.grant for seen in audit.store.observations(run.id)}

    assert owners == {"127.88.0.1": "g", "127.88.7.2": "other"}


def test_the_gap_of_a_zone_binds_every_stage(host: Host, tmp_path: Path) -> None:
    gap = 0.3
    with several(host, 2) as endpoints:
        here = place(tmp_path, endpoints, extra=zone(["127.88.0.0/16"], f"gap_seconds = {gap}"))
        begun = time.monotonic()
        with here.audit() as audit:
            audit.discover()
            swept = time.monotonic()
            audit.identify()
            greeted = time.monotonic()
            asyncio.run(audit.assess())
            asked = time.monotonic()

    assert host.connections.total() == 6
    assert swept - begun >= gap
    assert greeted - begun >= 3 * gap
    assert asked - begun >= 5 * gap


def test_full_on_resume_asks_again_what_the_budget_cut(tmp_path: Path) -> None:
    host = Host(studies=303)
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints, extra="[budget]\nanswers = 100\n")
        _, (cut,), unknowns = here.run()
        spoken = host.spoken.total()
        _, (again,), _ = here.run()
        assert (again.counts, again.access, host.spoken.total()) == (cut.counts, cut.access, spoken)

        _, (full,), none = here.run(Options(full=True))

    assert cut.counts.studies is not None
    assert cut.counts.studies.kind is CountKind.BOUND
    assert {(stage, reason) for _, stage, reason in unknowns} == {("count", "budget")}
    assert full.counts.studies is not None
    assert (full.counts.studies.kind, full.counts.studies.value, none) == (CountKind.EXACT, 303, set())
    assert host.spoken.total() == spoken + 1


@pytest.mark.parametrize("in_zone", [True, False])
def test_a_service_that_stops_answering_calls_off_its_zone_and_is_looked_for_on_resume(
    host: Host, tmp_path: Path, in_zone: bool
) -> None:
    """The first host answers the hello, goes silent behind the first question, and answers again a run later."""
    rule = zone(["127.88.0.0/16"], "gap_seconds = 0.05") if in_zone else ""
    is_down = True

    def answers(address: str, times: int) -> bool:
        return not (is_down and address == "127.88.0.1" and times >= 2)

    host.on_spoken = answers
    with several(host, 3) as endpoints:
        here = place(tmp_path, endpoints, extra="[budget]\nseconds = 2\n" + rule)
        run, seen, unknowns = here.run()
        log = (tmp_path / "audit.jsonl").read_text()
        asked = Counter(host.spoken)

        is_down = False
        again, healed, left = here.run()

    (silent,) = (each for each in seen if str(each.service.endpoint.address) == "127.88.0.1")
    assert silent.facts["answers_afterwards"] is False
    assert (str(endpoints[0]), "talk", "timeout") in unknowns
    assert '"what":"zone z"' in log if in_zone else '"what":"host 127.88.0.1"' in log
    assert asked["127.88.0.1"] == 4
    assert (again.status, left) == (RunStatus.COMPLETE, {(str(endpoints[0]), "handshake", "timeout")})
    assert len(healed) == 3
    if not in_zone:
        assert run.status is RunStatus.COMPLETE
        assert {address: count for address, count in asked.items() if address != "127.88.0.1"} == {
            "127.88.7.2": 2,
            "127.88.7.3": 2,
        }


def test_a_zone_that_is_called_off_leaves_its_other_hosts_unasked(host: Host, tmp_path: Path) -> None:
    with several(host, 2) as endpoints:
        here = place(tmp_path, endpoints, extra=zone(["127.88.0.0/16"], "gap_seconds = 0.01"))
        with here.audit() as audit:
            audit.discover()
            audit.identify()
            audit.context.halted["zone z"] = endpoints[0]
            asyncio.run(audit.assess())
            run = audit.conclude()
            unknowns = {(each.stage.value, each.reason.value) for each in audit.store.unknowns(run.id)}
    assert (run.status, unknowns) == (RunStatus.INCOMPLETE, {("connect", "stopped")})
    assert run.why == "services that we asked no longer answer: 1; what is around them was left alone"
    assert host.spoken == {"127.88.0.1": 1, "127.88.7.2": 1}


def test_a_run_that_cannot_be_logged_stops(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(host.serve) as endpoints:
        here = place(tmp_path, endpoints)
        with here.audit() as audit:

            def full(_event: str, **_facts: object) -> None:
                raise RunStopped("the audit log cannot be written: No space left on device")

            monkeypatch.setattr(audit.audit_log, "write", full)
            run = audit.execute()
    assert run.status is RunStatus.STOPPED
    assert run.why == "the audit log cannot be written: No space left on device"
    assert host.connections == {}


ACCEPTANCE = AssociateAC(contexts=(), user=UserInformation(maximum_length=16_384)).encode()


@pytest.mark.parametrize(
    ("outcome", "answer", "stage", "reason"),
    [
        (Outcome.HUNG_UP, ACCEPTANCE[:-1], "handshake", "truncated"),
        (Outcome.HUNG_UP, b"", "handshake", "reset"),
        (Outcome.SILENT, ACCEPTANCE[:80], "handshake", "timeout"),
        (Outcome.SILENT, b"", "handshake", "timeout"),
        (Outcome.OVERLONG, ACCEPTANCE[:80], "handshake", "limit"),
        (Outcome.TIMEOUT, b"", "connect", "timeout"),
        (Outcome.REFUSED, b"", "connect", "refused"),
    ],
)
def test_an_answer_that_did_not_come_whole_is_a_failure_with_its_reason(
    outcome: Outcome, answer: bytes, stage: str, reason: str
) -> None:
    endpoint = Endpoint(address=IPv4Address("127.0.0.1"), port=104)

    payload = hello_payload(Dicom(), endpoint, outcome, answer)

    assert {key: payload["failed"][key] for key in ("stage", "reason")} == {"stage": stage, "reason": reason}
    assert "negotiated" in hello_payload(Dicom(), endpoint, Outcome.ANSWERED, ACCEPTANCE)


def test_a_bug_that_an_answer_to_the_hello_meets_is_a_failure_without_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object, answer: bytes, *__: object) -> None:
        raise ValueError(f"a bug that formats {answer!r}")

    monkeypatch.setattr(Dicom, "read_hello", broken)
    payload = hello_payload(
        Dicom(), Endpoint(address=IPv4Address("198.18.0.1"), port=104), Outcome.ANSWERED, b"DOE^JANE"
    )
    assert payload["failed"]["reason"] == "bug"
    assert payload["failed"]["detail"].startswith("ValueError at test_pipeline_stages.py:")
    assert "DOE" not in f"{payload} {caplog.text}"
