"""What crosses the loopback interface of a namespace, heard by a raw socket: what a peer did send, whatever became of it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from real_servers import Namespace

LISTENER = """
import socket, sys
ALL, OUTGOING, SO_RCVBUFFORCE = 3, 4, 33
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
heard.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
heard.bind(("lo", 0))
with open(sys.argv[1], "wb", buffering=1 << 20) as file:
    print("ready", flush=True)
    while True:
        packet, (_, _, kind, _, _) = heard.recvfrom(1 << 17)
        if kind == OUTGOING and b"END-OF-WHAT-IS-HEARD" in packet:
            break
        if kind == OUTGOING:
            file.write(packet)
"""
SAY_THE_END = """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"END-OF-WHAT-IS-HEARD", ("127.0.0.1", 9))
"""


@contextlib.contextmanager
def overheard(inside: Namespace, file: Path) -> Iterator[None]:
    """Every packet, one behind the other in `file`, which is whole at the end. Loopback's are up to 64 KiB."""
    command = inside.command(sys.executable, "-c", LISTENER, file)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == b"ready\n"
            yield
            deadline = time.monotonic() + 20
            while listener.poll() is None and time.monotonic() < deadline:
                inside.run(sys.executable, "-c", SAY_THE_END)
                time.sleep(0.2)
            assert listener.returncode == 0
        finally:
            listener.kill()
