from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.net import challenge
from leadapron.net.challenge import ANSWER_SIZE, ASK, ASK_SIZE, NONCE_SIZE, answer, ask, is_proven, may_become_ask

TOKEN, NONCE = b"a token of a test", bytes(range(NONCE_SIZE))


@given(token=st.binary(min_size=1, max_size=64), nonce=st.binary(min_size=NONCE_SIZE, max_size=NONCE_SIZE))
def test_an_answer_proves_that_the_token_is_held(token: bytes, nonce: bytes) -> None:
    asked = ask(token, nonce)
    said = answer(token, asked)

    assert (len(asked), len(said)) == (ASK_SIZE, ANSWER_SIZE)
    assert is_proven(token, nonce, said)
    assert not is_proven(token + b"x", nonce, said)


@given(st.binary(max_size=ASK_SIZE * 2))
def test_any_other_bytes_give_the_one_error_and_prove_nothing(received: bytes) -> None:
    with pytest.raises(WireError):
        answer(TOKEN, received)
    assert not is_proven(TOKEN, NONCE, received)


@pytest.mark.parametrize("place", [0, len(ASK), len(ASK) + NONCE_SIZE, ASK_SIZE - 1])
def test_a_challenge_with_one_bit_changed_is_refused(place: int) -> None:
    asked = bytearray(ask(TOKEN, NONCE))
    asked[place] ^= 1
    with pytest.raises(WireError):
        answer(TOKEN, bytes(asked))


def test_the_token_does_not_cross_the_net() -> None:
    asked = ask(TOKEN, NONCE)
    assert TOKEN not in asked + answer(TOKEN, asked)


def test_neither_an_echo_nor_an_old_answer_is_a_proof() -> None:
    asked = ask(TOKEN, NONCE)
    assert not is_proven(TOKEN, NONCE, asked)
    assert not is_proven(TOKEN, NONCE, asked[:ANSWER_SIZE])
    assert not is_proven(TOKEN, NONCE, challenge.ANSWER + asked[-challenge.PROOF_SIZE :])
    assert not is_proven(TOKEN, bytes(NONCE_SIZE), answer(TOKEN, asked))
    assert not is_proven(TOKEN, NONCE, answer(TOKEN, asked) + b"\0")


def test_only_a_beginning_of_a_challenge_is_waited_for() -> None:
    asked = ask(TOKEN, NONCE)
    assert all(may_become_ask(asked[:size]) for size in range(ASK_SIZE + 1))
    assert not may_become_ask(asked + b"\0")
    assert not may_become_ask(b"GET / HTTP/1.1\r\n")
    assert not may_become_ask(b"\x01")
