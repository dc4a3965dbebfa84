"""What the jobs return: numbers, enum members, and names of our own making."""

from __future__ import annotations

from dataclasses import dataclass

from leadapron.model import Failed, Reason

MAX_SHARES = 64
"""That are looked at, of one server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The answer to NEGOTIATE. `version`: 202, 210, 300, 302 or 311."""

    version: int
    signing_enabled: bool
    signing_required: bool
    encryption: bool
    """it has ciphers"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smb1:
    """Whether the server takes SMB 1."""

    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A disk share. `shown` is what it may be called."""

    shown: str
    refused: Reason | None = None
    """why it does not let us in; None: it does"""
    may_list: bool = False
    may_write: bool = False
    """the maximal access that it grants us, by its own word"""
    encrypts: bool = False
    """it demands encryption"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The session for a user without a name, and the shares that it sees.

    `major`, `minor`, `build` are those of an NTLMSSP challenge. `ended`: why the shares are not known, or not all.
    """

    accepted: bool
    is_guest: bool = False
    is_null: bool = False
    encrypts: bool = False
    major: int = 0
    minor: int = 0
    build: int = 0
    shares: tuple[Share, ...] = ()
    is_listed: bool = False
    """the server named its shares"""
    hidden: int = 0
    """disk shares whose names end in $, or that are administrative: they are left alone"""
    others: int = 0
    """printers and pipes"""
    left_out: int = 0
    """disk shares beyond our bound, or that are called as another one in results"""
    ended: Failed | None = None
