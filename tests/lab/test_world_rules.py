"""The firewall keeps silent what is not there; the scope is one that `leadapron` takes."""

from __future__ import annotations

import datetime as dt
import functools
import re
from ipaddress import IPv4Network, collapse_addresses
from pathlib import Path

import pytest

from leadapron.lab.world import commands
from leadapron.lab.world.generate import world
from leadapron.lab.world.model import PORTS, World
from leadapron.lab.world.rules import MOST_ADDRESSES, PAGE, page, ruleset, scope, swept
from leadapron.model import Depth
from leadapron.scope.grant import load_scope

made = functools.cache(world)
TODAY = dt.date(2026, 11, 28)


def elements(text: str, name: str) -> list[str]:
    (block,) = re.findall(rf"(?:set|map) {name} \{{.*?elements = \{{(.*?)\}}", text, re.DOTALL)
    return [each.strip() for each in block.split(",") if each.strip()]


def test_the_servers_are_let_in() -> None:
    of = made(3, 100)
    assert set(elements(ruleset(of), "live")) == {f"{server.address} . {server.port}" for server in of.servers}


def test_each_address_of_the_world_has_one_verdict() -> None:
    of, verdicts = made(3, 100), dict[IPv4Network, str]()
    for network, verdict in (each.split(" : ") for each in elements(ruleset(of), "ranges")):
        verdicts[IPv4Network(network)] = verdict
    assert list(collapse_addresses(verdicts)) == list(collapse_addresses(each.network for each in of.ranges))
    assert sum(each.num_addresses for each in verdicts) == of.addresses, "none overlap"
    assert {each for each, verdict in verdicts.items() if verdict == "goto boxes"} == {box.network for box in of.boxes}
    for each in of.ranges:
        wanted = "goto refusing" if each.resets else "drop"
        assert {v for n, v in verdicts.items() if n.subnet_of(each.network)} - {"goto boxes"} == {wanted}


def test_who_is_there_is_let_in_before_the_rest_is_dropped() -> None:
    lines = [line.strip() for line in ruleset(made(3, 100)).splitlines()]
    early = lines.index("chain early {")
    assert lines[early + 2 : early + 4] == ["ip daddr . tcp dport @live accept", "ip daddr vmap @ranges"]
    assert "tcp dport { 104, 2761, 4242, 11112 } accept" in lines


@pytest.mark.parametrize("around", [None, 24, 28, 32])
def test_parts_of_the_ranges_hold_all_that_stands_there_and_nothing_outside(around: int | None) -> None:
    of = made(3, 100)
    parts = swept(of, around)
    places = [IPv4Network(server.address) for server in of.servers] + [box.network for box in of.boxes]
    assert all(any(place.subnet_of(part) for part in parts) for place in places)
    assert all(any(part.subnet_of(each.network) for each in of.ranges) for part in parts)
    assert sum(part.num_addresses for part in parts) <= of.addresses


@pytest.mark.parametrize("around", [None, 24])
@pytest.mark.parametrize("depth", ["connect", "talk", "count", "census"])
def test_each_scope_is_valid_and_grants_what_is_swept(depth: str, around: int | None, tmp_path: Path) -> None:
    of = made(3, 100)
    (tmp_path / "scope.toml").write_text(scope(of, TODAY, depth=depth, around=around, rate=777))
    (tmp_path / PAGE).write_text(page(of))
    known = load_scope(tmp_path / "scope.toml", today=TODAY)
    networks = [network for grant in known.grants for network in grant.networks]
    assert sum(network.num_addresses for network in networks) == sum(each.num_addresses for each in swept(of, around))
    assert {grant.depth for grant in known.grants} == {Depth[depth.upper()]}
    assert known.ports.by_door == {"dicom": PORTS}
    assert (known.pace.connections_per_second, known.pace.per_network) == (777, 777)
    is_census = depth == "census"
    assert (known.survey is None) == is_census
    assert {(grant.basis, grant.wide, grant.cleartext_census) for grant in known.grants} == {
        ("owner", False, True) if is_census else ("statutory", True, False)
    }


def test_no_grant_of_a_census_is_wide(tmp_path: Path) -> None:
    of = made(3, 10)
    (tmp_path / "scope.toml").write_text(scope(of, TODAY, depth="census"))
    grants = load_scope(tmp_path / "scope.toml", today=TODAY).grants
    sizes = [sum(network.num_addresses for network in grant.networks) for grant in grants]
    assert len(sizes) > 5
    assert max(sizes) <= MOST_ADDRESSES
    assert sum(sizes) == of.addresses


def test_a_scope_of_the_largest_world_is_small_enough_to_be_one(tmp_path: Path) -> None:
    of: World = made(3, 1)
    (tmp_path / "scope.toml").write_text(scope(of, TODAY))
    (tmp_path / PAGE).write_text(page(of))
    assert len(load_scope(tmp_path / "scope.toml", today=TODAY).grants[0].networks) == len(of.ranges)


def test_the_commands_write_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--seed", "3", "--scale", "100"]
    assert commands.main(["ranges", *given]) == 0
    assert capsys.readouterr().out.split() == [str(each.network) for each in made(3, 100).ranges]
    assert commands.main(["ranges", *given, "--around", "24", "--out", str(tmp_path / "ranges")]) == 0
    assert (tmp_path / "ranges").read_text().split() == list(map(str, swept(made(3, 100), 24)))
    assert commands.main(["scope", *given, "--out", str(tmp_path / "scope.toml")]) == 0
    assert load_scope(tmp_path / "scope.toml").survey is not None, "its page lies beside it"
    assert commands.main(["truth", *given, "--out", str(tmp_path / "no" / "file")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'no' / 'file'}: No such file or directory\n"


@pytest.mark.parametrize(
    "wrong", ["--scale=0", "--scale=101", "--seed=-1", "--seed=1000000000", "--scale=x", "--seed="]
)
def test_a_number_out_of_bounds_is_a_wrong_option(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.main(["truth", wrong])
    assert caught.value.code == 2
    assert "a number from" in capsys.readouterr().err
