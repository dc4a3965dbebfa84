"""Every door x open, locked, hostile: what an audit says of servers whose truth is known (`matrix`), to the last service."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from file_doors import open_to_all
from matrix import matrix, serve
from matrix.audit import Audited, audit
from matrix.cells import Hostile, Peer
from real_servers import free_ports, namespace, require

from leadapron.model import Endpoint

pytestmark = pytest.mark.peer

BUDGET = "[budget]\nanswers = 3000\nrequests = 60\nseconds = 6\n"
"""Of each hostile server."""
SECONDS, MEBIBYTES = 60.0, 200.0
"""Of an audit of all hostile servers of a door."""


@pytest.mark.parametrize("door", sorted(door for door, row in matrix().items() if row.peers))
def test_what_real_servers_hold_is_what_is_seen(door: str, tmp_path: Path) -> None:
    require("ip", "ss")
    peers = matrix()[door].peers
    open_to_all(tmp_path)
    with namespace() as inside, contextlib.ExitStack() as stack:
        endpoints = []
        for number, peer in enumerate(peers):
            folder = tmp_path / f"peer-{number}"
            folder.mkdir(mode=0o755)
            endpoints.append(stack.enter_context(peer.start(inside, folder)))
        audited = audit(inside, tmp_path / "audit", door, endpoints, named(peers, endpoints))
    holds(audited, door, peers, endpoints)


@pytest.mark.parametrize("door", sorted(matrix()))
def test_whoever_means_harm_is_a_result_in_bounded_time_and_memory(door: str, tmp_path: Path) -> None:
    require("ip", "ss")
    hostile = matrix()[door].hostile
    port, ready = free_ports(2)
    endpoints = [Endpoint(address=ip_address(serve.address_of(number)), port=port) for number in range(len(hostile))]
    command = (
        "env",
        f"PYTHONPATH={os.pathsep.join(sys.path)}",
        sys.executable,
        "-m",
        "matrix.serve",
        door,
        port,
        ready,
    )
    with namespace() as inside, inside.serving(ready, *command, log=tmp_path / "hostile.log"):
        audited = audit(inside, tmp_path / "audit", door, endpoints, named(hostile, endpoints), BUDGET)
    holds(audited, door, hostile, endpoints)
    assert audited.seconds < SECONDS
    assert audited.mebibytes < MEBIBYTES


def named(servers: Sequence[Peer | Hostile], endpoints: Sequence[Endpoint]) -> list[str]:
    """The buckets of the scope."""
    return [name.format(here=here) for each, here in zip(servers, endpoints, strict=True) for name in each.named]


def holds(audited: Audited, door: str, servers: Sequence[Peer | Hostile], endpoints: Sequence[Endpoint]) -> None:
    """Every difference is said, with its server; and nothing is seen anywhere else."""
    differences = [
        each
        for server, here in zip(servers, endpoints, strict=True)
        for each in audited.differences(door, server.server, here, server.cells)
    ]
    assert not differences, "\n".join(["", *differences])
    assert set(audited.services) <= {(str(here.address), here.port) for here in endpoints}
