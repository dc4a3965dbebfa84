"""zmap, masscan and nmap, and what is read of what they write: each finds the same ports, in each of its formats."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import Namespace, namespace, require

from leadapron.discover.seeds.pairs import Kind, Skipped
from leadapron.discover.seeds.read import read_seeds

pytestmark = pytest.mark.peer

NETWORK, US, THEM = "198.18.0.0/29", "198.18.255.1/16", "198.18.255.2/16"
PORT, CLOSED = 11112, 4242
LISTEN = f"import socket, time; s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen(64); time.sleep(100)"
KNOCK = f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(1000):
    s.sendto(b"", ({THEM.partition("/")[0]!r}, 9))
    time.sleep(0.1)
"""
"""masscan 1.3.2 waits for one more packet before it ends; without any it took 4 to 25 seconds, and more."""


@contextlib.contextmanager
def scanned(folder: Path) -> Iterator[tuple[Namespace, str]]:
    """Where scanners run, and the hardware address of the other end, where all of `NETWORK` answers at `PORT`. The two
    namespaces are linked to each other, and to nothing else."""
    with namespace() as ours, namespace() as theirs:
        for inside in (ours, theirs):
            inside.run("ip", "route", "del", "local", "198.18.0.0/15", "dev", "lo", "table", "main")
        ours.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", theirs.name)
        for inside, link, address in ((ours, "va", US), (theirs, "vb", THEM)):
            inside.run("ip", "addr", "add", address, "dev", link)
            inside.run("ip", "link", "set", link, "up")
        theirs.run("ip", "route", "replace", "local", NETWORK, "dev", "lo", "table", "main")
        for inside, links in ((ours, {"lo", "va"}), (theirs, {"lo", "vb"})):
            assert {each["ifname"] for each in json.loads(inside.run("ip", "-json", "link").stdout)} == links
        (end,) = json.loads(theirs.run("ip", "-json", "link", "show", "vb").stdout)
        with (
            theirs.serving(PORT, sys.executable, "-c", LISTEN, log=folder / "log"),
            subprocess.Popen(ours.command(sys.executable, "-c", KNOCK)) as knocking,
        ):
            try:
                yield ours, end["address"]
            finally:
                knocking.kill()


def scans(folder: Path, gateway: str) -> dict[str, tuple[object, ...]]:
    """By the name of the file that each writes."""
    nothing = folder / "empty.conf"
    nothing.touch()
    zmap = ("zmap", "-i", "va", "-G", gateway, "-S", US.partition("/")[0], "-r", 500, "-c", 2, "-q")
    zmap = (*zmap, "-C", nothing, "-b", nothing, "-p", PORT, NETWORK, "-o")
    masscan = ("masscan", "--adapter", "va", "--router-mac", gateway, "--adapter-ip", US.partition("/")[0])
    masscan = (*masscan, "--rate", 100, "--wait", 2, NETWORK, f"-p{PORT},{CLOSED}")
    fields = ("-f", "saddr,sport,classification,success")
    return {
        "zmap.txt": (*zmap, folder / "zmap.txt"),
        "zmap.csv": (*zmap, folder / "zmap.csv", *fields),
        "zmap_all.csv": (*zmap, folder / "zmap_all.csv", "-f", "*"),
        "zmap.json": (*zmap, folder / "zmap.json", "-O", "json", *fields),
        **{f"masscan.{form}": (*masscan, f"-o{form}", folder / f"masscan.{form}") for form in "JLDX"},
        "nmap.xml": ("nmap", "-n", "-Pn", "-sT", f"-p{PORT},{CLOSED}", "-oX", folder / "nmap.xml", NETWORK),
        "nmap_syn.xml": ("nmap", "-n", "-Pn", "-sS", f"-p{PORT},{CLOSED}", "-oX", folder / "nmap_syn.xml", NETWORK),
    }


def test_what_three_scanners_write_is_read(tmp_path: Path) -> None:
    require("ip", "ss", "zmap", "masscan", "nmap")
    expected = [(int(ip_address("198.18.0.0")) + last, PORT) for last in range(8)]
    with scanned(tmp_path) as (inside, gateway):
        commands = scans(tmp_path, gateway)
        for command in commands.values():
            done = inside.run(*command)
            assert done.returncode == 0, done.stderr

    for name in commands:
        seeds = read_seeds(tmp_path / name, [PORT])
        assert list(zip(seeds.addresses4.tolist(), seeds.ports4.tolist(), strict=True)) == expected, name
        kind = {"zmap.txt": Kind.LIST, "masscan.X": Kind.NMAP}.get(name, Kind(name.split(".")[0].split("_")[0]))
        assert seeds.kind is kind
        assert seeds.skipped.get(Skipped.NOT_OPEN, 0) == (8 if name.startswith("nmap") else 0)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert read_seeds(packed, [PORT]).addresses4.tolist() == seeds.addresses4.tolist()
