"""The world is played where no packet can leave, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from small_worlds import world_of

from leadapron.errors import InputError
from leadapron.lab.world import closed, commands
from leadapron.lab.world.closed import expect_closed, way_out
from leadapron.lab.world.serve import serving

LO = {"ifname": "lo", "link_type": "loopback"}
VETH = {"ifname": "eth0", "linkinfo": {"info_kind": "veth"}}
NEAR = {"dst": "10.9.0.0/30", "dev": "eth0", "protocol": "kernel", "scope": "link"}


def test_loopback_and_a_cable_between_namespaces_lead_nowhere() -> None:
    assert way_out([LO], []) is None
    assert way_out([LO, VETH], [NEAR, {"type": "local", "dst": "198.18.0.0/15", "dev": "lo"}]) is None


@pytest.mark.parametrize(
    ("link", "route", "says"),
    [
        ({"ifname": "ens3", "link_type": "ether"}, NEAR, "here is ens3"),
        ({"ifname": "br0", "linkinfo": {"info_kind": "bridge"}}, NEAR, "here is br0"),
        ({"ifname": "wg0", "linkinfo": {"info_kind": "wireguard"}}, NEAR, "here is wg0"),
        (VETH, {"dst": "default", "gateway": "172.17.0.1", "dev": "eth0"}, "here is a route to default"),
        (VETH, {"dst": "default", "dev": "eth0"}, "here is a route to default"),
        (VETH, {"dst": "203.0.113.0/24", "gateway": "172.17.0.1"}, "here is a route to 203.0.113.0/24"),
        (VETH, {"dst": "203.0.113.0/24", "via": {"family": "inet6", "host": "fe80::1"}}, "here is a route to 203"),
        (VETH, {"dst": "203.0.113.0/24", "nexthops": [{"gateway": "172.17.0.1"}]}, "here is a route to 203"),
    ],
)
def test_anything_else_is_a_way_out(link: dict[str, Any], route: dict[str, Any], says: str) -> None:
    assert str(way_out([LO, link], [route])).startswith(says)


def _open(*arguments: str) -> list[dict[str, Any]]:
    return [LO, {"ifname": "ens3"}] if "link" in arguments else [NEAR]


def test_where_there_is_one_nothing_listens_and_no_rules_are_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(closed, "_asked", _open)

    async def serve() -> None:
        async with serving(world_of([])):
            raise AssertionError("it listens")

    with pytest.raises(InputError, match="without a way out only: here is ens3"):
        asyncio.run(serve())
    for command in ("serve", "nft"):
        assert commands.main([command, "--scale", "100"]) == 2
        out, err = capsys.readouterr()
        assert (out, err) == ("", "the world is played in a network namespace without a way out only: here is ens3\n")


def test_without_ip_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="needs `ip`"):
        expect_closed()


def test_an_ip_that_fails_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed.shutil, "which", lambda _: "/bin/false")
    with pytest.raises(InputError, match="does not say"):
        expect_closed()
