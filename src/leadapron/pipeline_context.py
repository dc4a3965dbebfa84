"""What all stages of a run share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from leadapron.model import Address, Endpoint, Run
from leadapron.net.gaps import Gaps
from leadapron.net.hosts import Hosts
from leadapron.net.pace import Pace
from leadapron.net.wide import WideEngine
from leadapron.pipeline_control import Control, Options, Progress
from leadapron.pipeline_evidence import Evidence
from leadapron.pipeline_terms import ScopeTerms
from leadapron.protocols.base import Protocol
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope
from leadapron.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Of one run."""

    scope: Scope
    gate: Gate
    store: Store
    run: Run
    audit_log: AuditLog
    control: Control
    progress: Progress
    options: Options
    protocols: Mapping[str, Protocol]
    terms: ScopeTerms
    evidence: Evidence
    pace: Pace
    gaps: Gaps
    hosts: Hosts = field(default_factory=Hosts)
    """those with a connection, from the first handshake on"""
    halted: dict[str, Endpoint] = field(default_factory=dict)
    """zones and hosts that are left alone, each with the service that stopped answering"""

    cpu: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """seconds of processor time of the wide stages in this process, by stage"""
    before_dial: list[Callable[[Address], object]] = field(default_factory=list)
    """told of each host right before it is connected to again"""

    def engine(self, timeout: float) -> WideEngine:
        """A gap that the scope file gains while a stage goes on binds from the next stage on."""
        return WideEngine(
            concurrency=self.options.concurrency,
            timeout=timeout,
            ready_at=self.pace.ready_at,
            gaps=self.gaps if self.gate.has_gaps() else None,
        )

    def denied(self, host: str, port: int, reason: Denied) -> None:
        """A name that the scope does not have can only have come from a peer."""
        if reason is Denied.NAME and host not in self.scope.names:
            host = "a name"
        self.audit_log.write("denied", host=host, port=port, reason=reason.value)

    def decided(self, endpoint: Endpoint, job: str, answer: Permit | Denial) -> None:
        """What is dialled after the sweep, and what is not."""
        address = str(endpoint.address)
        if isinstance(answer, Permit):
            for told in self.before_dial:
                told(endpoint.address)
            self.audit_log.write("dial", address=address, port=endpoint.port, job=job, grant=answer.grant)
        else:
            self.denied(address, endpoint.port, answer.reason)
