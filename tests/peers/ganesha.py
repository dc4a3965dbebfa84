"""NFS-Ganesha with its portmapper, in a namespace: exports of folders, by versions 3 and 4."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from real_servers import Namespace

NFS_PORT, MOUNT_PORT, PORTMAP_PORT = 2049, 20048, 111
PROGRAMS = ("ip", "ss", "unshare", "ganesha.nfsd", "rpcbind")

CONFIGURATION = """\
NFS_CORE_PARAM {{ Protocols = {protocols}; NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ RecoveryRoot = {folder}/recovery; Graceless = true; }}
EXPORT_DEFAULTS {{ SecType = sys, none; Squash = Root_Squash; Transports = TCP; Protocols = {protocols}; }}
LOG {{ Default_Log_Level = EVENT; }}
{exports}
"""
EXPORT = """\
EXPORT {{
  Export_Id = {number}; Path = {export.path}; Pseudo = {export.pseudo}; Access_Type = {export.default};
  FSAL {{ Name = VFS; }}
  {export.more}
  {clients}
}}
"""


@dataclass(frozen=True)
class Export:
    """`default`: the access of everyone (RO, RW, None); `only`: clients that may read it besides."""

    path: Path
    pseudo: str
    default: str = "RO"
    only: Sequence[str] = ()
    more: str = ""
    """further lines of its block"""


@contextlib.contextmanager
def portmapper(inside: Namespace, folder: Path) -> Iterator[None]:
    """rpcbind, with a /run of its own: it wants to write there."""
    script = "mount -t tmpfs tmpfs /run && exec rpcbind -f"
    with inside.serving(PORTMAP_PORT, "unshare", "-m", "sh", "-c", script, log=folder / "rpcbind.log"):
        yield


@contextlib.contextmanager
def ganesha(inside: Namespace, folder: Path, *exports: Export, protocols: str = "3,4") -> Iterator[None]:
    """On port 2049, and MOUNT on 20048 where version 3 is among the protocols."""
    (folder / "recovery").mkdir()
    lines = [
        EXPORT.format(
            number=number,
            export=export,
            clients=f"CLIENT {{ Clients = {', '.join(export.only)}; Access_Type = RO; }}" if export.only else "",
        )
        for number, export in enumerate(exports, 1)
    ]
    file = folder / "ganesha.conf"
    file.write_text(CONFIGURATION.format(protocols=protocols, folder=folder, exports="\n".join(lines)))
    command = ["ganesha.nfsd", "-F", "-f", file, "-L", folder / "ganesha.log", "-p", folder / "ganesha.pid"]
    with inside.serving(NFS_PORT, *command, log=folder / "ganesha.out"):
        yield
