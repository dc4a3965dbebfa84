"""An rsync daemon whose every word is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

GREETING = b"@RSYNCD: 31.0 sha512 md5\n"
SEED = b"\1\2\3\4"

Listing = Callable[[], AsyncIterator[bytes]]


def of(*pieces: bytes) -> Listing:
    async def give() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return give


def endless(piece: bytes) -> Listing:
    async def give() -> AsyncIterator[bytes]:
        for _ in range(1 << 20):
            yield piece

    return give


@dataclass
class RsyncPeer:
    """`modules`: what is said to `#list`; `answers` to the name of a module; `listing`: behind the arguments, as it is."""

    greeting: bytes = GREETING
    modules: Listing = field(default=of(b"public         \tcomment\n", b"@RSYNCD: EXIT\n"))
    answers: Mapping[bytes, bytes] = field(default_factory=dict)
    listing: Listing = field(default=of())
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        await writer.drain()
        if not await reader.readline():
            return
        name = (await reader.readline()).rstrip(b"\n")
        self.asked.append(name)
        if name == b"#list":
            await self._give(writer, self.modules)
            return
        answer = self.answers.get(name, b"@RSYNCD: OK\n")
        writer.write(answer)
        await writer.drain()
        if not answer.endswith(b"@RSYNCD: OK\n"):
            return
        for _ in range(20):
            line = await reader.readline()
            self.asked.append(line.rstrip(b"\n"))
            if line == b"\n":
                break
        await reader.readexactly(4)
        await self._give(writer, self.listing)
        await asyncio.wait_for(reader.read(), 5)

    async def _give(self, writer: asyncio.StreamWriter, listing: Listing) -> None:
        async for piece in listing():
            writer.write(piece)
            await writer.drain()
