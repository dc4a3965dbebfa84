"""The challenge by which a scanner proves that its way out works, sans-IO.

    scanner ─► "LAPRON1?"  nonce (32)  HMAC-SHA256(token, "ask" nonce)       72 bytes
    scanner ◄─ "LAPRON1!"  HMAC-SHA256(token, "answer" nonce)                40 bytes

Both sides hold the token, so that neither a middlebox that answers everything nor an old answer passes for the listener,
and a stranger gets no byte from it. The answer is shorter than what asks for it.
"""

from __future__ import annotations

import hmac

from leadapron.errors import WireError

ASK, ANSWER = b"LAPRON1?", b"LAPRON1!"
NONCE_SIZE, PROOF_SIZE = 32, 32
ASK_SIZE, ANSWER_SIZE = len(ASK) + NONCE_SIZE + PROOF_SIZE, len(ANSWER) + PROOF_SIZE


def ask(token: bytes, nonce: bytes) -> bytes:
    """What the scanner sends. `nonce` is fresh: `NONCE_SIZE` random bytes."""
    return ASK + nonce + _proof(token, b"ask", nonce)


def may_become_ask(received: bytes) -> bool:
    """Whether what came so far may still be a challenge: a listener does not wait for the rest of anything else."""
    return len(received) <= ASK_SIZE and received[: len(ASK)] == ASK[: len(received)]


def answer(token: bytes, received: bytes) -> bytes:
    """What the listener sends back to a challenge. Raises WireError for anything that is none of this token."""
    nonce, proof = received[len(ASK) : -PROOF_SIZE], received[-PROOF_SIZE:]
    if len(received) != ASK_SIZE or not received.startswith(ASK):
        raise WireError("no challenge")
    if not hmac.compare_digest(proof, _proof(token, b"ask", nonce)):
        raise WireError("a challenge with another token")
    return ANSWER + _proof(token, b"answer", nonce)


def is_proven(token: bytes, nonce: bytes, received: bytes) -> bool:
    """Whether `received` is the answer of a listener that holds the token, to this nonce."""
    return hmac.compare_digest(received, ANSWER + _proof(token, b"answer", nonce))


def _proof(token: bytes, role: bytes, nonce: bytes) -> bytes:
    return hmac.digest(token, role + nonce, "sha256")
