"""Where things lie, who we say we are, and how the process protects its memory."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tempfile
from pathlib import Path

IMPLEMENTATION_CLASS_UID = "2.25.223453016129789984510822487912142375026"
"""Ours, on every association (PS3.7 D.3.3.2): a UUID-derived UID (PS3.5 B.2)."""

IMPLEMENTATION_VERSION_NAME = "LEADAPRON_010"
"""At most 16 characters (PS3.7 D.3.3.2)."""

_ENDS_A_PATH = str.maketrans({character: f"%{ord(character):02X}" for character in "%?#"})

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def data_directory() -> Path:
    """Store, audit logs and control files: `LEADAPRON_DATA`, else the XDG data directory."""
    if own := os.environ.get("LEADAPRON_DATA"):
        return Path(own)
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "leadapron"


def default_store_url() -> str:
    return sqlite_url(data_directory() / "leadapron.db")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file: what would end its path is percent-encoded, what a reader knows it by is not."""
    return f"sqlite:///{str(path).translate(_ENDS_A_PATH)}"


def make_private_directory(path: Path) -> Path:
    """Create `path` (mode 0700) with its parents, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def replace_private(path: Path, data: bytes) -> None:
    """Write `path` (mode 0600), whole or not at all, whoever reads it meanwhile. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp gives a descriptor
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def protect_process() -> None:
    """Files for the owner only, and no core dump: a dump would hold what peers sent (the second law)."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def is_dumpable() -> bool:
    """Whether the kernel would write a core dump of this process (Linux)."""
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))
