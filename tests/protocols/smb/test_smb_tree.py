"""A share as a tree: its ends, its odd names, its pieces."""

from __future__ import annotations

import pytest
from smb_server import (
    ACCESS_DENIED,
    Answer,
    Asked,
    Said,
    Server,
    created,
    drive,
    entries,
    entry,
    have_read,
    queried,
    utf16,
)

from leadapron.model import Completed, Reason
from leadapron.net.conversation import Conversation
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Wanted
from leadapron.protocols.smb.session import Session
from leadapron.protocols.smb.tree import MAX_ANSWERS, MAX_PIECE, SmbTree
from leadapron.protocols.smb.wire.header import Command, Status


class Asking:
    def __init__(self, server: Server) -> None:
        self.server, self.session = server, Session("192.0.2.1")
        self.tree = SmbTree(self.session, 1)

    def list(self, take: Take, folder: Path = ()) -> Listed:
        def conversation() -> Conversation[Listed]:
            yield from self.session.negotiate()
            yield from self.session.log_in()
            return Completed(result=(yield from self.tree.list(folder, take)))

        attempt = drive(conversation(), self.server.answer)
        assert isinstance(attempt, Completed)
        return attempt.result

    def read(self, *wanted: Wanted) -> list[Piece]:
        def conversation() -> Conversation[list[Piece]]:
            yield from self.session.negotiate()
            yield from self.session.log_in()
            return Completed(result=list((yield from self.tree.read(wanted))))

        attempt = drive(conversation(), self.server.answer)
        assert isinstance(attempt, Completed)
        return attempt.result


def listing(answer: Answer, granted: int = 32) -> tuple[Listed, list[Entry], int]:
    found: list[Entry] = []
    asking = Asking(Server(over={Command.QUERY_DIRECTORY: answer}, granted=granted))
    listed = asking.list(lambda each: not found.append(each))
    closes = sum(each.command == Command.CLOSE for each in asking.server.log)
    assert closes == (0 if listed.why is Reason.PROTOCOL else 1)
    return listed, found, asking.tree.odd


def once(said: Said) -> Answer:
    rest = [said]
    return lambda _: rest.pop() if rest else Said(Status.NO_MORE_FILES)


@pytest.mark.parametrize("granted", [1, 2, 32])
def test_a_folder_to_its_end(granted: int) -> None:
    said = entries(
        entry(".", 0x10),
        entry("..", 0x10),
        entry("ü.dcm", size=7),
        entry("sub", 0x10),
        entry("link", 0x410),
        entry("dev", 0x40),
    )
    listed, found, odd = listing(once(said), granted)
    assert listed == Listed()
    assert found == [
        Entry("ü.dcm".encode(), Kind.FILE, 7),
        Entry(b"sub", Kind.FOLDER),
        Entry(b"link", Kind.OTHER),
        Entry(b"dev", Kind.OTHER),
    ]
    assert odd == 0


@pytest.mark.parametrize("name", ["a/b", "..\\..\\x", "a\0b", "", "x" * 1025, "../x"])
def test_names_that_are_none_are_left_out_and_counted(name: str) -> None:
    listed, found, odd = listing(once(entries(entry(name), entry("good"))))
    assert (listed, [each.name for each in found], odd) == (Listed(), [b"good"], 1)


def test_a_folder_without_an_end() -> None:
    listed, found, _ = listing(lambda _: entries(entry("a")))
    assert listed == Listed(Reason.LIMIT)
    assert len(found) == MAX_ANSWERS + 1


def test_enough() -> None:
    asking = Asking(Server())
    assert asking.list(lambda _: False) == Listed(Reason.STOPPED)
    assert asking.server.log[-1].command == Command.CLOSE


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Said(ACCESS_DENIED), Reason.AUTH),
        (Said(Status.NO_MORE_FILES), None),
        (Said(Status.NO_SUCH_FILE), None),
        (Said(0xC000009A), Reason.LIMIT),
        (queried(b""), Reason.PROTOCOL),
        (queried(entry("a", following=8)), Reason.PROTOCOL),
        (queried(b"abc", length=1 << 31), Reason.PROTOCOL),
    ],
)
def test_how_a_listing_ends_at_its_beginning(said: Said, why: Reason | None) -> None:
    assert listing(lambda _: said)[0] == Listed(why)


def test_how_a_listing_ends_in_the_middle() -> None:
    rest = [Said(0xC0000001), entries(entry("a"))]
    listed, found, _ = listing(lambda _: rest.pop())
    assert listed == Listed(Reason.TRUNCATED)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Said(ACCESS_DENIED), Reason.AUTH),
        (Said(0xC0000034), Reason.EMPTY),
        (Said(0xC0000257), Reason.OUT_OF_SCOPE),
        (created(attributes=0x410), Reason.EMPTY),
        (created(action=2), Reason.PROTOCOL),
    ],
)
def test_a_folder_that_is_not_opened(said: Said, why: Reason) -> None:
    assert Asking(Server(over={Command.CREATE: lambda _: said})).list(lambda _: True).why is why


def test_pieces_in_their_order() -> None:
    content = bytes(range(256)) * 1024

    def read(asked: Asked) -> Said:
        length, start = int.from_bytes(asked.body[4:8], "little"), int.from_bytes(asked.body[8:16], "little")
        data = content[start : start + length]
        return have_read(data) if data else Said(0xC0000011)

    pieces = Asking(Server(over={Command.READ: read})).read(
        Wanted((b"a",), 0, 4),
        Wanted((b"a",), 10, 100_000),
        Wanted((b"a",), len(content) - 5, 100),
        Wanted((b"a",), len(content), 100),
        Wanted((b"a",), 0, MAX_PIECE + 1),
        Wanted((b"a",), 0, 0),
        Wanted((b"x" * 1024,) * 20, 0, 4),
    )
    assert pieces == [content[:4], content[10:100_010], content[-5:], b"", Reason.LIMIT, b"", Reason.LIMIT]


@pytest.mark.parametrize(
    ("command", "said", "piece"),
    [
        (Command.CREATE, Said(ACCESS_DENIED), Reason.AUTH),
        (Command.CREATE, created(attributes=0x400), Reason.EMPTY),
        (Command.READ, Said(0xC0000054), Reason.LIMIT),
        (Command.READ, have_read(b"abcde"), Reason.PROTOCOL),
        (Command.READ, have_read(b"", length=4), Reason.PROTOCOL),
        (Command.READ, have_read(b""), b""),
    ],
)
def test_a_piece_that_is_not_had(command: Command, said: Said, piece: Piece) -> None:
    assert Asking(Server(over={command: lambda _: said})).read(Wanted((b"a",), 0, 4)) == [piece]


def test_a_path_goes_over_the_wire_as_it_came() -> None:
    asking = Asking(Server())
    asking.list(lambda _: True, ("ü".encode(), b"b"))
    opened = next(each for each in asking.server.log if each.command == Command.CREATE)
    assert utf16("ü\\b") in opened.body
