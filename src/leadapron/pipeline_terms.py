"""What the scope allows at an endpoint, and what its owner told us, as the protocols hear it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leadapron.attribute.place import Attribution
from leadapron.identify.match import default_titles
from leadapron.model import Depth, Endpoint, Owner, Run, VantageKind
from leadapron.pipeline_control import Options
from leadapron.pipeline_inventory import ABOUT_INVENTORIES, Inventory
from leadapron.protocols.base import BucketTerms, Terms
from leadapron.scope.buckets import spot_of
from leadapron.scope.decision import Permit
from leadapron.scope.gate import Gate, in_force
from leadapron.scope.grant import Grant, Scope
from leadapron.scope.policy import Standing
from leadapron.scope.special import is_special, unmapped

BUCKETS = "buckets"
"""The door that is asked where the scope names a bucket."""
FULL_ANSWERS, FULL_SECONDS = 5_000_000, 3600.0
"""What `Options.full` lifts the budget of a service to."""


class ScopeTerms:
    """Of one run."""

    def __init__(
        self,
        scope: Scope,
        gate: Gate,
        run: Run,
        options: Options,
        attribution: Attribution,
        key: bytes = b"",
        inventory: Inventory | None = None,
        bound: Callable[[Endpoint], Depth | None] = lambda _: None,
    ) -> None:
        """`bound`: how deep a run goes at most at an endpoint, where that is less than the scope allows."""
        self._bound = bound
        self._scope, self._gate, self._run, self._options, self._key = scope, gate, run, options, key
        self._attribution = attribution
        self._inventory = inventory or Inventory((), {})
        self._grants = {grant.id: grant for grant in scope.grants}

    def at(self, endpoint: Endpoint) -> Terms:
        """What the scope allows at an endpoint right now.

        When it is nothing, what it allowed: by that is judged what was measured, and no job passes the gate.
        """
        permit = self._gate.decide(endpoint.address, endpoint.port, Depth.TALK)
        if isinstance(permit, Permit):
            return self._of(endpoint, self._grants[permit.grant], permit.depth)
        rule = self._gate.policy.rule(endpoint.address)
        if not rule.grants:
            rule = self._gate.policy.spot(endpoint.address, endpoint.port) or rule
        grant = in_force(rule, self._run.started_at) or next(iter(rule.grants), None)
        if grant is None:
            return Terms(depth=Depth.CENSUS, owner=Owner(grant=""), calling_aet=self._scope.contact.calling_aet)
        return self._of(endpoint, grant, rule.depth(grant))

    def doors_at(self, endpoint: Endpoint) -> tuple[str, ...]:
        """In which protocols an endpoint is spoken to. What only a bucket leads to is asked for the bucket alone."""
        spot = self._gate.policy.spot(endpoint.address, endpoint.port)
        named = () if spot is None or spot.standing is not Standing.GRANTED else (BUCKETS,)
        if named and self._gate.policy.rule(endpoint.address).standing is not Standing.GRANTED:
            return named
        return (*self._scope.ports.doors_at(endpoint.port), *named)

    def _buckets(self, endpoint: Endpoint, limit: Depth) -> Iterator[BucketTerms]:
        """Those whose grant is in force: the gate knows the endpoint, and not which bucket of it is asked."""
        place = unmapped(endpoint.address), endpoint.port
        today = self._gate.today
        for grant in self._scope.grants:
            if not grant.valid_from <= today <= grant.valid_until:
                continue
            for bucket in grant.buckets:
                spot = spot_of(bucket, self._gate.pins)
                if spot is not None and (spot.address, spot.port) == place:
                    yield BucketTerms(
                        bucket=bucket,
                        depth=min(limit, grant.depth),
                        owner=_owner(grant, endpoint, self._attribution),
                        census=grant.cleartext_census or self._scope.vantage.kind is not VantageKind.INTERNET,
                    )

    def looks_for(self, control: str, endpoint: Endpoint) -> bool:
        """Whether this run looks for it there at all: some controls need a word of the grant, or an inventory."""
        terms = self.at(endpoint)
        wanted = {
            ABOUT_INVENTORIES: bool(self._inventory),
            "LA-09": bool(terms.calling_aets),
            "LA-17": terms.blank_login,
        }
        return wanted.get(control, True)

    def _of(self, endpoint: Endpoint, grant: Grant, depth: Depth) -> Terms:
        budget, bound = self._scope.budget, self._bound(endpoint)
        return Terms(
            depth=Depth(depth if bound is None else min(depth, bound)),
            owner=_owner(grant, endpoint, self._attribution),
            calling_aet=self._scope.contact.calling_aet,
            contact=self._scope.contact.email,
            census=self._scope.vantage.kind is not VantageKind.INTERNET
            or self._gate.allows_clear_census(endpoint.address, endpoint.port),
            buckets=tuple(self._buckets(endpoint, depth)),
            key_pair=grant.key_pair,
            calling_aets=grant.calling_aets,
            blank_login=grant.blank_login,
            key=self._key,
            own_roots=self._scope.mine.uid_roots,
            own_issuers=self._scope.mine.issuers,
            called_aets=tuple(
                dict.fromkeys(
                    (
                        *self._inventory.titles(endpoint),
                        *grant.called_aets,
                        *(default_titles() if grant.well_known_titles else ()),
                    )
                )
            ),
            associations=budget.associations,
            queries=budget.queries,
            answers=FULL_ANSWERS if self._options.full else budget.answers,
            requests=FULL_ANSWERS if self._options.full else budget.requests,
            seconds=FULL_SECONDS if self._options.full else budget.seconds,
        )


def _owner(grant: Grant, endpoint: Endpoint, attribution: Attribution) -> Owner:
    address = unmapped(endpoint.address)
    if is_special(address):
        return Owner(grant=grant.id, party=grant.party, country=grant.country)
    place = attribution.at(address)
    return Owner(
        grant=grant.id,
        party=grant.party,
        country=place.country,
        city=place.city,
        as_number=place.as_number,
        as_name=place.as_name,
    )
