"""What a run may say about the findings of earlier ones: which it looked for, and whose ports refuse by now."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from leadapron.assess.catalogue import catalogue
from leadapron.assess.compare import Holders
from leadapron.assess.moved import Move, Place, by_place, moves, place
from leadapron.model import Access, Address, Endpoint, Finding, Observation, Owner, Run, Service, Verdict
from leadapron.net.target import Outcome, Target
from leadapron.pipeline_extent import Extent
from leadapron.scope.decision import Permit
from leadapron.scope.gate import Gate
from leadapron.store.chunk import SweepChunk
from leadapron.store.history import SETTLED
from leadapron.store.store import Store

Record = Callable[[Target, Outcome, bytes], object]
Write = Callable[[Sequence[SweepChunk]], object]
Pins = Mapping[str, Sequence[Address]]

ABOUT_KEYS = "LA-22"
"""The control that a key on several addresses breaks."""


def _everything(_control: str, _endpoint: Endpoint) -> bool:
    return True


class Coverage:
    """Whether a run that swept all of its space could see if a control is broken: the address and the port were in that
    space, may be gone into as deep as the control needs, and it was looked for there. `only`: all of that space, where it
    was one endpoint; `extent`: the part of it that was asked."""

    def __init__(
        self,
        gate: Gate,
        looks_for: Callable[[str, Endpoint], bool] = _everything,
        only: Endpoint | None = None,
        extent: Extent | None = None,
    ) -> None:
        self._gate, self._only, self._looks_for, self._extent = gate, only, looks_for, extent
        self._swept = {version: gate.intervals(version) for version in (4, 6)}

    def __call__(self, service: Service, control: str) -> bool:
        known, endpoint = catalogue().get(control), service.endpoint
        if known is None or not self._is_in_space(endpoint) or not self._looks_for(control, endpoint):
            return False
        bound = self._extent.depth(endpoint) if self._extent is not None else None
        if bound is not None and known.depth > bound:
            return False
        return isinstance(self._gate.decide(endpoint.address, endpoint.port, known.depth), Permit)

    def _is_in_space(self, endpoint: Endpoint) -> bool:
        if self._only is not None:
            return (endpoint.address, endpoint.port) == (self._only.address, self._only.port)
        if self._extent is not None and endpoint not in self._extent:
            return False
        return self._is_swept(endpoint.address) or self._gate.policy.spot(endpoint.address, endpoint.port) is not None

    def _is_swept(self, address: IPv4Address | IPv6Address) -> bool:
        """An address may be granted, and not swept: IPv6 in a wide prefix."""
        spans, value = self._swept[address.version], int(address)
        before = bisect_right(spans, (value, math.inf))
        return before > 0 and value <= spans[before - 1][1]


def COVERS_NOTHING(_service: Service, _control: str) -> bool:  # noqa: N802 - stands beside `Coverage`
    """A run that is not complete adds and closes by what it saw, and says nothing about what it did not see."""
    return False


class Refusals:
    """Notes, in a sweep, the endpoints of findings that stand which refuse a connection: the one thing that is kept of a
    single target that was not reached. Refusing is an answer; silence is none, and is not noted."""

    def __init__(
        self, store: Store, run: Run, only: Endpoint | None = None, also: Iterable[tuple[Address, int]] = ()
    ) -> None:
        """`only`, and `also`: endpoints that are noted whatever became of their findings: somebody wants to know."""
        self._store, self._run_id = store, run.id
        standing = (finding for finding in store.standing(run) if finding.status not in SETTLED)
        places = {(finding.service.endpoint.address, finding.service.endpoint.port) for finding in standing}
        if only is not None:
            places.add((only.address, only.port))
        places.update(also)
        self._wanted: dict[tuple[int, int, int], Endpoint] = {
            (address.version, int(address), port): Endpoint(address=address, port=port) for address, port in places
        }
        self._noted: list[Endpoint] = []

    def noted_by(self, record: Record) -> Record:
        """`record`, the sink of the sweep, and the note before it; it alone where no finding stands."""
        wanted, noted = self._wanted, self._noted

        def note(target: Target, outcome: Outcome, answer: bytes) -> None:
            if outcome is Outcome.REFUSED:
                endpoint = wanted.get((target.version, target.address, target.port))
                if endpoint is not None:
                    noted.append(endpoint)
            record(target, outcome, answer)

        return note if wanted else record

    def wanted4(self) -> frozenset[tuple[int, int]]:
        """IPv4 addresses and ports of which it is worth knowing that they refuse."""
        return frozenset((value, port) for version, value, port in self._wanted if version == 4)

    def note(self, endpoints: Iterable[Endpoint]) -> None:
        """Those that refused, elsewhere than in a sink."""
        self._noted += endpoints

    def written_before(self, write: Write) -> Callable[[Sequence[SweepChunk]], None]:
        """`write` of the sweep; what was noted goes first, so that no target is done whose refusal is not kept."""

        def both(chunks: Sequence[SweepChunk]) -> None:
            if self._noted:
                self._store.record_refusals(self._run_id, self._noted)
                self._noted.clear()
            write(chunks)

        return both


class Past:
    """What earlier runs left to one that is at its end: the findings that stand, and what was last seen where."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store, self._run = store, run
        self._standing = [finding for finding in store.standing(run) if finding.status not in SETTLED]

    def refusals(self) -> list[Observation]:
        return refusals(self._store, self._run, self._standing)

    @cached_property
    def _last(self) -> Mapping[Place, str]:
        """Of each place the last run that saw a service there."""
        return self._store.last_seen(self._run)

    def _observed(self, at: Iterable[Place]) -> dict[Place, list[Observation]]:
        return self._store.observed_at((each, self._last[each]) for each in at if each in self._last)

    @cached_property
    def key_holders(self) -> Holders:
        """Of the keys of certificates that stood on several addresses, by findings: who had them when last seen."""
        about = [finding for finding in self._standing if finding.control == ABOUT_KEYS]
        shared = {place(each.service) for each in about if int(each.evidence.get("tls.key_hosts", 0)) > 1}
        if not shared:
            return {}
        held: defaultdict[str, set[Address]] = defaultdict(set)
        keys: set[str] = set()
        for at, observations in self._observed(place(finding.service) for finding in about).items():
            for seen in observations:
                if seen.tls is not None and isinstance(key := seen.tls.get("spki_sha256"), str):
                    held[key].add(at[0])
                    keys |= {key} if at in shared else set()
        return {key: frozenset(held[key]) for key in keys}

    def moves(
        self, observations: Iterable[Observation], hits: Iterable[Endpoint], covered: Coverage, pins: Pins
    ) -> list[Move]:
        """Which services with findings answer elsewhere now. Gone is what was looked for and is not there, and where a name
        of the scope no longer leads; come is what no earlier run saw. `hits`: what accepted a connection, and is there,
        whatever it said; `pins`: the addresses of each name."""
        here, reached = by_place(observations), {(endpoint.address, endpoint.port) for endpoint in hits}
        gone: set[Place] = set()
        for finding in self._standing:
            endpoint, at = finding.service.endpoint, place(finding.service)
            leads_elsewhere = endpoint.address not in pins.get(endpoint.name, (endpoint.address,))
            is_missed = at[:2] not in reached and covered(finding.service, finding.control)
            if at not in here and (leads_elsewhere or is_missed):
                gone.add(at)
        if not gone:
            return []
        come = {at: seen for at, seen in here.items() if at not in self._last}
        return moves(self._observed(gone), come, self.key_holders.keys())


def refusals(store: Store, run: Run, standing: Iterable[Finding]) -> list[Observation]:
    """What the sweep noted, as observations in every protocol of which a finding stands there. They are judged against
    what stands, and are no services of a report."""
    protocols: defaultdict[tuple[Address, int], set[str]] = defaultdict(set)
    for finding in standing:
        endpoint = finding.service.endpoint
        protocols[endpoint.address, endpoint.port].add(finding.service.protocol)
    return [
        refusal(endpoint, protocol)
        for endpoint in store.refusals(run.id)
        for protocol in sorted(protocols.get((endpoint.address, endpoint.port), ()))
    ]


def refusal(endpoint: Endpoint, protocol: str) -> Observation:
    """That a port refuses connections: nothing but that."""
    return Observation(
        service=Service(endpoint=endpoint, protocol=protocol),
        access=Access(reach=Verdict.REFUSED),
        owner=Owner(grant=""),
    )
