"""HTTP as a protocol, with all doors that open over it. `plan` says what is asked, each door what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leadapron.model import Failed, Observation
from leadapron.net.conversation import Job
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.health import Answered, silent_checks
from leadapron.protocols.http.blank import BLANK, BlankTried
from leadapron.protocols.http.plan import PROTOCOL as NAME
from leadapron.protocols.http.plan import HttpPlan
from leadapron.protocols.http.web import Front, web_doors
from leadapron.protocols.tls import offers
from leadapron.protocols.tls.handshake import Handshake
from leadapron.protocols.tls.layers import Layers, layers, plain_name, resource_suffix


def _results() -> Mapping[str, type[Any]]:
    """Those of the doors under their own names."""
    return {
        "front": Front,
        "answered": Answered,
        BLANK: BlankTried,
        "tls_chosen": offers.Negotiated,
        "tls_refused": offers.Refused,
        "tls_handshake": Handshake,
        **{name: result for door in web_doors().values() for name, result in door.results.items()},
    }


class Http(Protocol):
    """HTTP/1.1, in clear or inside TLS."""

    name = NAME
    results = _results()

    def __init__(self) -> None:
        self._layers = Layers(HttpPlan())

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:
        return self._layers.next_job(case, self.decoded(case.attempts), identify)

    def no_longer_answers(self, case: Case) -> frozenset[str]:
        spoken = layers(case, self.decoded(case.attempts))
        return frozenset[str]().union(*(each.names(silent_checks(each.attempts)) for each in spoken))

    def service_of(self, job: str) -> tuple[str, str]:
        kind, _, resource = plain_name(job).partition(":")
        door = kind.partition(".")[0]
        return (door if door in web_doors() else self.name), resource + resource_suffix(job)

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        return self._layers.conclude(case, self.decoded(case.attempts))


PROTOCOL = Http()
