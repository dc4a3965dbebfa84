"""What is no DICOM server: it does what it is there for, and whoever hangs up on it is no error."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from lab_client import HERE, serving

from leadapron.lab import odd

SERVES = {"silent": odd.silent, "http": odd.http, "echo": odd.echo}


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with serving({HERE: SERVES[request.param]}) as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection((HERE, port), timeout=20)


@pytest.mark.parametrize("port", ["silent"], indirect=True)
def test_silence_stays_silent_whatever_is_said_until_the_other_hangs_up(port: int) -> None:
    with connect(port) as peer:
        for _ in range(5):
            peer.sendall(b"anybody there?")
            peer.settimeout(0.1)
            with pytest.raises(TimeoutError):
                peer.recv(1)
        peer.settimeout(20)
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""


@pytest.mark.parametrize("port", ["http"], indirect=True)
def test_a_web_server_answers_like_one_and_closes(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(b"\x01\x00")
        answer = b"".join(iter(lambda: peer.recv(4096), b""))
    assert answer == odd.HTTP_ANSWER
    with connect(port) as peer:
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b"", "nobody asked"


@pytest.mark.parametrize("port", ["echo"], indirect=True)
def test_an_echo_sends_back_what_came_byte_for_byte(port: int) -> None:
    said = bytes(range(256)) * 1024
    with connect(port) as peer:
        heard = b""
        for place in range(0, len(said), 8192):
            peer.sendall(said[place : place + 8192])
            while len(heard) < place + 8192:
                heard += peer.recv(65_536)
    assert heard == said


@pytest.mark.parametrize("port", ["silent", "echo"], indirect=True)
def test_nobody_is_read_without_end(port: int) -> None:
    sent = 0
    with connect(port) as peer, contextlib.suppress(ConnectionError):
        while sent < 64 * odd.MOST_READ:
            sent += peer.send(b"x" * 65_536)
            peer.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                if not peer.recv(1 << 20):
                    break
            peer.settimeout(20)
    assert sent < 64 * odd.MOST_READ


@pytest.mark.parametrize("port", list(SERVES), indirect=True)
@pytest.mark.parametrize("said", [b"", b"x", b"x" * 500_000])
def test_a_reset_at_any_time_makes_no_noise(port: int, said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        with connect(port) as peer:
            peer.settimeout(0.2)
            with contextlib.suppress(TimeoutError, ConnectionError):
                peer.sendall(said)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with connect(port) as peer:
        peer.sendall(b"still there?")
    assert caplog.records == []
