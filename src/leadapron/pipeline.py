"""One audit, from scope to findings. Reads like the picture in `docs/architecture.md`:

    scope ─► gate ─► discover ─► identify ─► assess ─► judge ─► store

Discover, identify and assess are at work at the same time (`leadapron.pipeline_flow`); judging comes once they are through.
Each takes from the store what is missing and adds what it learned, so that a run that was stopped or killed goes on where
it was: `Audit.execute` is the same code for the first time and for every resume.

An attempt that we ended ourselves, or never began (a window that closed, a stop), is no result: this run's report tells
of it, the store does not hear of it, and it is asked on resume. Every other attempt is written before the next one to
its host is made, and never made again: a process that is killed repeats what was under way, at most one connection per
host (for the sweep see `leadapron.pipeline_sweep`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from pathlib import Path

from leadapron import __version__
from leadapron.assess.judge import judge, refuted
from leadapron.assess.moved import Move
from leadapron.attribute.place import Attribution
from leadapron.discover.seeds.pairs import Seeds
from leadapron.discover.space import key_of
from leadapron.errors import RunStopped
from leadapron.model import (
    Endpoint,
    Finding,
    Observation,
    Reason,
    Run,
    RunStatus,
    Stage,
    Unknown,
)
from leadapron.net.gaps import Gaps
from leadapron.net.pace import Pace
from leadapron.net.wide import Outcome
from leadapron.pipeline_assessing import Assessing
from leadapron.pipeline_context import Context
from leadapron.pipeline_control import Control, Options, Progress
from leadapron.pipeline_discover import Discovery
from leadapron.pipeline_evidence import Evidence
from leadapron.pipeline_extent import Extent
from leadapron.pipeline_flow import Flow
from leadapron.pipeline_history import COVERS_NOTHING, Coverage, Past
from leadapron.pipeline_inventory import Inventory
from leadapron.pipeline_sweep import Swept
from leadapron.pipeline_terms import BUCKETS, ScopeTerms
from leadapron.pipeline_unique import joined
from leadapron.pipeline_vantage import Judgement, Part, Seen, WayOut, judged, lost, rows
from leadapron.protocols.registry import PROTOCOLS
from leadapron.report.trend import summary
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope
from leadapron.scope.hook import arm
from leadapron.store.store import Store

__all__ = ["Audit", "Control", "Options", "Progress"]


class Audit:
    """One run of one scope, or of `only` one endpoint in it. Everything it learns goes to the store at once.

    `key` is the run's own (`leadapron.pipeline_key`), `folder` where its files may lie.
    """

    def __init__(
        self,
        *,
        scope: Scope,
        gate: Gate,
        store: Store,
        run: Run,
        audit_log: AuditLog,
        control: Control,
        progress: Progress,
        options: Options,
        unresolved: Sequence[Unknown] = (),
        attribution: Attribution | None = None,
        only: Endpoint | None = None,
        seeds: Sequence[Seeds] = (),
        key: bytes,
        folder: Path,
    ) -> None:
        self.unresolved, self.only, self.folder = unresolved, only, folder
        self.scope, self.gate, self.store, self.run_ = scope, gate, store, run
        self.audit_log, self.control, self.progress, self.options = audit_log, control, progress, options
        self.protocols = {
            name: PROTOCOLS[name] for name in (*scope.ports.by_door, *((BUCKETS,) if scope.buckets else ()))
        }
        self.inventory = Inventory(run.inventory, gate.pins, run.pins)
        self.extent = Extent(
            scope=scope,
            gate=gate,
            run=run,
            inventory=self.inventory,
            key=key_of(store.permutation_key(run.id)),
            only=only,
            seeds=seeds,
        )
        places = attribution or Attribution()
        self.terms = ScopeTerms(scope, gate, run, options, places, key, self.inventory, self.extent.depth)
        before = store.attempts(run.delta.since) if run.delta is not None else {}
        self.evidence = Evidence(scope, self.protocols, self.terms, only, before)
        self.way_out = WayOut(scope.listener, gate.pins, audit_log)
        self.context = Context(
            scope=scope,
            gate=gate,
            store=store,
            run=run,
            audit_log=audit_log,
            control=control,
            progress=progress,
            options=options,
            protocols=self.protocols,
            terms=self.terms,
            evidence=self.evidence,
            pace=Pace(scope.pace.connections_per_second, scope.pace.per_network),
            gaps=Gaps(gate.gap_at, gate.lane_of),
        )
        self.discovery = Discovery(self.context, self.extent, only=only, inventory=self.inventory)

    def execute(self) -> Run:
        """Run every stage. Returns the finished run; its status says whether it is complete."""
        begun = time.process_time()
        try:
            self._stages()
        except RunStopped as stopped:
            self.control.request(stopped.why)
        finally:
            self.way_out.close()
            self._tell_cpu(time.process_time() - begun)
        return self.conclude()

    def _tell_cpu(self, used: float) -> None:
        """Of this process, `used` in all, and of those that swept."""
        wide = dict(self.context.cpu)
        assess = used - sum(wide.values())
        discover = wide.get("discover", 0.0) + self.discovery.figures.cpu
        self.store.add_cpu(
            self.run_.id, {"discover": discover, "identify": wide.get("identify", 0.0), "assess": assess}
        )

    def _stages(self) -> None:
        arm(self.gate, on_denied=self.context.denied)
        scope_sha256, exclusions_sha256 = self.scope.digests
        self.audit_log.write(
            "run",
            run=self.run_.id,
            scope_sha256=scope_sha256,
            exclusions_sha256=exclusions_sha256,
            version=__version__,
        )
        for grant in self.scope.grants:
            self.audit_log.write("grant", id=grant.id, reference=grant.reference, document_sha256=grant.document_sha256)
        self._carry_out()

    def _carry_out(self) -> None:
        self.way_out.begin(self.control.request)
        asyncio.run(self.flow())
        self.way_out.end()

    async def flow(self) -> None:
        """All stages at once: what is found is greeted and asked while the sweep goes on, and a stage that has enough to do
        holds up the one before it."""
        flow = Flow(self.context)
        await flow.run(self.discovery.run(flow.arrived, flow.is_full))

    # -- discover ------------------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """The sweep by itself."""
        asyncio.run(self.discovery.run())

    # -- identify and assess -------------------------------------------------------------------------------------------

    def identify(self) -> None:
        """The first exchanges by themselves, with what the store has."""
        asyncio.run(Flow(self.context).greet_stored())

    async def assess(self) -> None:
        """The deep stage by itself, with what the store has."""
        await Assessing(self.context).rest()

    # -- conclude ------------------------------------------------------------------------------------------------------

    def conclude(self) -> Run:
        """Observations, findings and unknowns from the stored attempts, and the status of the run."""
        hits = self.store.hits(self.run_.id)
        past = Past(self.store, self.run_)
        observations, unknowns = self.evidence.gather(self.store.attempts(self.run_.id), hits, past.key_holders)
        observations = self.inventory.judged(self._joined(observations))
        self.store.record_observations(self.run_.id, observations)
        swept = self._swept()
        is_whole = self._has_swept_all(swept)
        if self.only is None:
            refusals, is_asked = self.store.refusals(self.run_.id), self.extent.__contains__
            unknowns += self.inventory.unseen(hits, refusals, self.gate, is_whole=is_whole, is_asked=is_asked)
        blind = self._blind(swept, hits, () if observations else unknowns)
        if blind is not None:
            place = f"way out of {self.run_.vantage.name}"
            unknowns.append(Unknown(endpoint=place, stage=Stage.CONNECT, reason=blind[1]))
        self.store.record_unknowns(self.run_.id, [*self.unresolved, *unknowns, *swept.unknowns(self.scope.id)])
        findings: list[Finding] = []
        for observation in observations:
            findings += judge(observation, self.run_.vantage.kind)
        self.store.update_totals(self.run_.id, swept.tried, len(hits))
        status, why = swept.status(stopped=self.control.why, is_left_out=self.evidence.is_left_out())
        if self.context.halted and status is RunStatus.INCOMPLETE:
            count = len(set(self.context.halted.values()))
            status, why = (
                RunStatus.INCOMPLETE,
                f"services that we asked no longer answer: {count}; what is around them was left alone",
            )
        if blind is not None:
            status, why = blind[0]
        after = self._advanced(past, findings, observations, hits, status)
        self.store.update_summary(self.run_.id, summary(self.store.run(self.run_.id), observations, after))
        finished = dt.datetime.now(dt.UTC)
        try:
            self.audit_log.write("run_finished", run=self.run_.id, status=status.value, why=why)
        except RunStopped as stopped:
            status, why = RunStatus.STOPPED, stopped.why
        head = self.audit_log.head
        self.store.finish_run(self.run_.id, status, why, finished, head)
        return self.store.run(self.run_.id)

    def _advanced(
        self,
        past: Past,
        findings: Sequence[Finding],
        observations: Sequence[Observation],
        hits: Sequence[Endpoint],
        status: RunStatus,
    ) -> list[Finding]:
        """How all findings stand now. A run that is not complete says nothing about what it did not see."""
        coverage = Coverage(self.gate, self.terms.looks_for, self.only, self.extent)
        is_complete = status is RunStatus.COMPLETE
        refused = () if status is RunStatus.BLIND else past.refusals()
        moves: Sequence[Move] = ()
        if is_complete and self.only is None:
            moves = past.moves(observations, hits, coverage, self.gate.pins)
        return self.store.apply_findings(
            self.run_,
            findings,
            {seen.service: seen for seen in (*observations, *refused)},
            refuted=refuted,
            covered=coverage if is_complete else COVERS_NOTHING,
            moves=moves,
            only=self.only,
        )

    def _joined(self, observations: list[Observation]) -> list[Observation]:
        """With what the lists of studies say together. Not of one endpoint alone."""
        if self.only is not None:
            return observations
        found, unique = joined(observations, self.store, self.run_.id, self.protocols, self.folder)
        self.store.update_unique(self.run_.id, unique)
        return found

    def _blind(
        self, swept: Swept, hits: Sequence[Endpoint], unknowns: Sequence[Unknown]
    ) -> tuple[Judgement, Reason] | None:
        """See `judged`."""
        chunks = self.store.outcomes_in_order(self.run_.id) if self._has_swept_all(swept) else ()
        return judged(self._seen(swept, hits, unknowns, rows(chunks, self.extent.spaces)))

    def _has_swept_all(self, swept: Swept) -> bool:
        return self.discovery.has_begun and not swept.left

    def _seen(
        self,
        swept: Swept,
        hits: Sequence[Endpoint],
        unknowns: Sequence[Unknown],
        parts: Sequence[Sequence[Part]],
    ) -> Seen:
        """`parts` as `rows` makes them; none where they were not swept in that order, or not to the end."""
        return Seen(
            rounds=self.way_out.rounds,
            tried=swept.tried,
            rows=parts,
            reached=len(hits),
            lost=lost(hits, unknowns),
        )

    def _swept(self) -> Swept:
        outcomes = {Outcome(name): count for name, count in self.store.outcomes(self.run_.id).items()}
        return Swept(outcomes=outcomes, not_asked=self.discovery.not_asked, left=self.discovery.left)
