"""Audits in this process, on servers of a test; each goes on with the run before it, as `--resume` does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from leadapron.model import Address, Endpoint, Finding, Observation, Run, RunStatus
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Control, Options
from leadapron.pipeline_run import _new, audit_scope
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import armed
from leadapron.scope.watch import ScopeWatch
from leadapron.store.store import Store
from scope_file import write_scope

KEY = bytes(range(32))
OPTIONS = Options(sweep_timeout=1.0, hello_timeout=2.0)


class Silent:
    def begin(self, phase: str, total: int, done: int) -> None: ...
    def more(self, phase: str, amount: int) -> None: ...
    def advance(self, phase: str, amount: int, **figures: int) -> None: ...
    def end(self, phase: str) -> None: ...


class Clock:
    """Of the gate. `shift` seconds from now."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift


@dataclass
class Place:
    """A folder with a scope and a store; each `audit` goes on with the run, as `--resume` does."""

    folder: Path
    scope: Path
    pins: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    @contextlib.contextmanager
    def audit(self, options: Options | None = None) -> Iterator[Audit]:
        scope = load_scope(self.scope)
        options = options or OPTIONS
        gate = Gate(scope, pins=self.pins, clock=self.clock)
        with (
            Store.open(f"sqlite:///{self.folder / 's.db'}") as store,
            contextlib.closing(AuditLog.open(self.folder / "audit.jsonl")) as audit_log,
        ):
            if not store.runs():
                store.create_run(_new(scope, options), permutation_key="2." + "5a" * 16)
            (run,) = store.runs()
            audit = Audit(
                scope=scope,
                gate=gate,
                store=store,
                run=run,
                audit_log=audit_log,
                control=Control(ScopeWatch(self.scope, gate), self.folder / "stop", audit_log),
                progress=Silent(),
                options=options,
                key=KEY,
                folder=self.folder,
            )
            with armed(gate, on_denied=audit.context.denied):
                yield audit

    def run(self, options: Options | None = None) -> tuple[Run, list[Observation], set[tuple[str, str, str]]]:
        """Every stage: the run, what was seen, and (place, stage, reason) of the unknowns."""
        with self.audit(options) as audit:
            stages(audit)
            run = audit.conclude()
            unknowns = {(each.endpoint, each.stage.value, each.reason.value) for each in audit.store.unknowns(run.id)}
            return run, audit.store.observations(run.id), unknowns


def stages(audit: Audit) -> None:
    asyncio.run(audit.flow())


def place(tmp_path: Path, endpoints: list[Endpoint], **scope: object) -> Place:
    """A scope of the addresses of these endpoints, which share a port."""
    networks = [f"{endpoint.address}/32" for endpoint in endpoints]
    ports = sorted({endpoint.port for endpoint in endpoints})
    return Place(tmp_path, write_scope(tmp_path / "scope.toml", networks=networks, ports=ports, **scope))  # type: ignore[arg-type]


class Network:
    """Places on loopback, with one port, and audits of all of them after each other."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"sqlite:///{folder / 's.db'}"

    def at(self, number: int) -> tuple[str, int]:
        return f"127.88.3.{number}", self.port

    def scope(self, *numbers: int, granted: str = "", networks: list[str] | None = None) -> Path:
        networks = [f"127.88.3.{number}/32" for number in numbers] if networks is None else networks
        return write_scope(self.folder / "scope.toml", networks=networks, ports=[self.port], granted=granted)

    def audit(self, scope: Path) -> tuple[Run, dict[tuple[str, str], Finding]]:
        """The run, and its findings by address and control."""
        run, findings = audit_scope(scope, url=self.url, resume=False, options=OPTIONS, progress=Silent())
        assert run.status is RunStatus.COMPLETE, run.why
        return run, {(str(each.service.endpoint.address), each.control): each for each in findings}
