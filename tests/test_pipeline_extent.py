"""Runs that ask a part of their scope: what another scanner found, or a share of the space with the places of findings."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from audits import OPTIONS, Silent
from leadapron import pipeline_discover
from leadapron.errors import InputError
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Delta, Depth, Finding, FindingStatus, Run, RunStatus, SeedFile
from leadapron.pipeline_run import audit_scope, verify_finding
from leadapron.pipeline_wire import Order
from leadapron.store.store import Store
from listening import listening
from scope_file import write_scope

pytestmark = pytest.mark.usefixtures("disarmed_afterwards")

OPEN = Behaviour(archives={"": made_up(1, 5)})
FOUND = "127.88.3"
PLACES = [f"{FOUND}.{number}" for number in range(1, 13)]


class Counted:
    """A server on several addresses, and which of them were connected to."""

    def __init__(self, behaviour: Behaviour = OPEN) -> None:
        self._server = Server(behaviour)
        self.asked = self._server.asked
        self.connected: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.append(writer.get_extra_info("sockname")[0])
        await self._server.serve(reader, writer)


@dataclass
class Here:
    folder: Path
    server: Counted
    port: int
    networks: Sequence[str] = (f"{FOUND}.0/28",)

    def scope(self) -> Path:
        return write_scope(self.folder / "scope.toml", networks=[*self.networks], ports=[self.port])

    def audit(self, **how: object) -> tuple[Run, list[Finding]]:
        self.server.connected.clear()
        how.setdefault("resume", False)
        path, url = self.scope(), f"sqlite:///{self.folder / 's.db'}"
        return audit_scope(path, url=url, options=OPTIONS, progress=Silent(), **how)  # type: ignore[arg-type]

    @property
    def asked(self) -> set[str]:
        return set(self.server.connected)


def share(run: Run) -> Delta:
    """Without the places of findings."""
    assert run.delta is not None
    return replace(run.delta, again=())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """Twelve open archives."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    server = Counted()
    with (
        listening(server.serve, count=1) as (first,),
        listening(server.serve, places=[(each, first.port) for each in PLACES]),
    ):
        yield Here(tmp_path, server, first.port)


def test_of_seeds_each_is_asked_that_the_scope_grants_and_nothing_else(here: Here) -> None:
    seeds = here.folder / "list.txt"
    seeds.write_text(f"{PLACES[0]}\n{PLACES[4]}:{here.port}\n127.99.0.1:{here.port}\n{PLACES[5]}:1\n")

    run, findings = here.audit(seeds=[seeds])

    assert here.asked == {PLACES[0], PLACES[4]}
    assert (run.status, run.endpoints_tried, run.endpoints_reached) == (RunStatus.INCOMPLETE, 2, 2)
    assert {str(each.service.endpoint.address) for each in findings} == {PLACES[0], PLACES[4]}
    (file,) = run.seeds
    assert (file.kind, file.pairs) == ("list", 4)
    log = next((here.folder / "data" / "runs").glob("*/audit.jsonl")).read_text().splitlines()
    denied = [json.loads(line)["facts"] for line in log if json.loads(line)["event"] == "denied_in_sweep"]
    assert sum((Counter(each["reasons"]) for each in denied), Counter()) == {"no_grant": 1, "port": 1}


def test_a_run_of_seeds_says_nothing_about_other_places(here: Here) -> None:
    _, before = here.audit()
    seeds = here.folder / "zmap.csv"
    seeds.write_text(f"saddr,sport,classification,success\n{PLACES[1]},{here.port},synack,1\n")

    run, after = here.audit(seeds=[seeds])

    assert run.status is RunStatus.COMPLETE
    assert here.asked == {PLACES[1]}
    assert {each.status for each in after if str(each.service.endpoint.address) == PLACES[1]} == {FindingStatus.OPEN}
    assert {each.status for each in after if str(each.service.endpoint.address) != PLACES[1]} == {FindingStatus.NEW}
    assert {each.key for each in before} == {each.key for each in after}


def test_a_run_of_seeds_goes_on_with_the_same_files_only(here: Here) -> None:
    seeds, other = here.folder / "list.txt", here.folder / "other.txt"
    seeds.write_text(f"{PLACES[0]}\n127.99.0.1:{here.port}\n")
    other.write_text(f"{PLACES[1]}\n")
    run, _ = here.audit(seeds=[seeds])
    assert run.status is RunStatus.INCOMPLETE

    for wrong in ((), (other,), (seeds, other)):
        with pytest.raises(InputError, match=rf"run {run.id} was begun from other files.*--from"):
            here.audit(resume=True, seeds=wrong)
    again, _ = here.audit(resume=True, seeds=[seeds])

    assert (again.id, here.asked) == (run.id, set())


def test_a_run_without_seeds_does_not_go_on_with_some(here: Here) -> None:
    seeds = here.folder / "list.txt"
    seeds.write_text(f"{PLACES[0]}\n")
    here.audit()
    with pytest.raises(InputError):
        here.audit(resume=True, seeds=[seeds])


def test_shares_of_the_space_are_swept_one_a_run_until_all_were(here: Here) -> None:
    base, _ = here.audit()
    assert here.asked == set(PLACES)

    runs = [here.audit(since=base.id[:-2], shares=4)[0] for _ in range(5)]

    assert [share(run) for run in runs] == [Delta(since=base.id, part=part, parts=4) for part in (0, 1, 2, 3, 0)]
    assert {run.status for run in runs} == {RunStatus.COMPLETE}
    beside = [run.endpoints_tried - 4 for run in runs]  # of findings, and not among the four of the share
    assert beside == [beside[0], *beside[1:4], beside[0]]
    assert sum(beside[:4]) == 4 * 12 - 12, "each place lies in one of the four shares"


def test_what_findings_need_is_asked_wherever_it_is_and_settled(here: Here) -> None:
    base, before = here.audit()
    statuses = {each.key: each.status for each in before}

    run, after = here.audit(since=base.id)

    assert here.asked == set(PLACES), "each has findings"
    assert run.endpoints_reached == 12
    assert {each.key: each.status for each in after} == dict.fromkeys(statuses, FindingStatus.OPEN)


def test_what_was_mended_is_closed_by_a_delta_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    server = Counted()
    with listening(server.serve) as (first,):
        here = Here(tmp_path, server, first.port, networks=["127.88.0.0/29"])
        base, _ = here.audit()

    run, after = here.audit(since=base.id, shares=7)

    assert share(run) == Delta(since=base.id, part=0, parts=7)
    closed = {each.control for each in after if each.status is FindingStatus.CLOSED}
    assert "LA-01" in closed
    assert {each.status for each in after} <= {FindingStatus.CLOSED, FindingStatus.NOT_OBSERVED}


def test_a_delta_run_is_as_deep_as_its_findings_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a finding is about an answer to the handshake, nothing is counted."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    server = Counted()
    with listening(server.serve) as (first,):
        here = Here(tmp_path, server, first.port, networks=["127.88.0.0/24"])
        base, findings = here.audit()
        with sqlite3.connect(tmp_path / "s.db") as store:  # as if only this one had been found
            store.execute("DELETE FROM findings WHERE json_extract(data, '$.control') <> 'LA-01'")
        store.close()
        server.asked.clear()

        _, after = here.audit(since=base.id, shares=256)

    assert "LA-11" in {each.control for each in findings}
    assert {each.control for each in after if each.status is FindingStatus.OPEN} == {"LA-01"}
    assert (server.asked["associations"], server.asked["find"]) == (2, 0), "a handshake, and an echo"


def test_a_delta_of_a_delta_is_one_of_the_run_before_it(here: Here) -> None:
    base, _ = here.audit()
    first, _ = here.audit(since=base.id)
    second, _ = here.audit(since=first.id)
    assert share(second) == Delta(since=base.id, part=1, parts=7)


@pytest.mark.parametrize("how", ["seeds", "scope"])
def test_a_delta_of_something_else_is_a_mistake(here: Here, how: str) -> None:
    seeds = here.folder / "list.txt"
    seeds.write_text(f"{PLACES[0]}\n")
    base, _ = here.audit(**({"seeds": [seeds]} if how == "seeds" else {}))
    if how == "scope":
        path = here.scope()
        path.write_text(path.read_text().replace('id = "test"', 'id = "another"'))
        url = f"sqlite:///{here.folder / 's.db'}"
        with pytest.raises(InputError, match="is of scope test from vantage"):
            audit_scope(path, url=url, resume=False, options=OPTIONS, progress=Silent(), since=base.id)
    else:
        with pytest.raises(InputError, match="did not sweep its scope"):
            here.audit(since=base.id)


def test_seeds_are_kept_by_kind_digest_and_numbers_alone(here: Here) -> None:
    seeds = here.folder / "shodan.json"
    banner = {"ip_str": PLACES[0], "port": here.port, "data": "SYNTHETIC^NAME", "transport": "tcp"}
    seeds.write_text(json.dumps(banner) + "\n")
    run, _ = here.audit(seeds=[seeds])
    assert run.seeds == (SeedFile(kind="shodan", sha256=run.seeds[0].sha256, pairs=1),)
    for path in here.folder.rglob("*"):
        if path.is_file() and path != seeds:
            assert b"SYNTHETIC^NAME" not in path.read_bytes(), path


def test_a_delta_run_leaves_findings_of_other_scopes_alone(here: Here) -> None:
    """One store holds them all. What is not granted here cannot be asked, and is no reason to be unfinished for ever."""
    here.audit()
    here.networks = (f"{FOUND}.0/30",)
    base, _ = here.audit()

    run, after = here.audit(since=base.id, shares=2)

    assert run.status is RunStatus.COMPLETE
    assert run.delta is not None
    assert [str(each.address) for each in run.delta.again] == PLACES[:3]
    assert here.asked == set(PLACES[:3])
    elsewhere = {each.status for each in after if str(each.service.endpoint.address) not in PLACES[:3]}
    assert elsewhere == {FindingStatus.NEW}, "as the first run left them"


def test_what_a_delta_run_asks_is_kept_with_it(here: Here) -> None:
    """The findings may be others when it is resumed, and then every index behind them would be another target."""
    base, _ = here.audit()

    run, _ = here.audit(since=base.id, shares=7)

    assert run.delta is not None
    assert [(str(each.address), each.port) for each in run.delta.again] == [(each, here.port) for each in PLACES]
    assert {each.depth for each in run.delta.again} == {Depth.COUNT}
    with sqlite3.connect(here.folder / "s.db") as store:
        store.execute("DELETE FROM findings")
        (data,) = store.execute("SELECT data FROM runs WHERE id = ?", (run.id,)).fetchone()
    store.close()
    assert len(json.loads(data)["delta"]["again"]) == len(PLACES)


def test_a_part_of_the_space_says_nothing_of_an_inventory_elsewhere(here: Here) -> None:
    """Nobody asked there, so that nothing timed out."""
    inventory, seeds = here.folder / "systems.csv", here.folder / "list.txt"
    silent = f"{FOUND}.13"
    inventory.write_text(f"address,port\n{PLACES[0]},{here.port}\n{silent},{here.port}\n127.99.0.1,104\n")
    seeds.write_text(f"{PLACES[0]}\n")

    run, _ = here.audit(seeds=[seeds], inventories=[inventory])

    with Store.open(f"sqlite:///{here.folder / 's.db'}") as store:
        told = [(each.endpoint, each.reason.value) for each in store.unknowns(run.id)]
    assert told == [("inventory 127.99.0.1:104", "out_of_scope")]


def test_zones_with_gaps_are_swept_by_this_process_alone(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would not know whose turn it is."""

    async def away(orders: Sequence[Order], *_: object, **__: object) -> None:
        assert not orders, "swept elsewhere"

    monkeypatch.setattr(pipeline_discover, "sweep_away", away)
    path = here.scope()
    zone = f'[[zone]]\nname = "slow"\nnetworks = ["{PLACES[0]}/32"]\ngap_seconds = 0.1\n'
    path.write_text(f"{path.read_text()}\n[sweep]\nprocesses = 2\n\n{zone}")
    monkeypatch.setattr(Here, "scope", lambda _: path)

    run, _ = here.audit()

    assert (run.status, run.endpoints_reached) == (RunStatus.COMPLETE, len(PLACES))


def test_one_endpoint_is_verified_by_connections_however_the_scope_is_swept(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, findings = here.audit()
    path = here.scope()
    path.write_text(f'{path.read_text()}\n[sweep]\nmethod = "syn"\n')
    monkeypatch.setattr("leadapron.net.syn.can_sweep_raw", lambda: False)
    here.server.connected.clear()

    url = f"sqlite:///{here.folder / 's.db'}"
    verified = verify_finding(path, findings[0].key, url=url, options=OPTIONS, progress=Silent())

    assert verified.finding.status is FindingStatus.OPEN
    assert here.asked == {str(findings[0].service.endpoint.address)}


def test_a_range_that_answers_alike_is_known_to_a_share_of_it(here: Here) -> None:
    """Of which it sees too few to tell."""
    box = [f"127.88.4.{number}" for number in range(64, 192)]
    here.networks = (f"{FOUND}.0/28", "127.88.4.0/24")
    with listening(here.server.serve, places=[(each, here.port) for each in box]):
        base, before = here.audit()
        run, after = here.audit(since=base.id, shares=4)

    assert 16 < len(here.asked & set(box)) < 64
    assert (base.status, run.status) == (RunStatus.COMPLETE, RunStatus.COMPLETE)
    assert {str(each.service.endpoint.address) for each in (*before, *after)} == set(PLACES)


def test_a_server_that_stands_where_a_range_answered_alike_is_seen_by_a_share(here: Here) -> None:
    box = [f"127.88.4.{number}" for number in range(64, 192)]
    here.networks = ("127.88.4.0/24",)
    with listening(here.server.serve, places=[(each, here.port) for each in box]):
        base, _ = here.audit()
    other = Counted(Behaviour(archives={"PACS": made_up(1, 5)}, called=frozenset({"PACS"})))
    with listening(other.serve, places=[(each, here.port) for each in box[::9]]):
        _, after = here.audit(since=base.id, shares=1)

    assert {str(each.service.endpoint.address) for each in after} == set(box[::9])
