"""The key of a run: what has to be compared between hosts, or between parts of a run, is stored as hashes under it.

It lies beside the audit log, never in the store, and is destroyed when the run is complete: from then on nobody can tell
which value a hash stands for. A run that was stopped keeps it, so that its other part can be compared with the first.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from leadapron.errors import InputError

SIZE = 32
"""Bytes."""


class RunKey:
    """In `directory`, which is the run's own."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "key"

    def make(self) -> bytes:
        """A new one, readable by its owner only. Raises InputError."""
        key = secrets.token_bytes(SIZE)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
        except OSError as error:
            raise self._error(error.strerror or "cannot be written") from None
        return key

    def read(self) -> bytes:
        """That of a run which goes on. Raises InputError."""
        try:
            key = self._path.read_bytes()
        except OSError as error:
            raise self._error(error.strerror or "cannot be read") from None
        if len(key) != SIZE:
            raise self._error("is not the key of a run")
        return key

    def destroy(self) -> None:
        """Whatever becomes of the file: overwritten, then removed."""
        with contextlib.suppress(OSError):
            self._path.write_bytes(bytes(SIZE))
            self._path.unlink()

    def _error(self, what: str) -> InputError:
        return InputError(f"{self._path}: {what}; without its key a run cannot go on: audit without --resume")
