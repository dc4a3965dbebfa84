"""Hundreds of hosts that say nothing, drip or flood: the others are not slowed, and memory stays where it was."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_hostile_peers import Hostile, pending
from test_hostile_peers import audit as hostile_audit

from audits import Place, place, stages
from leadapron.lab.__main__ import free_port
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint, RunStatus
from leadapron.net.target import Outcome, Target
from leadapron.net.wide import READ_SIZE, WideEngine
from leadapron.pipeline_control import Options
from leadapron.protocols.dicom.probe import Dicom
from leadapron.protocols.dicom.wire.pdu import HEADER_LENGTH, MAX_ASSOCIATE_LENGTH, PDV, PDataTF
from listening import listening

SILENT, TALKING = 500, 20
HELLO = Dicom().hello("LEADAPRON")


def addresses(count: int) -> list[str]:
    """Not one beside the other: a row of hosts that are silent alike is a middlebox."""
    return [f"127.90.{number // 100}.{2 * (number % 100) + 1}" for number in range(count)]


class Crowd:
    """Hosts that say nothing, from the `silent_from`th connection on which something is said; the last 20 talk."""

    def __init__(self, silent_from: int) -> None:
        names = addresses(SILENT + TALKING)
        port = free_port(names)
        self.places = [(name, port) for name in names]
        self.talking = set(names[SILENT:])
        self._silent_from = silent_from
        self._spoken = Counter[str]()
        self._server = Server(Behaviour(archives={"": made_up(3, 4)}))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        await self._server.serve(Attentive(self, address, reader), writer)  # type: ignore[arg-type]

    def is_silent(self, address: str) -> bool:
        self._spoken[address] += 1
        return address not in self.talking and self._spoken[address] >= self._silent_from


class Attentive:
    """A reader that never comes back where the host is silent."""

    def __init__(self, crowd: Crowd, address: str, reader: asyncio.StreamReader) -> None:
        self._crowd, self._address, self._reader, self._is_first = crowd, address, reader, True

    async def read(self, most: int) -> bytes:
        data = await self._reader.read(most)
        if data and self._is_first and self._crowd.is_silent(self._address):
            await self._reader.read()
            return b""
        self._is_first = False
        return data


def audited(here: Place, options: Options) -> tuple[RunStatus, list[tuple[str, str]], Counter[tuple[str, str]]]:
    """The status, (address, job) in the order of their results, and how many unknowns had which stage and reason."""
    order: list[tuple[str, str]] = []
    with here.audit(options) as audit:
        record = audit.store.record_attempt

        def recording(run_id: str, endpoint: Endpoint, protocol: str, job: str, payload: Any, **how: Any) -> None:
            order.append((str(endpoint.address), job))
            record(run_id, endpoint, protocol, job, payload, **how)

        record_hellos = audit.store.record_hellos

        def recording_hellos(run_id: str, protocol: str, answers: Iterable[tuple[Endpoint, Any]]) -> None:
            told = list(answers)
            order.extend((str(endpoint.address), "hello") for endpoint, _ in told)
            record_hellos(run_id, protocol, told)

        audit.store.record_attempt = recording  # type: ignore[method-assign]
        audit.store.record_hellos = recording_hellos  # type: ignore[method-assign]
        stages(audit)
        run = audit.conclude()
        unknowns = Counter[tuple[str, str]]()
        for unknown in audit.store.unknowns(run.id):
            unknowns[unknown.stage.value, unknown.reason.value] += unknown.count
        return run.status, order, unknowns


@pytest.mark.parametrize(
    ("silent_from", "job", "stages_of_unknowns"),
    [(1, "hello", ["handshake"]), (2, "ask:ANY-SCP", ["handshake", "talk"])],
)
def test_500_silent_hosts_at_once_slow_down_no_other(
    tmp_path: Path, silent_from: int, job: str, stages_of_unknowns: list[str]
) -> None:
    """Whatever answers has answered before the first of them is given up, in the wide stage and in the deep one.

    Those that go silent behind a handshake are looked for once more, and reported as not answering any more.
    """
    crowd = Crowd(silent_from)
    with listening(crowd.serve, places=crowd.places) as endpoints:
        here = place(tmp_path, endpoints, extra="[budget]\nseconds = 6\n")
        status, order, unknowns = audited(here, Options(sweep_timeout=5.0, hello_timeout=5.0))

    ended = [address in crowd.talking for address, name in order if name == job]
    assert ended == [True] * TALKING + [False] * SILENT
    assert status is RunStatus.COMPLETE
    assert unknowns == {(stage, "timeout"): SILENT for stage in stages_of_unknowns}


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A long acceptance, one byte after the other, each well before anybody would call it silent."""
    await reader.read(4096)
    with contextlib.suppress(OSError):
        for byte in b"\2\0\0\0\x10\0" + bytes(4096):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    await reader.read()


def greet(
    endpoints: list[Endpoint], timeout: float, whole: Callable[[bytes], int] = HELLO.whole
) -> list[tuple[int, Outcome, int]]:
    """(number of the endpoint, outcome, bytes of answer) in the order of their ends."""
    ended: list[tuple[int, Outcome, int]] = []
    targets = (Target(int(each.address), 4, each.port, number) for number, each in enumerate(endpoints))
    WideEngine(concurrency=1024, timeout=timeout).run(
        targets,
        lambda target, outcome, answer: ended.append((target.tag, outcome, len(answer))),
        hello=HELLO.request,
        whole=whole,
        farewell=HELLO.farewell,
        max_answer=HELLO.max_answer,
    )
    return ended


def test_a_host_that_drips_ends_when_a_silent_one_does() -> None:
    """One byte now and then buys no time: the deadline is that of the whole answer."""
    with listening(drips) as dripping, listening(says_nothing, places=[("127.91.0.1", 0)]) as silent:
        ended = greet([*dripping, *silent], timeout=1.0)

    assert [(number, outcome) for number, outcome, _ in ended] == [(0, Outcome.SILENT), (1, Outcome.SILENT)]
    assert ended[0][2] > 5


FLOOD = 64 << 20


class Flood:
    """Sends an acceptance that claims to be as long as it may be, and goes on behind it as long as anybody reads."""

    def __init__(self, header: bytes) -> None:
        self.header, self.sent = header, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        with contextlib.suppress(OSError):
            writer.write(self.header)
            for _ in range(FLOOD // 16_384):
                writer.write(bytes(16_384))
                await writer.drain()
                self.sent += 16_384


@contextlib.contextmanager
def memory() -> Iterator[list[int]]:
    """The highest growth of Python's memory in bytes, once the block is over."""
    tracemalloc.start()
    grown: list[int] = []
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield grown
        grown.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("whole", "outcome"),
    [(HELLO.whole, Outcome.ANSWERED), (lambda _: 0, Outcome.OVERLONG)],
    ids=["whole", "never whole"],
)
def test_hosts_that_flood_are_left_at_the_cap_of_bytes(whole: Callable[[bytes], int], outcome: Outcome) -> None:
    hosts, cap = 100, HEADER_LENGTH + MAX_ASSOCIATE_LENGTH
    flood = Flood(b"\2\0" + MAX_ASSOCIATE_LENGTH.to_bytes(4, "big"))
    with listening(flood.serve, hosts) as endpoints, memory() as grown:
        ended = greet(endpoints, timeout=30.0, whole=whole)

    assert [each for _, each, _ in ended] == [outcome] * hosts
    assert all(cap <= size < cap + READ_SIZE for _, _, size in ended)
    assert flood.sent < hosts * FLOOD / 4, "most of it was read"
    assert grown[0] < hosts * 4 * cap


def test_an_answer_without_end_is_left_and_not_held() -> None:
    """Fragments of one identifier, for ever: they are neither joined for ever nor read for ever."""
    fragment = bytes(100_000)
    sent = [0]

    def endless(message_id: int) -> Iterator[bytes]:
        yield pending(message_id, b"")[: -HEADER_LENGTH - 6]
        for _ in range(FLOOD // 50_000):
            sent[0] += len(fragment)
            yield PDataTF(values=(PDV(context_id=3, is_command=False, is_last=False, data=fragment),)).encode()

    with listening(Hostile(endless).serve) as (endpoint,), memory() as grown:
        observation, reasons = hostile_audit(endpoint)

    assert observation is not None
    assert reasons == {("list", "limit")}
    assert sent[0] < FLOOD
    assert grown[0] < FLOOD / 4
