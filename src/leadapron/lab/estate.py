"""The demo estate and its truth.

Some forty addresses of one /26 of loopback, each door on a port that is free on all of its hosts. The truth is written
down beside each server, from what the server is, not from what an audit says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from leadapron.lab import odd
from leadapron.lab.archive import MAX_SEED as MAX_ARCHIVE_SEED
from leadapron.lab.archive import Archive, Persona, made_up
from leadapron.lab.hosts import Host, Truth, census_of, exact
from leadapron.lab.open_folders import BUCKET, BUCKETS, open_folders
from leadapron.lab.server import QUERY, RETRIEVE, STORE, WORKLIST, Behaviour, OnFind, Server
from leadapron.lab.tls import made_up as made_up_pair
from leadapron.lab.tls import new_key, server_context

NETWORK = IPv4Network("127.77.20.0/26")
TITLE = "DEMOPACS"
"""The one called title that the archive which checks titles knows, and that its owner told us."""
PEER = "CT1"
"""The one calling title that the archive which knows its callers knows, from any address."""
ANY = "ANY-SCP"

DCM4CHE = ("1.2.40.0.13.1.3", b"dcm4che-5.31.0")
DICOMPOT = ("1.2.826.0.1.3680043.9.7133.1.1", b"GODICOM_1_1")
"""What the honeypot shows of itself: an unmodified go-netdicom."""
COPIES = 400
"""Studies that the partner's archive shows as well as the hospital's own."""
ARCHIVES = 14
"""Each has a seed of its own, one after the other."""
MAX_SEED = MAX_ARCHIVE_SEED - ARCHIVES + 1
PARTNERS, RESEARCHERS = (17, 18, 20), (14, 15, 16)
"""Servers that are not the hospital's own."""
MIDDLEBOX = range(40, 60)
"""Addresses that all echo what they are sent."""


def _archive(
    number: int,
    what: str,
    behaviour: Behaviour,
    access: str,
    counts: dict[str, tuple[int, str]],
    title: str = ANY,
    genuineness: str = "patients",
) -> Host:
    """`access`: the verdicts on talk, list, read and write, separated by spaces. `genuineness`: of what is listed."""
    verdicts = dict(zip(("talk", "list", "read", "write"), access.split(), strict=True))
    inexact = ("count", "limit") if any(kind == "bound" for _, kind in counts.values()) else None
    shown = behaviour.archives.get(title, behaviour.archives.get("")) if verdicts["list"] == "proven" else None
    truth = Truth(
        resource=title,
        access={"reach": "proven", **verdicts},
        counts=counts,
        unknown=inexact,
        census=census_of(shown) if isinstance(shown, Archive) else {},
        genuineness=(genuineness if shown is not None else "unknown") if verdicts["list"] == "proven" else None,
    )
    server = Server(behaviour)
    return Host(number=number, what=what, serve=server.serve, truth=truth, asked=server.asked)


def hosts(seed: int) -> Iterator[Host]:
    """The estate, one server after the other. Raises ValueError for a seed that is not from 0 to `MAX_SEED`."""
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"a seed is a number from 0 to {MAX_SEED}")
    large = made_up(seed, 2503, persona=Persona.PATIENTS)
    yield from _open(seed, large)
    yield from _closed()
    yield from _faults(large)
    yield from _nobodys(seed)
    yield from _inside_tls(seed)
    yield from open_folders(seed)


def _open(seed: int, large: Archive) -> Iterator[Host]:
    """Archives that show what they hold, one of them behind a title that its owner told us, one with copies of another."""
    other, capped = made_up(seed + 1, 1204, persona=Persona.PATIENTS), made_up(seed + 2, 700, persona=Persona.PATIENTS)
    small = made_up(seed + 3, 6, claims=False, largest=9, persona=Persona.PATIENTS)
    locked = made_up(seed + 4, 304, persona=Persona.PATIENTS)
    copied = Archive(studies=other.studies[:COPIES] + made_up(seed + 10, 55, persona=Persona.PATIENTS).studies)
    open_to_all = "proven proven offered offered"
    yield _archive(1, "open archive", Behaviour(archives={"": large}), open_to_all, exact(large))
    yield _archive(
        2,
        "open archive on dcm4che",
        Behaviour(archives={"": other}, implementation_class_uid=DCM4CHE[0], implementation_version_name=DCM4CHE[1]),
        open_to_all,
        exact(other),
    ).sharing(COPIES, own=len(other.studies))
    yield _archive(
        20, "archive of a partner, with copies", Behaviour(archives={"": copied}), open_to_all, exact(copied)
    ).sharing(COPIES, own=COPIES)
    yield _archive(
        3,
        "archive that caps at 100 answers",
        Behaviour(archives={"": capped}, on_find=OnFind.CAP, limit=100),
        open_to_all,
        {"studies": (101, "bound")},
    )
    yield _archive(4, "archive without study-level numbers", Behaviour(archives={"": small}), open_to_all, exact(small))
    yield _archive(
        5,
        "archive that knows its own title only",
        Behaviour(archives={TITLE: locked}, called=frozenset((TITLE,))),
        open_to_all,
        exact(locked),
        TITLE,
    )


def _closed() -> Iterator[Host]:
    """Servers that list no archive to a stranger; one lists a worklist."""
    yield _archive(
        6,
        "archive that knows its callers",
        Behaviour(calling=frozenset((PEER,))),
        "refused refused refused refused",
        {},
        "",
    )
    yield _archive(
        7,
        "archive that refuses strangers",
        Behaviour(on_find=OnFind.NOT_AUTHORIZED),
        "proven refused offered offered",
        {},
    )
    yield _archive(
        8,
        "archive that aborts the query of a stranger",
        Behaviour(on_find=OnFind.ABORT),
        "proven refused offered offered",
        {},
    )
    yield _archive(
        9,
        "worklist",
        Behaviour(accepts=WORKLIST, worklist=37),
        "proven proven refused refused",
        {"worklist": (37, "exact")},
    )
    yield _archive(10, "receiver of images", Behaviour(accepts=STORE), "proven refused refused offered", {})


def _nobodys(seed: int) -> Iterator[Host]:
    """Open archives that show no patient who could be harmed."""
    open_to_all = "proven proven offered offered"
    phantoms, research = made_up(seed + 5, 43), made_up(seed + 6, 214, persona=Persona.DEIDENTIFIED)
    bait = made_up(seed + 7, 13, persona=Persona.BAIT)
    yield _archive(
        14, "archive of phantoms", Behaviour(archives={"": phantoms}), open_to_all, exact(phantoms), genuineness="test"
    )
    yield _archive(
        15,
        "archive for research, de-identified",
        Behaviour(archives={"": research}),
        open_to_all,
        exact(research),
        genuineness="deidentified",
    )
    yield _archive(
        16,
        "decoy",
        Behaviour(
            archives={"": bait},
            takes_anything=True,
            implementation_class_uid=DICOMPOT[0],
            implementation_version_name=DICOMPOT[1],
        ),
        open_to_all,
        exact(bait),
        genuineness="honeypot",
    )


def _inside_tls(seed: int) -> Iterator[Host]:
    """Three archives that speak TLS only: the keys of two of them came with the product, the third knows its peers."""
    of_the_product, own_key = new_key(), new_key()
    vendor, own = ("vendor.example", new_key()), ("authority.example", new_key())
    shown = server_context(made_up_pair("pacs.example", key=of_the_product, issuer=vendor))
    expired = made_up_pair("old-pacs.example", key=of_the_product, days=(-900, -30), issuer=vendor)
    old = server_context(expired, obsolete=True)
    peers = made_up_pair("peers.example")
    locked = server_context(made_up_pair("locked.example", key=own_key, issuer=own), trusts=peers.certificate)
    open_to_all = "proven proven offered offered"
    first, second = made_up(seed + 8, 96, persona=Persona.PATIENTS), made_up(seed + 9, 61, persona=Persona.PATIENTS)
    yield _archive(17, "archive inside TLS", Behaviour(archives={"": first}), open_to_all, exact(first)).inside(shown)
    yield _archive(18, "archive inside weak TLS", Behaviour(archives={"": second}), open_to_all, exact(second)).inside(
        old
    )
    yield _archive(
        19,
        "archive that lets in who has a certificate",
        Behaviour(archives={"": second}),
        "refused refused refused refused",
        {},
        "",
    ).inside(locked)


def _faults(archive: Archive) -> Iterator[Host]:
    dying = Behaviour(archives={"": archive}, on_find=OnFind.DIE, limit=512, accepts=QUERY | RETRIEVE)
    access = {"reach": "proven", "talk": "proven", "list": "proven", "read": "offered", "write": "refused"}
    truth = Truth(
        resource=ANY,
        access=access,
        counts={"studies": (1, "bound")},
        unknown=("count", "reset"),
        genuineness="unknown",
    )
    server = Server(dying)
    yield Host(number=11, what="archive that dies in the middle", serve=server.serve, truth=truth, asked=server.asked)
    silence = Truth(resource=None, unknown=("handshake", "timeout"))
    yield Host(number=12, what="silent port", serve=odd.silent, truth=silence)
    web = Truth(resource=None, unknown=("handshake", "protocol"))
    yield Host(number=13, what="web server on a DICOM port", serve=odd.http, truth=web)
    box = Truth(resource=None, unknown=("handshake", "middlebox"))
    for number in MIDDLEBOX:
        yield Host(number=number, what="middlebox", serve=odd.echo, truth=box)


def address(host: Host) -> IPv4Address:
    return NETWORK[host.number]


def truth(estate: list[Host], ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """The truth as plain data, a row a service. `ports` by door."""
    return [
        {
            "address": str(address(host)),
            "port": ports[host.door],
            "what": host.what,
            "resource": known.resource,
            "access": known.access,
            "counts": {name: list(count) for name, count in known.counts.items()},
            "unknown": list(known.unknown) if known.unknown else None,
            "genuineness": known.genuineness,
            "elsewhere": known.elsewhere,
            "own": known.own,
            "census": {keyword: list(bounds) for keyword, bounds in known.census.items()},
        }
        for host in estate
        for known in (host.truth, *host.also)
    ]


_HEAD = """\
# The scope of `leadapron demo`: made-up servers on this machine's loopback.
version = 1
id = "demo"

[contact]
name = "Lead Apron demo"
email = "nobody@localhost.example"
calling_aet = "LEADAPRON"

[vantage]
kind = "internet"
name = "loopback"
"""
_PACE = """\
[pace]
connections_per_second = 2000
per_network = 2000
"""
_OURS = {"owner": "Example Hospital", "basis": "owner", "granted_by": "you, by starting the demo", "country": "DE"}


def scope(ports: Mapping[str, list[int]], today: str, until: str, seed: int = 0) -> str:
    """The scope file of the demo, of the estate with this seed. `ports` by door."""
    grants = (_grant(number, values, today, until) for number, values in enumerate(_grants(ports), 1))
    named_ports = [f"{door} = {numbers}" for door, numbers in ports.items() if door != BUCKETS]
    mine = [
        "# By what the hospital's own images are known, wherever they lie.",
        "[[mine]]",
        f'uid_roots = ["2.25.{seed + 1}"]',
    ]
    parts = [_HEAD, *grants, "\n".join([*mine, ""]), "\n".join(["[ports]", *named_ports, ""]), _PACE]
    return "\n".join(parts)


def _grants(ports: Mapping[str, list[int]]) -> Iterator[dict[str, Any]]:
    """What each grant says beside what all of them do."""
    (bucket_port,) = ports[BUCKETS]
    partners, researchers = ([f"{NETWORK[number]}" for number in numbers] for numbers in (PARTNERS, RESEARCHERS))
    yield {
        "id": "demo-estate",
        **_OURS,
        "networks": [f"{NETWORK}"],
        "exclude": [f"{NETWORK[63]}"],
        "called_aets": [TITLE],
        "calling_aets": [PEER],
    }
    yield {
        "id": "demo-partner",
        "owner": "Example Hospital",
        "party": "Teleradiology North",
        "basis": "partner",
        "granted_by": "Teleradiology North, by contract",
        "country": "AT",
        "networks": partners,
    }
    yield {
        "id": "demo-research",
        "owner": "Example University",
        "basis": "partner",
        "granted_by": "Example University",
        "country": "CH",
        "networks": researchers,
    }
    yield {"id": "demo-share", **_OURS, "blank_login": True, "networks": [f"{NETWORK[24]}"]}
    yield {"id": "demo-bucket", **_OURS, "buckets": [f"s3://{BUCKET}@http://{NETWORK[25]}:{bucket_port}"]}


def _grant(number: int, values: Mapping[str, Any], today: str, until: str) -> str:
    common = {"reference": f"DEMO-{number}" if number > 1 else "DEMO", "depth": "census", "cleartext_census": True}
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**values, **common}.items()]
    return "\n".join(["[[grant]]", *lines, f"valid_from = {today}", f"valid_until = {until}", ""])
