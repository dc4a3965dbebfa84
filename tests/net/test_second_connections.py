"""What a conversation opens behind its first connection: the same endpoint again, and another port of the same host."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

import pytest

from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import (
    CloseSide,
    Conversation,
    Limits,
    Lost,
    MayEnd,
    OnSide,
    OpenSide,
    Redial,
    Request,
    SideLost,
)
from leadapron.net.executor import Executor
from leadapron.net.pace import Pace
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import armed
from listening import listening
from scope_file import write_scope

decided_on: list[tuple[str, str, bool]] = []


@dataclass(frozen=True, kw_only=True)
class Job:
    """Plays `script` and returns what came of each of its parts."""

    endpoint: Endpoint
    script: tuple[bytes, ...]
    name: str = "job"
    depth: Depth = Depth.TALK
    limits: Limits = field(default_factory=lambda: Limits(connect_timeout=2, idle_timeout=2, deadline=5))
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[list[bytes | Reason]]:
        heard: list[bytes | Reason] = []
        for part in self.script:
            try:
                heard.append((yield part))
            except SideLost as lost:
                heard.append(lost.reason)
            except Lost as lost:
                return Failed(stage=Stage.TALK, reason=lost.reason, detail=repr(heard))
        return Completed(result=heard)


def run(folder: Path, job: Job, *, ports: list[int] | None = None) -> Attempt[list[bytes | Reason]]:
    """Under an armed gate whose scope has only the job's own port, or `ports`."""
    decided_on.clear()
    scope = write_scope(folder / "scope.toml", networks=["127.0.0.0/8"], ports=ports or [job.endpoint.port])
    gate = Gate(load_scope(scope))

    def decided(endpoint: Endpoint, name: str, answer: Permit | Denial) -> None:
        decided_on.append((str(endpoint), name, isinstance(answer, Permit)))

    executor = Executor(gate, Pace(1000.0, 1000.0), on_decided=decided)
    with armed(gate):
        return asyncio.run(executor.run(job)).attempt


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers once, and closes in order."""
    writer.write(b"re:" + await reader.read(100))
    await writer.drain()
    writer.close()


async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers everything."""
    while data := await reader.read(100):
        writer.write(b"re:" + data)
        await writer.drain()
    writer.close()


def test_a_peer_that_closed_in_order_is_dialled_again(tmp_path: Path) -> None:
    with listening(closes) as (here,):
        job = Job(endpoint=here, script=(MayEnd(b"a"), MayEnd(), Redial(b"b"), MayEnd(), Redial(b"c")))
        attempt = run(tmp_path, job)
    assert attempt == Completed(result=[b"re:a", b"", b"re:b", b"", b"re:c"])
    assert decided_on == [(str(here), "job", True)] * 3


def test_to_whom_did_not_ask_for_it_an_end_is_a_loss(tmp_path: Path) -> None:
    with listening(closes) as (here,):
        attempt = run(tmp_path, Job(endpoint=here, script=(b"a", b"")))
    assert attempt == Failed(stage=Stage.TALK, reason=Reason.RESET, detail="[b're:a']")


def test_a_second_connection_stands_beside_the_first(tmp_path: Path) -> None:
    with listening(listens) as (here,), listening(closes) as (other,):
        script = (b"a", OpenSide.to(other.port), OnSide(b"x"), b"b", OnSide(b""), CloseSide(), b"c")
        attempt = run(tmp_path, Job(endpoint=here, script=script))
    assert attempt == Completed(result=[b"re:a", b"", b"re:x", b"re:b", b"", b"", b"re:c"])
    beside = str(Endpoint(address=here.address, port=other.port))
    assert decided_on == [(str(here), "job", True), (beside, f"job beside {here.port}", True)]


def test_a_second_connection_that_is_refused_leaves_the_first(tmp_path: Path) -> None:
    with socket.socket() as closed, listening(listens) as (here,):
        closed.bind(("127.0.0.1", 0))
        script = (OpenSide.to(closed.getsockname()[1]), b"a", OnSide(b"x"))
        attempt = run(tmp_path, Job(endpoint=here, script=script))
    assert attempt == Completed(result=[Reason.REFUSED, b"re:a", Reason.RESET])


def test_another_second_connection_takes_the_place_of_the_first_one(tmp_path: Path) -> None:
    with listening(listens) as (here,), listening(listens) as (one,), listening(listens) as (two,):
        script = (OpenSide.to(one.port), OnSide(b"1"), OpenSide.to(two.port), OnSide(b"2"))
        attempt = run(tmp_path, Job(endpoint=here, script=script))
    assert attempt == Completed(result=[b"", b"re:1", b"", b"re:2"])


def test_a_port_that_is_allowed_beside_another_is_allowed_then_and_there_only(tmp_path: Path) -> None:
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.0/8"], ports=[21], exclude=("127.0.0.9/32",))
    gate = Gate(load_scope(scope))
    here, excluded = ip_address("127.0.0.1"), ip_address("127.0.0.9")
    assert gate.dial_allowed("127.0.0.1", 4000) is Denied.PORT
    permit = gate.decide(here, 4000, Depth.COUNT, beside=21)
    assert isinstance(permit, Permit)
    assert permit.port == 4000
    assert isinstance(gate.decide(here, 4000, Depth.COUNT, beside=22), Denial)
    assert isinstance(gate.decide(excluded, 4000, Depth.COUNT, beside=21), Denial)
    with gate.beside(here, 4000), gate.beside(here, 4000):
        with gate.beside(here, 4000):
            assert gate.dial_allowed("127.0.0.1", 4000) is None
        assert gate.dial_allowed("::ffff:127.0.0.1", 4000) is None
        assert gate.dial_allowed("127.0.0.1", 4001) is Denied.PORT
        assert gate.dial_allowed("127.0.0.2", 4000) is Denied.PORT
        with gate.beside(excluded, 4000):
            assert gate.dial_allowed("127.0.0.9", 4000) is Denied.EXCLUDED
    assert gate.dial_allowed("127.0.0.1", 4000) is Denied.PORT


def test_both_connections_share_the_allowance(tmp_path: Path) -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 3000)
        await writer.drain()
        await reader.read(100)
        writer.close()

    limits = Limits(connect_timeout=2, idle_timeout=2, deadline=5, max_received=5000)
    with listening(floods) as (here,), listening(floods) as (other,):
        script = (b"a", OpenSide.to(other.port), *[OnSide(b"")] * 3)
        attempt = run(tmp_path, Job(endpoint=here, script=script, limits=limits))
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.LIMIT


@pytest.mark.parametrize("beside", [False, True])
def test_a_stop_cuts_both(tmp_path: Path, beside: bool) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        await asyncio.sleep(1)
        writer.close()

    with listening(listens) as (here,), listening(silent) as (other,):
        scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.0/8"], ports=[here.port])
        gate = Gate(load_scope(scope))
        executor = Executor(gate, Pace(1000.0, 1000.0))
        script = (b"a", OpenSide.to(other.port), OnSide(b"x") if beside else CloseSide(), *[b"b"] * 100_000)

        async def stopped() -> Attempt[list[bytes | Reason]]:
            running = asyncio.create_task(executor.run(Job(endpoint=here, script=script)))
            await asyncio.sleep(0.3)
            executor.stop()
            return (await running).attempt

        with armed(gate):
            attempt = asyncio.run(stopped())
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.STOPPED


def test_a_reset_in_place_of_an_answer_is_an_end_to_whom_asks_so(tmp_path: Path) -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    with listening(resets) as (here,):
        assert run(tmp_path, Job(endpoint=here, script=(Request(b"a"),))) == Completed(result=[b""])
        attempt = run(tmp_path, Job(endpoint=here, script=(MayEnd(b"a"),)))
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.RESET
