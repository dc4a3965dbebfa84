"""Services that answer elsewhere now: which endpoint of earlier runs is which endpoint of this one. Pure.

| because | what is the same at both places |
|---|---|
| `name` | the granted name that led there, and the port |
| `key` | grant, and the public key of the TLS certificate, which no other host had |
| `content` | grant, product, accepted contexts, and the exact numbers of studies (`TELLING` at least) and of images |
| `title` | grant, product, accepted contexts, and a called title that the server checks, with about as many studies |

Where two places come into question for one, on either side, nothing is said: copies and decoys are alike, too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from leadapron.assess.compare import accepted_contexts
from leadapron.model import Address, Count, CountKind, Endpoint, Observation, Service

Place = tuple[Address, int, str]
"""Address, port, protocol."""

SIGNS = ("content", "key", "name", "title")

TELLING = 20
"""Numbers of fewer studies are the same by chance."""

Seen = Mapping[Place, Sequence[Observation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    before: Endpoint
    after: Endpoint
    protocol: str
    because: tuple[str, ...]
    """of `SIGNS`; one at least"""


def place(service: Service) -> Place:
    """Without the name that led to it, which may change."""
    return service.endpoint.address, service.endpoint.port, service.protocol


def by_place(observations: Iterable[Observation]) -> dict[Place, list[Observation]]:
    found: defaultdict[Place, list[Observation]] = defaultdict(list)
    for seen in observations:
        found[place(seen.service)].append(seen)
    return dict(found)


def moves(gone: Seen, come: Seen, shared: Collection[str] = ()) -> list[Move]:
    """`gone`: what was last seen at places where nothing answers any more; `come`: what this run saw at places that were
    not known before it; `shared`: public keys that several hosts had, which tell none of them again."""
    pairs = _pairs(gone, come, shared)
    froms, tos = Counter(before for before, _ in pairs), Counter(after for _, after in pairs)
    return [
        Move(
            before=gone[before][0].service.endpoint,
            after=come[after][0].service.endpoint,
            protocol=before[2],
            because=tuple(sorted(because)),
        )
        for (before, after), because in pairs.items()
        if froms[before] == tos[after] == 1
    ]


def _pairs(gone: Seen, come: Seen, shared: Collection[str]) -> dict[tuple[Place, Place], set[str]]:
    """Which places have a mark in common, and which kinds of marks."""
    marked: defaultdict[tuple[str, Hashable], list[tuple[Place, Observation]]] = defaultdict(list)
    for after, observations in come.items():
        for seen in observations:
            for mark in _marks(seen, shared):
                marked[mark].append((after, seen))
    found: defaultdict[tuple[Place, Place], set[str]] = defaultdict(set)
    for before, observations in gone.items():
        for seen in observations:
            for mark in _marks(seen, shared):
                for after, there in marked.get(mark, ()):
                    if mark[0] != "title" or _are_about_as_many(seen, there):
                        found[before, after].add(mark[0])
    return found


def _marks(seen: Observation, shared: Collection[str]) -> Iterator[tuple[str, Hashable]]:
    """What a service is told again by."""
    endpoint, protocol = seen.service.endpoint, seen.service.protocol
    if endpoint.name:
        yield "name", (protocol, endpoint.name, endpoint.port)
    key = str(seen.tls.get("spki_sha256", "")) if seen.tls is not None else ""
    if key and key not in shared and seen.facts.get("tls.key_hosts", 1) == 1:
        yield "key", (protocol, seen.owner.grant, key)
    product = seen.product.name or seen.product.candidates
    if not product:
        return
    like = (protocol, seen.owner.grant, product, accepted_contexts(seen))
    studies, images = _exact(seen.counts.studies), _exact(seen.counts.images)
    if studies is not None and images is not None and studies >= TELLING:
        yield "content", (like, studies, images)
    if seen.facts.get("called_title_enforced") is True and seen.service.resource:
        yield "title", (like, seen.service.resource)


def _exact(count: Count | None) -> int | None:
    return count.value if count is not None and count.kind is CountKind.EXACT else None


def _are_about_as_many(before: Observation, after: Observation) -> bool:
    """Within a half and the double; also where nobody knows."""
    first, second = before.counts.studies, after.counts.studies
    if first is None or second is None:
        return True
    return max(first.low, second.low) <= 2 * min(first.value, second.value)
