"""A server of NFS 3 and 4.0, MOUNT and the portmapper in memory, which can be told to misbehave. It answers bytes with
bytes; `drive` carries a conversation to it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import CloseSide, Lost, OnSide, OpenSide, SideLost
from leadapron.protocols.nfs.wire.rpc import Records
from leadapron.protocols.nfs.wire.xdr import Reader, hyper, opaque, uint

NFS, MOUNT, PORTMAP = 100003, 100005, 100000
MOUNT_PORT = 20048
VERIFIER = bytes(8)


@dataclass
class File:
    data: bytes = b""
    mode: int = 0o644
    type: int = 1
    file_system: int = 7


@dataclass
class Folder:
    content: dict[bytes, Any] = field(default_factory=dict)
    mode: int = 0o755
    type: int = 2
    file_system: int = 7


def archive() -> Folder:
    """Three files in two folders, one of which anyone may write; a link, and a mount point of something else."""
    return Folder(
        {
            b"CT0001.dcm": File(bytes(128) + b"DICM" + b"made up"),
            b"open": Folder({b"deep": Folder({b"MR0001.dcm": File(b"x" * 200_000)})}, mode=0o777),
            b"link": File(type=5),
            b"elsewhere": Folder({b"other.dcm": File(b"y")}, file_system=8),
            b"notes.txt": File(b"made-up notes"),
        }
    )


@dataclass
class Peer:
    """`exports`: path to (groups, tree); a tree of None cannot be mounted. `tamper`: changes each record before it goes."""

    exports: dict[bytes, tuple[tuple[bytes, ...], Folder | None]] = field(
        default_factory=lambda: {b"/public": ((), archive())}
    )
    versions: tuple[int, ...] = (3, 4)
    mounts_here: bool = False
    has_portmapper: bool = True
    has_list: bool = True
    says_of_list: int = 3
    has_plus: bool = True
    says_attributes: bool = True
    writable: bool = True
    per_page: int = 2
    denies: frozenset[int] = frozenset()
    """procedures of version 3 that RPC refuses"""
    failing: dict[int, int] = field(default_factory=dict)
    """the status of a procedure of version 3"""
    tamper: Callable[[bytes], bytes] = lambda record: record
    unmounted: list[bytes] = field(default_factory=list)
    asked: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._nodes: list[File | Folder] = []
        self.root = Folder({path.strip(b"/"): tree for path, (_, tree) in self.exports.items() if tree}, file_system=1)

    def answer(self, record: bytes) -> bytes:
        reader = Reader(record)
        xid, _, _, program, version, procedure = (reader.uint() for _ in range(6))
        for _ in range(2):
            reader.uint()
            reader.opaque(400)
        self.asked.append((program, version, procedure))
        try:
            body = self._dispatch(program, version, procedure, reader)
        except (AttributeError, LookupError, AssertionError, WireError, struct.error):
            body = uint(1) + bytes(12) + uint(4)  # GARBAGE_ARGS
        record = self.tamper(uint(xid) + body)
        return uint(0x8000_0000 | len(record)) + record

    def _dispatch(self, program: int, version: int, procedure: int, reader: Reader) -> bytes:
        ok = uint(1) + uint(0) + uint(0) + uint(0) + uint(0)
        if program == PORTMAP:
            return ok + uint(MOUNT_PORT)
        if program == MOUNT and procedure == 5 and not self.has_list:
            return ok[:-4] + uint(self.says_of_list)
        if program == MOUNT:
            return ok + self._mount(procedure, reader)
        if version not in self.versions:
            return ok[:-4] + uint(2) + uint(min(self.versions)) + uint(max(self.versions))
        if procedure in self.denies:
            return uint(1) + uint(1) + uint(1) + uint(5)
        if procedure == 0:
            return ok
        if version == 4:
            return ok + self._compound(reader)
        if procedure == 17 and not self.has_plus:
            return ok + uint(10004) + uint(0)
        if procedure in self.failing:
            return ok + uint(self.failing[procedure]) + uint(0)
        return ok + self._version_3(procedure, reader)

    # -- MOUNT ---------------------------------------------------------------------------------------------------------

    def _mount(self, procedure: int, reader: Reader) -> bytes:
        if procedure == 5:
            out = b""
            for path, (groups, _) in self.exports.items():
                out += uint(1) + opaque(path) + b"".join(uint(1) + opaque(group) for group in groups) + uint(0)
            return out + uint(0)
        if procedure in (1, 3):
            path = reader.opaque(1024)
            if procedure == 3:
                self.unmounted.append(path)
                return b""
            tree = self.exports.get(path, ((), None))[1]
            return uint(13) if tree is None else uint(0) + opaque(self._handle(tree)) + uint(1) + uint(1)
        return b""

    # -- version 3 -----------------------------------------------------------------------------------------------------

    def _handle(self, node: File | Folder) -> bytes:
        for number, known in enumerate(self._nodes):
            if known is node:
                return struct.pack(">Q", number)
        self._nodes.append(node)
        return struct.pack(">Q", len(self._nodes) - 1)

    def _node(self, handle: bytes) -> Any:
        return self._nodes[struct.unpack(">Q", handle)[0]]

    @staticmethod
    def _attributes(node: Any) -> bytes:
        size = len(node.data) if isinstance(node, File) else 4096
        head = uint(node.type) + uint(node.mode) + bytes(12) + hyper(size)
        return head + bytes(16) + hyper(node.file_system) + bytes(32)

    def _version_3(self, procedure: int, reader: Reader) -> bytes:
        node = self._node(reader.opaque(64))
        has = uint(1) + self._attributes(node)
        if procedure == 1:
            return uint(0) + self._attributes(node)
        if procedure == 3:
            child = node.content.get(reader.opaque(255))
            if child is None:
                return uint(2) + has
            return uint(0) + opaque(self._handle(child)) + uint(1) + self._attributes(child) + has
        if procedure == 4:
            return uint(0) + has + uint(reader.uint() if self.writable else 0)
        if procedure == 6:
            start, length = reader.hyper(), reader.uint()
            data = node.data[start : start + length]
            return uint(0) + has + uint(len(data)) + uint(start + len(data) >= len(node.data)) + opaque(data)
        if procedure in (16, 17):
            return uint(0) + has + self._page(node, reader.hyper(), plain=procedure == 16)
        assert procedure == 19
        return uint(0) + has + uint(65536) + bytes(40)

    def _page(self, folder: Folder, cookie: int, *, plain: bool) -> bytes:
        names = [b".", b"..", *folder.content]
        out = VERIFIER
        for number, name in list(enumerate(names, 1))[cookie : cookie + self.per_page]:
            out += uint(1) + hyper(number) + opaque(name) + hyper(number)
            child = folder.content.get(name)
            if plain:
                continue
            if child is None or not self.says_attributes:
                out += uint(0) + uint(0)
            else:
                out += uint(1) + self._attributes(child) + uint(1) + opaque(self._handle(child))
        return out + uint(0) + uint(cookie + self.per_page >= len(names))

    # -- version 4 -----------------------------------------------------------------------------------------------------

    def _compound(self, reader: Reader) -> bytes:
        reader.opaque(1024), reader.uint()
        results, at, status = [], self.root, 0
        for _ in range(reader.uint()):
            operation = reader.uint()
            at, status, body = self._operation(operation, at, reader)
            results.append(uint(operation) + uint(status) + body)
            if status:
                break
        return uint(status) + opaque(b"") + uint(len(results)) + b"".join(results)

    def _operation(self, operation: int, at: Any, reader: Reader) -> tuple[Any, int, bytes]:
        if operation == 24:
            return self.root, 0, b""
        if operation == 22:
            return self._node(reader.opaque(128)), 0, b""
        if operation == 10:
            return at, 0, opaque(self._handle(at))
        if operation == 9:
            return at, 0, self._attributes_4(at, reader.uints(8))
        if operation == 15:
            child = at.content.get(reader.opaque(255))
            return child or at, 0 if child else 2, b""
        if operation == 3:
            return at, 0, uint(reader.uint()) + uint(12 if self.writable else 0)
        if operation == 25:
            reader.fixed(16)
            start, length = reader.hyper(), reader.uint()
            data = at.data[start : start + length]
            return at, 0, uint(start + len(data) >= len(at.data)) + opaque(data)
        assert operation == 26
        return at, 0, self._page_4(at, reader)

    def _page_4(self, folder: Folder, reader: Reader) -> bytes:
        cookie, _, _, _ = reader.hyper(), reader.fixed(8), reader.uint(), reader.uint()
        wanted = reader.uints(8)
        names = list(folder.content)
        start = cookie - 2 if cookie else 0
        out = VERIFIER
        for number in range(start, min(start + self.per_page, len(names))):
            out += uint(1) + hyper(number + 3) + opaque(names[number])
            out += self._attributes_4(folder.content[names[number]], wanted)
        return out + uint(0) + uint(start + self.per_page >= len(names))

    def _attributes_4(self, node: Any, wanted: tuple[int, ...]) -> bytes:
        values = {
            1: uint(node.type),
            4: hyper(len(node.data) if isinstance(node, File) else 4096),
            8: hyper(node.file_system) + hyper(0),
            11: uint(0),
            19: opaque(self._handle(node)),
            33: uint(node.mode),
        }
        numbers = [number for number in values if wanted[number // 32] >> number % 32 & 1]
        words = [0, 0]
        for number in numbers:
            words[number // 32] |= 1 << number % 32
        return uint(2) + uint(words[0]) + uint(words[1]) + opaque(b"".join(values[number] for number in numbers))


def drive(conversation: Generator[bytes, bytes, Any], peer: Peer, *, most: int = 5000, step: int = 1 << 20) -> Any:
    """A conversation with a peer, to its end; answers come in pieces of `step` bytes. A peer that has nothing more to say
    has closed the connection."""
    lines: dict[bool, tuple[Records, bytearray]] = {False: (Records(), bytearray())}
    result: list[Any] = []

    def resume(act: Callable[[], bytes]) -> bytes | None:
        try:
            return act()
        except StopIteration as stop:
            result.append(stop.value)
            return None

    sending = resume(lambda: next(conversation))
    for _ in range(most):
        if sending is None:
            return result[0]
        error: Exception | None = None
        data = b""
        if isinstance(sending, OpenSide):
            is_there = sending.port == MOUNT_PORT or (sending.port == 111 and peer.has_portmapper)
            lines[True] = (Records(), bytearray())
            error = None if is_there else SideLost(Reason.REFUSED)
        elif isinstance(sending, CloseSide):
            lines.pop(True, None)
        else:
            is_side = isinstance(sending, OnSide)
            asked, said = lines[is_side]
            asked.receive_data(sending)
            while (record := asked.next_record()) is not None:
                said += peer.answer(record)
            data = bytes(said[:step])
            del said[:step]
            error = Lost(Reason.RESET) if not data and not is_side else None
        if error is not None:
            sending = resume(lambda error=error: conversation.throw(error))  # type: ignore[misc]
        else:
            sending = resume(lambda data=data: conversation.send(data))  # type: ignore[misc]
    raise AssertionError("the conversation does not end")
