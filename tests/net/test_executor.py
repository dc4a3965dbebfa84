"""The executor: the gate before each dial, one connection a host, stops, and bugs that end nothing but their job."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leadapron.errors import RunStopped, StoreError
from leadapron.lab.__main__ import free_port
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Reason
from leadapron.net.conversation import Conversation, Limits, Lost
from leadapron.net.executor import Executor, Ran, all_of
from leadapron.net.pace import Pace
from leadapron.scope.decision import Denial, Permit
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from listening import listening
from scope_file import write_scope


@dataclass(frozen=True, kw_only=True)
class Job:
    endpoint: Endpoint
    name: str = "job"
    depth: Depth = Depth.TALK
    limits: Limits = field(default_factory=lambda: Limits(connect_timeout=2, idle_timeout=5, deadline=10))
    delay: float = 0.0
    in_clear: bool = True

    def converse(self) -> Conversation[bytes]:
        try:
            return Completed(result=(yield b"hello"))
        except Lost as lost:
            return Failed(stage=self.stage, reason=lost.reason)

    stage: Any = None


class Broken(Job):
    def converse(self) -> Conversation[bytes]:
        answer = yield b"hello"
        raise ValueError(f"what the peer said: {answer!r}")


def executor_of(folder: Path, *endpoints: Endpoint, extra: str = "", depth: str = "count") -> Executor:
    scope = write_scope(
        folder / "scope.toml",
        networks=[f"{each.address}/32" for each in endpoints],
        ports=sorted({each.port for each in endpoints}),
        depth=depth,
        extra=extra,
    )
    return Executor(Gate(load_scope(scope)), Pace(10_000, 10_000))


def both(*running: Awaitable[Ran]) -> list[Attempt[Any]]:
    async def main() -> list[Attempt[Any]]:
        return [ran.attempt for ran in await asyncio.gather(*running)]

    return asyncio.run(main())


class Host:
    """Answers after `pause` seconds; knows how many connections it had, and how many at once."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause, self.count, self.now, self.most = pause, 0, 0, 0

    async def is_asked(self) -> None:
        """Wait for a connection to stand; its loop is that of another thread."""
        for _ in range(1000):
            if self.now:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody connected")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        self.now += 1
        self.most = max(self.most, self.now)
        if await reader.read(100):
            await asyncio.sleep(self.pause)
            self.now -= 1
            writer.write(b"SECRET^Value")
            await writer.drain()
        await reader.read(100)


def test_a_job_comes_back_with_its_result(tmp_path: Path) -> None:
    with listening(Host().serve) as (here,):
        executor = executor_of(tmp_path, here)
        assert both(executor.run(Job(endpoint=here))) == [Completed(result=b"SECRET^Value")]


def test_what_the_gate_denies_is_not_dialled(tmp_path: Path) -> None:
    host = Host()
    with listening(host.serve, count=2) as (granted, other):
        executor = executor_of(tmp_path, granted)
        (attempt,) = both(executor.run(Job(endpoint=other)))
        (deep,) = both(executor_of(tmp_path, granted, depth="connect").run(Job(endpoint=granted)))
    assert isinstance(attempt, Failed)
    assert isinstance(deep, Failed)
    assert attempt.reason is deep.reason is Reason.OUT_OF_SCOPE
    assert host.count == 0


def test_what_is_dialled_denied_and_cut_is_told(tmp_path: Path) -> None:
    host, told = Host(60.0), list[tuple[str, str]]()
    with listening(host.serve, count=2) as (here, other):
        excluded = (str(here.address),)
        scope = {"networks": [f"{here.address}/32"], "ports": [here.port]}
        gate = Gate(load_scope(write_scope(tmp_path / "scope.toml", **scope)))  # type: ignore[arg-type]
        later = load_scope(write_scope(tmp_path / "later.toml", **scope, exclude=excluded))  # type: ignore[arg-type]

        def decided(endpoint: Endpoint, job: str, answer: Permit | Denial) -> None:
            told.append((job, answer.grant if isinstance(answer, Permit) else answer.reason.value))

        executor = Executor(gate, Pace(10_000, 10_000), on_decided=decided)

        async def narrow() -> Attempt[Any]:
            await host.is_asked()
            gate.narrow(later)
            return Completed(result=None)

        async def main() -> None:
            watching = asyncio.create_task(executor.watch(lambda: None))
            jobs = [executor.run(Job(endpoint=here, name="one")), executor.run(Job(endpoint=other, name="two"))]
            await asyncio.wait_for(asyncio.gather(*jobs, narrow()), 10)
            watching.cancel()

        asyncio.run(main())
    assert sorted(told) == [("one", "g"), ("one", "narrowed"), ("two", "no_grant")]


def test_one_connection_at_a_time_to_a_host_and_several_to_several(tmp_path: Path) -> None:
    alone, others = Host(0.05), Host(0.05)
    with (
        listening(alone.serve) as (here,),
        listening(others.serve, places=[("127.87.0.1", 0), ("127.87.0.2", 0)]) as two,
    ):
        executor = executor_of(tmp_path, here, *two)
        same = [executor.run(Job(endpoint=here, name=str(number))) for number in range(4)]
        different = [executor.run(Job(endpoint=each)) for each in two]
        assert all(isinstance(each, Completed) for each in both(*same, *different))
    assert (alone.count, alone.most) == (4, 1)
    assert others.most == 2


def test_a_bug_of_ours_ends_its_job_and_tells_no_value(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with listening(Host().serve) as (here,):
        executor = executor_of(tmp_path, here)
        broken, whole = both(executor.run(Broken(endpoint=here)), executor.run(Job(endpoint=here)))
    assert isinstance(broken, Failed)
    assert broken.reason is Reason.BUG
    assert broken.detail.startswith("ValueError at test_executor.py:")
    assert "SECRET" not in broken.detail + caplog.text
    assert "ValueError" in caplog.text
    assert isinstance(whole, Completed)


def test_a_stop_cuts_what_is_open_and_begins_nothing(tmp_path: Path) -> None:
    host = Host(60.0)
    with listening(host.serve) as (here,):
        executor = executor_of(tmp_path, here)

        async def stop() -> Ran:
            await host.is_asked()
            executor.stop()
            return Ran(Completed(result=None))

        first, second, _ = both(executor.run(Job(endpoint=here)), executor.run(Job(endpoint=here, name="2")), stop())
    assert isinstance(first, Failed)
    assert isinstance(second, Failed)
    assert first.reason is second.reason is Reason.STOPPED
    assert host.count == 1


def test_a_connection_that_the_gate_no_longer_permits_is_cut(tmp_path: Path) -> None:
    host = Host(60.0)
    with listening(host.serve) as (here,):
        scope = write_scope(tmp_path / "scope.toml", networks=[f"{here.address}/32"], ports=[here.port])
        gate = Gate(load_scope(scope))
        executor = Executor(gate, Pace(10_000, 10_000))

        async def main() -> Ran:
            running = asyncio.create_task(executor.run(Job(endpoint=here)))
            watching = asyncio.create_task(executor.watch(lambda: None))
            await host.is_asked()
            narrowed = write_scope(
                tmp_path / "scope.toml",
                networks=[f"{here.address}/32"],
                ports=[here.port],
                exclude=(str(here.address),),
            )
            gate.narrow(load_scope(narrowed))
            try:
                return await asyncio.wait_for(running, 10)
            finally:
                watching.cancel()

        attempt = asyncio.run(main()).attempt
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.OUT_OF_SCOPE


def zone_of(folder: Path, gap: float, *endpoints: Endpoint, slots: int = 512) -> Executor:
    """An executor whose zone of these endpoints wants a gap; 127.88.0.0/16 is granted."""
    networks = [f"{each.address}/32" for each in endpoints]
    scope = write_scope(
        folder / "scope.toml",
        networks=["127.88.0.0/16"],
        ports=sorted({each.port for each in endpoints}),
        extra=f'[[zone]]\nname = "slow"\nnetworks = {networks}\ngap_seconds = {gap}\n',
    )
    return Executor(Gate(load_scope(scope)), Pace(10_000, 10_000), concurrency=slots)


def neighbours(host: Host, count: int) -> contextlib.AbstractContextManager[list[Endpoint]]:
    port = free_port([f"127.88.3.{number}" for number in range(1, count + 1)])
    return listening(host.serve, places=[(f"127.88.3.{number}", port) for number in range(1, count + 1)])


def test_between_two_connections_to_a_zone_is_its_gap(tmp_path: Path) -> None:
    host = Host()
    with neighbours(host, 3) as places:
        executor = zone_of(tmp_path, 0.2, *places)
        begun = time.monotonic()
        assert all(isinstance(each, Completed) for each in both(*(executor.run(Job(endpoint=at)) for at in places)))
    assert time.monotonic() - begun >= 0.4


def test_who_waits_for_a_gap_holds_no_slot(tmp_path: Path) -> None:
    with neighbours(Host(), 4) as (outside, *places):
        executor = zone_of(tmp_path, 0.5, *places, slots=1)

        async def ends(place: Endpoint) -> float:
            ran = await executor.run(Job(endpoint=place))
            assert isinstance(ran.attempt, Completed)
            return time.monotonic()

        async def main() -> tuple[float, list[float]]:
            waiting = [asyncio.create_task(ends(place)) for place in places]
            await asyncio.sleep(0.1)
            return await ends(outside), await asyncio.gather(*waiting)

        ended, others = asyncio.run(main())
    assert ended < sorted(others)[1]


def test_a_stop_ends_what_waits_for_a_gap_or_a_retry(tmp_path: Path) -> None:
    host = Host()
    with neighbours(host, 3) as places:
        executor = zone_of(tmp_path, 600.0, *places)

        async def stop() -> Ran:
            await asyncio.sleep(0.3)
            executor.stop()
            return Ran(Completed(result=None))

        begun = time.monotonic()
        jobs = [Job(endpoint=place, delay=600.0 if place is places[-1] else 0.0) for place in places]
        attempts = both(*map(executor.run, jobs), stop())
    assert time.monotonic() - begun < 10
    assert host.count == 1
    stopped = [each for each in attempts if isinstance(each, Failed)]
    assert [each.reason for each in stopped] == [Reason.STOPPED] * 2


def test_a_job_that_is_called_off_is_not_dialled(tmp_path: Path) -> None:
    host = Host()
    with listening(host.serve) as (here,):
        executor = executor_of(tmp_path, here)
        (attempt,) = both(executor.run(Job(endpoint=here), lambda: True))
    assert isinstance(attempt, Failed)
    assert (attempt.reason, host.count) == (Reason.STOPPED, 0)


def test_halting_cuts_those_that_are_meant_and_no_others(tmp_path: Path) -> None:
    host = Host(pause=0.5)
    with neighbours(host, 2) as (meant, other):
        executor = executor_of(tmp_path, meant, other)

        async def halt() -> Ran:
            await host.is_asked()
            executor.halt(lambda address: address == meant.address)
            return Ran(Completed(result=None))

        first, second, _ = both(executor.run(Job(endpoint=meant)), executor.run(Job(endpoint=other)), halt())
    assert isinstance(first, Failed)
    assert first.reason is Reason.STOPPED
    assert isinstance(second, Completed)


def test_a_run_that_must_not_go_on_is_no_bug_of_a_job(tmp_path: Path) -> None:
    class Unlogged(Job):
        def converse(self) -> Conversation[bytes]:
            yield b"hello"
            raise RunStopped("the audit log cannot be written: No space left on device")

    with listening(Host().serve) as (here,):
        executor = executor_of(tmp_path, here)
        with pytest.raises(RunStopped, match="No space left"):
            both(executor.run(Unlogged(endpoint=here)))


def test_what_one_raises_ends_the_others_and_is_raised_itself() -> None:
    ended: list[str] = []

    async def waits(name: str) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(name)
            raise

    async def fails() -> None:
        await asyncio.sleep(0)
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        asyncio.run(all_of([waits("one"), fails()], beside=waits("beside")))
    assert sorted(ended) == ["beside", "one"]
    with pytest.raises(StoreError, match="the disk is full"):
        asyncio.run(all_of([waits("another")], beside=fails()))
    assert ended[2:] == ["another"]


def test_all_of_waits_for_all() -> None:
    done: list[int] = []

    async def one(number: int) -> None:
        await asyncio.sleep(0.01 * (3 - number))
        done.append(number)

    work: Callable[[int], Any] = one
    asyncio.run(all_of((work(number) for number in range(3)), beside=asyncio.sleep(60)))
    assert sorted(done) == [0, 1, 2]
