"""One audit, from scope to findings. Reads like the picture in `docs/architecture.md`:

    scope ─► gate ─► discover ─► identify ─► assess ─► judge ─► store

Each stage takes from the store what is missing and adds what it learned, so that a run that was stopped or killed goes
on where it was: `Audit.run` is the same code for the first time and for every resume.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Protocol as Interface

from leadapron import __version__
from leadapron.assess.judge import judge, refuted
from leadapron.discover.middlebox import middleboxes
from leadapron.discover.space import TargetSpace
from leadapron.errors import RunStopped
from leadapron.identify.match import default_titles, match
from leadapron.model import (
    Completed,
    Depth,
    Endpoint,
    Failed,
    Finding,
    Observation,
    Owner,
    Reason,
    Run,
    RunStatus,
    Stage,
    Unknown,
)
from leadapron.net.executor import Executor
from leadapron.net.pace import Pace
from leadapron.net.wide import Outcome, Target, WideEngine
from leadapron.protocols.base import Case, Payload, Terms
from leadapron.protocols.registry import PROTOCOLS
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.decision import Denied, Permit
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Grant, Scope
from leadapron.scope.hook import arm
from leadapron.scope.watch import ScopeWatch
from leadapron.store.store import Store

log = logging.getLogger(__name__)

CHUNK = 4096
"""Targets whose results are written together; what is lost and asked again when the process is killed."""
SWEEP_TIMEOUT = 3.0
HELLO_TIMEOUT = 10.0
"""Seconds: for the TCP handshake of the sweep; for connecting and the first answer."""


class Progress(Interface):
    """Where the command line shows what goes on."""

    def begin(self, phase: str, total: int, done: int) -> None: ...
    def advance(self, amount: int, **figures: int) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line adds to the scope."""

    full: bool = False
    """lift the budget of answers and of seconds"""
    concurrency: int = 4096
    """sockets of the wide stages, and a tenth of it in the deep one"""
    sweep_timeout: float = SWEEP_TIMEOUT
    hello_timeout: float = HELLO_TIMEOUT


FULL_ANSWERS, FULL_SECONDS = 5_000_000, 3600.0


class Control:
    """Why to stop: a signal, `leadapron stop`, or a scope that no longer holds. Polled, and cheap to poll."""

    INTERVAL = 0.5

    def __init__(self, watch: ScopeWatch, stop_file: Path, audit_log: AuditLog) -> None:
        self._watch, self._stop_file, self._log = watch, stop_file, audit_log
        self._next = 0.0
        self.why = ""

    def request(self, why: str) -> None:
        """Stop for this reason (safe in a signal handler)."""
        self.why = self.why or why

    def stopped(self) -> bool:
        """Whether a stop was asked for, without looking again."""
        return bool(self.why)

    def should_stop(self) -> bool:
        """Look, at most every `INTERVAL` seconds, and tell."""
        now = time.monotonic()
        if not self.why and now >= self._next:
            self._next = now + self.INTERVAL
            self._look()
        return bool(self.why)

    def _look(self) -> None:
        if self._stop_file.exists():
            self.request("stopped by `leadapron stop`")
            return
        try:
            changed = self._watch.poll()
        except RunStopped as stopped:
            self.request(stopped.why)
        else:
            if changed:
                self._log.write("scope_narrowed", scope_sha256=changed)


class Audit:
    """One run of one scope. Everything it learns goes to the store at once."""

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
    ) -> None:
        self.unresolved = unresolved
        self.scope, self.gate, self.store, self.run_ = scope, gate, store, run
        self.audit_log, self.control, self.progress, self.options = audit_log, control, progress, options
        self.pace = Pace(scope.pace.connections_per_second, scope.pace.per_network)
        self.protocol = PROTOCOLS["dicom"]
        self._grants = {grant.id: grant for grant in scope.grants}

    def execute(self) -> Run:
        """Run every stage. Returns the finished run; its status says whether it is complete."""
        self.audit_log.write(
            "run", run=self.run_.id, scope_sha256=self.scope.sha256, version=__version__, pid_armed=True
        )
        arm(self.gate, on_denied=self._denied)
        self.discover()
        if not self.control.should_stop():
            self.identify()
        if not self.control.should_stop():
            asyncio.run(self.assess())
        return self.conclude()

    def _denied(self, host: str, port: int, reason: Denied) -> None:
        self.audit_log.write("denied", host=host, port=port, reason=reason.value)

    # -- discover ------------------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Connect to every (address, port) of the scope, in permuted order, at the pace."""
        space = TargetSpace(
            self.gate.intervals(4),
            self.gate.intervals(6),
            self.scope.ports.dicom,
            bytes.fromhex(self.store.permutation_key(self.run_.id)),
        )
        missing = list(_missing(self.store.progress(self.run_.id), len(space)))
        done = len(space) - sum(stop - start for start, stop in missing)
        self.progress.begin("discover", len(space), done)
        sweep = _Sweep(self, space, missing)
        self._engine(self.options.sweep_timeout).run(
            sweep.targets(), sweep.record, hello=None, should_stop=self.control.should_stop
        )
        sweep.finish()
        self.progress.end()

    def _engine(self, timeout: float) -> WideEngine:
        return WideEngine(concurrency=self.options.concurrency, timeout=timeout, ready_at=self.pace.ready_at)

    # -- identify ------------------------------------------------------------------------------------------------------

    def identify(self) -> None:
        """The first exchange with every endpoint that was reached, one connection at a time per host."""
        known = self.store.attempts(self.run_.id)
        waiting = [
            endpoint
            for endpoint in self.store.hits(self.run_.id)
            if "hello" not in known.get((endpoint, self.protocol.name), {}) and self._may_talk(endpoint)
        ]
        self.progress.begin("identify", len(waiting), 0)
        hello = self.protocol.hello(self.scope.contact.calling_aet)
        self._engine(self.options.hello_timeout).run(
            (Target(address=int(e.address), version=e.address.version, port=e.port, tag=e) for e in waiting),
            self._record_hello,
            hello=hello.request,
            whole=hello.whole,
            farewell=hello.farewell,
            max_answer=hello.max_answer,
            exclusive=True,
            should_stop=self.control.should_stop,
        )
        self.progress.end()

    def _may_talk(self, endpoint: Endpoint) -> bool:
        return isinstance(self.gate.decide(endpoint.address, endpoint.port, Depth.TALK), Permit)

    def _record_hello(self, target: Target, outcome: Outcome, answer: bytes) -> None:
        endpoint = target.tag
        if outcome is Outcome.STOPPED:
            return
        if answer:
            payload = self.protocol.read_hello(answer, endpoint, match)
        else:
            stage = Stage.HANDSHAKE if outcome.connected else Stage.CONNECT
            payload = self.protocol.encode_attempt(Failed(stage=stage, reason=outcome.reason))
        self.store.record_attempt(self.run_.id, endpoint, self.protocol.name, "hello", payload)
        self.progress.advance(1)

    # -- assess --------------------------------------------------------------------------------------------------------

    async def assess(self) -> None:
        """Ask every service what it tells a stranger, hundreds of services at once."""
        known = self.store.attempts(self.run_.id)
        cases = {endpoint: jobs for (endpoint, _), jobs in known.items() if "hello" in jobs}
        alike = middleboxes({endpoint: jobs["hello"] for endpoint, jobs in cases.items()})
        executor = Executor(self.gate, self.pace, concurrency=max(16, self.options.concurrency // 10))
        self.progress.begin("assess", len(cases), 0)
        watching = asyncio.create_task(executor.watch(lambda: self._stop_executor(executor)))
        try:
            async with asyncio.TaskGroup() as group:
                for endpoint, jobs in cases.items():
                    if endpoint not in alike:
                        group.create_task(self._assess_one(executor, endpoint, dict(jobs)))
        finally:
            watching.cancel()
        self.progress.end()

    def _stop_executor(self, executor: Executor) -> None:
        if self.control.should_stop():
            executor.stop()

    async def _assess_one(self, executor: Executor, endpoint: Endpoint, jobs: dict[str, Payload]) -> None:
        terms = self._terms(endpoint)
        while terms is not None and not self.control.stopped():
            case = Case(endpoint=endpoint, terms=terms, attempts=jobs)
            job = self.protocol.next_job(case, match)
            if job is None:
                break
            attempt = await executor.run(job)
            if isinstance(attempt, Failed) and attempt.reason is Reason.STOPPED:
                return
            if isinstance(attempt, Completed) and self.control.stopped():
                return  # cut short by us: it is asked again on resume
            jobs[job.name] = self.protocol.encode_attempt(attempt)
            self.store.record_attempt(self.run_.id, endpoint, self.protocol.name, job.name, jobs[job.name])
        self.progress.advance(1)

    def _terms(self, endpoint: Endpoint) -> Terms | None:
        """What the scope allows at an endpoint right now; None when nothing."""
        permit = self.gate.decide(endpoint.address, endpoint.port, Depth.TALK)
        if not isinstance(permit, Permit):
            return None
        grant = self._grants[permit.grant]
        budget = self.scope.budget
        return Terms(
            depth=Depth(permit.depth),
            owner=_owner(grant, endpoint),
            calling_aet=self.scope.contact.calling_aet,
            called_aets=grant.called_aets + (default_titles() if grant.well_known_titles else ()),
            associations=budget.associations,
            queries=budget.queries,
            answers=FULL_ANSWERS if self.options.full else budget.answers,
            seconds=FULL_SECONDS if self.options.full else budget.seconds,
        )

    # -- conclude ------------------------------------------------------------------------------------------------------

    def conclude(self) -> Run:
        """Observations, findings and unknowns from the stored attempts, and the status of the run."""
        observations, unknowns = self._observations()
        for observation in observations:
            self.store.record_observation(self.run_.id, observation)
        outcomes = self.store.outcomes(self.run_.id)
        self.store.record_unknowns(self.run_.id, [*self.unresolved, *unknowns, *self._unseen(outcomes)])
        findings: list[Finding] = []
        for observation in observations:
            findings += judge(observation, self.run_.vantage.kind)
        tried = sum(count for outcome, count in outcomes.items() if outcome != Outcome.OUT_OF_SCOPE.value)
        reached = len(self.store.hits(self.run_.id))
        self.store.update_totals(self.run_.id, tried, reached)
        status, why = self._status(outcomes, tried)
        if status is RunStatus.COMPLETE:
            self.store.apply_findings(
                self.run_,
                findings,
                {observation.service: observation for observation in observations},
                refuted=refuted,
                covered=lambda address: self.gate.depth_now(address) > 0,
            )
        else:
            self._apply_partly(findings, observations)
        finished = dt.datetime.now(dt.UTC)
        self.audit_log.write("run_finished", run=self.run_.id, status=status.value, why=why)
        head = self.audit_log.head
        self.store.finish_run(self.run_.id, status, why, finished, head)
        return self.store.run(self.run_.id)

    def _apply_partly(self, findings: list[Finding], observations: list[Observation]) -> None:
        """A run that is not complete adds and closes by what it saw, and says nothing about what it did not see."""
        seen = {observation.service: observation for observation in observations}
        addresses = {service.endpoint.address for service in seen}
        self.store.apply_findings(
            self.run_, findings, seen, refuted=refuted, covered=lambda address: address in addresses
        )

    def _observations(self) -> tuple[list[Observation], list[Unknown]]:
        known = self.store.attempts(self.run_.id)
        cases = {endpoint: jobs for (endpoint, _), jobs in known.items()}
        alike = middleboxes({endpoint: jobs["hello"] for endpoint, jobs in cases.items() if "hello" in jobs})
        observations: list[Observation] = []
        failed: Counter[tuple[str, Stage, Reason]] = Counter()
        for endpoint, jobs in sorted(cases.items(), key=lambda case: _order(case[0])):
            if (group := alike.get(endpoint)) is not None:
                failed[group, Stage.HANDSHAKE, Reason.MIDDLEBOX] += 1
                continue
            terms = self._terms(endpoint) or self._last_terms(endpoint)
            found, why = self.protocol.conclude(Case(endpoint=endpoint, terms=terms, attempts=jobs))
            observations += found
            if why is not None:
                failed[str(endpoint), why.stage, why.reason] += 1
            for observation in found:
                for unknown in observation.unknowns:
                    failed[str(endpoint), unknown.stage, unknown.reason] += 1
        unknowns = [
            Unknown(endpoint=place, stage=stage, reason=reason, count=count)
            for (place, stage, reason), count in sorted(failed.items())
        ]
        return observations, unknowns

    def _last_terms(self, endpoint: Endpoint) -> Terms:
        """Terms for what was measured before a grant ended or narrowed: it is kept, and nothing more is asked."""
        grant = next(iter(self.scope.grants))
        return Terms(depth=Depth.CENSUS, owner=_owner(grant, endpoint), calling_aet=self.scope.contact.calling_aet)

    def _unseen(self, outcomes: Mapping[str, int]) -> Iterator[Unknown]:
        """What the sweep could not tell: no answer is not "nothing there"."""
        place = f"scope {self.scope.id}"
        for outcome in (Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.RESET):
            if count := outcomes.get(outcome.value, 0):
                yield Unknown(endpoint=place, stage=Stage.CONNECT, reason=outcome.reason, count=count)
        if count := outcomes.get(Outcome.OUT_OF_SCOPE.value, 0):
            yield Unknown(endpoint=place, stage=Stage.CONNECT, reason=Reason.OUT_OF_SCOPE, count=count)

    def _status(self, outcomes: Mapping[str, int], tried: int) -> tuple[RunStatus, str]:
        if self.control.why:
            return RunStatus.STOPPED, self.control.why
        silent = outcomes.get(Outcome.TIMEOUT.value, 0) + outcomes.get(Outcome.UNREACHABLE.value, 0)
        if tried and silent == tried:
            return RunStatus.BLIND, "not one target answered, not even with a refusal: is our own way out blocked?"
        if not tried:
            return RunStatus.INCOMPLETE, "nothing in the scope may be probed right now"
        if outcomes.get(Outcome.OUT_OF_SCOPE.value, 0):
            return RunStatus.INCOMPLETE, "parts of the scope may not be probed right now (window, or narrowed)"
        return RunStatus.COMPLETE, ""


class _Sweep:
    """The bookkeeping of one sweep: chunks of the permutation, written when every target of one has its outcome."""

    def __init__(self, audit: Audit, space: TargetSpace, missing: list[tuple[int, int]]) -> None:
        self._audit, self._space, self._missing = audit, space, missing
        self._open: dict[int, int] = {}
        self._stops: dict[int, int] = {}
        self._outcomes: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._hits: defaultdict[int, list[Endpoint]] = defaultdict(list)
        self._broken: set[int] = set()
        self._given: set[int] = set()

    def targets(self) -> Iterator[Target]:
        for first, last in self._missing:
            for start in range(first, last, CHUNK):
                yield from self._chunk(start, min(start + CHUNK, last))

    def _chunk(self, start: int, stop: int) -> Iterator[Target]:
        batch = self._space.batch(start, stop - start)
        allowed = self._audit.gate.filter4(batch.addresses4) > 0
        targets = [
            Target(address=int(address), version=4, port=int(port), tag=start)
            for address, port in zip(batch.addresses4[allowed].tolist(), batch.ports4[allowed].tolist(), strict=True)
        ]
        targets += [
            Target(address=address, version=6, port=port, tag=start)
            for address, port in batch.targets6
            if self._audit.gate.depth_now(IPv6Address(address)) > 0
        ]
        denied = (stop - start) - len(targets)
        self._stops[start] = stop
        self._open[start] = len(targets)
        if denied:
            self._outcomes[start][Outcome.OUT_OF_SCOPE.value] += denied
            self._audit.audit_log.write("denied_in_sweep", start=start, stop=stop, count=denied)
        self._audit.progress.advance(denied)
        if not targets:
            self._write(start)
        yield from targets

    def record(self, target: Target, outcome: Outcome, _answer: bytes) -> None:
        start = target.tag
        self._open[start] -= 1
        if outcome is Outcome.STOPPED:
            self._broken.add(start)
            return
        self._outcomes[start][outcome.value] += 1
        if outcome is Outcome.CONNECTED:
            address = IPv4Address(target.address) if target.version == 4 else IPv6Address(target.address)
            self._hits[start].append(Endpoint(address=address, port=target.port))
        self._audit.progress.advance(1, reached=int(outcome is Outcome.CONNECTED))
        if not self._open[start]:
            self._write(start)

    def _write(self, start: int) -> None:
        if start not in self._broken:
            self._audit.store.add_progress(
                self._audit.run_.id, start, self._stops[start], self._outcomes[start], self._hits[start]
            )
        for held in (self._open, self._stops, self._outcomes, self._hits):
            held.pop(start, None)

    def finish(self) -> None:
        """Chunks that a stop cut short are not written: they are swept again on resume."""
        self._open.clear()


def _missing(done: list[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    """The intervals of [0, total) that `done` (merged, sorted) leaves."""
    position = 0
    for start, stop in done:
        if start > position:
            yield position, start
        position = max(position, stop)
    if position < total:
        yield position, total


def _owner(grant: Grant, endpoint: Endpoint) -> Owner:
    country = grant.country if endpoint.address.is_private else ""
    return Owner(grant=grant.id, party=grant.party, country=country)


def _order(endpoint: Endpoint) -> tuple[int, int, int]:
    return endpoint.address.version, int(endpoint.address), endpoint.port
