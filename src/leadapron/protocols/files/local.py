"""A folder of this machine as a tree of files. Nothing is sent: its generators yield nothing. Links are never followed, not
even one that takes the place of a folder or file after it was listed: each part of a path is opened with O_NOFOLLOW."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path as LocalPath

from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted, is_a_name

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in place of a file does not hold us


class LocalTree(Tree):
    """Below `root`, on its file system and those that are mounted below."""

    def __init__(self, root: LocalPath) -> None:
        self._root = os.fsencode(root)
        self.odd = 0
        self._held: tuple[Path, int] | None = None
        """the folder that was opened last"""

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held[1])
            self._held = None

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        yield from ()
        try:
            with os.scandir(self._folder(folder)) as entries:
                for entry in entries:
                    if (found := self._entry(entry)) is not None and not take(found):
                        return Listed(Reason.STOPPED)
        except OSError as error:
            return Listed(_reason(error))
        return Listed()

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        yield from ()
        return [self._piece(one) for one in wanted]

    def _folder(self, folder: Path) -> int:
        """A descriptor, which stays open until that of another folder is asked for. Raises OSError."""
        if self._held is not None and self._held[0] == folder:
            return self._held[1]
        self.close()
        number = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)  # the user may name a link
        for part in folder:
            try:
                below = os.open(part, _FOLDER, dir_fd=number)
            finally:
                os.close(number)
            number = below
        self._held = (folder, number)
        return number

    def _entry(self, entry: os.DirEntry[str]) -> Entry | None:
        name = os.fsencode(entry.name)
        if not is_a_name(name):
            self.odd += 1
            return None
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # gone meanwhile
            return Entry(name, Kind.OTHER)
        is_writable = bool(status.st_mode & stat.S_IWOTH)
        if stat.S_ISREG(status.st_mode):
            return Entry(name, Kind.FILE, status.st_size, is_writable)
        if stat.S_ISDIR(status.st_mode):
            return Entry(name, Kind.FOLDER, None, is_writable and not status.st_mode & stat.S_ISVTX)
        return Entry(name, Kind.OTHER)

    def _piece(self, wanted: Wanted) -> Piece:
        try:
            with self._opened(wanted.path) as number:
                if not stat.S_ISREG(os.fstat(number).st_mode):
                    return Reason.PROTOCOL
                return os.pread(number, wanted.length, wanted.start)
        except OSError as error:
            return _reason(error)

    @contextlib.contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        number = os.open(path[-1], _FILE, dir_fd=self._folder(path[:-1]))
        try:
            yield number
        finally:
            os.close(number)


def _reason(error: OSError) -> Reason:
    if isinstance(error, PermissionError):
        return Reason.AUTH
    return Reason.EMPTY if isinstance(error, FileNotFoundError) else Reason.PROTOCOL
