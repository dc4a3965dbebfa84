"""A conversation inside TLS: what it yields keeps its kind, what ends it is told."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tls_peer import Peer, server_context, talk

from leadapron.model import Attempt, Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Lost, More, Question, Request
from leadapron.protocols.tls.names import ContentType
from leadapron.protocols.tls.session import MAX_HANDSHAKE, client_context
from leadapron.protocols.tls.through import through
from leadapron.protocols.tls.wire import Alert, Record

CONTEXT = client_context()
VERSIONS = ("TLSv1_2", "TLSv1_3")


def inner(*sayings: bytes, farewell: bytes = b"") -> Conversation[tuple[bytes | Reason, ...]]:
    """Says one thing after the other; the result is what came, or why nothing did."""
    heard: list[bytes | Reason] = []
    for each in sayings:
        try:
            heard.append((yield each))
        except Lost as lost:
            heard.append(lost.reason)
            if farewell:
                try:
                    yield farewell
                except Lost as again:
                    heard.append(again.reason)
            break
    return Completed(result=tuple(heard))


def doubled(data: bytes) -> bytes:
    return data * 2


@pytest.mark.parametrize("highest", VERSIONS)
@pytest.mark.parametrize("step", [1, 50, 1 << 20])
def test_it_hears_what_it_would_hear_without(highest: str, step: int) -> None:
    peer = Peer(server_context(highest=highest), doubled)
    attempt, said = talk(through(inner(b"one", b"two"), CONTEXT), peer, step=step)
    assert attempt == Completed(result=(b"oneone", b"twotwo"))
    assert peer.heard == b"onetwo"
    assert isinstance(said[-1], LastWords)
    assert peer.is_over  # by our close_notify


@pytest.mark.parametrize("highest", VERSIONS)
@given(st.binary(min_size=1, max_size=70_000))
def test_every_byte_arrives_in_order(highest: str, data: bytes) -> None:
    def collect() -> Conversation[bytes]:
        heard = yield data
        while len(heard) < len(data):
            heard += yield b""
        return Completed(result=heard)

    attempt, _ = talk(through(collect(), CONTEXT), Peer(server_context(highest=highest), bytes), step=9_999)
    assert attempt == Completed(result=data)


def test_a_question_stays_one_and_last_words_are_the_last() -> None:
    peer = Peer(server_context(), doubled)
    attempt, said = talk(through(inner(Question(b"how many"), LastWords(b"bye")), CONTEXT), peer)
    assert attempt == Completed(result=(b"how many" * 2, Reason.RESET))
    assert [type(each) for each in said if type(each) is not bytes] == [Question, LastWords]
    assert peer.heard == b"how manybye"
    assert peer.is_over


def test_it_may_say_farewell_when_it_is_lost() -> None:
    peer = Peer(server_context())
    attempt, _ = talk(through(inner(b"anybody", farewell=b"abort"), CONTEXT), peer, silent=Reason.TIMEOUT)
    assert attempt == Completed(result=(Reason.TIMEOUT, Reason.TIMEOUT))
    assert peer.heard == b"anybodyabort"


@pytest.mark.parametrize("highest", VERSIONS)
def test_a_peer_that_speaks_first_is_heard(highest: str) -> None:
    class Banner(Peer):
        def receive(self, data: bytes) -> bytes:
            was_up, sent = self.is_up, super().receive(data)
            if self.is_up and not was_up:
                self.say(b"220 ready")
                sent += super().receive(b"")
            return sent

    attempt, _ = talk(through(inner(b"", b"HELO"), CONTEXT), Banner(server_context(highest=highest), doubled))
    assert attempt == Completed(result=(b"220 ready", b"HELOHELO"))


def ended_by(end: Callable[[Peer], bytes], second: bytes = b"two") -> tuple[Attempt[tuple[bytes | Reason, ...]], Peer]:
    """The peer answers the first saying, then `end` says what it sends."""

    class Ending(Peer):
        def receive(self, data: bytes) -> bytes:
            before, sent = self.heard, super().receive(data)
            return sent + end(self) if self.heard != before else sent

    peer = Ending(server_context(), doubled)
    return talk(through(inner(b"one", second, farewell=b"abort"), CONTEXT), peer)[0], peer


def test_a_session_that_the_peer_closes_is_a_lost_connection() -> None:
    attempt, peer = ended_by(Peer.close)
    assert attempt == Completed(result=(b"oneone", Reason.RESET, Reason.RESET))
    assert peer.heard == b"one"


@pytest.mark.parametrize("kind", [Request, More])
def test_a_session_may_end_in_place_of_an_answer_to_a_request(kind: type[bytes]) -> None:
    attempt, peer = ended_by(Peer.close, kind(b"two"))
    assert attempt == Completed(result=(b"oneone", b""))
    assert peer.heard == b"one"


def test_a_session_that_breaks_after_an_answer_is_a_lost_connection() -> None:
    garbage = Record(type=ContentType.APPLICATION_DATA, version=0x0303, fragment=b"x" * 40).encode()
    attempt, _ = ended_by(lambda peer: garbage)
    assert attempt == Completed(result=(b"oneone", Reason.RESET, Reason.RESET))


@pytest.mark.parametrize("highest", VERSIONS)
def test_a_missing_client_certificate_is_a_failure_of_tls(highest: str) -> None:
    peer = Peer(server_context(client_auth=ssl.CERT_REQUIRED, highest=highest))
    attempt, _ = talk(through(inner(b"one"), CONTEXT), peer)
    assert isinstance(attempt, Failed)
    is_13 = highest == "TLSv1_3"  # behind our Finished; before, an alert may mean anything
    assert (attempt.stage, attempt.reason) == (Stage.TLS, Reason.AUTH if is_13 else Reason.TLS)
    assert attempt.detail in ("alert certificate_required", "alert handshake_failure")
    assert peer.heard == b""


def play(pieces: Iterator[bytes | Reason]) -> Attempt[tuple[bytes | Reason, ...]]:
    conversation = through(inner(b"one"), CONTEXT)
    next(conversation)
    try:
        for piece in pieces:
            sent = conversation.throw(Lost(piece)) if isinstance(piece, Reason) else conversation.send(piece)
            if isinstance(sent, LastWords):
                break
        while True:
            conversation.throw(Lost(Reason.RESET))
    except StopIteration as stop:
        attempt: Attempt[tuple[bytes | Reason, ...]] = stop.value
        return attempt


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (Reason.TIMEOUT, Reason.TIMEOUT),
        (Reason.REFUSED, Reason.REFUSED),
        (Alert(level=2, description=70).encode(), Reason.TLS),
        (b"\x16\x03\x03\xff\xff", Reason.TLS),
        (b"HTTP/1.1 400 Bad Request\r\n", Reason.TLS),
        (b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00", Reason.TLS),
    ],
    ids=["silence", "no port", "alert", "record", "HTTP", "DICOM"],
)
def test_before_the_handshake_is_done_it_is_a_failure_of_tls(piece: bytes | Reason, reason: Reason) -> None:
    attempt = play(iter((piece,)))
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.TLS, reason)


def test_warnings_without_end_are_left() -> None:
    sent = 0

    def warnings() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 7
            yield Alert(level=1, description=112).encode()

    attempt = play(warnings())
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.TLS
    assert sent <= MAX_HANDSHAKE + 7


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=4))
def test_any_bytes_give_a_failure(pieces: list[bytes]) -> None:
    assert isinstance(play(iter(pieces)), Failed)


def test_the_conversation_inside_is_closed_with_the_one_outside() -> None:
    closed = []

    def watched() -> Conversation[None]:
        try:
            yield b"one"
        finally:
            closed.append(True)
        return Completed(result=None)

    conversation = through(watched(), CONTEXT)
    peer = Peer(server_context(highest="TLSv1_2"))
    sending = next(conversation)
    while not peer.heard:
        if answer := peer.receive(sending):
            sending = conversation.send(answer)
    conversation.close()
    assert closed == [True]
