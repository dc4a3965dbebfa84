"""Samba's smbd in a namespace of ours, with a configuration, folders and a port of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from real_servers import Namespace

SMBD = "/usr/sbin/smbd"
GLOBAL = {
    "workgroup": "SYNTHETIC",
    "server role": "standalone server",
    "netbios name": "CANARYNAS",
    "server string": "CANARY^SERVER^STRING",
    "disable netbios": "yes",
    "interfaces": "127.0.0.1/8",
    "bind interfaces only": "yes",
    "guest account": "nobody",
    "map to guest": "Bad User",
    "load printers": "no",
    "printcap name": "/dev/null",
    "disable spoolss": "yes",
    "log level": "1",
    "max log size": "0",
}

Section = Mapping[str, object]


@contextlib.contextmanager
def smbd(inside: Namespace, folder: Path, port: int, shares: Mapping[str, Section], **settings: str) -> Iterator[None]:
    """An smbd on `port` of 127.0.0.1. `settings` are global ones, with underscores for spaces."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "smb.conf"
    with tempfile.TemporaryDirectory(prefix="la-") as state:  # its sockets lie there: a path of theirs has 107 bytes
        Path(state).chmod(0o755)
        file.write_text(_configuration(Path(state), port, shares, settings))
        arguments = (SMBD, "--foreground", "--debug-stdout", f"--configfile={file}")
        try:
            with inside.serving(port, *arguments, log=folder / "smbd.log"):
                yield
        finally:
            _end_what_it_left(inside, str(file))


def _configuration(folder: Path, port: int, shares: Mapping[str, Section], settings: Mapping[str, str]) -> str:
    own: dict[str, object] = {"smb ports": port}
    for name in ("lock directory", "state directory", "cache directory", "pid directory", "private dir", "ncalrpc dir"):
        own[name] = folder / name.replace(" ", "-")
        (folder / name.replace(" ", "-")).mkdir(exist_ok=True, mode=0o755)
    over = {name.replace("_", " "): value for name, value in settings.items()}
    sections: dict[str, Section] = {"global": {**GLOBAL, **own, **over}, **shares}
    return "\n".join(
        f"[{name}]\n" + "".join(f"  {key} = {value}\n" for key, value in section.items())
        for name, section in sections.items()
    )


def _end_what_it_left(inside: Namespace, configuration: str) -> None:
    """Its helpers for remote procedure calls outlive it: those in our namespace that read our configuration are ended."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        pids = inside_with(inside, configuration)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + 5
        while pids and inside_with(inside, configuration) and time.monotonic() < deadline:
            time.sleep(0.1)


def inside_with(inside: Namespace, configuration: str) -> list[int]:
    """Processes in the namespace whose command line names the configuration."""
    import subprocess

    listed = subprocess.run(
        ["ip", "netns", "pids", inside.name], check=False, capture_output=True, text=True, timeout=30
    ).stdout.split()
    found = []
    for pid in map(int, listed):
        with contextlib.suppress(OSError):
            if configuration.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found
