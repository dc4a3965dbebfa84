import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from net_pairs import must, pair
from segments import internet_checksum

from leadapron.net.syn.cookie import CookieJar
from leadapron.net.syn.packets import SIZE, TEMPLATE, SynBatch

words = st.integers(0, 2**32 - 1)
targets = st.lists(st.tuples(words, st.integers(0, 65535)), min_size=1, max_size=30)
VARIABLE = {
    "identification": (4, 6),
    "IP checksum": (10, 12),
    "addresses": (12, 20),
    "ports": (20, 24),
    "sequence": (24, 28),
    "checksum": (36, 38),
    "timestamp": (48, 52),
}


def packets(of: list[tuple[int, int]], source: int, key: bytes = bytes(16)) -> list[bytes]:
    batch, jar = SynBatch(64), CookieJar(key, range(61000, 65536))
    addresses = np.array([address for address, _ in of], dtype=np.uint32)
    ports = np.array([port for _, port in of], dtype=np.uint16)
    batch.fill(np.array([source], dtype=np.uint32), addresses, ports, jar.of(addresses, ports))
    return [row.tobytes() for row in batch.packets[: len(of)]]


@given(targets, words, st.binary(min_size=16, max_size=16))
def test_every_packet_is_whole_and_its_checksum_right(of: list[tuple[int, int]], source: int, key: bytes) -> None:
    for packet, (address, port) in zip(packets(of, source, key), of, strict=True):
        assert len(packet) == SIZE == struct.unpack_from("!H", packet, 2)[0]
        assert struct.unpack_from("!II", packet, 12) == (source, address)
        assert struct.unpack_from("!H", packet, 22)[0] == port
        pseudo = packet[12:20] + struct.pack("!HH", 6, SIZE - 20)
        assert internet_checksum(pseudo + packet[20:]) == 0


@given(targets, words)
def test_a_batch_leaves_nothing_of_the_one_before(of: list[tuple[int, int]], source: int) -> None:
    batch, jar = SynBatch(64), CookieJar(bytes(16), range(61000, 65536))
    for some in (of * 2, of):
        addresses = np.array([address for address, _ in some], dtype=np.uint32)[:64]
        ports = np.array([port for _, port in some], dtype=np.uint16)[:64]
        batch.fill(np.full(len(addresses), source, dtype=np.uint32), addresses, ports, jar.of(addresses, ports))
    assert [row.tobytes() for row in batch.packets[: len(of)]] == packets(of, source)


@pytest.mark.peer
def test_byte_for_byte_it_is_what_linux_sends_apart_from_what_differs_each_time() -> None:
    def own_first_packet() -> bytes:
        with (
            socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as tap,
            socket.socket() as client,
        ):
            tap.settimeout(5)
            client.setblocking(False)
            client.connect_ex(("198.18.0.1", 104))
            while (packet := tap.recv(2000))[9:10] != b"\x06" or packet[33] != 0x02:
                pass
            return packet

    with pair() as ours:
        # The window scale follows from it: 7 from the 6 MiB that most kernels have had, 10 from the 32 MiB of late ones.
        must(ours.sweeper, "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 6291456")
        theirs = ours.sweeping(own_first_packet)

    packet = bytearray(packets([(1, 2)], 3)[0])
    masked = bytearray(theirs)
    for first, last in VARIABLE.values():
        packet[first:last] = masked[first:last] = bytes(last - first)
    assert packet == masked
    assert len(TEMPLATE) == SIZE
