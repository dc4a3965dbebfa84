"""What a server accepts: the plan against made-up servers, the conversation against hostile ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.model import Attempt, Completed, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import LastWords, Lost
from leadapron.protocols.tls.names import ALERTS, ContentType, Version
from leadapron.protocols.tls.offers import (
    ALL_CLASSES,
    MAX_OFFERS,
    MAX_RECEIVED,
    OLDER,
    ONLY_TLS_1_2,
    WEAK,
    Answer,
    Asked,
    Negotiated,
    Offer,
    Probe,
    Refused,
    learn,
    name_of,
    next_offer,
    offered,
    resumed,
)
from leadapron.protocols.tls.suites import Class, numbers_of, suites
from leadapron.protocols.tls.wire import (
    Alert,
    Certificate,
    ClientHello,
    Record,
    RecordReader,
    ServerHello,
    ServerHelloDone,
    ServerKeyExchange,
)

FIRST = Offer(highest=Version.TLS_1_3, classes=ALL_CLASSES)
HANG_UP = Failed(stage=Stage.TLS, reason=Reason.RESET)
SILENCE = Failed(stage=Stage.TLS, reason=Reason.TIMEOUT)
REFUSAL = Completed(result=Refused(alert=40))
TLS_1_2 = frozenset({Version.TLS_1_2})


@dataclass(frozen=True, kw_only=True)
class Server:
    """A made-up one: it chooses the highest version that it has, then the first suite that it has of a class of its own."""

    versions: frozenset[Version]
    classes: frozenset[Class]
    refusal: Attempt[Answer] = REFUSAL

    def answer(self, offer: Offer) -> Attempt[Answer]:
        both = self.versions & offer.versions
        if self.versions == {Version.SSL_3_0} and offer.highest != Version.TLS_1_3:
            both = self.versions
        if not both:
            return Completed(result=Refused(alert=70)) if isinstance(self.refusal, Completed) else self.refusal
        version = max(both)
        shared = self.classes & offer.classes & self.possible(version)
        if not shared:
            return self.refusal
        return Completed(result=Negotiated(version=version, suite=numbers_of(shared)[0]))

    @staticmethod
    def possible(version: Version) -> frozenset[Class]:
        if version == Version.TLS_1_3:
            return frozenset({Class.TLS13})
        return OLDER if version == Version.TLS_1_2 else OLDER - ONLY_TLS_1_2


def ask(server: Server) -> list[Asked]:
    known: list[Asked] = []
    while (offer := next_offer(known)) is not None:
        known.append(Asked(offer=offer, attempt=server.answer(offer)))
        assert len(known) <= MAX_OFFERS
    return known


servers = st.builds(
    Server,
    versions=st.frozensets(st.sampled_from(Version), min_size=1),
    classes=st.frozensets(st.sampled_from(Class), min_size=1, max_size=4).map(
        lambda some: some | {Class.TLS13, Class.CBC}
    ),
    refusal=st.sampled_from([REFUSAL, Completed(result=Refused(alert=71)), HANG_UP]),
)


@given(servers)
def test_what_a_server_accepts_is_found_in_few_connections(server: Server) -> None:
    found = learn(ask(server))
    possible = frozenset[Class]().union(*map(server.possible, server.versions))
    assert found.versions == server.versions
    assert found.classes == server.classes & server.possible(Version.TLS_1_3) & possible | (
        server.classes & server.possible(max(server.versions - {Version.TLS_1_3}))
        if server.versions - {Version.TLS_1_3}
        else frozenset()
    )
    assert not found.open_versions
    assert not found.open_classes


def test_a_good_server_costs_five_connections() -> None:
    server = Server(
        versions=frozenset({Version.TLS_1_2, Version.TLS_1_3}), classes=frozenset({Class.TLS13, Class.AEAD_ECDHE})
    )
    assert len(ask(server)) == 5


def test_a_server_that_accepts_everything_meets_the_cap_with_every_weak_class_known() -> None:
    everything = ask(Server(versions=frozenset(Version), classes=ALL_CLASSES))
    found = learn(everything)
    assert len(everything) == MAX_OFFERS
    assert found.versions == frozenset(Version)
    assert found.classes >= WEAK
    assert not found.open_classes & WEAK


@pytest.mark.parametrize("alert", [40, 112])
def test_a_server_that_refuses_everything_is_asked_twice(alert: int) -> None:
    nothing = Server(versions=frozenset(Version), classes=frozenset(), refusal=Completed(result=Refused(alert=alert)))
    known = ask(nothing)
    assert len(known) == 2
    assert learn(known).versions == frozenset()


def test_silence_ends_the_plan_and_leaves_the_rest_unknown() -> None:
    begun = [Asked(offer=FIRST, attempt=SILENCE)]
    assert next_offer(begun) is None
    assert learn(begun).open_versions == frozenset(Version)


def test_a_server_that_hangs_up_for_good_has_refused_nothing() -> None:
    """It may have shut us out: the confirmation fails, what was hung up on stays unknown."""
    good = Server(versions=TLS_1_2, classes=frozenset({Class.CBC}), refusal=HANG_UP)
    known = [Asked(offer=FIRST, attempt=good.answer(FIRST))]
    while (offer := next_offer(known)) is not None:
        known.append(Asked(offer=offer, attempt=HANG_UP))
        assert len(known) <= MAX_OFFERS
    found = learn(known)
    assert known[-1].offer == FIRST
    assert found.versions == TLS_1_2
    assert found.open_versions == {Version.TLS_1_1, Version.TLS_1_0, Version.SSL_3_0}
    assert found.open_classes >= WEAK


@given(servers)
def test_a_plan_goes_on_from_its_stored_attempts(server: Server) -> None:
    """Each job has its name, also the one that asks again whether the server still answers."""
    known = ask(server)
    here = Endpoint(address=ip_address("127.0.0.1"), port=2762)
    jobs = [Probe(endpoint=here, number=place, offer=each.offer) for place, each in enumerate(known, 1)]
    assert pickle.loads(pickle.dumps(jobs)) == jobs
    attempts = {job.name: each.attempt for job, each in zip(jobs, known, strict=True)}
    assert len(attempts) == len(known)
    assert resumed(attempts) == known
    del attempts[jobs[-1].name]
    assert resumed(attempts) == known[:-1]


def test_names_say_what_is_offered() -> None:
    assert name_of(1, FIRST) == "tls:offer:1:tls_1_3:7ff"
    assert name_of(3, Offer(highest=Version.TLS_1_2, classes=frozenset({Class.CBC, Class.RSA_KX}))).endswith(
        "tls_1_2:028"
    )


def converse(offer: Offer, *pieces: bytes | Reason) -> tuple[Attempt[Answer], list[bytes]]:
    """How it came out, and what was said."""
    conversation, said = offered(offer, "pacs.example"), []
    said.append(next(conversation))
    try:
        for piece in pieces:
            said.append(conversation.throw(Lost(piece)) if isinstance(piece, Reason) else conversation.send(piece))
        for _ in range(3):
            said.append(conversation.throw(Lost(Reason.RESET)))
    except StopIteration as stop:
        return stop.value, said
    raise AssertionError("the conversation goes on")


def handshake(message: bytes) -> bytes:
    return Record(type=ContentType.HANDSHAKE, version=0x0303, fragment=message).encode()


CHOICE = handshake(ServerHello(version=Version.TLS_1_2, suite=0xC02F).encode())


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_choice_is_read_and_the_server_is_told_that_we_go(step: int) -> None:
    attempt, said = converse(FIRST, *(CHOICE[place : place + step] for place in range(0, len(CHOICE), step)))
    assert attempt == Completed(result=Negotiated(version=Version.TLS_1_2, suite=0xC02F))
    assert isinstance(said[-1], LastWords)
    reader = RecordReader()
    reader.feed(said[-1])
    assert [Alert.decode(reader.next().fragment).description for _ in range(2)] == [90, 0]  # type: ignore[union-attr]


def test_the_hello_offers_what_it_says() -> None:
    _, (hello, *_) = converse(FIRST, CHOICE)
    reader = RecordReader()
    reader.feed(hello)
    record = reader.next()
    assert record is not None
    sent = ClientHello.decode(record.fragment[4:])
    assert set(sent.suites) == {*suites(), 0x00FF}
    assert sent.supported_versions == (0x0304, 0x0303, 0x0302, 0x0301)
    assert len(sent.key_share) == 32
    assert b"pacs.example" in hello


def test_a_hello_retry_request_is_a_choice() -> None:
    retry = ServerHello(version=Version.TLS_1_3, suite=0x1301, is_retry=True)
    attempt, _ = converse(FIRST, handshake(retry.encode()))
    assert attempt == Completed(result=Negotiated(version=Version.TLS_1_3, suite=0x1301))


@pytest.mark.parametrize("suite", [0x0005, 0x000A, 0x0003, 0x0018, 0x0001])
def test_a_server_of_ssl_3_is_heard(suite: int) -> None:
    """RC4, 3DES, export, anonymous, unencrypted: what no server of today still speaks."""
    choice = ServerHello(version=Version.SSL_3_0, suite=suite).encode()
    raw = Record(type=ContentType.HANDSHAKE, version=Version.SSL_3_0, fragment=choice).encode()
    attempt, (hello, *_, farewell) = converse(Offer(highest=Version.SSL_3_0, classes=OLDER), raw)
    assert attempt == Completed(result=Negotiated(version=Version.SSL_3_0, suite=suite))
    assert hello[:3] == farewell[:1].replace(b"\x15", b"\x16") + b"\x03\x00" == b"\x16" + farewell[1:3]


DHE = handshake(ServerHello(version=Version.TLS_1_2, suite=0x009E).encode())
GROUP = handshake(ServerKeyExchange(content=b"\x00\x80\x80" + bytes(127)).encode())


@pytest.mark.parametrize(
    ("rest", "bits"),
    [
        ((GROUP,), 1024),
        ((handshake(Certificate(chain=(b"made-up",)).encode()), GROUP[:9], GROUP[9:]), 1024),
        ((handshake(ServerHelloDone().encode()),), 0),
        ((b"garbage",), 0),
        ((handshake(b"\x0c\x00\x00\x00"),), 0),
        ((Reason.TIMEOUT,), 0),
        ((), 0),
    ],
)
def test_the_group_of_dhe_is_read_where_the_server_says_it(rest: tuple[bytes | Reason, ...], bits: int) -> None:
    attempt, _ = converse(FIRST, DHE, *rest)
    chosen = Negotiated(version=Version.TLS_1_2, suite=0x009E, prime_bits=bits)
    assert attempt == Completed(result=chosen)
    assert learn([Asked(offer=FIRST, attempt=attempt)]).prime_bits == bits


@pytest.mark.parametrize("description", sorted(ALERTS))
def test_an_alert_is_a_refusal(description: int) -> None:
    attempt, said = converse(FIRST, Alert(level=2, description=description).encode())
    assert attempt == Completed(result=Refused(alert=description))
    assert len(said) == 1


def test_a_warning_before_the_choice_is_passed_over() -> None:
    attempt, _ = converse(FIRST, Alert(level=1, description=112).encode(), CHOICE)
    assert isinstance(attempt, Completed)


def echo() -> bytes:
    return FIRST.hello("pacs.example").encode()


LOWER = Offer(highest=Version.TLS_1_1, classes=WEAK)


@pytest.mark.parametrize(
    ("offer", "piece", "reason"),
    [
        (FIRST, Reason.TIMEOUT, Reason.TIMEOUT),
        (FIRST, Reason.REFUSED, Reason.REFUSED),
        (FIRST, b"\x16\x03\x03\xff\xff", Reason.LIMIT),
        (FIRST, handshake(b"\x02\xff\xff\xff"), Reason.LIMIT),
        (FIRST, handshake(b"\x0b\x00\x00\x00"), Reason.PROTOCOL),
        (FIRST, Alert(level=1, description=112).encode() * 9, Reason.LIMIT),
        (FIRST, b"HTTP/1.1 400 Bad Request\r\n", Reason.PROTOCOL),
        (FIRST, b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00", Reason.PROTOCOL),
        (FIRST, b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL),
        (FIRST, echo(), Reason.PROTOCOL),
        (FIRST, handshake(ServerHello(version=Version.TLS_1_2, suite=0x5600).encode()), Reason.PROTOCOL),
        (FIRST, handshake(ServerHello(version=Version.TLS_1_2, suite=0x1301).encode()), Reason.PROTOCOL),
        (FIRST, handshake(ServerHello(version=Version.TLS_1_3, suite=0xC02F).encode()), Reason.PROTOCOL),
        (LOWER, handshake(ServerHello(version=Version.TLS_1_2, suite=5).encode()), Reason.PROTOCOL),
        (LOWER, handshake(ServerHello(version=Version.TLS_1_1, suite=0xC013).encode()), Reason.PROTOCOL),
    ],
    ids=[
        *("silence", "no port", "long record", "long message", "no hello", "alerts", "HTTP", "DICOM", "SSH", "echo"),
        *("unknown suite", "1.3 suite in 1.2", "1.2 suite in 1.3", "version not offered", "suite not offered"),
    ],
)
def test_what_is_no_answer_says_why(offer: Offer, piece: bytes | Reason, reason: Reason) -> None:
    attempt, said = converse(offer, piece)
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.TLS, reason)
    assert len(said) == 1


def endless() -> Iterator[bytes]:
    """Handshake bytes that never become a message: 64 KiB are announced more than ever come."""
    yield handshake(b"\x02\x01\xff\xff")
    while True:
        yield handshake(b"a" * 16)


def test_a_message_that_never_ends_is_left() -> None:
    conversation, received = offered(FIRST), 0
    next(conversation)
    for piece in endless():
        received += len(piece)
        try:
            conversation.send(piece)
        except StopIteration as stop:
            assert stop.value.reason is Reason.LIMIT
            break
    assert received <= MAX_RECEIVED + 32


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.booleans())
def test_any_bytes_give_an_answer_or_a_reason(pieces: list[bytes], framed: bool) -> None:
    wrap: Callable[[bytes], bytes] = handshake if framed else bytes
    attempt, _ = converse(FIRST, *map(wrap, pieces))
    assert isinstance(attempt, Completed | Failed)
