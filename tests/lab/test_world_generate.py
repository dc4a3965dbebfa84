"""The world: the published figures are exact, every kind is there, and the same seed gives the same world."""

from __future__ import annotations

import functools
from collections import Counter
from ipaddress import IPv4Network, collapse_addresses

import pytest

from leadapron.attribute.place import shipped
from leadapron.lab.archive import MAX_SEED
from leadapron.lab.world import published
from leadapron.lab.world.generate import MAX_SCALE, REFUSING, world
from leadapron.lab.world.model import CAPS, PORTS, REFUSALS, BoxKind, Kind, Server, World
from leadapron.lab.world.studies import Whose
from leadapron.scope.special import is_special

made = functools.cache(world)

SCALES = [1, 10, MAX_SCALE]
BETWEEN = [2, 5, 20, 31, 32, 33, 50, 77, 99]


def genuine(of: World) -> list[Server]:
    return [server for server in of.exposed if server.is_genuine]


def unique_images(servers: list[Server]) -> int:
    """Of collections that somebody shows whole."""
    shelves = {(shelf.collection, shelf.count) for server in servers for shelf in server.holdings.shelves}
    whole = {collection for collection, count in shelves if count == collection.studies}
    assert whole == {collection for collection, _ in shelves}
    return sum(collection.images for collection in whole)


def test_the_published_figures_are_exact() -> None:
    servers = genuine(made(2020))
    by_country = Counter(server.country for server in servers)
    images = Counter[str]()
    for server in servers:
        images[server.country] += server.holdings.images
    assert len(servers) == published.SERVERS == 2_140
    assert len(by_country) == published.COUNTRIES == 67
    assert unique_images(servers) == published.IMAGES == 45_000_000
    assert sum(server.holdings.images > published.GIANT for server in servers) == published.GIANTS == 12
    assert (images["US"], images["KR"], images["RU"], images["GB"]) == (9_800_000, 9_600_000, 8_800_000, 23_000)
    assert by_country["GB"] == 90


def test_copies_make_the_raw_sum_larger() -> None:
    servers = genuine(made(2020))
    assert sum(server.holdings.images for server in servers) > 45_000_000
    mirrors = [server for server in servers if server.kind is Kind.MIRROR]
    assert not {server.country for server in mirrors} & published.BY_COUNTRY.keys()
    owners = {server.holdings.shelves[0].collection.origin: server for server in servers if server.kind is Kind.OPEN}
    for mirror in mirrors:
        copied, own = mirror.holdings.shelves
        assert copied.collection.origin in owners
        assert own.collection.origin not in owners


@pytest.mark.parametrize("scale", [*SCALES, *BETWEEN])
def test_figures_are_divided_by_the_scale(scale: int) -> None:
    of = made(2020, scale)
    servers = genuine(of)
    assert len(servers) == round(published.SERVERS / scale)
    british = sum(server.country == "GB" for server in servers)
    assert british == max(1, round(90 / scale))
    assert len({server.country for server in servers}) == min(published.COUNTRIES, len(servers) - british + 1)
    assert unique_images(servers) == published.IMAGES // scale
    assert 100_000_000 // scale <= of.addresses < 104_000_000 // scale
    assert sum(not server.kind.lists for server in of.servers) == REFUSING // scale
    assert sum(server.holdings.images for server in servers if server.country == "KR") == 9_600_000 // scale


@pytest.mark.parametrize(
    ("seed", "scale"), [(2020, 1), *((seed, scale) for seed in (0, 2020, MAX_SEED) for scale in SCALES[1:])]
)
def test_every_kind_is_there(seed: int, scale: int) -> None:
    of = made(seed, scale)
    assert {server.kind for server in of.servers} == set(Kind)
    assert {server.whose for server in of.servers} == set(Whose)
    assert {box.kind for box in of.boxes} == set(BoxKind)
    assert {server.port for server in of.servers} == set(PORTS)
    assert {each.resets for each in of.ranges} == {True, False}


@pytest.mark.parametrize("scale", SCALES)
def test_the_country_of_each_place_is_that_of_the_database(scale: int) -> None:
    of = made(2020, scale)
    with shipped() as database:
        for each in of.ranges:
            assert {database.country(each.network[place]) for place in (0, -1)} == {each.country}
        for server in of.servers:
            assert database.country(server.address) == server.country
        for box in of.boxes:
            assert database.country(box.network[0]) == box.country


@pytest.mark.parametrize("scale", SCALES)
def test_ranges_are_apart_and_public_and_everything_stands_in_one_of_its_country(scale: int) -> None:
    of = made(2020, scale)
    networks = [each.network for each in of.ranges]
    assert sum(network.num_addresses for network in collapse_addresses(networks)) == of.addresses
    assert not any(is_special(network[0]) or is_special(network[-1]) for network in networks)
    assert networks == sorted(networks)
    country = {each.network: each.country for each in of.ranges}

    def home(network: IPv4Network) -> str:
        return next(
            country[above]
            for prefix in range(network.prefixlen, 7, -1)
            if (above := network.supernet(new_prefix=prefix)) in country
        )

    assert all(home(IPv4Network(server.address)) == server.country for server in of.servers)
    assert all(home(box.network) == box.country for box in of.boxes)


@pytest.mark.parametrize("scale", SCALES)
def test_no_two_stand_at_one_address_and_no_server_in_a_box(scale: int) -> None:
    of = made(2020, scale)
    assert len({server.address for server in of.servers}) == len(of.servers)
    assert not any(server.address in box.network for server in of.servers for box in of.boxes)
    assert all(box.network.num_addresses >= 64 for box in of.boxes), "of fewer a middlebox that answers is not told"


@pytest.mark.parametrize("scale", SCALES)
def test_what_caps_has_more_than_its_cap(scale: int) -> None:
    for server in made(2020, scale).servers:
        if server.kind in CAPS:
            assert server.holdings.studies > CAPS[server.kind]


def test_a_server_above_a_million_images_has_a_few_thousand_studies() -> None:
    giants = [server for server in made(2020).servers if server.holdings.images > published.GIANT]
    assert all(2_000 <= server.holdings.studies <= 5_000 for server in giants)


@pytest.mark.parametrize("scale", SCALES)
def test_decoys_show_the_same_on_three_hosts_or_more(scale: int) -> None:
    decoys = [server.holdings for server in made(2020, scale).exposed if server.whose is Whose.HONEYPOT]
    assert min(Counter(decoys).values()) >= 3


def test_the_same_seed_gives_the_same_world_and_another_another() -> None:
    assert world(7, MAX_SCALE) == world(7, MAX_SCALE)
    assert world(7, MAX_SCALE).servers != world(8, MAX_SCALE).servers


def test_those_that_refuse_refuse() -> None:
    assert all(server.kind in REFUSALS for server in made(2020, MAX_SCALE).servers if not server.kind.lists)
    assert len(REFUSALS) == 6


@pytest.mark.parametrize(("seed", "scale"), [(-1, 1), (MAX_SEED + 1, 1), (0, 0), (0, MAX_SCALE + 1)])
def test_a_seed_or_scale_out_of_bounds_is_none(seed: int, scale: int) -> None:
    with pytest.raises(ValueError, match="is a number from"):
        world(seed, scale)
