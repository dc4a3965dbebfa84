"""Whether our way out works: our listener is asked for a proof that nobody else can give."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Sequence

from leadapron.errors import OutOfScope
from leadapron.model import Address, Endpoint, Reason
from leadapron.net import challenge
from leadapron.net.target import of_error

TIMEOUT = 2.0
TRIES, PAUSE = 3, 1.0
"""A connection that fails once may be a packet that was lost: only several say that the way is shut."""


def failure(addresses: Sequence[Address], port: int, token: bytes, *, pause: float = PAUSE) -> Reason | None:
    """None where the listener gave its proof on this port, at any of its addresses; else why the last try did not.

    TIMEOUT: silence. REFUSED: a listener that is not there, or a firewall. RESET: hung up on us, as a listener does that
    holds another token. PROTOCOL: something else answered. OUT_OF_SCOPE: the gate. EMPTY: its name has no address.
    Blocks, at most `TRIES` times `TIMEOUT` for each address.
    """
    reason: Reason | None = Reason.EMPTY
    for number in range(TRIES if addresses else 0):
        if number:
            time.sleep(pause)
        for address in addresses:
            reason = ask_once(Endpoint(address=address, port=port), token)
            if reason is None or reason is Reason.OUT_OF_SCOPE:
                return reason
    return reason


def ask_once(listener: Endpoint, token: bytes) -> Reason | None:
    """One connection, over within about `TIMEOUT`."""
    family = socket.AF_INET6 if listener.address.version == 6 else socket.AF_INET
    nonce, deadline = secrets.token_bytes(challenge.NONCE_SIZE), time.monotonic() + TIMEOUT
    try:
        with socket.socket(family, socket.SOCK_STREAM) as line:
            line.settimeout(TIMEOUT)
            line.connect((str(listener.address), listener.port))
            line.sendall(challenge.ask(token, nonce))
            received = _receive(line, deadline)
    except OutOfScope:
        return Reason.OUT_OF_SCOPE
    except TimeoutError:
        return Reason.TIMEOUT
    except OSError as error:
        return of_error(error.errno or 0).reason
    if challenge.is_proven(token, nonce, received):
        return None
    return Reason.PROTOCOL if received else Reason.RESET


def _receive(line: socket.socket, deadline: float) -> bytes:
    """At most the size of an answer. Raises TimeoutError at the deadline."""
    received = b""
    while len(received) < challenge.ANSWER_SIZE:
        if (left := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        line.settimeout(left)
        if not (more := line.recv(challenge.ANSWER_SIZE - len(received))):
            break
        received += more
    return received
