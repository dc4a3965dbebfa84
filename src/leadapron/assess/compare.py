"""What only the services of a run together say: the same content, the same key, the same host in clear. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from leadapron.model import Address, CountKind, Observation

COMPARED = frozenset({"twins", "tls.key_hosts", "tls.clear_twin", "tls.beside"})
"""The facts that are found here."""


Holders = Mapping[str, frozenset[Address]]
"""By public key: the addresses that had it when they were last seen."""

NOBODY: Holders = MappingProxyType({})


def compared(observations: Sequence[Observation], holders: Holders = NOBODY) -> list[Observation]:
    """Each with what the others add to its facts:

    `twins`: on how many addresses, its own included, the same product shows the same content;
    `tls.key_hosts`: on how many addresses a certificate has the same public key, where several have any; where it is on one,
    and one of its `holders` did not show its key this time, that is not known;
    `tls.clear_twin`: the same host answers DICOM in clear as well; `tls.beside`: it speaks TLS on another port.
    """
    twins, keys = _addresses(observations, _content), _addresses(observations, _public_key)
    if sum(keys.values()) < 2:  # one host alone cannot show that its key is its own
        keys = {}
    silent = _silent(observations, holders)
    keys = {key: hosts for key, hosts in keys.items() if hosts > 1 or key not in silent}
    in_clear = {seen.service.endpoint.address for seen in observations if seen.facts.get("clear") is True}
    in_tls = {seen.service.endpoint.address for seen in observations if seen.tls is not None}
    return [
        replace(
            seen,
            facts={
                **{name: value for name, value in seen.facts.items() if name not in COMPARED},
                **_count("twins", twins, _content(seen)),
                **_count("tls.key_hosts", keys, _public_key(seen)),
                **_yes("tls.clear_twin", seen.tls is not None and seen.service.endpoint.address in in_clear),
                **_yes("tls.beside", seen.tls is None and seen.service.endpoint.address in in_tls),
            },
        )
        for seen in observations
    ]


Key = Callable[[Observation], Hashable | None]


def _content(seen: Observation) -> Hashable | None:
    studies, images = seen.counts.studies, seen.counts.images
    if studies is None or images is None or not studies.value or studies.kind is not CountKind.EXACT:
        return None
    return seen.product, accepted_contexts(seen), studies.value, images.value


def accepted_contexts(seen: Observation) -> tuple[str, ...]:
    """The names of the facts, sorted."""
    return tuple(sorted(name for name, value in seen.facts.items() if name.startswith("context.") and value))


def _public_key(seen: Observation) -> Hashable | None:
    return seen.tls.get("spki_sha256") if seen.tls is not None else None


def _silent(observations: Sequence[Observation], holders: Holders) -> set[str]:
    """The keys that an address had which shows none this time."""
    shown = {seen.service.endpoint.address for seen in observations if _public_key(seen) is not None}
    return {key for key, addresses in holders.items() if addresses - shown}


def _addresses(observations: Sequence[Observation], key: Key) -> Mapping[Hashable | None, int]:
    """On how many addresses each key was seen."""
    found: defaultdict[Hashable, set[Address]] = defaultdict(set)
    for seen in observations:
        if (one := key(seen)) is not None:
            found[one].add(seen.service.endpoint.address)
    return {one: len(addresses) for one, addresses in found.items()}


def _count(name: str, counted: Mapping[Hashable | None, int], key: Hashable | None) -> dict[str, int]:
    return {} if key not in counted else {name: counted[key]}


def _yes(name: str, holds: bool) -> dict[str, bool]:
    """The fact, where it holds. Where it does not, nobody looked at every port."""
    return {name: True} if holds else {}
