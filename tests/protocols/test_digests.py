"""SipHash in numpy, held against the published vectors and a second implementation, one text at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.digests import BATCH, WIDTH, Digests, siphash

KEY = bytes(range(16))
VECTORS = {0: 0x726FDB47DD0E0E31, 1: 0x74F839C593DC67FD, 8: 0x93F5F5799A932462, 15: 0xA129CA6149BE45E5}
"""Of the first so many bytes 00 01 02 … (appendix A of the paper, and its reference implementation)."""
MASK = (1 << 64) - 1


def one(text: bytes, key: bytes) -> int:
    """SipHash-2-4 as the paper writes it."""

    def rotated(word: int, bits: int) -> int:
        return (word << bits | word >> (64 - bits)) & MASK

    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b, c, d = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def turned(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
        a, c = (a + b) & MASK, (c + d) & MASK
        b, d = rotated(b, 13) ^ a, rotated(d, 16) ^ c
        a = rotated(a, 32)
        c, a = (c + b) & MASK, (a + d) & MASK
        b, d = rotated(b, 17) ^ c, rotated(d, 21) ^ a
        return a, b, rotated(c, 32), d

    padded = text + bytes(7 - len(text) % 8) + bytes((len(text) & 0xFF,))
    for place in range(0, len(padded), 8):
        word = int.from_bytes(padded[place : place + 8], "little")
        d ^= word
        a, b, c, d = turned(*turned(a, b, c, d))
        a ^= word
    c ^= 0xFF
    for _ in range(4):
        a, b, c, d = turned(a, b, c, d)
    return a ^ b ^ c ^ d


@pytest.mark.parametrize("length", VECTORS)
def test_the_published_vectors(length: int) -> None:
    text = bytes(range(length))
    assert one(text, KEY) == VECTORS[length]
    assert int(siphash([text], KEY).view(np.uint64)[0]) == VECTORS[length]


@given(st.lists(st.binary(max_size=WIDTH), min_size=1, max_size=40), st.binary(min_size=16, max_size=16))
def test_texts_of_many_lengths_at_once_are_those_one_by_one(texts: list[bytes], key: bytes) -> None:
    assert siphash(texts, key).view(np.uint64).tolist() == [one(text, key) for text in texts]


def test_what_is_too_long_for_a_uid_still_has_its_hash() -> None:
    long = [b"1" * (WIDTH + 1), b"1" * (WIDTH + 2), b"1" * 5000]
    assert len(set(siphash(long, KEY).tolist())) == 3


def test_hashes_come_in_order_whatever_the_batches() -> None:
    uids = [f"1.2.3.{number}".encode() for number in range(2 * BATCH + 7)]
    digests = Digests(b"key")
    for uid in uids[:10]:
        digests.add(uid)
    first = digests.hashes()
    for uid in uids[10:]:
        digests.add(uid)

    every = digests.hashes()
    assert len(set(every.tolist())) == len(uids)
    assert every[:10].tolist() == first.tolist()
    again = Digests(b"key")
    again.add(uids[-1])
    assert again.hashes()[0] == every[-1]


def test_another_key_gives_other_hashes() -> None:
    one_run, other_run = Digests(b"one"), Digests(b"other")
    for digests in (one_run, other_run):
        digests.add(b"1.2.3")
    assert one_run.hashes() != other_run.hashes()
    assert Digests(b"one").hashes().tolist() == []
