"""From a seed and a scale to a world: the published figures exactly, everything else drawn."""

from __future__ import annotations

import dataclasses
import random
import tomllib
from collections.abc import Iterator, Sequence
from importlib import resources

from leadapron.attribute.place import shipped
from leadapron.lab.archive import MAX_SEED
from leadapron.lab.world import places, published
from leadapron.lab.world.draw import shared, uneven
from leadapron.lab.world.holdings import Holdings, Shelf
from leadapron.lab.world.model import CAPS, PORTS, Box, BoxKind, Kind, Server, World
from leadapron.lab.world.places import Ground
from leadapron.lab.world.studies import Collection, Whose

MAX_SCALE = 100
"""At 1:100 there are 21 open servers: enough for one of each kind."""
ADDRESSES = 100_000_000
REFUSING = 10_000
NOBODYS = {Whose.TEST: 200, Whose.HONEYPOT: 150, Whose.PUBLIC: 60, Whose.DEIDENTIFIED: 40}
"""Open servers that show no patients; not published."""
FAMILY = 4
"""Honeypots that show the same, and sites that show one public collection."""
BOXES = 20
"""Of each kind."""

_KINDS = {
    Kind.MIRROR: 60,
    Kind.BARE: 40,
    Kind.CAPS_AT_100: 40,
    Kind.CAPS_AT_500: 25,
    Kind.CAPS_AT_1000: 25,
    Kind.SLOW: 80,
    Kind.DIES: 10,
    Kind.FALTERS: 10,
}
"""Of the open servers; the others are plain."""
_REFUSALS = {
    Kind.RESETS: 25,
    Kind.REJECTS: 20,
    Kind.KNOWS_ITS_TITLE: 15,
    Kind.KNOWS_ITS_CALLERS: 15,
    Kind.REFUSES: 5,
    Kind.ABORTS: 20,
}
"""Percent of those that refuse."""
_PORT_WEIGHTS = (45, 5, 15, 35)
_SERVER_WEIGHTS = {"US": 24.0, "KR": 6.0, "RU": 8.0}
"""Beside the weight of any other country: where they are drawn as few, the images of these would lie on one server."""
_GIANTS_IN = ("US", "KR", "RU", "", "US", "KR", "RU", "", "US", "KR", "RU", "US")
"""Where servers above a million images stand, in this order as far as there is room: "" the largest of the others."""


def world(seed: int, scale: int = 1) -> World:
    """The world of this seed, images, servers and addresses divided by `scale`.

    Raises ValueError for a seed that is not from 0 to `MAX_SEED`, or a scale that is not from 1 to `MAX_SCALE`.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"a seed is a number from 0 to {MAX_SEED}")
    if not 1 <= scale <= MAX_SCALE:
        raise ValueError(f"a scale is a number from 1 to {MAX_SCALE}")
    with shipped() as database:
        found, built = places.look(database), database.built
    count = max(1, round(published.SERVERS / scale))
    fixed = _fixed(scale)
    most = count - sum(fixed.values()) + len(fixed)
    countries = found.countries(min(published.COUNTRIES, most), list(published.BY_COUNTRY))
    made = places.ranges(found, countries, ADDRESSES // scale, seed)
    chance = random.Random(f"world/{seed}/{scale}")  # noqa: S311 - made-up data
    ground = Ground.of(made, chance)
    boxes = tuple(_boxes(ground, scale))
    return World(
        seed=seed,
        scale=scale,
        countries_by=f"{_database()}, {built}",
        ranges=made,
        servers=tuple(_Servers(seed, scale, chance, ground).all(_of_countries(countries, count, scale, chance))),
        boxes=boxes,
    )


def _fixed(scale: int) -> dict[str, int]:
    """The servers of the countries of which that was published."""
    known = published.BY_COUNTRY.items()
    return {code: max(1, round(each.servers / scale)) for code, each in known if each.servers}


def _database() -> str:
    about = tomllib.loads((resources.files("leadapron.attribute") / "data" / "country.toml").read_text("utf-8"))
    return f"{about['name']} {about['version']}"


def _boxes(ground: Ground, scale: int) -> Iterator[Box]:
    prefix = 24 if scale < 10 else 25
    for kind in BoxKind:
        for _ in range(max(1, BOXES // scale)):
            network, country = ground.box(prefix)
            yield Box(network=network, country=country, kind=kind)


def _of_countries(
    countries: Sequence[str], count: int, scale: int, chance: random.Random
) -> list[tuple[str, list[int]]]:
    """The images of each open server, by country: as published, in all and of the countries that were named."""
    known = published.BY_COUNTRY
    servers = _fixed(scale)
    drawn = [code for code in countries if code not in servers]
    weights = [_SERVER_WEIGHTS.get(code, chance.lognormvariate(0.0, 0.8)) for code in drawn]
    servers |= dict(zip(drawn, shared(count - sum(servers.values()), weights), strict=True))
    images = {code: each.images // scale for code, each in known.items()}
    others = [code for code in countries if code not in images]
    rest = published.IMAGES // scale - sum(images.values())
    by_size = [servers[code] * chance.lognormvariate(0.0, 0.7) for code in others]
    images |= dict(zip(others, shared(rest, by_size, least=4 * max(servers[code] for code in others)), strict=True))
    giants = _giants(images, published.GIANTS // scale)
    return [(code, _sizes(chance, images[code], servers[code], giants.get(code, 0))) for code in countries]


def _giants(images: dict[str, int], count: int) -> dict[str, int]:
    """How many servers above a million images stand in which country: fewer than `count` where there is no room."""
    others = sorted((code for code in images if code not in published.BY_COUNTRY), key=lambda code: -images[code])
    giants: dict[str, int] = {}
    for named in (*_GIANTS_IN, *_GIANTS_IN):
        code = named or next((code for code in others if code not in giants), "")
        room = images.get(code, 0) - (giants.get(code, 0) + 1) * 1.3 * published.GIANT
        if sum(giants.values()) < count and room > 0:
            giants[code] = giants.get(code, 0) + 1
    return giants


def _sizes(chance: random.Random, images: int, servers: int, giants: int) -> list[int]:
    """The images of each server of a country. Above `published.GIANT` are exactly `giants`."""
    least = giants * (published.GIANT + 1)
    spare = (images - least) * 0.4 if giants else 0.0
    large = (
        [published.GIANT + part for part in uneven(chance, giants + int(spare), giants, spread=0.6)] if giants else []
    )
    if servers == giants:
        return large
    most = published.GIANT if servers > 1 or images <= published.GIANT else None
    return [*large, *uneven(chance, images - sum(large), servers - giants, most=most)]


class _Servers:
    """Draws servers onto the ground. Each has a number of its own, the origin of its studies."""

    def __init__(self, seed: int, scale: int, chance: random.Random, ground: Ground) -> None:
        self._seed, self._scale, self._chance, self._ground = seed, scale, chance, ground
        self._origin = 0

    def all(self, sizes: Sequence[tuple[str, list[int]]]) -> Iterator[Server]:
        yield from self._open(sizes)
        yield from self._nobodys()
        yield from self._refusing()

    def _collection(self, images: int, whose: Whose = Whose.PATIENTS, *, least: int = 1) -> Collection:
        """Of so many images; `least` studies, where there are images enough. One above a million has 2,000 to 5,000."""
        if images > published.GIANT:
            studies = self._chance.randint(2_000, 5_000)
        else:
            a_study = min(max(self._chance.lognormvariate(4.0, 0.9), 3.0), 400.0, max(1.0, images / max(least, 1)))
            studies = max(1, least, int(images / max(a_study, images / 12_000)))
        self._origin += 1
        return Collection(
            seed=self._seed, origin=self._origin, studies=min(studies, images), images=images, whose=whose
        )

    def _server(self, country: str, kind: Kind, *shelves: Shelf) -> Server:
        server = Server(
            address=self._ground.address(country),
            port=self._chance.choices(PORTS, _PORT_WEIGHTS)[0],
            country=country,
            kind=kind,
            whose=shelves[0].collection.whose,
            holdings=Holdings(shelves=shelves, claims=kind is not Kind.BARE),
        )
        if kind is not Kind.SLOW:
            return server
        pause, per_second = self._chance.uniform(0.4, 2.5), self._chance.uniform(150, 600)
        return dataclasses.replace(server, pause=round(pause, 2), per_second=round(per_second))

    # -- open --------------------------------------------------------------------------------------------------------------

    def _open(self, sizes: Sequence[tuple[str, list[int]]]) -> Iterator[Server]:
        """Mirrors come last: what they copy has to be there."""
        places_ = [(code, images) for code, of_country in sizes for images in of_country]
        kinds = self._kinds(places_)
        made: list[Server] = []
        for place, (country, images) in enumerate(places_):
            kind = kinds.get(place, Kind.OPEN)
            if kind is not Kind.MIRROR:
                least = int(CAPS.get(kind, 0) * self._chance.uniform(1.1, 4.0))
                own = _whole(self._collection(images, least=max(1, min(least, images))))
                made.append(self._server(country, kind, own))
        plain = [each for each in made if each.kind is Kind.OPEN and each.holdings.images < published.GIANT // 2]
        mirrors = [place for place, kind in kinds.items() if kind is Kind.MIRROR]
        yield from made
        for place, of in zip(mirrors, self._chance.sample(plain, len(mirrors)), strict=True):
            country, images = places_[place]
            (shelf,) = of.holdings.shelves
            part = self._chance.choice((1.0, 0.6))
            copied = Shelf(collection=shelf.collection, count=max(1, int(shelf.count * part)))
            yield self._server(country, Kind.MIRROR, copied, _whole(self._collection(images)))

    def _kinds(self, places_: Sequence[tuple[str, int]]) -> dict[int, Kind]:
        """Which servers are not plain. None of them is a giant, or in a country whose images were published; one that caps
        has images enough for more studies than its cap. A kind to which the scale leaves less than one server has a small
        one, so that it weighs in the totals about what it does at 1:1."""
        kinds: dict[int, Kind] = {}
        by_need = sorted(_KINDS, key=lambda kind: -CAPS.get(kind, 0))
        for kind in by_need:
            free = [
                place
                for place, (country, images) in enumerate(places_)
                if place not in kinds and images <= published.GIANT and country not in ("US", "KR", "RU", "GB")
            ]
            enough = [place for place in free if places_[place][1] >= 4 * CAPS.get(kind, 0)]
            if kind is Kind.BARE or (kind not in CAPS and _KINDS[kind] < self._scale):
                enough = sorted(free, key=lambda place: places_[place][1])[: max(1, len(free) // 3)]
            count = max(1, _KINDS[kind] // self._scale)
            kinds |= dict.fromkeys(self._chance.sample(enough, min(count, len(enough))), kind)
        return kinds

    # -- nobody's, and those that refuse -----------------------------------------------------------------------------------

    def _nobodys(self) -> Iterator[Server]:
        for whose, count in NOBODYS.items():
            number = max(FAMILY if whose is Whose.HONEYPOT else 2, count // self._scale)
            is_family = whose in (Whose.HONEYPOT, Whose.PUBLIC)
            shelf: Shelf | None = None
            for place in range(number):
                if shelf is None or not is_family or (place % FAMILY == 0 and number - place >= FAMILY):
                    shelf = _whole(self._collection(self._chance.randint(60, 4_000), whose, least=8))
                yield self._server(self._ground.country(), Kind.OPEN, shelf)

    def _refusing(self) -> Iterator[Server]:
        for kind, count in zip(_REFUSALS, shared(REFUSING // self._scale, list(_REFUSALS.values())), strict=True):
            for _ in range(count):
                yield self._server(
                    self._ground.country(), kind, _whole(self._collection(self._chance.randint(1, 9_000)))
                )


def _whole(collection: Collection) -> Shelf:
    return Shelf(collection=collection, count=collection.studies)
