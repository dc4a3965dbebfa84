"""One audit, from scope to findings. Reads like the picture in `docs/architecture.md`:

    scope ─► gate ─► discover ─► identify ─► assess ─► judge ─► store

Each stage takes from the store what is missing and adds what it learned, so that a run that was stopped or killed goes
on where it was: `Audit.execute` is the same code for the first time and for every resume.

An attempt that we ended ourselves, or never began (a window that closed, a stop), is no result: this run's report tells
of it, the store does not hear of it, and it is asked on resume. Every other attempt is written before the next one to
its host is made, and never made again: a process that is killed repeats what was under way, at most one connection per
host (for the sweep see `leadapron.pipeline_sweep`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from leadapron import __version__
from leadapron.assess.judge import judge, refuted
from leadapron.assess.moved import Move
from leadapron.attribute.place import Attribution
from leadapron.discover.space import Intervals, TargetSpace
from leadapron.errors import RunStopped
from leadapron.identify.match import IDENTIFY
from leadapron.model import (
    Address,
    Depth,
    Endpoint,
    Failed,
    Finding,
    Observation,
    Reason,
    Run,
    RunStatus,
    Stage,
    Unknown,
)
from leadapron.net.conversation import Job
from leadapron.net.executor import Executor, all_of, bug
from leadapron.net.gaps import Gaps
from leadapron.net.line import permitted_sockets
from leadapron.net.pace import Pace
from leadapron.net.wide import Outcome, Target, WideEngine
from leadapron.pipeline_control import Control, Options, Progress
from leadapron.pipeline_evidence import Door, Evidence, ended_by_us
from leadapron.pipeline_history import COVERS_NOTHING, Coverage, Past, Refusals
from leadapron.pipeline_inventory import Inventory
from leadapron.pipeline_sweep import NOT_ASKED, Sweep, Swept, chunk_size
from leadapron.pipeline_terms import BUCKETS, ScopeTerms
from leadapron.pipeline_unique import joined
from leadapron.pipeline_vantage import Seen, WayOut, answered_and_silent, judged, lost
from leadapron.protocols.base import Case, Hello, Payload, Protocol, Terms
from leadapron.protocols.registry import PROTOCOLS
from leadapron.report.trend import summary
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope
from leadapron.scope.hook import arm
from leadapron.scope.policy import names_by_address
from leadapron.store.store import Store

__all__ = ["Audit", "Control", "Options", "Progress"]

log = logging.getLogger(__name__)

DEEP_SHARE = 4
"""The deep stage holds this part of the sockets of the wide ones: hundreds that say nothing hold up no others."""


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
        key: bytes,
        folder: Path,
    ) -> None:
        self.unresolved, self.only, self.folder = unresolved, only, folder
        self.scope, self.gate, self.store, self.run_ = scope, gate, store, run
        self.audit_log, self.control, self.progress, self.options = audit_log, control, progress, options
        self.pace = Pace(scope.pace.connections_per_second, scope.pace.per_network)
        self.gaps = Gaps(gate.gap_at, gate.lane_of)
        self.protocols = {
            name: PROTOCOLS[name] for name in (*scope.ports.by_door, *((BUCKETS,) if scope.buckets else ()))
        }
        self._sweep: Sweep | None = None
        self._halted: dict[str, Endpoint] = {}
        """zones and hosts that are left alone, each with the service that stopped answering"""
        self.inventory = Inventory(run.inventory, gate.pins, run.pins)
        self.terms = ScopeTerms(scope, gate, run, options, attribution or Attribution(), key, self.inventory)
        self.evidence = Evidence(scope, self.protocols, self.terms, only)
        self.way_out = WayOut(scope.listener, gate.pins, audit_log)

    def execute(self) -> Run:
        """Run every stage. Returns the finished run; its status says whether it is complete."""
        try:
            self._stages()
            self.way_out.end()
        except RunStopped as stopped:
            self.control.request(stopped.why)
        finally:
            self.way_out.close()
        return self.conclude()

    def _stages(self) -> None:
        arm(self.gate, on_denied=self._denied)
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
        self.way_out.begin(self.control.request)
        self.discover()
        if not self.control.should_stop():
            self.identify()
        if not self.control.should_stop():
            asyncio.run(self.assess())

    def _denied(self, host: str, port: int, reason: Denied) -> None:
        """A name that the scope does not have can only have come from a peer."""
        if reason is Denied.NAME and host not in self.scope.names:
            host = "a name"
        self.audit_log.write("denied", host=host, port=port, reason=reason.value)

    def _decided(self, endpoint: Endpoint, job: str, answer: Permit | Denial) -> None:
        """What is dialled after the sweep, and what is not."""
        address = str(endpoint.address)
        if isinstance(answer, Permit):
            self.audit_log.write("dial", address=address, port=endpoint.port, job=job, grant=answer.grant)
        else:
            self._denied(address, endpoint.port, answer.reason)

    # -- discover ------------------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Connect to every (address, port) of the scope, in permuted order, at the pace."""
        key = bytes.fromhex(self.store.permutation_key(self.run_.id))
        intervals4, intervals6 = self._intervals(4), self._intervals(6)
        space = TargetSpace(intervals4, intervals6, self._ports(), key, self._spots(intervals4, intervals6))
        done, in_part = self.store.progress(self.run_.id), self.store.chunks_in_part(self.run_.id)
        noted = Refusals(self.store, self.run_, self.only, self.inventory.places() if self.only is None else ())
        sweep = self._sweep = Sweep(
            space,
            self.gate,
            size=chunk_size(self.scope.pace, intervals4, intervals6),
            done=done,
            in_part=in_part,
            write=noted.written_before(lambda chunks: self.store.record_chunks(self.run_.id, chunks)),
            decided=self._chunk_decided,
            progress=self.progress,
            names=names_by_address(self.scope, self.gate.pins),
        )
        self.audit_log.write("sweep", key_sha256=hashlib.sha256(key).hexdigest(), targets=len(space), left=sweep.left)
        self.progress.begin("discover", len(space), len(space) - sweep.left)
        try:
            engine = self._engine(self.options.sweep_timeout)
            sink, should_stop = noted.noted_by(sweep.record), sweep.polled(self.control.should_stop)
            engine.run(sweep.targets(), sink, should_stop=should_stop)
        finally:
            sweep.write()
            self.audit_log.write("swept", outcomes=self.store.outcomes(self.run_.id), left=sweep.left)
        self.progress.end()

    def _intervals(self, version: int) -> Intervals:
        if self.only is None:
            return self.inventory.added_to(self.gate.intervals(version), version, self.gate)
        number = int(self.only.address)
        return [(number, number)] if self.only.address.version == version else []

    def _spots(self, *intervals: Intervals) -> list[tuple[int, int, int]]:
        """What buckets open, and the sweep would not come by."""
        if self.only is not None:
            return []
        ports = set(self.scope.ports.all)
        return sorted(
            (version, value, port)
            for version, value, port in self.gate.policy.spots
            if port not in ports or not any(first <= value <= last for first, last in intervals[version == 6])
        )

    def _ports(self) -> Sequence[int]:
        return self.scope.ports.all if self.only is None else (self.only.port,)

    def _chunk_decided(self, start: int, stop: int, permitted: int, denied: Mapping[Denied, int]) -> None:
        if permitted:
            self.audit_log.write("permitted_in_sweep", start=start, stop=stop, count=permitted)
        if denied:
            reasons = {reason.value: count for reason, count in denied.items()}
            self.audit_log.write("denied_in_sweep", start=start, stop=stop, reasons=reasons)

    def _engine(self, timeout: float) -> WideEngine:
        """A gap that the scope file gains while a stage goes on binds from the next stage on."""
        return WideEngine(
            concurrency=self.options.concurrency,
            timeout=timeout,
            ready_at=self.pace.ready_at,
            gaps=self.gaps if self.gate.has_gaps() else None,
        )

    # -- identify ------------------------------------------------------------------------------------------------------

    def identify(self) -> None:
        """The first exchange with every endpoint that was reached, one connection at a time per host, in each protocol whose
        first exchange is the same for all. In the others the deep stage makes it."""
        known = self.store.attempts(self.run_.id)
        doors = self.evidence.doors(self.store.hits(self.run_.id))
        for protocol in self.protocols.values():
            hello = protocol.hello(self.scope.contact.calling_aet)
            if hello is not None and not self.control.should_stop():
                at = (endpoint for endpoint, name in doors if name == protocol.name)
                self._greet(
                    protocol, hello, [each for each in at if "hello" not in known.get((each, protocol.name), {})]
                )

    def _greet(self, protocol: Protocol, hello: Hello, waiting: Sequence[Endpoint]) -> None:
        self.progress.begin("identify", len(waiting), 0)
        record = partial(self._record_hello, protocol)
        self._engine(self.options.hello_timeout).run(
            self._hello_targets(waiting, record),
            record,
            hello=hello.request,
            whole=hello.whole,
            farewell=hello.farewell,
            max_answer=hello.max_answer,
            exclusive=True,
            permits=self._may_dial,
            should_stop=self.control.should_stop,
        )
        self.progress.end()

    def _hello_targets(
        self, waiting: Sequence[Endpoint], record: Callable[[Target, Outcome, bytes], None]
    ) -> Iterator[Target]:
        """Without those that the gate denies already: they need not wait for their turn."""
        for endpoint in waiting:
            target = Target(int(endpoint.address), endpoint.address.version, endpoint.port, endpoint)
            answer = self.gate.decide(endpoint.address, endpoint.port, Depth.TALK)
            if isinstance(answer, Permit):
                yield target
            else:
                self._decided(endpoint, "hello", answer)
                record(target, Outcome.OUT_OF_SCOPE, b"")

    def _may_dial(self, target: Target) -> bool:
        """Asked right before the dial: a window may have closed, an exclusion come, and a zone end at `connect`."""
        answer = self.gate.decide(target.tag.address, target.tag.port, Depth.TALK)
        self._decided(target.tag, "hello", answer)
        return isinstance(answer, Permit)

    def _record_hello(self, protocol: Protocol, target: Target, outcome: Outcome, answer: bytes) -> None:
        endpoint = target.tag
        if outcome in NOT_ASKED:
            why = Failed(stage=Stage.HANDSHAKE, reason=outcome.reason)
            self.evidence.left_out[endpoint, protocol.name]["hello"] = why
        else:
            payload = hello_payload(protocol, endpoint, outcome, answer)
            self.store.record_attempt(self.run_.id, endpoint, protocol.name, "hello", payload)
        self.progress.advance(1)

    # -- assess --------------------------------------------------------------------------------------------------------

    async def assess(self) -> None:
        """Ask every service what it tells a stranger, hundreds of services at once."""
        concurrency = permitted_sockets(max(16, self.options.concurrency // DEEP_SHARE))
        executor = Executor(self.gate, self.pace, concurrency=concurrency, gaps=self.gaps, on_decided=self._decided)
        asked: set[Door] = set()
        hits = self.store.hits(self.run_.id)
        while True:  # the witnesses of a middlebox may free the others (see `Evidence.to_assess`), once
            cases = self.evidence.to_assess(self.store.attempts(self.run_.id), hits)
            waiting = {door: jobs for door, jobs in cases.items() if door not in asked}
            if asked and not waiting:
                break
            self.progress.begin("assess", len(cases), len(asked))
            await all_of(
                (self._assess_one(executor, *door, dict(jobs)) for door, jobs in waiting.items()),
                beside=executor.watch(lambda: self._stop_executor(executor)),
            )
            self.progress.end()
            if not waiting:
                break
            asked |= waiting.keys()

    def _stop_executor(self, executor: Executor) -> None:
        if self.control.should_stop():
            executor.stop()

    async def _assess_one(self, executor: Executor, endpoint: Endpoint, name: str, jobs: dict[str, Payload]) -> None:
        protocol = self.protocols[name]
        again = self._to_ask_again(protocol, endpoint, self.terms.at(endpoint), jobs)
        while True:
            # The terms are asked anew for each job: the scope may be narrower now.
            case = Case(endpoint=endpoint, terms=self.terms.at(endpoint), attempts=jobs)
            if (job := protocol.next_job(case, IDENTIFY)) is None:
                break
            attempt, seconds = await executor.run(job, partial(self._is_called_off, job))
            payload = protocol.encode_attempt(attempt, seconds)
            if (why := ended_by_us(attempt)) is not None:
                self.evidence.left_out[endpoint, name][job.name] = why
                self.evidence.cut_short[endpoint, name][job.name] = payload
                break
            jobs[job.name] = payload
            self.store.record_attempt(
                self.run_.id,
                endpoint,
                name,
                job.name,
                payload,
                shown=protocol.shown(attempt),
                again=job.name in again,
            )
        if protocol.no_longer_answers(case):
            self._halt(executor, endpoint)
        self.progress.advance(1)

    def _is_called_off(self, job: Job[Any]) -> bool:
        address = job.endpoint.address
        is_withheld = job.depth >= Depth.CENSUS and job.in_clear and not self.terms.at(job.endpoint).census
        return self.control.stopped() or is_withheld or self._is_halted(address)

    def _is_halted(self, address: Address) -> bool:
        return not self._halted.keys().isdisjoint(self._surroundings(address))

    def _halt(self, executor: Executor, endpoint: Endpoint) -> None:
        """A service stopped answering after us: nothing more goes to its zones, or to its host where it is in none."""
        for around in sorted(self._surroundings(endpoint.address) - self._halted.keys()):
            self._halted[around] = endpoint
            self.audit_log.write("halted", what=around, because=str(endpoint))
            log.warning("%s no longer answers after we asked it; %s is left alone", endpoint, around)
        executor.halt(self._is_halted)

    def _surroundings(self, address: Address) -> frozenset[str]:
        zones = self.gate.zones_at(address)
        return frozenset(f"zone {zone}" for zone in zones) or frozenset((f"host {address}",))

    def _to_ask_again(
        self, protocol: Protocol, endpoint: Endpoint, terms: Terms, jobs: dict[str, Payload]
    ) -> frozenset[str]:
        """What an earlier process of this run asked and this one asks again: whether a service that stopped answering
        does so now; with `--full`, what an earlier budget cut. They are taken out of `jobs`."""
        case = Case(endpoint=endpoint, terms=terms, attempts=jobs)
        names = protocol.no_longer_answers(case)
        if self.options.full:
            names |= protocol.cut_by_budget(case)
        for name in names:
            del jobs[name]
        return names

    # -- conclude ------------------------------------------------------------------------------------------------------

    def conclude(self) -> Run:
        """Observations, findings and unknowns from the stored attempts, and the status of the run."""
        hits = self.store.hits(self.run_.id)
        past = Past(self.store, self.run_)
        observations, unknowns = self.evidence.gather(self.store.attempts(self.run_.id), hits, past.key_holders)
        observations = self.inventory.judged(self._joined(observations))
        for observation in observations:
            self.store.record_observation(self.run_.id, observation)
        swept = self._swept()
        is_whole = self._sweep is not None and not swept.left
        if self.only is None:
            unknowns += self.inventory.unseen(hits, self.store.refusals(self.run_.id), self.gate, is_whole=is_whole)
        blind = judged(self._seen(swept, hits, () if observations else unknowns))
        if blind is not None:
            place = f"way out of {self.run_.vantage.name}"
            unknowns.append(Unknown(endpoint=place, stage=Stage.CONNECT, reason=blind[1]))
        self.store.record_unknowns(self.run_.id, [*self.unresolved, *unknowns, *swept.unknowns(self.scope.id)])
        findings: list[Finding] = []
        for observation in observations:
            findings += judge(observation, self.run_.vantage.kind)
        self.store.update_totals(self.run_.id, swept.tried, len(hits))
        status, why = swept.status(stopped=self.control.why, is_left_out=self.evidence.is_left_out())
        if self._halted and status is RunStatus.INCOMPLETE:
            count = len(set(self._halted.values()))
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
        coverage = Coverage(self.gate, self.terms.looks_for, self.only)
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

    def _seen(self, swept: Swept, hits: Sequence[Endpoint], unknowns: Sequence[Unknown]) -> Seen:
        parts = [] if self._sweep is None or swept.left else self.store.outcomes_in_order(self.run_.id)
        return Seen(
            rounds=self.way_out.rounds,
            tried=swept.tried,
            answered_and_silent=answered_and_silent(parts),
            reached=len(hits),
            lost=lost(hits, unknowns),
        )

    def _swept(self) -> Swept:
        outcomes = {Outcome(name): count for name, count in self.store.outcomes(self.run_.id).items()}
        if self._sweep is None:
            return Swept(outcomes=outcomes)
        return Swept(outcomes=outcomes, not_asked=self._sweep.not_asked, left=self._sweep.left)


def hello_payload(protocol: Protocol, endpoint: Endpoint, outcome: Outcome, answer: bytes) -> Payload:
    """The result of a first exchange. An answer that did not come whole is none: not one byte of it is read."""
    if outcome is Outcome.ANSWERED:
        try:
            return protocol.read_hello(answer, endpoint, IDENTIFY)
        except Exception as error:  # noqa: BLE001 - the job boundary of the wide stage
            return protocol.encode_attempt(bug("hello", error))
    stage = Stage.HANDSHAKE if outcome.connected else Stage.CONNECT
    reason = Reason.TRUNCATED if answer and outcome is Outcome.HUNG_UP else outcome.reason
    return protocol.encode_attempt(Failed(stage=stage, reason=reason))
