"""Peers that mean harm or are broken: each has its row, ends within its deadline and bytes, and is a result.

The hello goes through the wide engine, the questions through the executor's `hold`, as in an audit; timeouts are short.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from leadapron.identify.match import match
from leadapron.lab import odd, tls
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Depth, Endpoint, Observation, Owner
from leadapron.net.dialer import Line, hold
from leadapron.net.wide import Outcome, Target, WideEngine
from leadapron.pipeline_greeting import hello_payload
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.probe import Dicom
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, elements, uids
from leadapron.protocols.dicom.wire.items import ContextResult, UserInformation
from leadapron.protocols.dicom.wire.pdu import PDV, AssociateAC, AssociateRQ, PDataTF
from listening import Serve, listening

HELLO_TIMEOUT, SECONDS = 1.0, 3.0
IDLE_TIMEOUT = 2.0
"""Of whatever follows the hello: a ClientHello where no DICOM was spoken, and then another hello."""

CONTEXT = tls.server_context(tls.made_up("pacs.example"))


def in_clear(serve: Serve) -> Serve:
    return serve


def inside_tls(serve: Serve) -> Serve:
    return tls.inside(serve, CONTEXT)


in_both = pytest.mark.parametrize("way", [in_clear, inside_tls])


def audit(endpoint: Endpoint, **budget: float) -> tuple[Observation | None, set[tuple[str, str]]]:
    """What an audit says: the observation, if any, and every (stage, reason)."""
    protocol = Dicom()
    hello = protocol.hello("LEADAPRON")
    attempts = {}

    def record(_target: Target, outcome: Outcome, answer: bytes) -> None:
        assert outcome.connected
        attempts["hello"] = hello_payload(protocol, endpoint, outcome, answer)

    target = Target(address=int(endpoint.address), version=4, port=endpoint.port)
    WideEngine(concurrency=16, timeout=HELLO_TIMEOUT).run(
        iter([target]),
        record,
        hello=hello.request,
        whole=hello.whole,
        farewell=hello.farewell,
        max_answer=hello.max_answer,
    )
    terms = Terms(
        depth=Depth.COUNT,
        owner=Owner(grant="g"),
        calling_aet="LEADAPRON",
        **{"seconds": SECONDS, "answers": 5000, **budget},  # type: ignore[arg-type]
    )
    while (job := protocol.next_job(Case(endpoint=endpoint, terms=terms, attempts=attempts), match)) is not None:
        limits = replace(job.limits, idle_timeout=min(job.limits.idle_timeout, IDLE_TIMEOUT))
        attempt = asyncio.run(hold(job.converse(), endpoint, Line(limits), limits))
        attempts[job.name] = protocol.encode_attempt(attempt)
    observations, why = protocol.conclude(Case(endpoint=endpoint, terms=terms, attempts=attempts))
    reasons = {(failed.stage.value, failed.reason.value) for seen in observations for failed in seen.unknowns}
    if why is not None:
        reasons.add((why.stage.value, why.reason.value))
    return (observations[0] if observations else None), reasons


# -- peers that never become a DICOM server ----------------------------------------------------------------------------


def says(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(4096)
            writer.write(data)
            await writer.drain()
            await reader.read(4096)
        writer.close()

    return serve


def says_and_closes(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(data)
        await writer.drain()
        writer.close()

    return serve


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while True:
            writer.write(b"\x02")
            await asyncio.sleep(0.2)
            writer.write(b"\x00")
            await asyncio.sleep(60)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.close()


def accepts(context: int) -> bytes:
    accepted = ContextResult(id=context, result=0, transfer_syntax=uids.IMPLICIT_VR_LITTLE_ENDIAN)
    return AssociateAC(contexts=(accepted,), user=UserInformation(maximum_length=16_384)).encode()


@dataclass(frozen=True)
class Row:
    what: str
    serve: Serve
    stage: str
    reason: str


NO_SERVICE = [
    Row("silent port", odd.silent, "handshake", "timeout"),
    Row("one byte now and then", drips, "handshake", "timeout"),
    Row("web server", odd.http, "handshake", "protocol"),
    Row("SSH", says(b"SSH-2.0-OpenSSH_9.2\r\n"), "handshake", "protocol"),
    Row("noise", says(bytes(range(200, 256)) * 100), "handshake", "protocol"),
    Row("reset", resets, "handshake", "reset"),
    Row("closed without a word", hangs_up, "handshake", "reset"),
    Row("acceptance of length 0", says(b"\x02\0\0\0\0\0"), "handshake", "protocol"),
    Row("acceptance of length 6", says(b"\x02\0\0\0\0\x06" + bytes(6)), "handshake", "protocol"),
    Row("acceptance of 4 GB", says(b"\x02\0\xff\xff\xff\xff"), "handshake", "limit"),
    Row("data before an association", says(b"\x04\0\0\0\0\x06" + bytes(6)), "handshake", "protocol"),
    Row("items that overrun", says(accepts(1)[:80] + b"\xff\xff" + accepts(1)[82:]), "handshake", "protocol"),
    Row("a context that was never proposed", says(accepts(251)), "handshake", "protocol"),
    Row("an even context", says(accepts(2)), "handshake", "protocol"),
    Row("half an acceptance, then closed", says_and_closes(accepts(1)[:-20]), "handshake", "truncated"),
    Row("half an acceptance, then silence", says(accepts(1)[:-20]), "handshake", "timeout"),
]


@in_both
@pytest.mark.parametrize("row", NO_SERVICE, ids=lambda row: row.what)
def test_what_is_no_dicom_server_is_a_result_with_its_reason(row: Row, way: Callable[[Serve], Serve]) -> None:
    with listening(way(row.serve)) as (endpoint,):
        begun = time.monotonic()
        observation, reasons = audit(endpoint)
        took = time.monotonic() - begun

    assert observation is None
    assert reasons == {(row.stage, row.reason)}
    assert took < HELLO_TIMEOUT + 2 * IDLE_TIMEOUT + SECONDS


ONLY_IN_CLEAR = [
    Row("a TLS alert to everything", says(b"\x15\x03\x01\x00\x02\x02\x46"), "tls", "tls"),
    Row("our own bytes", odd.echo, "handshake", "middlebox"),
]


@pytest.mark.parametrize("row", ONLY_IN_CLEAR, ids=lambda row: row.what)
def test_what_is_neither_dicom_nor_tls_is_a_result_with_its_reason(row: Row) -> None:
    with listening(row.serve) as (endpoint,):
        assert audit(endpoint) == (None, {(row.stage, row.reason)})


# -- servers that misbehave behind the association ---------------------------------------------------------------------


class Hostile(Server):
    """Accepts everything, then answers a C-FIND with what `answer` writes."""

    def __init__(self, answer: Callable[[int], Iterator[bytes]], maximum_length: int = 16_384) -> None:
        super().__init__(Behaviour())
        self.answer, self.maximum_length = answer, maximum_length

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = wire.Association(acceptor=True)
        with contextlib.suppress(OSError, Exception):
            while data := await reader.read(65_536):
                side.receive_data(data)
                while (event := side.next_event()) is not wire.NEED_DATA:
                    if isinstance(event, AssociateRQ):
                        writer.write(side.accept(self.acceptance(event)))
                    elif isinstance(event, wire.Message):
                        await self.reply(event, side, writer)
        writer.close()

    def acceptance(self, request: AssociateRQ) -> AssociateAC:
        contexts = tuple(
            ContextResult(id=context.id, result=0, transfer_syntax=context.transfer_syntaxes[-1])
            for context in request.contexts
            if context.abstract_syntax in (uids.VERIFICATION, uids.STUDY_ROOT_FIND)
        )
        return AssociateAC(contexts=contexts, user=UserInformation(maximum_length=self.maximum_length))

    async def reply(self, message: wire.Message, side: wire.Association, writer: asyncio.StreamWriter) -> None:
        if message.command.field == dimse.CommandField.C_ECHO_RQ:
            writer.write(side.send_message(message.context_id, dimse.response(message.command, 0)))
        elif message.command.field == dimse.CommandField.C_FIND_RQ:
            for piece in self.answer(message.command.message_id):
                writer.write(piece)
                await writer.drain()


def value(data: bytes, *, is_command: bool) -> bytes:
    return PDataTF(values=(PDV(context_id=3, is_command=is_command, is_last=True, data=data),)).encode()


def pending(message_id: int, identifier: bytes) -> bytes:
    command = dimse.response(dimse.find_request(message_id, uids.STUDY_ROOT_FIND), 0xFF00, has_data_set=True)
    return value(command.encode(), is_command=True) + value(identifier, is_command=False)


def final(message_id: int, status: int = 0) -> bytes:
    command = dimse.response(dimse.find_request(message_id, uids.STUDY_ROOT_FIND), status)
    return value(command.encode(), is_command=True)


def study(number: int, images: bytes = b"1") -> bytes:
    return elements.encode([(0x0020000D, f"2.25.{number}".encode()), (0x00201206, b"1"), (0x00201208, images)])


def without_end(message_id: int) -> Iterator[bytes]:
    for start in range(0, 5_000_000, 500):
        yield b"".join(pending(message_id, study(start + number)) for number in range(500))


def the_same_for_ever(message_id: int) -> Iterator[bytes]:
    piece = pending(message_id, study(1)) * 500
    for _ in range(10_000):
        yield piece


def nested(message_id: int) -> Iterator[bytes]:
    deep = struct.pack("<HHIHHI", 0x0008, 0x1140, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) * 6000
    yield pending(message_id, deep)
    yield final(message_id)


def absurd_numbers(message_id: int) -> Iterator[bytes]:
    yield pending(message_id, study(1, b"-7")) + pending(message_id, study(2, b"1000000000000"))
    yield pending(message_id, study(3, b"4")) + final(message_id)


def requests_of_its_own(message_id: int) -> Iterator[bytes]:
    yield value(dimse.echo_request(9, uids.VERIFICATION).encode(), is_command=True)


def association_again(_message_id: int) -> Iterator[bytes]:
    yield accepts(3)


def oversized(_message_id: int) -> Iterator[bytes]:
    yield b"\x04\0\xff\xff\xff\xff" + bytes(100)


def truncated(message_id: int) -> Iterator[bytes]:
    yield pending(message_id, study(1))[:-5]


AFTER = [
    ("answers without end", without_end, "proven", {("count", "budget")}),
    ("the same record for ever", the_same_for_ever, "proven", {("count", "limit")}),
    ("nested 10,000 deep", nested, "unknown", {("list", "limit")}),
    ("absurd numbers", absurd_numbers, "proven", {("count", "limit")}),
    ("requests sent to us", requests_of_its_own, "unknown", {("list", "protocol")}),
    ("an acceptance in the middle", association_again, "unknown", {("list", "protocol")}),
    ("a PDU of 4 GB", oversized, "unknown", {("list", "limit")}),
    ("half an answer and silence", truncated, "unknown", {("list", "timeout")}),
]


@in_both
@pytest.mark.parametrize(("what", "answer", "listed", "expected"), AFTER, ids=[row[0] for row in AFTER])
def test_what_a_hostile_server_answers_is_a_result_with_its_reason(
    what: str,
    answer: Callable[[int], Iterator[bytes]],
    listed: str,
    expected: set[tuple[str, str]],
    way: Callable[[Serve], Serve],
) -> None:
    with listening(way(Hostile(answer).serve)) as (endpoint,):
        observation, reasons = audit(endpoint)

    assert observation is not None
    assert observation.access.list.value == listed
    assert reasons == expected
    if listed == "proven":
        assert observation.counts.images is None or observation.counts.images.kind.value == "bound"


@in_both
@pytest.mark.parametrize("maximum_length", [0, 1])
def test_an_odd_maximum_length_is_answered_in_small_fragments(
    maximum_length: int, way: Callable[[Serve], Serve]
) -> None:
    def one_study(message_id: int) -> Iterator[bytes]:
        yield pending(message_id, study(1)) + final(message_id)

    with listening(way(Hostile(one_study, maximum_length).serve)) as (endpoint,):
        observation, reasons = audit(endpoint)

    assert observation is not None
    assert observation.counts.studies is not None
    assert observation.counts.studies.value == 1
    assert reasons == set()
