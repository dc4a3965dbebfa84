"""The listener with real connections on loopback: what it answers, what it refuses, and that it ends."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from leadapron.errors import InputError
from leadapron.net import listener as module
from leadapron.net.challenge import ANSWER_SIZE, NONCE_SIZE, ask, is_proven
from leadapron.net.listener import Listener, Tally

TOKEN, NONCE = b"a token of a test", bytes(NONCE_SIZE)
ASKED = ask(TOKEN, NONCE)


def listened(visit: Callable[[int], None], *, count: int = 100, seconds: float = 20.0) -> Tally:
    """What a listener counted, that ends after the visit."""

    async def main() -> Tally:
        listener = Listener(TOKEN, count=count, seconds=seconds)
        ready: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(listener.listen("127.0.0.1", [0], ready.set_result))
        await asyncio.to_thread(visit, (await ready)[0])
        listener.end()
        return await task

    return asyncio.run(main())


def said(port: int, *parts: bytes) -> bytes:
    """Send these parts, each by itself; all that came back until the other side closed."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in parts:
                line.sendall(part)
                time.sleep(0.01)
            while len(received) < ANSWER_SIZE and (more := line.recv(1000)):
                received += more
        except ConnectionError:
            pass
    return received


@pytest.mark.parametrize("parts", [(ASKED,), tuple(bytes([value]) for value in ASKED)], ids=["whole", "byte by byte"])
def test_a_challenge_is_answered(parts: tuple[bytes, ...]) -> None:
    answers: list[bytes] = []

    tally = listened(lambda port: answers.append(said(port, *parts)))

    assert is_proven(TOKEN, NONCE, answers[0])
    assert tally == Tally(connections=1, proven=1, refused=0, silent=0)


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", ask(b"another token, of a test", NONCE), ASKED + b"!"],
)
def test_anything_else_is_cut_off_without_a_byte(sent: bytes) -> None:
    answers: list[bytes] = []

    tally = listened(lambda port: answers.append(said(port, sent)))

    assert answers == [b""]
    assert tally == Tally(connections=1, proven=0, refused=1, silent=0)


def test_who_says_nothing_hears_nothing_and_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTION_SECONDS", 0.3)
    answers: list[bytes] = []

    tally = listened(lambda port: answers.extend([said(port), said(port, ASKED[:71])]))

    assert answers == [b"", b""]
    assert tally == Tally(connections=2, proven=0, refused=0, silent=2)


def test_too_many_at_once_are_refused_and_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)

    def visit(port: int) -> None:
        places = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2)]
        time.sleep(0.2)
        assert said(port, ASKED) == b""
        for place in places:
            place.close()
        time.sleep(0.2)
        assert is_proven(TOKEN, NONCE, said(port, ASKED))

    assert listened(visit) == Tally(connections=4, proven=1, refused=1, silent=2)


def test_it_ends_by_itself_after_the_count_and_after_the_time() -> None:
    async def main(count: int, seconds: float, visits: int) -> Tally:
        listener = Listener(TOKEN, count=count, seconds=seconds)

        def visit(ports: list[int]) -> None:
            for _ in range(visits):
                visitors.append(asyncio.get_running_loop().run_in_executor(None, said, ports[0], ASKED))

        visitors: list[asyncio.Future[bytes]] = []
        tally = await asyncio.wait_for(listener.listen("127.0.0.1", [0], visit), timeout=10)
        await asyncio.gather(*visitors)
        return tally

    assert asyncio.run(main(3, 60.0, 3)).proven == 3
    assert asyncio.run(main(3, 0.2, 0)).connections == 0


def test_a_port_that_is_taken_is_a_mistake_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="cannot listen") as caught:
        asyncio.run(Listener(TOKEN, count=1, seconds=1).listen("127.0.0.1", [taken.getsockname()[1]], print))
    assert "\n" not in str(caught.value)
