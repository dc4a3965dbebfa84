"""A name server whose answers change from look-up to look-up, and the processes that ask it and no other."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from real_servers import Namespace

ADDRESS = "198.18.0.53"

PROGRAM = r"""
import ipaddress, json, socket, struct, sys
address, answers, log = sys.argv[1], json.loads(sys.argv[2]), open(sys.argv[3], "a", buffering=1)
KINDS = {1: "A", 28: "AAAA"}
asked = {}

def encoded(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"

def record(name, kind, data):
    return encoded(name) + struct.pack(">HHIH", kind, 1, 0, len(data)) + data

def records(name, kind, lookup):
    # What the look-up brings: addresses, and a name in place of them that is looked up in turn.
    for answer in answers[name][min(lookup, len(answers[name]) - 1)]:
        if answer[0].isalpha() and answer in answers:
            yield record(name, 5, encoded(answer))
            yield from records(answer, kind, lookup)
            continue
        found = ipaddress.ip_address(answer)
        if (found.version == 6) == (kind == 28):
            yield record(name, kind, found.packed)

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((address, 53))
ready = socket.create_server((address, 53))
while True:
    question, peer = server.recvfrom(4096)
    labels, place = [], 12
    while question[place]:
        labels.append(question[place + 1 : place + 1 + question[place]].decode().lower())
        place += 1 + question[place]
    name, (kind,) = ".".join(labels), struct.unpack(">H", question[place + 1 : place + 3])
    lookup = asked[name, kind] = asked.get((name, kind), -1) + 1
    log.write(json.dumps([name, KINDS.get(kind, str(kind)), lookup]) + "\n")
    found = list(records(name, kind, lookup)) if name in answers else []
    flags = 0x8180 if name in answers else 0x8183
    head = question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
    server.sendto(head + question[12 : place + 5] + b"".join(found), peer)
"""

Answers = Mapping[str, Sequence[Sequence[str]]]
"""By name, one entry a look-up, the last for all that follow: addresses, or one other name of these."""


class Names:
    """The look-ups that came, and how to ask."""

    def __init__(self, inside: Namespace, folder: Path) -> None:
        self._inside, self.log = inside, folder / "look-ups.jsonl"
        self.configuration = folder / "resolv.conf"
        self.configuration.write_text(f"nameserver {ADDRESS}\noptions timeout:2 attempts:2\n")
        self.log.touch()

    @property
    def asked(self) -> list[tuple[str, str, int]]:
        """Name, kind of record, and how often that was asked before."""
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]

    def command(self, *arguments: object) -> tuple[object, ...]:
        """A command whose names are looked up here alone: its resolv.conf is ours, in a mount namespace of its own."""
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ("unshare", "-m", "sh", "-c", script, self.configuration, *arguments)


@contextlib.contextmanager
def changing_names(inside: Namespace, folder: Path, answers: Answers) -> Iterator[Names]:
    names = Names(inside, folder)
    program = (sys.executable, "-c", PROGRAM, ADDRESS, json.dumps(answers), names.log)
    with inside.serving(53, *program, log=folder / "names.log"):
        yield names
