"""An FTP server that does what a real one would not: each command's answer may be replaced, and so may the data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Data = Callable[[asyncio.StreamWriter], Awaitable[None]]

MLSD = b"type=dir;perm=el; study\r\ntype=file;size=140;perm=r; IM000001\r\n"
IMAGE = b"\0" * 128 + b"DICM" + b"\0" * 8
MAX_COMMANDS = 500


def sending(data: bytes) -> Data:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return send


def endless(piece: bytes) -> Data:
    async def send(writer: asyncio.StreamWriter) -> None:
        for _ in range(1 << 20):
            writer.write(piece)
            await writer.drain()

    return send


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


USUAL = {
    b"FEAT": b"211-Features:\r\n MLST type*;\r\n EPSV\r\n211 End\r\n",
    b"AUTH": b"502 no\r\n",
    b"USER": b"331 password\r\n",
    b"PASS": b"230 in\r\n",
    b"PASV": b"227 Entering (127,88,0,1,%d,%d)\r\n",
    b"EPSV": b"229 Entering (|||%d|)\r\n",
    b"CWD": b"250 there\r\n",
    b"TYPE": b"200 binary\r\n",
    b"REST": b"350 go on\r\n",
    b"NOOP": b"200 yes\r\n",
    b"QUIT": b"221 bye\r\n",
}


@dataclass
class FtpPeer:
    """`answers` by verb: in place of what would be said, `{port}` filled in. `data` by verb. `asked`: every command."""

    greeting: bytes = b"220 ready\r\n"
    answers: Mapping[bytes, bytes] = field(default_factory=dict)
    data: Mapping[bytes, Data] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    opened: int = 0
    """data connections"""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One control connection."""
        connections: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def connected(_reader: asyncio.StreamReader, data: asyncio.StreamWriter) -> None:
            self.opened += 1
            await connections.put(data)

        host = writer.get_extra_info("sockname")[0]
        listener = await asyncio.start_server(connected, host, 0)
        port = listener.sockets[0].getsockname()[1]
        folder = b"/"
        try:
            writer.write(self.greeting)
            for _ in range(MAX_COMMANDS):
                line = (await reader.readline()).rstrip(b"\r\n")
                verb, _, argument = line.partition(b" ")
                if not verb:
                    return
                self.asked.append(line)
                folder = argument if verb == b"CWD" else folder
                if verb in self.answers:
                    writer.write(self.answers[verb])
                elif verb in (b"MLSD", b"LIST", b"RETR"):
                    usual = sending(IMAGE if verb == b"RETR" else MLSD if folder == b"/" else b"")
                    await self._transfer(writer, connections, self.data.get(verb, usual))
                elif verb == b"EPSV":
                    while not connections.empty():
                        connections.get_nowait().close()
                    writer.write(USUAL[verb] % port)
                elif verb == b"PASV":
                    writer.write(USUAL[verb] % (port >> 8, port & 255))
                else:
                    writer.write(USUAL.get(verb, b"502 no\r\n"))
                await writer.drain()
        finally:
            listener.close()
            while not connections.empty():
                connections.get_nowait().close()

    async def _transfer(
        self, writer: asyncio.StreamWriter, connections: asyncio.Queue[asyncio.StreamWriter], send: Data
    ) -> None:
        writer.write(b"150 coming\r\n")
        await writer.drain()
        data = await connections.get()
        try:
            await send(data)
            writer.write(b"226 done\r\n")
        except ConnectionError:
            writer.write(b"426 cut\r\n226 and once more\r\n")
        finally:
            data.close()
