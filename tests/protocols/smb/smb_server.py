"""A server of SMB 2 in memory, for faults that a real one will not show. Sans-IO: bytes in, bytes out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from leadapron.model import Attempt, Reason
from leadapron.net.conversation import Conversation, LastWords, Lost
from leadapron.protocols.smb.wire import header
from leadapron.protocols.smb.wire.frame import Frames, framed
from leadapron.protocols.smb.wire.header import Command, Status

T = TypeVar("T")
HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
FROM_SERVER, ASYNC, RELATED = 0x1, 0x2, 0x4
ACCESS_DENIED = 0xC0000022
MAX_EXCHANGES = 200_000


class Asked(NamedTuple):
    command: int
    message_id: int
    tree_id: int
    related: bool
    body: bytes


class Said(NamedTuple):
    """`raw`: in place of everything, header included."""

    status: int = 0
    body: bytes = b"\x09\0" + bytes(7)
    tree_id: int = 1
    is_async: bool = False
    credits: int | None = None
    raw: bytes | None = None


Answer = Callable[[Asked], Said | Sequence[Said]]


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def negotiated(dialect: int = 0x0302, security: int = 1, capabilities: int = 0x44, count: int = 0, at: int = 0) -> Said:
    fixed = (65, security, dialect, count, bytes(16), capabilities, 1 << 20, 1 << 20, 1 << 20, 0, 0, 128, 0, at)
    return Said(body=struct.pack("<HHHH16sIIIIQQHHI", *fixed))


def challenge(version: bytes = struct.pack("<BBH3xB", 6, 1, 0, 15)) -> bytes:
    return b"NTLMSSP\0" + struct.pack("<I8xI8x8x8x", 2, 0x02000000) + version


def setup(status: int, token: bytes = b"", flags: int = 0) -> Said:
    return Said(status, struct.pack("<HHHH", 9, flags, 72, len(token)) + token)


def connected(kind: int = 1, access: int = 0x1F00A9, tree_id: int = 1, flags: int = 0) -> Said:
    return Said(body=struct.pack("<HBBIII", 16, kind, 0, flags, 0, access), tree_id=tree_id)


def created(file_id: bytes = b"F" * 16, attributes: int = 0x10, action: int = 1) -> Said:
    return Said(body=struct.pack("<HBBI32x8xQII16s8x", 89, 0, 0, action, 0, attributes, 0, file_id))


def have_read(data: bytes, status: int = 0, length: int | None = None) -> Said:
    return Said(status, struct.pack("<HBBIII", 17, 80, 0, len(data) if length is None else length, 0, 0) + data)


def entry(name: str | bytes, attributes: int = 0x80, size: int = 3, following: int | None = None) -> bytes:
    raw = utf16(name) if isinstance(name, str) else name
    body = struct.pack("<I32xQQII", 0, size, 0, attributes, len(raw)) + raw
    body += bytes(-(len(body) + 4) % 8)
    return struct.pack("<I", len(body) + 4 if following is None else following) + body


def entries(*parts: bytes) -> Said:
    data = b"".join(parts[:-1]) + bytes(4) + parts[-1][4:] if parts else b""
    return queried(data)


def queried(data: bytes, length: int | None = None) -> Said:
    return Said(body=struct.pack("<HHI", 9, 72, len(data) if length is None else length) + data)


def called(data: bytes, status: int = 0) -> Said:
    return Said(status, struct.pack("<HHI16sIIIIII", 49, 0, 0x0011C017, bytes(16), 0, 0, 112, len(data), 0, 0) + data)


def fragment(kind: int, body: bytes, flags: int = 3) -> bytes:
    return struct.pack("<BBBB4sHHI", 5, 0, kind, flags, b"\x10\0\0\0", 16 + len(body), 0, 1) + body


BOUND = fragment(12, struct.pack("<HHI", 4280, 4280, 1) + struct.pack("<H", 0) + bytes(2) + b"\1\0\0\0" + bytes(24))


def string(text: str) -> bytes:
    raw = utf16(text + "\0")
    return struct.pack("<III", len(raw) // 2, 0, len(raw) // 2) + raw + bytes(-len(raw) % 4)


def shares(*named: tuple[str, int], remark: str = "CANARY^REMARK", status: int = 0) -> bytes:
    """The stub of an answer to NetrShareEnum."""
    heads = b"".join(struct.pack("<III", 1, kind, 2) for _, kind in named)
    strings = b"".join(string(name) + string(remark) for name, _ in named)
    count = len(named)
    return struct.pack("<IIIIII", 1, 1, 3, count, 4, count) + heads + strings + struct.pack("<III", count, 0, status)


def enumerated(*named: tuple[str, int], status: int = 0) -> bytes:
    return fragment(2, bytes(8) + shares(*named, status=status))


@dataclass
class Server:
    """What it says to each command; `over` replaces some of it. `granted`: credits of each response."""

    over: Mapping[Command, Answer] = field(default_factory=dict)
    named: Sequence[tuple[str, int]] = (("public", 0), ("IPC$", 0x80000003))
    granted: int = 32
    log: list[Asked] = field(default_factory=list)
    _frames: Frames = field(default_factory=Frames)
    _setups: int = 0
    _calls: int = 0
    _queries: int = 0

    def answer(self, data: bytes) -> bytes:
        self._frames.feed(data)
        out = b""
        while (message := self._frames.take()) is not None:
            for asked in requests(message):
                self.log.append(asked)
                said = self._say(asked)
                out += b"".join(self._encode(asked, each) for each in ([said] if isinstance(said, Said) else said))
        return out

    def _say(self, asked: Asked) -> Said | Sequence[Said]:
        command = Command(asked.command)
        if command in self.over:
            return self.over[command](asked)
        return {
            Command.NEGOTIATE: negotiated,
            Command.SESSION_SETUP: self._set_up,
            Command.TREE_CONNECT: connected,
            Command.CREATE: created,
            Command.IOCTL: self._call,
            Command.QUERY_DIRECTORY: self._query,
            Command.READ: lambda: have_read(b"abc"),
            Command.CLOSE: lambda: Said(body=b"\x3c\0" + bytes(58)),
        }.get(command, Said)()

    def _set_up(self) -> Said:
        self._setups += 1
        if self._setups % 2:
            return setup(Status.MORE_PROCESSING_REQUIRED, challenge())
        return setup(0, flags=2)

    def _call(self) -> Said:
        self._calls += 1
        return called(BOUND if self._calls % 2 else enumerated(*self.named))

    def _query(self) -> Said:
        self._queries += 1
        if self._queries % 2:
            return entries(entry(".", 0x10), entry("..", 0x10), entry("a.dcm", size=3000), entry("sub", 0x10))
        return Said(Status.NO_MORE_FILES)

    def _encode(self, asked: Asked, said: Said) -> bytes:
        if said.raw is not None:
            return said.raw
        granted = self.granted if said.credits is None else said.credits
        flags = FROM_SERVER | (ASYNC if said.is_async else 0)
        head = HEADER.pack(
            header.MAGIC,
            64,
            1,
            said.status,
            asked.command,
            granted,
            flags,
            0,
            asked.message_id,
            0,
            said.tree_id,
            7,
            bytes(16),
        )
        return framed(head + said.body)


def requests(message: bytes) -> list[Asked]:
    found = []
    while message:
        _, _, _, _, command, _, flags, following, message_id, _, tree_id, _, _ = HEADER.unpack_from(message)
        body = message[64 : following or None]
        found.append(Asked(command, message_id, tree_id, bool(flags & RELATED), body))
        message = message[following:] if following else b""
    return found


def drive(conversation: Conversation[T], answer: Callable[[bytes], bytes], piece: int = 1 << 18) -> Attempt[T]:
    """Carry a conversation; what is not answered times out. `piece`: bytes at a time."""
    waiting = b""
    try:
        sending = next(conversation)
        for _ in range(MAX_EXCHANGES):
            if isinstance(sending, LastWords):
                sending = conversation.throw(Lost(Reason.RESET))
                continue
            waiting += answer(sending) if sending else b""
            if not waiting:
                sending = conversation.throw(Lost(Reason.TIMEOUT))
                continue
            now, waiting = waiting[:piece], waiting[piece:]
            sending = conversation.send(now)
    except StopIteration as stop:
        attempt: Attempt[T] = stop.value
        return attempt
    raise AssertionError("the conversation has no end")
