"""What the jobs of NFS find out: numbers, enum members and names of ours. No path, host or name of a server is in here."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from leadapron.model import Failed

WHOLE = "pseudo-root"
"""The resource that stands for all that version 4 shows below its root."""

ROOT = "/"
"""The resource that is an export of the whole server."""


class Spoken(enum.StrEnum):
    """What a NULL call came to: "nobody" for versions and programs, "auth" where not even that is answered without a
    login."""

    YES = "yes"
    NO_VERSION = "no_version"
    NO_PROGRAM = "no_program"
    AUTH = "auth"
    ODD = "odd"
    """another answer of ONC RPC"""


class Root(enum.StrEnum):
    """What the root of version 4 is to us."""

    OPEN = "open"
    REFUSED = "refused"
    ODD = "odd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The answers to NULL. None: none came. `lowest` and `highest`: the versions that the server says it has; 0: it does
    not say."""

    version_3: Spoken | None = None
    version_4: Spoken | None = None
    mount: Spoken | None = None
    """MOUNT version 3, on the port of NFS itself"""
    lowest: int = 0
    highest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`shown`: see `leadapron.protocols.files.names`. `groups`: hosts, networks and netgroups that it is given to."""

    shown: str
    groups: int = 0
    everyone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """What the server says it exports, and to how many. `missing`: why that is not known, which says nothing
    of the service of NFS itself: MOUNT and the portmapper have ports of their own."""

    exports: tuple[Export, ...] = ()
    everyone: int = 0
    """of all, also of those that are not in `exports`"""
    total: int = 0
    alike: int = 0
    """left out, since another one is shown under the same name"""
    unlisted: bool = False
    """the server has no list: its root is tried, and to whom it is given is not known"""
    portmapper: bool | None = None
    """it answered; None: it was not asked"""
    mount_port: int = 0
    """where MOUNT is spoken; 0: not known"""
    root: Root | None = None
    """of version 4; None: not asked, or no answer"""
    missing: Failed | None = None


class Refusal(enum.StrEnum):
    """Why an export could not be mounted."""

    DENIED = "denied"
    """MNT3ERR_ACCES or MNT3ERR_PERM: not for us"""
    AUTH = "auth"
    """ONC RPC wants another login than the one that any client makes up"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The server said that the export is not for us."""

    refusal: Refusal
