import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from segments import ACK, OWN, RST, SYN, answer, frames, ip, tcp, unreachable

from leadapron.net.syn.answers import ACCEPTED, REFUSED, UNREACHABLE, Answers, genuine, parse
from leadapron.net.syn.cookie import CookieJar, network_order
from leadapron.net.syn.filter import SNAP_LENGTH

JAR = CookieJar(bytes(range(16)), range(61000, 65536))
ROUTER = 0x0A000001

words, ports = st.integers(0, 2**32 - 1), st.integers(0, 65535)
targets = st.tuples(words, ports)
options = st.integers(0, 10).map(lambda count: b"\1" * (4 * count))


def cookie(address: int, port: int) -> tuple[int, int]:
    """(source port, sequence number) of our packet."""
    cookies = JAR.of(np.array([address], dtype=np.uint32), np.array([port], dtype=np.uint16))
    return int(cookies.ports[0]), int(network_order(cookies.sequences)[0])


def rows(answers: Answers) -> list[tuple[int, ...]]:
    return [
        tuple(int(getattr(answers, name)[at]) for name in Answers.__dataclass_fields__) for at in range(len(answers))
    ]


def parsed(*packets: bytes) -> list[tuple[int, ...]]:
    return rows(parse(*frames(packets)))


@given(words, ports, ports, words, options, words, st.sampled_from([(SYN | ACK, ACCEPTED), (RST | ACK, REFUSED)]))
def test_answers_of_tcp_are_read_whatever_options_ip_has(
    address: int, port: int, own_port: int, sequence: int, with_options: bytes, own: int, what: tuple[int, int]
) -> None:
    flags, kind = what
    packet = answer(address, port, own_port, sequence, flags=flags, options=with_options, own=own)
    assert parsed(packet) == [(address, port, own, own_port, sequence, kind)]


@given(words, words, ports, ports, words, options, st.integers(0, 15))
def test_what_icmp_quotes_is_read_whatever_options_we_had(
    router: int, address: int, port: int, own_port: int, sequence: int, quoted: bytes, code: int
) -> None:
    packet = unreachable(router, address, port, own_port, sequence, code=code, quoted_options=quoted)
    kind = REFUSED if code == 3 else UNREACHABLE
    assert parsed(packet) == ([] if code == 4 else [(address, port, OWN, own_port, sequence, kind)])


@given(st.lists(targets, max_size=20))
def test_each_answer_among_others_is_its_own(of: list[tuple[int, int]]) -> None:
    packets, expected = [], []
    for number, (address, port) in enumerate(of):
        flags = SYN | ACK if number % 2 else RST | ACK
        packets += [answer(address, port, number, 5, flags=flags, options=b"\1" * 4 * (number % 3)), bytes(number)]
        expected.append((address, port, OWN, number, 5, ACCEPTED if number % 2 else REFUSED))
    packets.append(unreachable(ROUTER, 1, 2, 3, 4))
    assert parsed(*packets) == [*expected, (1, 2, OWN, 3, 4, UNREACHABLE)]


@example([b""])
@example([b"E" * 200])
@example([b"\x4f" * 60])
@example([bytes.fromhex("4f00ffff0000000000010000") + b"\xff" * 148])
@given(st.lists(st.binary(max_size=SNAP_LENGTH + 20), max_size=12))
def test_any_bytes_give_an_answer_or_nothing(packets: list[bytes]) -> None:
    answers = parse(*frames(packets))
    assert len(answers) <= len(packets)
    assert genuine(answers, JAR).shape == (len(answers),)


@given(st.data())
def test_any_bytes_behind_a_right_beginning_give_an_answer_or_nothing(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([answer(1, 2, 3, 4), unreachable(ROUTER, 1, 2, 3, 4, quoted_options=b"\1" * 40)]))
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    assert len(parse(*frames([bytes(bad)]))) <= 1


@pytest.mark.parametrize(
    "packet",
    [
        answer(1, 2, 3, 4),
        answer(1, 2, 3, 4, flags=RST | ACK, options=b"\1" * 40),
        unreachable(ROUTER, 1, 2, 3, 4),
        unreachable(ROUTER, 1, 2, 3, 4, quoted_options=b"\1" * 40),
    ],
)
@pytest.mark.parametrize("behind", [0x00, 0x01, 0x45, 0xFF])
def test_a_packet_that_is_cut_anywhere_is_no_answer(packet: bytes, behind: int) -> None:
    cut = [packet[:length] for length in range(len(packet))]
    assert len(parse(*frames(cut, behind=behind))) == 0
    assert len(parse(*frames([packet], behind=behind))) == 1


@pytest.mark.parametrize("field", [b"\0\0", b"\0\x27"])
def test_a_packet_that_says_it_is_shorter_than_its_headers_is_no_answer(field: bytes) -> None:
    packet = bytearray(answer(1, 2, 3, 4))
    packet[2:4] = field
    assert parsed(bytes(packet)) == []


@pytest.mark.parametrize(
    "packet",
    [
        ip(1, OWN, 6, tcp(2, 3, 9, 5, SYN | ACK), fragment=0x2001),
        ip(1, OWN, 6, tcp(2, 3, 9, 5, SYN | ACK), fragment=0x1F00),
        ip(1, OWN, 17, tcp(2, 3, 9, 5, SYN | ACK)),
        ip(1, OWN, 6, tcp(2, 3, 9, 5, SYN)),
        ip(1, OWN, 6, tcp(2, 3, 9, 5, RST)),
        ip(1, OWN, 6, tcp(2, 3, 9, 5, ACK)),
        ip(1, OWN, 6, tcp(2, 3, 9, 5, SYN | RST | ACK)),
        ip(1, OWN, 6, tcp(2, 3, 9, 5, SYN | ACK | 0x01)),
        ip(ROUTER, OWN, 1, struct.pack("!BBHI", 11, 0, 0, 0) + answer(1, 2, 3, 4)),
        ip(ROUTER, OWN, 1, struct.pack("!BBHI", 3, 1, 0, 0) + ip(OWN, 1, 17, tcp(3, 2, 4, 0, SYN))),
        b"\x65" + answer(1, 2, 3, 4)[1:],
        b"\x44" + answer(1, 2, 3, 4)[1:],
    ],
    ids=["later fragment", "last fragment", "UDP", "SYN", "RST alone", "ACK", "SYN and RST", "FIN", "time exceeded",
         "quotes UDP", "version 6", "short header"],
)  # fmt: skip
def test_other_packets_are_no_answers(packet: bytes) -> None:
    assert parsed(packet) == []


def test_ecn_bits_and_a_first_fragment_do_not_matter() -> None:
    assert len(parsed(ip(1, OWN, 6, tcp(2, 3, 9, 5, SYN | ACK | 0x40)), ip(1, OWN, 6, tcp(2, 3, 9, 5, 0xD4)))) == 2


@given(targets, st.sampled_from([SYN | ACK, RST | ACK]))
def test_the_answer_to_our_packet_is_genuine(of: tuple[int, int], flags: int) -> None:
    port, sequence = cookie(*of)
    packets = [answer(*of, port, sequence, flags=flags), unreachable(ROUTER, *of, port, sequence)]
    assert genuine(parse(*frames(packets)), JAR).tolist() == [True, True]


@given(targets, st.integers(1, 2**32 - 1), st.integers(1, 65535), targets)
def test_an_answer_that_is_off_by_anything_is_not_genuine(
    of: tuple[int, int], off: int, other_port: int, other: tuple[int, int]
) -> None:
    port, sequence = cookie(*of)
    packets = [
        answer(*of, port, (sequence + off) % 2**32),
        answer(*of, port, (sequence + 1) % 2**32),
        answer(*of, port, (sequence - 1) % 2**32),
        answer(*of, (port + other_port) % 65536, sequence),
        unreachable(ROUTER, *of, port, (sequence + off) % 2**32),
        unreachable(ROUTER, *of, (port + other_port) % 65536, sequence),
    ]
    if other != of:  # an answer of ours, said to come from somebody else
        packets += [answer(*other, port, sequence), unreachable(ROUTER, *other, port, sequence)]
    assert not genuine(parse(*frames(packets)), JAR).any()


@given(st.lists(st.tuples(words, ports, ports, words), min_size=1, max_size=50))
def test_a_guess_is_not_genuine(guesses: list[tuple[int, int, int, int]]) -> None:
    for address, port, own_port, sequence in guesses:
        if cookie(address, port) != (own_port, sequence):
            assert not genuine(parse(*frames([answer(address, port, own_port, sequence)])), JAR).any()
