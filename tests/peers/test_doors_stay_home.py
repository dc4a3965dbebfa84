"""Servers that send us elsewhere, each in the way of its protocol: redirects, links, referrals, data connections, moved
targets. Measured from outside: no packet goes there."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from leading_away import DOORS, ROLES
from leading_away_web import ELSEWHERE, GRANTED, LOCATIONS, NAMED
from real_servers import Namespace, free_ports, namespace, require
from watched import watch

from scope_file import write_scope

pytestmark = pytest.mark.peer

SERVERS = Path(__file__).with_name("leading_away.py")
PATHS = os.pathsep.join(str(Path(__file__).parents[place] / name) for place, name in ((2, "src"), (1, "")))
NOT_ASKED = frozenset({"https"})
"""Its certificate goes out in the handshake, and not from our code."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "nft")
    with namespace() as made:
        yield made


def certificate(folder: Path) -> tuple[Path, Path]:
    """One that names places elsewhere for its issuer, its revocation list, and who is asked about it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")])
    there = [x509.UniformResourceIdentifier(f"http://{ELSEWHERE}/{what}") for what in ("issuer", "ocsp", "list")]
    asked = zip((AuthorityInformationAccessOID.CA_ISSUERS, AuthorityInformationAccessOID.OCSP), there, strict=False)
    point = x509.DistributionPoint([there[2]], None, None, None)
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(*each) for each in asked]), False)
        .add_extension(x509.CRLDistributionPoints([point]), False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(*form))
    return paths


class Leading:
    """Every role, at a port of its own, and the counters."""

    def __init__(self, inside: Namespace, folder: Path) -> None:
        self.inside, self.folder, self.log = inside, folder, folder / "servers.log"
        self.ports = dict(zip(ROLES, free_ports(len(ROLES)), strict=True))
        self.counted = watch(inside, folder, {"granted": [GRANTED], "elsewhere": [ELSEWHERE]})

    @property
    def have_led(self) -> set[str]:
        """Roles that said where to go."""
        return set(self.log.read_text().splitlines())

    def scope(self) -> Path:
        at = {role: f"http://{GRANTED}:{self.ports[role]}" for role in NAMED}
        names = {"s3, moved": "s3://scans", "s3, for now": "s3://scans", "s3": "s3://scans", "gs": "gs://scans"}
        buckets = [
            f"{names.get(role, 'az://madeup/scans')}@{where}" for role, where in at.items() if role != "web folder"
        ]
        return write_scope(
            self.folder / "scope.toml",
            networks=[f"{GRANTED}/32"],
            ports={door: [self.ports[role] for role in roles] for door, roles in DOORS.items()},
            depth="census",
            cleartext_census=True,
            granted=f'blank_login = true\nbuckets = {buckets}\nurls = ["{at["web folder"]}/images/"]',
        )

    def run(self, *arguments: object) -> dict[str, Any]:
        own = {"LEADAPRON_DATA": str(self.folder / "data"), "LEADAPRON_STORE": f"sqlite:///{self.folder}/s.db"}
        done = self.inside.run(sys.executable, "-m", "leadapron", *arguments, "--json", env={**os.environ, **own})
        assert done.returncode in (0, 1), done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture(scope="module")
def leading(inside: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leading]:
    made = Leading(inside, tmp_path_factory.mktemp("leading"))
    roles = [f"{role}={port}" for role, port in made.ports.items()]
    command = ("env", f"PYTHONPATH={PATHS}", sys.executable, SERVERS, *certificate(made.folder), *roles)
    with inside.serving(111, *command, log=made.log):
        yield made


@pytest.fixture(scope="module")
def report(leading: Leading) -> dict[str, Any]:
    """Of one audit of all of them."""
    found = leading.run("audit", leading.scope(), "--quiet")
    found["counted"] = leading.counted()
    return found


def test_no_packet_goes_where_a_server_leads(leading: Leading, report: dict[str, Any]) -> None:
    assert report["counted"]["elsewhere"] == 0
    assert report["counted"]["granted"] > len(ROLES)
    assert leading.have_led >= set(ROLES) - NOT_ASKED, "each said where to go"
    log = next(leading.folder.rglob("audit.jsonl")).read_text()
    assert ELSEWHERE not in log
    assert f"beside {leading.ports['ftp']}" in log


ELSEWHERE_TOLD = ("list", "out_of_scope")
SAID = {
    **{role: {("talk", "empty")} for role in LOCATIONS},
    **{f"redirect, {what}": {("list", "budget")} for what in ("granted path", "backslashes", "twice")},
    "qido": {("count", "empty")},
    **{role: {ELSEWHERE_TOLD} for role in ("s3, moved", "s3, for now", "web folder", "smb, share")},
    **{role: {("count", "protocol"), ("census", "protocol")} for role in ("s3", "az", "gs", "listing", "webdav")},
    **{role: {("list", "protocol"), ("count", "protocol")} for role in DOORS["ftp"]},
    **{f"webdav, {what}": {("list", "protocol"), ("count", "protocol")} for what in ("document type", "entity")},
    "smb, below": {ELSEWHERE_TOLD, ("count", "out_of_scope")},
    "smb, link": {("list", "protocol"), ("count", "protocol")},
    "nfs, moved": {("count", "truncated")},
    "nfs, portmapper": {("list", "refused")},
    "nfs, path": {("census", "empty")},
    "portal": {("talk", "protocol")},
    "fhir": {("count", "limit")},
}
"""What is not known of each role, and why. Of the others all is known: their links are none of what is asked for."""
LISTED = {
    **dict.fromkeys(("s3", "az", "gs", "listing", "webdav", "qido", "fhir", "nfs, path", "nfs, moved"), "proven"),
    **dict.fromkeys(("s3, moved", "s3, for now", "web folder", *DOORS["smb"], *DOORS["ftp"]), "unknown"),
    "viewer": "not_asked",
    "portal": "refused",
    "iscsi": "not_asked",
    "refresh": "not_asked",
}


@pytest.mark.parametrize("role", ROLES)
def test_what_lies_elsewhere_is_not_known(leading: Leading, report: dict[str, Any], role: str) -> None:
    here = f"{GRANTED}:{leading.ports[role]}"
    told = {(each["stage"], each["reason"]) for each in report["unknowns"] if each["endpoint"] == here}
    assert told == SAID.get(role, set())
    services = [each for each in report["services"] if each["endpoint"]["port"] == leading.ports[role]]
    if role in LISTED:
        assert {each["access"]["list"] for each in services} - {"not_asked"} == {LISTED[role]} - {"not_asked"}
    assert (role in LOCATIONS) is not bool(services)


def test_the_counter_sees_who_does_go_there(leading: Leading, report: dict[str, Any]) -> None:
    """So that the tests above can fail: it is all there, and one who follows is counted."""
    follow = (
        f"import urllib.request; urllib.request.urlopen('http://{GRANTED}:{leading.ports['redirect']}/', timeout=1)"
    )
    before = report["counted"]["elsewhere"]
    leading.inside.run(sys.executable, "-c", follow)
    followed = leading.counted()["elsewhere"]
    assert followed > before
    ports = list(leading.ports.values())
    visit = f"import socket\nfor port in {ports}: socket.create_connection(('{ELSEWHERE}', port), 5).close()"
    assert leading.inside.run(sys.executable, "-c", visit).returncode == 0
    assert leading.counted()["elsewhere"] >= followed + 3 * len(ports)
