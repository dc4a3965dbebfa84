"""Where the world stands: ranges of public IPv4 addresses, in countries by the database that ships.

The database is asked at random addresses, since walking through it takes eight seconds: what is found are its large
networks. So are the countries: those named in what was published, and those in which most of these addresses lie.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from leadapron.lab.world.model import Range
from leadapron.scope.mmdb import Database
from leadapron.scope.special import is_special

PROBES = 30_000
FINEST = 24
"""No range is smaller than such a prefix."""
RESETTING = 0.1
"""Of the ranges, so many refuse connections instead of being silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of each country networks that are wholly in it, and how many probes hit it."""

    networks: Mapping[str, Sequence[IPv4Network]]
    hits: Mapping[str, int]

    def countries(self, count: int, named: Sequence[str]) -> list[str]:
        """The named ones first, then those with most addresses."""
        others = sorted((code for code in self.hits if code not in named), key=lambda code: (-self.hits[code], code))
        return [*named, *others][:count]


def look(database: Database) -> Found:
    """What the database says at random addresses, the same ones each time."""
    chance = random.Random("places")  # noqa: S311 - made-up data
    networks: dict[str, dict[IPv4Network, None]] = {}
    hits: Counter[str] = Counter()
    for _ in range(PROBES):
        address = IPv4Address(chance.getrandbits(32))
        _, prefix = database.reader.get_with_prefix_len(address)
        country = database.country(address)
        network = IPv4Network((int(address) >> (32 - prefix) << (32 - prefix), prefix))
        if country and prefix <= FINEST and not (is_special(network[0]) or is_special(network[-1])):
            networks.setdefault(country, {})[network] = None
            hits[country] += 1
    return Found(networks={code: tuple(found) for code, found in networks.items()}, hits=hits)


def ranges(found: Found, countries: Sequence[str], addresses: int, seed: int) -> tuple[Range, ...]:
    """At least so many addresses, as far as the countries have them: of each some, more of large ones."""
    chance = random.Random(f"ranges/{seed}")  # noqa: S311 - made-up data
    room = {code: sum(network.num_addresses for network in found.networks[code]) for code in countries}
    finest = FINEST if addresses < 1 << 22 else FINEST - 4
    picked: list[tuple[IPv4Network, str]] = []
    left, weight = addresses + addresses // 50, sum(math.sqrt(room[code]) for code in countries)
    for code in sorted(countries, key=lambda each: (room[each], each)):  # what a small one lacks, larger ones have
        part = int(left * math.sqrt(room[code]) / weight)
        taken = list(_pieces(found.networks[code], max(part, 1 << (32 - finest)), finest, chance))
        picked += [(network, code) for network in taken]
        left -= sum(network.num_addresses for network in taken)
        weight -= math.sqrt(room[code])
    resetting = set(chance.sample(range(len(picked)), max(1, int(len(picked) * RESETTING))))
    made = [Range(network=net, country=code, resets=place in resetting) for place, (net, code) in enumerate(picked)]
    return tuple(sorted(made, key=lambda each: int(each.network[0])))


def _pieces(
    networks: Sequence[IPv4Network], addresses: int, finest: int, chance: random.Random
) -> Iterator[IPv4Network]:
    """Networks, or aligned parts of them, that add up to `addresses`, but for what is finer than `finest`."""
    for network in chance.sample(list(networks), len(networks)):
        prefix = max(network.prefixlen, 33 - addresses.bit_length())
        if prefix > finest or not addresses:
            continue
        yield part_of(network, prefix, chance)
        addresses -= 1 << (32 - prefix)


def part_of(network: IPv4Network, prefix: int, chance: random.Random) -> IPv4Network:
    """One of the parts of a network that have this prefix."""
    place = chance.randrange(1 << (prefix - network.prefixlen))
    return IPv4Network((int(network.network_address) + (place << (32 - prefix)), prefix))


@dataclass(slots=True, kw_only=True)
class Ground:
    """The addresses on which something may stand, each once."""

    ranges: Mapping[str, Sequence[Range]]
    chance: random.Random
    taken: set[IPv4Address] = field(default_factory=set)
    boxes: list[IPv4Network] = field(default_factory=list)

    @classmethod
    def of(cls, made: Sequence[Range], chance: random.Random) -> Ground:
        by_country: dict[str, list[Range]] = {}
        for each in made:
            by_country.setdefault(each.country, []).append(each)
        return cls(ranges=by_country, chance=chance)

    def country(self) -> str:
        """One of them, by its share of the addresses."""
        codes = sorted(self.ranges)
        sizes = [sum(each.network.num_addresses for each in self.ranges[code]) for code in codes]
        return self.chance.choices(codes, sizes)[0]

    def box(self, prefix: int) -> tuple[IPv4Network, str]:
        """A part of a range on which nothing else stands, and its country. To be asked for before addresses are."""
        while True:
            country = self.country()
            roomy = [each.network for each in self.ranges[country] if each.network.prefixlen <= prefix - 2]
            if not roomy:
                continue
            network = part_of(self.chance.choice(roomy), prefix, self.chance)
            if not any(network.supernet(new_prefix=prefix - 1).overlaps(box) for box in self.boxes):
                self.boxes.append(network)
                return network, country

    def address(self, country: str) -> IPv4Address:
        """One on which nothing stands, and that could be a host's: not the first or last of a /24."""
        networks = [each.network for each in self.ranges[country]]
        sizes = [network.num_addresses for network in networks]
        while True:
            network = self.chance.choices(networks, sizes)[0]
            address = network[self.chance.randrange(network.num_addresses)]
            is_edge = int(address) & 0xFF in (0, 255)
            if is_edge or address in self.taken or any(address in box for box in self.boxes):
                continue
            self.taken.add(address)
            return address
