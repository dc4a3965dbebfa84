"""Each study once: what the exposed services of a run show together, from the lists that the store keeps of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from leadapron.assess.unique import Archive, Union
from leadapron.model import Address, Observation, Unique
from leadapron.protocols.base import Protocol
from leadapron.protocols.shown import Records, unpacked
from leadapron.report.view import only_worklist
from leadapron.store.store import Store

Place = tuple[Address, int, str, str]


def joined(
    observations: Sequence[Observation], store: Store, run_id: str, protocols: Mapping[str, Protocol], folder: Path
) -> tuple[list[Observation], Unique | None]:
    """Each observation with the fact `studies_elsewhere`, where its studies were listed: how many of them another exposed
    service shows too. And the totals; None where nothing is exposed. `folder`: for files, while it works."""
    numbers = {_place(seen): number for number, seen in enumerate(observations) if _is_archive(seen)}
    if not numbers:
        return list(observations), None
    order = {number: place for place, number in enumerate(numbers.values())}
    archives = [
        Archive(counts=seen.counts, is_genuine=_is_genuine(seen))
        for seen in (observations[number] for number in numbers.values())
    ]

    def lists() -> Iterator[tuple[int, Records]]:
        for endpoint, name, job, raw in store.shown_studies(run_id):
            number = numbers.get((endpoint.address, endpoint.port, *protocols[name].service_of(job)))
            if number is not None:
                yield order[number], unpacked(raw)

    unique, elsewhere = Union(archives, folder).join(lists())
    found = list(observations)
    for number, place in order.items():
        if place in elsewhere:
            facts = {**found[number].facts, "studies_elsewhere": elsewhere[place]}
            found[number] = replace(found[number], facts=facts)
    return found, unique


def _place(seen: Observation) -> Place:
    service = seen.service
    return service.endpoint.address, service.endpoint.port, service.protocol, service.resource


def _is_archive(seen: Observation) -> bool:
    return seen.exposed and not only_worklist(seen)


def _is_genuine(seen: Observation) -> bool | None:
    verdict = None if seen.genuineness is None else seen.genuineness.verdict
    return None if verdict in (None, "unknown") else verdict == "patients"
