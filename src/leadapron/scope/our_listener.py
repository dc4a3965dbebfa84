"""Our listener outside, and the secret that we share with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leadapron.errors import InputError

SHORTEST, LONGEST = 16, 256
"""Characters of a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OurListener:
    """Where `leadapron listen` runs. It counts as infrastructure, and is never a target."""

    host: str
    """address in its canonical form, or lower-case name"""
    ports: tuple[int, ...]
    """on each of which it has to give its proof; the first is that of `listener` itself"""
    token_file: Path


def read_token(path: Path) -> bytes:
    """The secret of a token file, without the space around it. Raises InputError."""
    try:
        with path.open("rb") as file:
            return check_token(file.read(LONGEST + 64).strip(), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file with the token of the listener") from None


def check_token(token: bytes, where: str) -> bytes:
    """`token`, which is long enough to be a secret. Raises InputError, which does not repeat it."""
    if not SHORTEST <= len(token) <= LONGEST or not token.isascii() or not token.decode().isprintable():
        raise InputError(f"{where}: a token has {SHORTEST} to {LONGEST} printable ASCII characters")
    return token
