"""vsftpd, ProFTPD, pyftpdlib and rsync in a namespace, a made-up folder for them to serve, and a door's whole plan asked of
them over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Namespace, as_file, free_ports, instance
from tls_servers import Pair

from leadapron.identify.match import IDENTIFY
from leadapron.model import Depth, Endpoint, Failed, Observation, Owner
from leadapron.net.conversation import Job, Limits
from leadapron.net.dialer import Line, hold
from leadapron.protocols.base import Case, Payload, Protocol, Terms

CANARY = "SYNTHETIC-CANARY^BIRGIT"
"""A made-up patient, in the names of folders and files, in banners and in comments."""

PROFTPD = Path("/opt/proftpd-peer/usr/sbin/proftpd")
"""Debian's packages of FTP servers exclude each other: this one is unpacked there (tests/install-peers)."""
MAX_JOBS = 40


def require_proftpd() -> None:
    if not PROFTPD.exists():
        pytest.skip(f"{PROFTPD} is not there (tests/install-peers)")


def made_up_folder(place: Path) -> Path:
    """Seven images, two texts, four folders; one folder is closed to everybody but root."""
    root = place / "served"
    study = root / CANARY / "study 1"
    study.mkdir(parents=True)
    for number in range(4):
        (study / f"{CANARY}.{number}.dcm").write_bytes(as_file(instance(number)))
    (root / "incoming").mkdir()
    for number in range(3):
        (root / "incoming" / f"IM{number:06}").write_bytes(as_file(instance(10 + number)))
    (root / "readme.txt").write_text("made up")
    (root / "two words -> arrow.txt").write_text("made up")
    (root / "empty").mkdir()
    for each in (root, *root.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return root


class _Beside:
    """Second connections, as the gate grants them: to the host itself. The dialer has no other address."""

    async def again(self) -> None:
        return None

    @contextlib.asynccontextmanager
    async def beside(self, _port: int) -> AsyncIterator[None]:
        yield


def terms(depth: Depth = Depth.CENSUS, **more: Any) -> Terms:
    return Terms(depth=depth, owner=Owner(grant="test"), calling_aet="LEADAPRON", key=b"k" * 32, **more)


def run(job: Job[Any], idle: float | None = None) -> Any:
    limits = job.limits
    if idle is not None:
        limits = Limits(idle_timeout=idle, connect_timeout=idle, deadline=10 * idle, max_received=limits.max_received)
    return asyncio.run(hold(job.converse(), job.endpoint, Line(limits), limits, _Beside()))


def asked(
    protocol: Protocol, endpoint: Endpoint, of: Terms, idle: float | None = None
) -> tuple[dict[str, Observation], Failed | None, dict[str, Payload]]:
    """The observations by their resources, why there are none, and the attempts as they are stored."""
    attempts: dict[str, Payload] = {}
    for _ in range(MAX_JOBS):
        case = Case(endpoint=endpoint, terms=of, attempts=attempts)
        if (job := protocol.next_job(case, IDENTIFY)) is None:
            break
        assert job.name not in attempts
        attempts[job.name] = protocol.encode_attempt(run(job, idle))
    else:
        pytest.fail("the plan does not end")
    seen, failed = protocol.conclude(case)
    return {each.service.resource: each for each in seen}, failed, attempts


@contextlib.contextmanager
def vsftpd(
    inside: Namespace, folder: Path, root: Path, pair: Pair | None = None, port: int = 0, **settings: object
) -> Iterator[int]:
    """`settings`: those of vsftpd.conf (5)."""
    port = port or free_ports(1)[0]
    empty = folder / f"vsftpd-{port}"
    empty.mkdir()
    tls = {"ssl_enable": "YES", "rsa_cert_file": pair.certificate, "rsa_private_key_file": pair.key} if pair else {}
    options = {
        "listen": "YES",
        "listen_address": "127.0.0.1",
        "listen_port": port,
        "background": "NO",
        "anonymous_enable": "YES",
        "anon_root": root,
        "secure_chroot_dir": empty,
        "ftp_username": "daemon",
        "local_enable": "NO",
        "seccomp_sandbox": "NO",
        "isolate_network": "NO",
        "xferlog_enable": "NO",
        **tls,
        **settings,
    }
    file = folder / f"vsftpd-{port}.conf"
    file.write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    with inside.serving(port, "vsftpd", file, log=folder / f"vsftpd-{port}.log"):
        yield port


PROFTPD_CONFIGURATION = """\
ModulePath {modules}
{load}
ServerName "{canary}"
ServerType standalone
Port {port}
DefaultAddress 127.0.0.1
SocketBindTight on
UseIPv6 off
User nobody
Group nogroup
WtmpLog off
UseReverseDNS off
RequireValidShell off
PidFile {folder}/proftpd-{port}.pid
ScoreboardFile {folder}/proftpd-{port}.scoreboard
DelayEngine off
UseFtpUsers off
AuthOrder mod_auth_unix.c
{more}
"""
PROFTPD_ANONYMOUS = """\
<Anonymous {root}>
  User nobody
  Group nogroup
  UserAlias anonymous nobody
  RequireValidShell off
</Anonymous>
"""
PROFTPD_TLS = """\
TLSEngine on
TLSRequired on
TLSRSACertificateFile {pair.certificate}
TLSRSACertificateKeyFile {pair.key}
"""


@contextlib.contextmanager
def proftpd(inside: Namespace, folder: Path, root: Path | None, pair: Pair | None = None) -> Iterator[int]:
    """`root` None: nobody is let in."""
    (port,) = free_ports(1)
    more = PROFTPD_ANONYMOUS.format(root=root) if root else ""
    if pair:
        more += PROFTPD_TLS.format(pair=pair)
    modules = PROFTPD.parents[1] / "lib" / "proftpd"
    file = folder / f"proftpd-{port}.conf"
    file.write_text(
        PROFTPD_CONFIGURATION.format(
            modules=modules,
            load="LoadModule mod_tls.c" if pair else "",
            canary=CANARY,
            port=port,
            folder=folder,
            more=more,
        )
    )
    file.chmod(0o644)
    with inside.serving(port, PROFTPD, "-n", "-c", file, log=folder / f"proftpd-{port}.log"):
        yield port


PYFTPDLIB = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer
port, root, permissions, elsewhere, certificate, key = sys.argv[1:]
handler = TLS_FTPHandler if certificate else FTPHandler
handler.authorizer = DummyAuthorizer()
if permissions:
    handler.authorizer.add_anonymous(root, perm=permissions)
if elsewhere:
    handler.masquerade_address = elsewhere
if certificate:
    handler.certfile, handler.keyfile = certificate, key
    handler.tls_control_required = handler.tls_data_required = True
FTPServer(("127.0.0.1", int(port)), handler).serve_forever()
"""


def pyftpdlib_python() -> str:
    """A Python that has it: this one, or that of LEADAPRON_PYFTPDLIB."""
    python = os.environ.get("LEADAPRON_PYFTPDLIB", sys.executable)
    import subprocess

    if subprocess.run([python, "-c", "import pyftpdlib"], capture_output=True, check=False).returncode:
        pytest.skip("pyftpdlib is not installed")
    return python


@contextlib.contextmanager
def pyftpdlib(
    inside: Namespace,
    folder: Path,
    root: Path,
    *,
    permissions: str = "elr",
    elsewhere: str = "",
    pair: Pair | None = None,
) -> Iterator[int]:
    (port,) = free_ports(1)
    paths = (pair.certificate, pair.key) if pair else ("", "")
    arguments = (port, root, permissions, elsewhere, *paths)
    python = pyftpdlib_python()
    with inside.serving(
        port, python, "-W", "ignore", "-c", PYFTPDLIB, *arguments, log=folder / f"pyftpdlib-{port}.log"
    ):
        yield port


@contextlib.contextmanager
def rsyncd(inside: Namespace, folder: Path, modules: str) -> Iterator[int]:
    """`modules`: the sections of rsyncd.conf (5)."""
    (port,) = free_ports(1)
    file = folder / f"rsyncd-{port}.conf"
    motd = folder / f"rsyncd-{port}.motd"
    motd.write_text(f"Welcome, {CANARY}\n")
    file.write_text(f"use chroot = no\nuid = nobody\ngid = nogroup\nmotd file = {motd}\n{modules}")
    command = ("rsync", "--daemon", "--no-detach", f"--config={file}", f"--port={port}", "--address=127.0.0.1")
    with inside.serving(port, *command, log=folder / f"rsyncd-{port}.log"):
        yield port


def open_to_all(folder: Path) -> None:
    """pytest's folders are its user's own; the servers read as nobody."""
    for each in (folder, *folder.parents):
        if each == Path(each.anchor) or not str(each).startswith("/tmp/"):
            break
        each.chmod(each.stat().st_mode | 0o055)


__all__ = ["CANARY", "asked", "made_up_folder", "open_to_all", "proftpd", "pyftpdlib", "rsyncd", "vsftpd"]
