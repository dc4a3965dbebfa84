"""Where the bench runs: a network namespace without a link outside, its servers, and the programs built for it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "peers")]

import header_files  # noqa: E402
from file_doors import open_to_all  # noqa: E402
from real_servers import Namespace, namespace, orthanc  # noqa: E402
from samba import smbd  # noqa: E402
from web_servers import nginx_listing  # noqa: E402

from leadapron.protocols.dicom import identifiers  # noqa: E402
from leadapron.protocols.dicom.inquiry import our_user_information  # noqa: E402
from leadapron.protocols.dicom.probe import Dicom  # noqa: E402
from leadapron.protocols.dicom.wire import dimse, uids  # noqa: E402
from leadapron.protocols.dicom.wire.items import ProposedContext  # noqa: E402
from leadapron.protocols.dicom.wire.pdu import PDV, AssociateRQ, PDataTF  # noqa: E402
from scope_file import write_scope  # noqa: E402

FIRST = "127.1.0.0"
OPEN, SPARSE, QUIET, CLOSED = 11112, 4242, 2762, 104
"""Ports: open on every address; open on each hundredth, the rest refuses; the same, the rest is silent; refused."""
STEP = 100
ORTHANC, ORTHANC_HTTP = 4243, 8042
FIND, FIND_SPLIT, FIND_SHORT, FIND_SPLIT_SHORT, FIND_MILLION = 5001, 5002, 5003, 5004, 5005
SMB = 4450
SERVER_CORE, CLIENT_CORE = 0, 1
FRAGMENT = 100
"""Bytes; an identifier of the find server is about 200 long."""

SYSCTLS = {
    "net.ipv4.ip_local_port_range": "1024 65535",
    "net.core.somaxconn": "65535",
    "net.ipv4.tcp_max_syn_backlog": "65535",
    "net.ipv4.tcp_max_tw_buckets": "400000",
    "net.ipv4.ip_local_reserved_ports": f"{CLOSED},{QUIET},{SPARSE},{ORTHANC},{SMB},5001-5005,{ORTHANC_HTTP},{OPEN}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything. `sockets`: at once, where nobody answers. nmap gets as many targets as the others, about:
    its rate falls with their number."""

    handshakes: int
    sockets: int
    nmap_prefix: int
    pynetdicom: int
    answers: int
    answers_pynetdicom: int
    many_answers: int
    headers: int
    headers_pydicom: int
    ranges: int
    files: int
    """of the tree that is walked over HTTP and SMB; the others are of it"""


FULL = Size(
    handshakes=60_000,
    sockets=15_000,
    nmap_prefix=16,
    pynetdicom=400,
    answers=200_000,
    answers_pynetdicom=10_000,
    many_answers=1_000_000,
    headers=50_000,
    headers_pydicom=2_000,
    ranges=20_000,
    files=100_000,
)
SMALL = Size(
    handshakes=1_000,
    sockets=200,
    nmap_prefix=26,
    pynetdicom=20,
    answers=2_000,
    answers_pynetdicom=200,
    many_answers=5_000,
    headers=200,
    headers_pydicom=40,
    ranges=100,
    files=400,
)

Sample = dict[str, float]


class Place:
    """The namespace, the built programs and the files that they read."""

    def __init__(self, inside: Namespace, folder: Path, size: Size) -> None:
        self.inside, self.folder, self.size = inside, folder, size
        self.web = 0
        """port of the web server that lists the tree"""
        self.tree, self.names, self.targets = folder / "tree", folder / "names", folder / "targets"
        """the made-up files; their paths, and their targets over HTTP, one a line"""

    def build(self) -> None:
        for source in sorted((HERE / "c").glob("*.c")):
            command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(self.folder / source.stem), str(source)]
            subprocess.run(command, check=True)
        hello = Dicom().hello("LEADAPRON")
        (self.folder / "request").write_bytes(hello.request)
        (self.folder / "farewell").write_bytes(hello.farewell)
        associate, find = _find_request()
        (self.folder / "associate").write_bytes(associate)
        (self.folder / "find").write_bytes(find)
        open_to_all(self.folder)
        paths = header_files.make(self.tree, self.size.files)
        self.names.write_text("".join(f"{path}\n" for path in paths))
        self.targets.write_text("".join(f"/{path.relative_to(self.tree)}\n" for path in paths))
        write_scope(self.folder / "scope.toml", networks=["127.1.0.0/16"], ports=[OPEN, SPARSE, QUIET, CLOSED])

    def prepare(self) -> None:
        for name, value in SYSCTLS.items():
            assert self.inside.run("sysctl", "-qw", f"{name}={value}").returncode == 0, name
        live = ", ".join(f"127.1.{i >> 8}.{i & 255}" for i in range(0, 1 << 16, STEP))
        rules = self.folder / "rules.nft"
        rules.write_text(
            "table inet bench {\n"
            f"  set live {{ type ipv4_addr; elements = {{ {live} }} }}\n"
            "  chain out { type filter hook output priority 0;"
            f" tcp dport {QUIET} ip daddr 127.1.0.0/16 ip daddr != @live drop; }}\n}}\n"
        )
        loaded = self.inside.run("nft", "-f", rules)
        assert loaded.returncode == 0, loaded.stderr

    def serving(self, name: str, port: int, *arguments: object) -> contextlib.AbstractContextManager[None]:
        command = ("taskset", "-c", SERVER_CORE, self.folder / name, port, *arguments)
        return self.inside.serving(port, *command, log=self.folder / f"{name}-{port}.log")

    def run(self, *command: object) -> str:
        result = self.inside.run("taskset", "-c", CLIENT_CORE, *command)
        assert result.returncode == 0, (command, result.stdout[-500:], result.stderr[-2000:])
        return result.stdout

    def python(self, program: str, *arguments: object) -> Sample:
        sample: Sample = json.loads(self.run(sys.executable, HERE / f"{program}.py", *arguments))
        return sample

    def c(self, program: str, *arguments: object) -> Sample:
        sample: Sample = json.loads(self.run(self.folder / program, *arguments))
        return sample


def _find_request() -> tuple[bytes, bytes]:
    """What Lead Apron would send: an association with one context, and a C-FIND for all studies."""
    context = ProposedContext(
        id=1, abstract_syntax=uids.STUDY_ROOT_FIND, transfer_syntaxes=(uids.IMPLICIT_VR_LITTLE_ENDIAN,)
    )
    user = our_user_information()
    associate = AssociateRQ(called_aet="ANY-SCP", calling_aet="LEADAPRON", contexts=(context,), user=user)
    command = dimse.find_request(1, uids.STUDY_ROOT_FIND).encode()
    values = (
        PDV(context_id=1, is_command=True, is_last=True, data=command),
        PDV(context_id=1, is_command=False, is_last=True, data=identifiers.studies()),
    )
    return associate.encode(), b"".join(PDataTF(values=(value,)).encode() for value in values)


@contextlib.contextmanager
def place_of(size: Size) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder, namespace() as inside, contextlib.ExitStack() as servers:
        place = Place(inside, Path(folder), size)
        place.build()
        place.prepare()
        servers.enter_context(place.serving("handshake_server", OPEN))
        for port in (SPARSE, QUIET):
            servers.enter_context(place.serving("handshake_server", port, FIRST, 1 << 16, STEP))
        for port, answers, fragment in (
            (FIND, size.answers, 0),
            (FIND_SPLIT, size.answers, FRAGMENT),
            (FIND_SHORT, size.answers_pynetdicom, 0),
            (FIND_SPLIT_SHORT, size.answers_pynetdicom, FRAGMENT),
            (FIND_MILLION, size.many_answers, 0),
        ):
            servers.enter_context(place.serving("find_server", port, answers, fragment))
        servers.enter_context(orthanc(inside, Path(folder), ORTHANC, ORTHANC_HTTP))
        with on_the_servers_core():
            place.web = servers.enter_context(nginx_listing(inside, Path(folder), place.tree)).port
            share = {"path": place.tree, "guest ok": "yes", "read only": "yes"}
            servers.enter_context(smbd(inside, Path(folder) / "samba", SMB, {"dicom": share}))
        yield place


@contextlib.contextmanager
def on_the_servers_core() -> Iterator[None]:
    """What is started in here stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
