"""HL7 over MLLP: whether somebody answers to a block without content. No server can be installed that does: here are two of
ours that answer as interface engines are known to."""

from __future__ import annotations

from leadapron.model import Reason, Stage
from matrix.cells import UNKNOWN, Cell, Hostile, State, hostile, no_service
from matrix.starting import answering, says_and_closes, silent


def block(content: bytes) -> bytes:
    return b"\x0b" + content + b"\x1c\x0d"


REJECTION = b"MSH|^~\\&|MADE UP|||LEADAPRON|20260101||ACK|1|P|2.5\rMSA|AR|1|no message\r"

PEERS = []

HOSTILE = [
    Hostile(
        server="one that rejects what is no message",
        serve=answering(lambda: lambda _: block(REJECTION)),
        cells=(Cell(state=State.OPEN),),
    ),
    Hostile(
        server="one that acknowledges the block (MLLP release 2)",
        serve=answering(lambda: lambda _: block(b"\x06")),
        cells=(Cell(state=State.OPEN),),
    ),
    hostile("silent", silent, talk=UNKNOWN, why=frozenset({(Stage.TALK, Reason.TIMEOUT)})),
    hostile(
        "a block without an end",
        answering(lambda: lambda _: b"\x0b" + b"MADE UP|" * 20_000),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
    hostile(
        "half a block",
        lambda: says_and_closes(block(REJECTION)[:20]),
        **no_service(Stage.HANDSHAKE, Reason.TRUNCATED),
    ),
    hostile(
        "an SSH server",
        answering(lambda: lambda _: b"SSH-2.0-made-up\r\n"),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
]
