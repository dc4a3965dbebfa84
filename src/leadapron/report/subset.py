"""One partner's part of a report: what it answers for, and nothing about anybody else, not even a number. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from leadapron.assess.compare import compared
from leadapron.errors import InputError
from leadapron.model import Address, Finding, FindingStatus, Observation, Run, Service
from leadapron.report.inert import plain
from leadapron.report.view import View, build_view, is_active, service_identity

_COMPARED = ("twins", "tls.key_hosts")
"""Facts that count the addresses of a whole run."""

_OF_OTHERS = "studies_elsewhere"
"""A fact about what other exposed services show; the hashes that it came from are gone."""

_SIGNAL_OF_TWINS = "same_content"


def for_party(view: View, party: str) -> View:
    """The view with the services, findings, unknowns and history of the grants of one party, and totals over these.

    Left out, since they are the run's or somebody else's: unique totals, what was tried and reached elsewhere, why the run
    ended, how it compares with earlier ones, decisions, which are written for the own house, and places that are no endpoint
    of the party's services.
    `party` is its name in the scope, or the only one that differs from it in case. Raises `InputError` for any other.
    """
    name = party_named(view, party)
    observed = [service.observation for service in view.services]
    theirs = [observation for observation in observed if observation.owner.party == name]
    others = [observation for observation in observed if observation.owner.party != name]
    own, changed = _alone(theirs)
    places, addresses = _endpoints(theirs) - _endpoints(others), _addresses(theirs) - _addresses(others)
    part = build_view(
        _run(view.run, len(_endpoints(theirs))),
        own,
        [_without(finding, changed, addresses, view.run) for finding in _findings(view.findings, theirs, others)],
        [unknown for unknown in view.unknowns if unknown.endpoint in places],
    )
    return dataclasses.replace(part, party=name)


def party_named(view: View, party: str) -> str:
    """Raises `InputError`, which names the parties that there are."""
    names = sorted({service.observation.owner.party for service in view.services} - {""})
    alike = [name for name in names if name.casefold() == party.casefold()]
    if party in names:
        return party
    if len(alike) == 1:
        return alike[0]
    shown = ", ".join(map(plain, names))
    if not names:
        raise InputError("no service of this run belongs to a party; set `party` in a grant of the scope file")
    raise InputError(f"no services of a party {plain(party)!r} in this run; choose one of: {shown}")


def _run(run: Run, endpoints: int) -> Run:
    """A partner's networks are not told apart in what a run counts: what it is said to have reached are its services."""
    return dataclasses.replace(
        run,
        why="",
        unique=None,
        summary=None,
        pins=(),
        sweep=None,
        seeds=(),
        delta=None,
        cpu={},
        inventory=(),
        endpoints_tried=endpoints,
        endpoints_reached=endpoints,
    )


def _findings(
    findings: Iterable[Finding], theirs: Sequence[Observation], others: Sequence[Observation]
) -> list[Finding]:
    """Those of their services; of a service that was not seen this time, those at an address that is theirs alone."""
    owned, foreign = _identities(theirs), _identities(others)
    addresses = _addresses(theirs) - _addresses(others)

    def is_theirs(service: Service) -> bool:
        identity = service_identity(service)
        return identity in owned or (identity not in foreign and service.endpoint.address in addresses)

    return [finding for finding in findings if is_theirs(finding.service)]


def _identities(observations: Iterable[Observation]) -> set[tuple[str, int, str, str]]:
    return {service_identity(observation.service) for observation in observations}


def _addresses(observations: Iterable[Observation]) -> set[Address]:
    return {observation.service.endpoint.address for observation in observations}


def _endpoints(observations: Iterable[Observation]) -> set[str]:
    return {str(observation.service.endpoint) for observation in observations}


Changed = Mapping[tuple[str, int, str, str], frozenset[str]]
"""The facts of a service that speak of others, too."""

_EVERY = frozenset({*_COMPARED, _OF_OTHERS})

V = TypeVar("V")


def _alone(observations: Sequence[Observation]) -> tuple[list[Observation], Changed]:
    """Without each fact that would be another one if there were nobody else."""
    changed = {
        service_identity(whole.service): frozenset(
            name for name in _EVERY if name == _OF_OTHERS or whole.facts.get(name) != alone.facts.get(name)
        )
        for whole, alone in zip(observations, compared(observations), strict=True)
    }
    return [_own(observation, changed[service_identity(observation.service)]) for observation in observations], changed


def _own(observation: Observation, names: frozenset[str]) -> Observation:
    judged = observation.genuineness
    if judged is not None and "twins" in names:
        signals = tuple(signal for signal in judged.signals if signal != _SIGNAL_OF_TWINS)
        judged = dataclasses.replace(judged, signals=signals)
    return dataclasses.replace(observation, facts=_kept(observation.facts, names), genuineness=judged)


def _without(finding: Finding, changed: Changed, addresses: set[Address], run: Run) -> Finding:
    """Of a service that was not seen this time nobody can say whom its numbers speak of. A place from which it moved, or to
    which, is told where it is among `addresses`."""
    names = changed.get(service_identity(finding.service), _EVERY) if is_active(finding, run) else _EVERY
    moved_from, moved_to = (
        moved if moved is not None and moved.endpoint.address in addresses else None
        for moved in (finding.moved_from, finding.moved_to)
    )
    is_lost = finding.moved_to is not None and moved_to is None
    return dataclasses.replace(
        finding,
        evidence=_kept(finding.evidence, names),
        status=FindingStatus.NOT_OBSERVED if is_lost else finding.status,
        first_seen=finding.first_seen if moved_from is not None or finding.moved_from is None else finding.last_seen,
        moved_from=moved_from,
        moved_to=moved_to,
    )


def _kept(facts: Mapping[str, V], names: frozenset[str]) -> dict[str, V]:
    return {key: value for key, value in facts.items() if key not in names}
