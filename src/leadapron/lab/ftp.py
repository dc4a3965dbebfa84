"""An FTP server for one listener: a folder in memory, for anyone who calls himself anonymous (RFC 959, RFC 3659).

Nothing can be stored, renamed or deleted on it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from leadapron.lab.folder import Folder
from leadapron.lab.listen import expect_loopback

MAX_COMMANDS = 100_000
"""Of one connection."""
DATA_TIMEOUT = 10.0
"""Seconds for a client to open the data connection."""
ANONYMOUS = frozenset({"anonymous", "ftp"})


class Ftp:
    """Serves connections for a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        session = _Session(self._folder, writer)
        try:
            await session.say("220 A made-up share")
            for _ in range(MAX_COMMANDS):
                line = (await reader.readuntil(b"\n")).decode("utf-8", "replace").rstrip("\r\n")
                command, _, argument = line.partition(" ")
                if not await session.answer(command.upper(), argument):
                    break
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass
        finally:
            session.close()
            writer.close()


class _Session:
    def __init__(self, folder: Folder, writer: asyncio.StreamWriter) -> None:
        self._folder, self._writer = folder, writer
        self._user, self._is_in = "", False
        self._here, self._start = "/", 0
        self._listener: asyncio.Server | None = None
        self._data: asyncio.Future[asyncio.StreamWriter] | None = None

    async def say(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")
        await self._writer.drain()

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._listener = None
        if self._data is not None and self._data.done() and not self._data.cancelled():
            self._data.result().close()
        self._data = None

    async def answer(self, command: str, argument: str) -> bool:
        """Whether the connection goes on."""
        if command == "QUIT":
            await self.say("221 Goodbye")
            return False
        if command in ("USER", "PASS"):
            await self.say(self._login(command, argument))
        elif not self._is_in and command not in ("FEAT", "NOOP", "SYST"):
            await self.say("530 Log in first")
        elif command in self._DATA:
            await self._DATA[command](self, argument)
        else:
            await self.say(await self._simple(command, argument))
        return True

    def _login(self, command: str, argument: str) -> str:
        if command == "USER":
            self._user = argument.lower()
            return "331 Any password will do" if self._user in ANONYMOUS else "331 Password"
        self._is_in = self._user in ANONYMOUS
        return "230 Welcome" if self._is_in else "530 Not you"

    async def _simple(self, command: str, argument: str) -> str:
        if command == "FEAT":
            return "211-Features\r\n MLST type*;size*;perm*;\r\n REST STREAM\r\n SIZE\r\n EPSV\r\n UTF8\r\n211 End"
        if command in ("PASV", "EPSV"):
            return await self._listen(command)
        if command == "CWD":
            path = self._path(argument)
            if not isinstance(self._folder.at(path), Folder):
                return "550 No such folder"
            self._here = path
            return "250 There"
        if command == "SIZE":
            found = self._folder.at(self._path(argument))
            return f"213 {len(found)}" if isinstance(found, bytes) else "550 No such file"
        if command == "REST" and argument.isdecimal():
            self._start = int(argument)
            return "350 From there"
        known = {
            "TYPE": "200 As you wish",
            "PWD": f'257 "{self._here}"',
            "NOOP": "200 Yes",
            "SYST": "215 UNIX Type: L8",
        }
        return known.get(command, "226 Nothing to abort" if command == "ABOR" else "502 Not here")

    def _path(self, argument: str) -> str:
        return argument if argument.startswith("/") else f"{self._here.rstrip('/')}/{argument}"

    # -- data connections ----------------------------------------------------------------------------------------------

    async def _listen(self, command: str) -> str:
        self.close()
        arrived: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

        async def come(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if arrived.done():
                writer.close()
            else:
                arrived.set_result(writer)

        address = self._writer.get_extra_info("sockname")[0]
        expect_loopback(address)
        self._listener, self._data = await asyncio.start_server(come, address, 0), arrived
        port = self._listener.sockets[0].getsockname()[1]
        if command == "EPSV":
            return f"229 Come in (|||{port}|)"
        return f"227 Come in ({address.replace('.', ',')},{port >> 8},{port & 255})"

    async def _send(self, data: bytes) -> None:
        if self._data is None:
            await self.say("425 Ask for a data connection first")
            return
        await self.say("150 Here it comes")
        writer = await asyncio.wait_for(self._data, DATA_TIMEOUT)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        self.close()
        await self.say("226 That was it")

    async def _list(self, argument: str) -> None:
        await self._entries(argument, lambda name, size: f"{_mode(size)} 1 ftp ftp {size or 0} Jan 01 2026 {name}\r\n")

    async def _mlsd(self, argument: str) -> None:
        def line(name: str, size: int | None) -> str:
            return f"type=dir;perm=el; {name}\r\n" if size is None else f"type=file;size={size};perm=r; {name}\r\n"

        await self._entries(argument, line)

    async def _entries(self, argument: str, line: Callable[[str, int | None], str]) -> None:
        """`line` of a name and a size, which is None for a folder."""
        found = self._folder.at(self._path("" if argument.startswith("-") else argument))
        if not isinstance(found, Folder):
            await self.say("550 No such folder")
            return
        lines = [line(name, None) for name in found.folders] + [
            line(name, len(file)) for name, file in found.files.items()
        ]
        await self._send("".join(lines).encode())

    async def _retrieve(self, argument: str) -> None:
        found, start = self._folder.at(self._path(argument)), self._start
        self._start = 0
        if isinstance(found, bytes):
            await self._send(found[start:])
        else:
            await self.say("550 No such file")

    _DATA = {"LIST": _list, "MLSD": _mlsd, "RETR": _retrieve}  # noqa: RUF012 - a table of methods


def _mode(size: int | None) -> str:
    return "drwxr-xr-x" if size is None else "-rw-r--r--"
