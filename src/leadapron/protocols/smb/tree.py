"""A share as a tree of files ([MS-SMB2] 3.2.4.3, 3.2.4.6, 3.2.4.17)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted, is_a_name
from leadapron.protocols.smb.session import Over, Session, Step
from leadapron.protocols.smb.statuses import reason_of
from leadapron.protocols.smb.wire import file
from leadapron.protocols.smb.wire.header import Command, Response, Status

MAX_ANSWERS = 4096
"""To queries about one folder: 256 MiB of entries."""
MAX_PIECE = 8 * file.CHUNK
"""Bytes of a piece: so many reads go in one chain."""


class SmbTree(Tree):
    """The share that a session is connected to under `tree_id`."""

    def __init__(self, session: Session, tree_id: int) -> None:
        self._session, self._tree_id = session, tree_id

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        path = wire_path(folder)
        if path is None:
            return Listed(Reason.LIMIT)
        try:
            return (yield from self._list(path, take))
        except (Over, WireError) as error:
            return Listed(self._end(error))

    def _list(self, path: bytes, take: Take) -> Steps[Listed]:
        """Raises Over, WireError, Lost."""
        chain = [_step(Command.CREATE, file.open_folder(path)), Step(Command.QUERY_DIRECTORY, file.query)]
        ((opened, *answers),) = yield from self._session.chains(self._tree_id, [chain])
        if opened.status != Status.SUCCESS:
            return Listed(reason_of(opened.status))
        file_id, attributes = file.created(opened)
        if attributes & file.REPARSE:
            listed: Listed | None = Listed(Reason.EMPTY)
        else:
            listed = self._take(answers[0], take, is_first=True) if answers else Listed(Reason.PROTOCOL)
        for _ in range(MAX_ANSWERS):
            if listed is not None:
                break
            answer = yield from self._session.ask(self._tree_id, Command.QUERY_DIRECTORY, file.query(file_id))
            listed = self._take(answer, take)
        yield from self._session.ask(self._tree_id, Command.CLOSE, file.close(file_id))
        return listed or Listed(Reason.LIMIT)

    def _take(self, answer: Response, take: Take, *, is_first: bool = False) -> Listed | None:
        """The entries of one answer; how the listing ended, None where more may come. Raises WireError."""
        if answer.status == Status.NO_MORE_FILES or (is_first and answer.status == Status.NO_SUCH_FILE):
            return Listed()
        if answer.status != Status.SUCCESS:
            why = reason_of(answer.status)
            return Listed(why if is_first or why is not Reason.PROTOCOL else Reason.TRUNCATED)
        count = 0
        for line in file.lines(answer):
            count += 1
            entry = self._entry(line)
            if entry is not None and not take(entry):
                return Listed(Reason.STOPPED)
        if not count:
            raise WireError("an answer without entries, and without an end")
        return None

    def _entry(self, line: file.Line) -> Entry | None:
        """None: no entry of the folder, or one whose name is none."""
        name = name_of(line.name)
        if name in (b".", b".."):
            return None
        if not is_a_name(name) or b"\\" in name:
            self.odd += 1
            return None
        if line.attributes & (file.REPARSE | file.DEVICE):
            return Entry(name, Kind.OTHER)
        if line.attributes & file.DIRECTORY:
            return Entry(name, Kind.FOLDER)
        return Entry(name, Kind.FILE, line.size if line.size < 1 << 63 else None)

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        pieces: list[Piece] = [Reason.LIMIT if each.length else b"" for each in wanted]
        chains = {number: chain for number, each in enumerate(wanted) if (chain := _reading(each)) is not None}
        try:
            answers = yield from self._session.chains(self._tree_id, list(chains.values()))
        except Over as over:
            return [over.reason] * len(wanted)
        for number, answer in zip(chains, answers, strict=True):
            try:
                pieces[number] = _piece(wanted[number], answer)
            except WireError as error:
                pieces[number] = self._end(error)
        return pieces

    def _end(self, error: Over | WireError) -> Reason:
        """What breaks the standard once is not asked again."""
        if isinstance(error, Over):
            return error.reason
        self._session.broken = Reason.PROTOCOL
        return Reason.PROTOCOL


def wire_path(path: Path) -> bytes | None:
    """A path as the wire has it; None where it is longer than one can be, or never came from there."""
    try:
        parts = [part.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass") for part in path]
    except UnicodeDecodeError:
        return None
    joined = "\\".encode("utf-16-le").join(parts)
    return joined if len(joined) <= file.MAX_PATH else None


def name_of(raw: bytes) -> bytes:
    """A name in UTF-16LE as UTF-8. Lone surrogates stay what they are, so that the file can be asked for again."""
    return raw.decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")


def _step(command: Command, body: bytes) -> Step:
    return Step(command, lambda _: body)


def _reading(wanted: Wanted) -> list[Step] | None:
    """Open, read, close, in one chain; None where it is more than one can hold."""
    path = wire_path(wanted.path)
    if path is None or not 0 < wanted.length <= MAX_PIECE or wanted.start < 0:
        return None
    reads = [
        Step(
            Command.READ,
            partial(file.read, start=wanted.start + offset, length=min(file.CHUNK, wanted.length - offset)),
        )
        for offset in range(0, wanted.length, file.CHUNK)
    ]
    return [_step(Command.CREATE, file.open_file(path)), *reads, Step(Command.CLOSE, file.close)]


def _piece(wanted: Wanted, answers: Sequence[Response]) -> Piece:
    """Raises WireError."""
    opened, *others = answers
    if opened.status != Status.SUCCESS:
        return reason_of(opened.status)
    _, attributes = file.created(opened)
    if attributes & file.REPARSE:
        return Reason.EMPTY
    pieces: list[bytes] = []
    for number, answer in enumerate(others[:-1]):
        if answer.status == Status.END_OF_FILE:
            break
        if answer.status != Status.SUCCESS:
            return reason_of(answer.status)
        most = min(file.CHUNK, wanted.length - number * file.CHUNK)
        pieces.append(file.have_read(answer, most))
        if len(pieces[-1]) < most:
            break
    return b"".join(pieces)
