"""Shares of a real Samba: open, locked, signing, old dialects; nothing of what it says is kept, nothing is written."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from real_servers import Namespace, as_file, free_ports, instance, namespace, require
from samba import SMBD, Section, smbd
from tls_servers import converse, within

from leadapron.identify.match import match
from leadapron.model import Completed, CountKind, Depth, Endpoint, Observation, Owner, Reason, Verdict
from leadapron.net.conversation import Conversation, Lost
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.files.tree import Entry, Listed, Wanted
from leadapron.protocols.smb.listing import list_shares
from leadapron.protocols.smb.probe import PROTOCOL
from leadapron.protocols.smb.session import Over, Session
from leadapron.protocols.smb.tree import SmbTree
from leadapron.protocols.smb.wire.share import ShareType
from scope_file import write_scope

pytestmark = pytest.mark.peer

CANARY = "CANARY^PATIENT 1970"


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    assert Path(SMBD).exists(), "samba is not installed (tests/apt-packages.txt)"
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Eleven files, of which seven are DICOM, below a folder that is called as a patient. A guest may read them: it lies
    outside of pytest's own folders, which are closed to others."""
    with tempfile.TemporaryDirectory(prefix="shared-") as name:
        made = Path(name)
        patient = made / CANARY
        patient.mkdir()
        for number in range(7):
            (patient / f"{CANARY}-{number}.dcm").write_bytes(as_file(instance(number)))
        for number in range(3):
            (made / f"notes{number}.txt").write_text(CANARY)
        (made / "empty.dcm").write_bytes(b"")
        (made / "away").symlink_to("/etc")
        readable(made)
        yield made


def readable(folder: Path) -> None:
    for each in (folder, *folder.rglob("*")):
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() else 0o644)


def shares(folder: Path) -> dict[str, Section]:
    return {
        "public": {"path": folder, "guest ok": "yes", "comment": CANARY},
        "private": {"path": folder, "guest ok": "no", "comment": CANARY},
        "hidden$": {"path": folder, "guest ok": "yes"},
        CANARY: {"path": folder, "guest ok": "yes", "read only": "no"},
    }


class Audit:
    def __init__(self, inside: Namespace, port: int, **budget: Any) -> None:
        here = Endpoint(address=ip_address("127.0.0.1"), port=port)
        of = Terms(
            **{"depth": Depth.COUNT, "owner": Owner(grant="g"), "calling_aet": "L", "blank_login": True, **budget}
        )
        attempts: dict[str, Any] = {}
        self.names: list[str] = []
        while (job := PROTOCOL.next_job(Case(endpoint=here, terms=of, attempts=attempts), match)) is not None:
            attempt = within(inside, lambda job=job: converse(job.converse(), here, job.limits))
            attempts[job.name] = json.loads(json.dumps(PROTOCOL.encode_attempt(attempt)))
            self.names.append(job.name)
        self.stored = json.dumps(attempts)
        self.seen, self.why = PROTOCOL.conclude(Case(endpoint=here, terms=of, attempts=attempts))

    def of(self, resource: str = "") -> Observation:
        (found,) = [each for each in self.seen if each.service.resource == resource]
        return found


def test_an_open_server(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    before = sorted(str(each) for each in folder.rglob("*"))
    with smbd(inside, tmp_path, port, shares(folder)):
        audit = Audit(inside, port)
    assert audit.names[:3] == ["hello", "smb1", "blank"]
    assert "tree:public" in audit.names
    assert len(audit.names) == 6
    assert audit.names[-1] == "health"
    facts = audit.of().facts
    assert (
        facts.items()
        >= {
            "smb_version": 311,
            "signing_enabled": True,
            "signing_required": False,
            "encryption_offered": True,
            "smb1": False,
            "blank_login_accepted": True,
            "shares": 3,
            "shares_open": 2,
            "shares_hidden": 1,
        }.items()
    )
    assert audit.of().product.name == "Samba"
    public, private = audit.of("public"), audit.of("private")
    assert (public.access.list, public.access.read) == (Verdict.PROVEN, Verdict.PROVEN)
    assert public.access.write is Verdict.REFUSED
    assert public.counts.images is not None
    assert (public.counts.images.value, public.counts.images.kind) == (7, CountKind.EXACT)
    assert public.facts.items() >= {"files.entries": 12, "files.files": 11, "files.dicom": 7}.items()
    assert (private.access.list, private.access.read) == (Verdict.REFUSED, Verdict.REFUSED)
    (named,) = [each for each in audit.seen if each.service.resource.startswith("share-")]
    assert (named.access.list, named.access.write) == (Verdict.PROVEN, Verdict.REFUSED)  # the folder is not the guest's
    assert "CANARY" not in audit.stored + repr(audit.seen)
    assert sorted(str(each) for each in folder.rglob("*")) == before


def test_a_share_whose_folder_is_everybodys_offers_writing(inside: Namespace, tmp_path: Path, folder: Path) -> None:
    (port,) = free_ports(1)
    folder.chmod(0o777)
    with smbd(inside, tmp_path, port, shares(folder)):
        audit = Audit(inside, port, associations=3)
    folder.chmod(0o755)
    (named,) = [each for each in audit.seen if each.service.resource.startswith("share-")]
    assert named.access.write is Verdict.OFFERED
    assert audit.of("public").access.write is Verdict.REFUSED


def test_a_census_of_a_share(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder)):
        taken = Audit(inside, port, depth=Depth.CENSUS, census=True)
        withheld = Audit(inside, port, depth=Depth.CENSUS)
    census = taken.of("public").census
    assert census is not None
    assert (census.sampled, census.present["PatientName"]) == (7, 7)
    assert "SYNTHETIC" not in taken.stored + repr(taken.seen)
    assert withheld.of("public").census is None
    assert withheld.of("public").facts["census_withheld"] is True


def test_without_leave_nothing_is_listed(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder)):
        audit = Audit(inside, port, blank_login=False)
    assert audit.names == ["hello", "smb1"]
    assert audit.of().access.list is Verdict.NOT_ASKED


def test_a_locked_server(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    """Samba accepts the session of nobody, and then lets it in nowhere: that is no login."""
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder), map_to_guest="Never", restrict_anonymous="2"):
        audit = Audit(inside, port)
    assert audit.names == ["hello", "smb1", "blank", "health"]
    assert audit.of().access.list is Verdict.REFUSED
    assert audit.of().facts["blank_login_accepted"] is False
    assert audit.of().unknowns == ()


def test_a_server_that_signs_lets_strangers_in_all_the_same(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder), server_signing="mandatory"):
        audit = Audit(inside, port)
    assert audit.of().facts["signing_required"] is True
    assert audit.of("public").access.list is Verdict.PROVEN


def test_a_server_that_demands_encryption_keeps_strangers_out(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder), server_smb_encrypt="required"):
        audit = Audit(inside, port)
    assert not any(each.exposed for each in audit.seen)
    assert audit.of().access.list is Verdict.REFUSED


@pytest.mark.parametrize(
    ("protocol", "version"), [("SMB2_02", 202), ("SMB2_10", 210), ("SMB3_00", 300), ("SMB3_02", 302), ("SMB3_11", 311)]
)
def test_every_dialect(inside: Namespace, folder: Path, tmp_path: Path, protocol: str, version: int) -> None:
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder), server_max_protocol=protocol):
        audit = Audit(inside, port)
    assert audit.of().facts["smb_version"] == version
    assert audit.of("public").access.read is Verdict.PROVEN


def test_a_server_that_still_has_smb1(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder), server_min_protocol="NT1"):
        audit = Audit(inside, port, blank_login=False)
    assert audit.of().facts["smb1"] is True
    (port,) = free_ports(1)
    only = {"server_min_protocol": "NT1", "server_max_protocol": "NT1"}
    with smbd(inside, tmp_path / "only", port, shares(folder), **only):
        audit = Audit(inside, port)
    assert audit.of().facts == {"smb1": True}
    assert audit.of().unknowns[0].reason is Reason.PROTOCOL


def test_many_shares_come_in_many_fragments(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    many = {f"s{number:03}": {"path": folder, "guest ok": "yes", "comment": "x" * 200} for number in range(300)}
    with smbd(inside, tmp_path, port, many):
        audit = Audit(inside, port, associations=3)
    facts = audit.of().facts
    assert facts["shares"] == 300
    assert facts["shares_left_out"] == 300 - facts["shares_open"] >= 236


def test_folders_and_files_come_whole(inside: Namespace, tmp_path: Path, folder: Path) -> None:
    """A listing of many answers, names of every kind, reads at every place; a link that leads out is not there."""
    wide = folder / "wide"
    wide.mkdir()
    for number in range(3000):
        (wide / f"{number:04}-{'ü' * 40}.dcm").write_bytes(b"")
    (folder / "big.bin").write_bytes(bytes(range(256)) * 2048)
    readable(folder)
    (port,) = free_ports(1)
    with smbd(inside, tmp_path, port, shares(folder)):
        found, listed, pieces = within(inside, lambda: _look(port))
    assert listed == Listed()
    assert sorted(each.name for each in found) == sorted(each.name.encode() for each in wide.iterdir())
    content = bytes(range(256)) * 2048
    assert pieces == [content[:132], content[1000:201_000], content[-10:], b"", Reason.EMPTY]


def _look(port: int) -> tuple[list[Entry], Listed, Any]:
    found: list[Entry] = []

    def conversation() -> Conversation[Any]:
        session = Session("127.0.0.1")
        try:
            yield from session.negotiate()
            yield from session.log_in()
            named = (yield from list_shares(session)).shares[0]
            share = yield from session.connect(named.name)
            assert share.type is ShareType.DISK
            tree = SmbTree(session, share.tree_id)
            listed = yield from tree.list((b"wide",), lambda each: not found.append(each))
            size = 256 * 2048
            path = (b"big.bin",)
            wanted = [
                (path, 0, 132),
                (path, 1000, 200_000),
                (path, size - 10, 100),
                (path, size, 9),
                ((b"none",), 0, 9),
            ]
            pieces = yield from tree.read([Wanted(*each) for each in wanted])
        except (Over, Lost) as over:
            raise AssertionError(over.reason) from None
        return Completed(result=(listed, pieces))

    attempt = converse(conversation(), Endpoint(address=ip_address("127.0.0.1"), port=port))
    assert isinstance(attempt, Completed)
    return found, *attempt.result


def test_a_whole_audit_writes_nothing_that_a_share_says(inside: Namespace, folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    place = tmp_path / "audit"
    place.mkdir()
    scope = write_scope(
        place / "scope.toml",
        networks=["127.0.0.1/32"],
        ports={"smb": [port]},
        depth="census",
        cleartext_census=True,
        granted="blank_login = true",
    )
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{place}/s.db", "--json"]
    with smbd(inside, tmp_path / "smbd", port, shares(folder)):
        result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(place / "data")})
    assert result.returncode in (0, 1), result.stderr
    services = {each["resource"]: each for each in json.loads(result.stdout)["services"]}
    assert {"", "public", "private"} < set(services)
    assert services["public"]["counts"]["images"]["value"] == 7
    assert services["public"]["census"]["present"]["PatientName"] == 7
    assert services["private"]["access"]["list"] == "refused"
    findings = json.loads(result.stdout)["findings"]
    found = {(each["control"], each["service"]["resource"]) for each in findings}
    assert {("LA-03", "public"), ("LA-23", "")} <= found
    assert not any(resource == "private" for _, resource in found)
    written = [each.read_bytes() for each in place.rglob("*") if each.is_file()]
    for said in (b"CANARY", b"SYNTHETIC", b"PATIENT 1970"):
        assert not any(said in each for each in (*written, result.stdout.encode(), result.stderr.encode()))
