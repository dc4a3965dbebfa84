"""What the file census is to NFS, as small as it can be, for as long as `leadapron.protocols.files` has no walk."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any

from leadapron.model import Access, Failed, Observation, Reason, Service, Stage, Verdict
from leadapron.protocols.files.tree import Entry, Kind, Path, Steps, Tree, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    files: int = 0
    folders: int = 0
    bytes_read: int = 0
    closed: int = 0
    ended: Failed | None = None


class Walk:
    def __init__(self, tree: Tree, terms: Any, *, in_clear: bool) -> None:
        self._tree, self._most = tree, terms.answers
        self._files: list[Wanted] = []
        self._folders = self._read = self._closed = 0
        self._ended: Reason | None = None

    def run(self) -> Steps[None]:
        waiting: deque[Path] = deque([()])
        while waiting and len(self._files) < self._most:
            folder = waiting.popleft()

            def take(entry: Entry, folder: Path = folder) -> bool:
                if entry.kind is Kind.FOLDER:
                    waiting.append((*folder, entry.name))
                elif entry.kind is Kind.FILE:
                    self._files.append(Wanted((*folder, entry.name), 0, 132))
                return len(self._files) < self._most

            listed = yield from self._tree.list(folder, take)
            self._folders += 1
            self._closed += listed.why is Reason.AUTH
            self._ended = self._ended or listed.why
        for piece in (yield from self._tree.read(self._files[:32])):
            self._read += len(piece) if isinstance(piece, bytes) else 0

    def found(self, lost: Reason | None = None) -> Found:
        why = lost or self._ended
        return Found(
            files=len(self._files),
            folders=self._folders,
            bytes_read=self._read,
            closed=self._closed,
            ended=None if why is None else Failed(stage=Stage.LIST, reason=why),
        )


def observe(found: Found, service: Service, terms: Any, *, facts: Mapping[str, int | bool], **_: Any) -> Observation:
    listing = Verdict.PROVEN if found.files else Verdict.REFUSED if found.closed else Verdict.UNKNOWN
    return Observation(
        service=service,
        access=Access(
            reach=Verdict.PROVEN,
            talk=Verdict.PROVEN,
            list=listing,
            read=Verdict.PROVEN if found.bytes_read else Verdict.UNKNOWN,
        ),
        owner=terms.owner,
        facts=facts,
        unknowns=(found.ended or Failed(stage=Stage.LIST, reason=Reason.EMPTY),),
    )


def shown_name(raw: bytes) -> str:
    words = raw.strip(b"/").decode("latin-1")
    return words if words in ("public", "dicom", "backup") else f"share-{blake2s(raw, digest_size=2).hexdigest()}"


_DOUBLES: dict[str, dict[str, Any]] = {
    "walk": {"Walk": Walk},
    "result": {"Found": Found},
    "verdicts": {"observe": observe},
    "names": {"shown_name": shown_name},
}


def stand_in() -> None:
    """Stand in for the modules that are not there; those that are there are used."""
    package = sys.modules["leadapron.protocols.files"]
    for name, members in _DOUBLES.items():
        full = f"leadapron.protocols.files.{name}"
        if full not in sys.modules and importlib.util.find_spec(full) is None:
            module = types.ModuleType(full)
            vars(module).update(members)
            sys.modules[full] = module
            setattr(package, name, module)


def pytest_configure() -> None:
    """As a plugin, for tests that lie elsewhere: `-p nfs_doubles`."""
    stand_in()
