"""The program is run by the kernel itself, on a pair of sockets that lead nowhere: a filter may stand on any socket."""

import ctypes
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from segments import ACK, OWN, RST, SYN, answer, frames, ip, tcp, unreachable

from leadapron.net.syn.answers import parse
from leadapron.net.syn.filter import SNAP_LENGTH, packed, program

PORTS = range(61000, 61100)
ROUTER = 0x0A000001

Filter = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def passed() -> Iterator[Filter]:
    """What is left of a packet behind the filter."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        instructions = program(PORTS)
        code = ctypes.create_string_buffer(packed(instructions))
        theirs.setsockopt(socket.SOL_SOCKET, 26, struct.pack("@HP", len(instructions), ctypes.addressof(code)))
        theirs.setblocking(False)

        def run(packet: bytes) -> bytes:
            ours.send(packet)
            try:
                return theirs.recv(4096)
            except BlockingIOError:
                return b""

        yield run


@pytest.mark.parametrize("options", [b"", b"\1" * 4, b"\1" * 40])
@pytest.mark.parametrize("port", [61000, 61050, 61099])
def test_answers_pass(passed: Filter, options: bytes, port: int) -> None:
    for flags in (SYN | ACK, RST | ACK, RST):
        packet = answer(1, 104, port, 4, flags=flags, options=options)
        assert passed(packet) == packet
    quoting = unreachable(ROUTER, 1, 104, port, 4, quoted_options=options)
    assert passed(quoting) == quoting


@pytest.mark.parametrize("port", [0, 104, 60999, 61100, 65535])
def test_answers_to_ports_that_are_not_ours_do_not_pass(passed: Filter, port: int) -> None:
    assert passed(answer(1, 104, port, 4)) == b""
    assert passed(answer(1, 104, port, 4, flags=RST | ACK)) == b""
    assert passed(unreachable(ROUTER, 1, 104, port, 4)) == b""


@pytest.mark.parametrize(
    "packet",
    [
        ip(1, OWN, 6, tcp(104, 61000, 9, 5, ACK) + b"SYNTHETIC^1"),
        ip(1, OWN, 6, tcp(104, 61000, 9, 5, SYN)),
        ip(1, OWN, 6, tcp(104, 61000, 9, 5, SYN | ACK), fragment=0x2001),
        ip(1, OWN, 17, tcp(104, 61000, 9, 5, SYN | ACK)),
        ip(ROUTER, OWN, 1, struct.pack("!BBHI", 11, 0, 0, 0) + ip(OWN, 1, 6, tcp(61000, 104, 4, 0, SYN))),
        ip(ROUTER, OWN, 1, struct.pack("!BBHI", 3, 1, 0, 0) + ip(OWN, 1, 17, tcp(61000, 104, 4, 0, SYN))),
        b"\x60" + answer(1, 104, 61000, 4)[1:],
        answer(1, 104, 61000, 4)[:33],
        b"",
    ],
    ids=["data", "SYN", "fragment", "UDP", "time exceeded", "quotes UDP", "version 6", "cut", "empty"],
)
def test_nothing_else_passes(passed: Filter, packet: bytes) -> None:
    assert passed(packet) == b""


def test_no_more_is_kept_than_an_answer_needs(passed: Filter) -> None:
    assert len(passed(answer(1, 104, 61000, 4) + bytes(1400))) == SNAP_LENGTH


fields = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(0, 65535),
    st.sampled_from([0, 60999, 61000, 61099, 61100]),
    st.integers(0, 2**32 - 1),
)
packets = st.one_of(
    st.builds(lambda of, flags: answer(*of, flags=flags), fields, st.integers(0, 255)),
    st.builds(lambda of, code: unreachable(ROUTER, *of, code=code), fields, st.integers(0, 255)),
    st.binary(max_size=120),
)


@given(packets, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=3))
def test_whatever_would_be_an_answer_passes(passed: Filter, packet: bytes, bent: list[tuple[int, int]]) -> None:
    changed = bytearray(packet)
    for at, byte in bent:
        changed[at : at + 1] = bytes([byte]) if at < len(changed) else b""
    answers = parse(*frames([bytes(changed)]))
    if len(answers) and int(answers.own_ports[0]) in PORTS:
        assert passed(bytes(changed)) == bytes(changed)[:SNAP_LENGTH]
