"""Buckets through every stage of an audit, and law 1 around them: one port of one address, and nothing but the bucket."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from audits import Network, Place
from leadapron.attribute.place import Attribution
from leadapron.lab import tls
from leadapron.model import Depth, Endpoint, FindingStatus, RunStatus, Verdict
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import _new
from leadapron.pipeline_terms import ScopeTerms
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from listening import Serve, listening
from protocols.buckets.made_up_store import MadeUpStore, response
from scope_file import write_scope

CANARY = "CANARYPATIENT"
MAGIC = b"\0" * 128 + b"DICM\2\0\0\0UL\4\0" + bytes(200)
NAME = "minio.hospital.example"


def serving(store: MadeUpStore) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(1 << 16):
            answer, _ = store(sent)
            writer.write(answer or response(400))
            await writer.drain()

    return serve


@pytest.fixture
def store() -> MadeUpStore:
    return MadeUpStore({f"{CANARY}/{number}.dcm".encode(): MAGIC for number in range(4)})


def place(folder: Path, *buckets: str, extra: str = "", **scope: object) -> Place:
    given: dict[str, object] = {"networks": [], "ports": [104], "granted": f"buckets = {list(buckets)}", **scope}
    return Place(folder, write_scope(folder / "scope.toml", extra=extra, **given))  # type: ignore[arg-type]


def dialled(folder: Path) -> set[tuple[str, int]]:
    lines = map(json.loads, (folder / "audit.jsonl").read_text().splitlines())
    facts = [line["facts"] for line in lines if line["event"] == "dial"]
    return {(each["address"], each["port"]) for each in facts}


def test_a_scope_of_buckets_alone_is_a_whole_run(tmp_path: Path, store: MadeUpStore) -> None:
    with listening(serving(store)) as (here,):
        run, observations, unknowns = place(tmp_path, f"s3://scans@http://{here}").run()
    assert run.status is RunStatus.COMPLETE, run.why
    assert (run.endpoints_tried, run.endpoints_reached) == (1, 1)
    (seen,) = observations
    assert (seen.service.protocol, seen.service.resource) == ("buckets", "s3://scans")
    assert (seen.access.list, seen.access.read) == (Verdict.PROVEN, Verdict.PROVEN)
    assert seen.counts.images is not None
    assert seen.counts.images.value == 4
    assert seen.owner.grant == "g"
    assert not unknowns
    assert dialled(tmp_path) == {(str(here.address), here.port)}
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes(), file.name


def test_inside_tls_by_its_name(tmp_path: Path, store: MadeUpStore) -> None:
    context = tls.server_context(tls.made_up(NAME))
    with listening(tls.inside(serving(store), context)) as (here,):
        audit = place(tmp_path, f"s3://scans@https://{NAME}:{here.port}")
        audit.pins = {NAME: (here.address,)}
        run, (seen,), _ = audit.run()
    assert run.status is RunStatus.COMPLETE, run.why
    assert (seen.access.list, seen.access.read) == (Verdict.PROVEN, Verdict.PROVEN)
    assert seen.service.endpoint.name == NAME
    assert store.hosts == {f"{NAME}:{here.port}".encode()}
    assert seen.facts["clear"] is False
    assert seen.facts["tls.name_matches"] is True
    assert seen.tls is not None


def test_a_bucket_that_nobody_serves_is_unknown_and_no_silence(tmp_path: Path, store: MadeUpStore) -> None:
    with listening(serving(store)) as (here,):
        pass
    run, observations, _ = place(tmp_path, f"s3://scans@http://{here}").run()
    assert run.endpoints_reached == 0
    assert observations == []


def test_what_a_bucket_leads_to_is_asked_for_nothing_else(tmp_path: Path, store: MadeUpStore) -> None:
    """Its port is one of DICOM and of HTTP here, which are looked for in networks."""
    with listening(serving(store)) as (here,):
        audit = place(
            tmp_path, f"s3://scans@http://{here}", ports={"dicom": [here.port], "http": [here.port]}, depth="census"
        )
        _, observations, _ = audit.run()
    assert [seen.service.protocol for seen in observations] == ["buckets"]
    assert all(target.startswith(b"/scans") for _, target in store.asked)


def test_a_network_beside_it_is_still_swept(tmp_path: Path, store: MadeUpStore) -> None:
    with listening(serving(store), count=2) as (here, other):
        audit = place(
            tmp_path, f"s3://scans@http://{here}", networks=[f"{other.address}/32"], ports={"http": [other.port]}
        )
        run, observations, _ = audit.run()
    assert (run.endpoints_tried, run.endpoints_reached) == (2, 2)
    assert "s3://scans" in {seen.service.resource for seen in observations}


def test_an_exclusion_wins(tmp_path: Path, store: MadeUpStore) -> None:
    with listening(serving(store)) as (here,):
        run, observations, _ = place(tmp_path, f"s3://scans@http://{here}", exclude=(f"{here.address}/32",)).run()
    assert run.status is RunStatus.INCOMPLETE
    assert (observations, store.asked) == ([], [])


LISTING = b"""<html><head><title>Index of /images/</title></head><body><h1>Index of /images/</h1><hr><pre>
<a href="../">../</a>
<a href="one.dcm">one.dcm</a>          28-Nov-2026 07:03      340
<a href="/elsewhere/two.dcm">two.dcm</a>          28-Nov-2026 07:03      340
</pre><hr></body></html>"""


def test_a_web_folder_is_asked_for_itself_alone(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(1 << 16):
            for line in [line for line in sent.split(b"\r\n") if line.endswith(b" HTTP/1.1")]:
                method, target, _ = line.split(b" ")
                asked.append(target)
                body = MAGIC if target == b"/images/one.dcm" else LISTING
                writer.write(response(200, b"" if method == b"HEAD" else body, length=len(body)))
            await writer.drain()

    with listening(serve) as (here,):
        granted = f'urls = ["http://{here}/images/"]'
        run, observations, _ = place(tmp_path, granted=granted).run()
    assert run.status is RunStatus.COMPLETE, run.why
    (seen,) = observations
    assert seen.service.resource == f"http://{here}/images/"
    assert (seen.access.list, seen.access.read) == (Verdict.PROVEN, Verdict.PROVEN)
    assert seen.counts.images is not None
    assert seen.counts.images.value == 1
    assert set(asked) == {b"/images/", b"/images/one.dcm"}


# -- the terms ----------------------------------------------------------------------------------------------------------

SPOT = Endpoint(address=ip_address("142.250.0.1"), port=443)
SECOND = """
[[grant]]
id = "second"
owner = "A partner"
basis = "partner"
granted_by = "Somebody"
valid_from = {first}
valid_until = {last}
depth = "talk"
buckets = ["gs://theirs"]
"""


@pytest.fixture
def terms(tmp_path: Path) -> ScopeTerms:
    path = write_scope(
        tmp_path / "scope.toml", networks=[], ports=[104], granted='buckets = ["gs://ours", "s3://ours"]'
    )
    lines = dict(line.split(" = ") for line in path.read_text().splitlines() if line.startswith("valid_"))
    first, last = lines["valid_from"], lines["valid_until"]
    path.write_text(path.read_text() + SECOND.format(first=first, last=last))
    scope = load_scope(path)
    pins = {"storage.googleapis.com": (SPOT.address,), "ours.s3.amazonaws.com": (ip_address("52.219.0.9"),)}
    return ScopeTerms(scope, Gate(scope, pins=pins), _new(scope, Options()), Options(), Attribution())


def test_each_bucket_at_one_place_has_the_terms_of_its_own_grant(terms: ScopeTerms) -> None:
    found = {str(each.bucket): (each.depth, each.owner.grant) for each in terms.at(SPOT).buckets}
    assert found == {"gs://ours": (Depth.COUNT, "g"), "gs://theirs": (Depth.TALK, "second")}


def test_the_doors_of_a_spot_are_that_of_buckets(terms: ScopeTerms) -> None:
    assert terms.doors_at(SPOT) == ("buckets",)
    assert terms.doors_at(Endpoint(address=SPOT.address, port=104)) == ("dicom",)  # never reached: the gate denies it


# -- findings -----------------------------------------------------------------------------------------------------------


def test_a_finding_of_a_bucket_closes_with_the_bucket(tmp_path: Path, store: MadeUpStore) -> None:
    def closed(sent: bytes) -> tuple[bytes, bool]:
        return (
            (store(sent) if sent.startswith(b"HEAD") else (response(403, b"<Error/>"), True)) if shut else store(sent)
        )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(1 << 16):
            writer.write(closed(sent)[0])
            await writer.drain()

    shut = False
    with listening(serve) as (here,):
        scope = place(tmp_path, f"s3://scans@http://{here}").scope
        network = Network(tmp_path, here.port)
        _, first = network.audit(scope)
        shut = True
        _, then = network.audit(scope)
    key = (str(here.address), "LA-03")
    assert first[key].service.resource == "s3://scans"
    assert first[key].status is FindingStatus.NEW
    assert then[key].status is FindingStatus.CLOSED
