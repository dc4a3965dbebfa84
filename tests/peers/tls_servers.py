"""OpenSSL's own server and client on loopback, certificates made for them, and our conversations over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import datetime as dt
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import pytest
from real_servers import START_TIMEOUT, Namespace

from leadapron.model import Attempt, Endpoint
from leadapron.net.conversation import Conversation, Limits
from leadapron.net.dialer import Line, hold
from leadapron.protocols.tls.offers import MAX_OFFERS, Asked, Probe, next_offer

T = TypeVar("T")

LIMITS = Limits(connect_timeout=5, idle_timeout=5, deadline=15)
CLONE_NEWNET = 0x40000000
WEAKEST = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"


def require_openssl() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (tests/apt-packages.txt)")


def openssl(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def converse(conversation: Conversation[T], here: Endpoint, limits: Limits = LIMITS) -> Attempt[T]:
    """A conversation over a real connection, carried by the dialer."""
    return asyncio.run(hold(conversation, here, Line(limits), limits))


def ask_offers(here: Endpoint) -> list[Asked]:
    """The whole plan of offers, over real connections."""
    known: list[Asked] = []
    while (offer := next_offer(known)) is not None:
        probe = Probe(endpoint=here, number=len(known) + 1, offer=offer)
        known.append(Asked(offer=offer, attempt=converse(probe.converse(), here)))
        assert len(known) <= MAX_OFFERS
    return known


def within(inside: Namespace, call: Callable[[], T]) -> T:
    """The result of `call` in a thread that lives in the namespace."""
    results: list[T] = []

    def enter() -> None:
        place = os.open(f"/run/netns/{inside.name}", os.O_RDONLY)
        assert ctypes.CDLL(None, use_errno=True).setns(place, CLONE_NEWNET) == 0
        os.close(place)
        results.append(call())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return results[0]


@contextlib.contextmanager
def s_server(*arguments: object, log: Path) -> Iterator[Endpoint]:
    """`openssl s_server` on a free port of 127.0.0.1, ended by its own process id.

    It prints some kilobytes for each handshake: into a file, since it would stand still at a full pipe that nobody reads.
    """
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", *map(str, arguments)]
    printed = log.with_name(f"{log.name}.out")
    with log.open("w") as errors, printed.open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=errors)
        assert process.stdin
        try:
            yield Endpoint(address=ip_address("127.0.0.1"), port=_port(process, printed, log), name="pacs.example")
        finally:
            process.kill()
            process.wait()
            process.stdin.close()


def _port(process: subprocess.Popen[bytes], printed: Path, log: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while not (found := re.search(r"^ACCEPT 127\.0\.0\.1:(\d+)$", printed.read_text(errors="replace"), re.MULTILINE)):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.02)
    return int(found[1])


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its key as files."""

    certificate: Path
    key: Path

    @property
    def arguments(self) -> tuple[object, ...]:
        return "-cert", self.certificate, "-key", self.key


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes certificates of made-up hosts in a folder."""

    folder: Path

    def make(
        self,
        name: str,
        key: tuple[str, ...] = ("rsa:2048",),
        *,
        days: tuple[int, int] = (-1, 100),
        digest: str = "sha256",
        issuer: Pair | None = None,
    ) -> Pair:
        """`days`: from when, to when, from today; `key`: of `openssl req -newkey`."""
        pair = Pair(certificate=self.folder / f"{name}.pem", key=self.folder / f"{name}.key")
        request = self.folder / f"{name}.csr"
        options = [part for each in key[1:] for part in ("-pkeyopt", each)]
        subject = ["-subj", f"/CN={name}.example", "-addext", f"subjectAltName=DNS:{name}.example"]
        self._run("req", "-new", "-nodes", "-newkey", key[0], *options, "-keyout", pair.key, "-out", request, *subject)
        signing = ("-signkey", pair.key) if issuer is None else ("-CA", issuer.certificate, "-CAkey", issuer.key)
        self._sign(request, pair, digest, days, signing)
        return pair

    def _sign(self, request: Path, pair: Pair, digest: str, days: tuple[int, int], signing: tuple[object, ...]) -> None:
        """`openssl ca`: the only command of OpenSSL 3.0 that takes both dates."""
        begin, end = (f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=each):%Y%m%d%H%M%SZ}" for each in days)
        database = self.folder / f"{pair.certificate.stem}.index"
        database.write_text("")
        configuration = self.folder / f"{pair.certificate.stem}.conf"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, database=database))
        if signing[0] == "-signkey":
            signer = ("-selfsign", "-keyfile", pair.key)
        else:
            signer = ("-cert", signing[1], "-keyfile", signing[3])
        dates = ("-startdate", begin, "-enddate", end, "-md", digest, "-create_serial", "-notext")
        self._run("ca", "-batch", "-config", configuration, "-in", request, "-out", pair.certificate, *signer, *dates)

    @staticmethod
    def _run(*arguments: object) -> None:
        done = openssl(*arguments)
        assert done.returncode == 0, done.stderr


CONFIGURATION = """
[ca]
default_ca = made_up
[made_up]
new_certs_dir = {folder}
database = {database}
serial = {database}.serial
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""
