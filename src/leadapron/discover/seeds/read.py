"""From a file to seeds. What wrote it is told by what is in it, not by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from leadapron.discover.seeds.lists import read_list, read_masscan_list, read_zmap
from leadapron.discover.seeds.objects import read_objects
from leadapron.discover.seeds.pairs import Found, Kind, Seeds
from leadapron.discover.seeds.records import records
from leadapron.discover.seeds.source import Source, lines, opened
from leadapron.discover.seeds.xml import read_nmap

_JSON = re.compile(r"\{|\[\s*[{\]]")
"""An address of IPv6 in brackets is another thing."""


def read_seeds(path: Path, ports: Sequence[int]) -> Seeds:
    """The open TCP ports that the file of another scanner names; an address without one is meant with each of `ports`.

    Raises InputError, one line that repeats nothing of the file: it may hold what servers said.
    """
    found = Found(path, ports)
    with opened(path) as source:
        kind = _read(source, found)
        return found.seeds(kind, source.sha256())


def _read(source: Source, found: Found) -> Kind:
    start = source.start().decode("utf-8", "replace").lstrip()
    if start.startswith("<"):
        read_nmap(source.stream, found)
        return Kind.NMAP
    if _JSON.match(start):
        return read_objects(records(source.stream, found), found)
    texts = lines(source.stream, found)
    if start.startswith("#masscan"):
        read_masscan_list(texts, found)
        return Kind.MASSCAN
    if "saddr" in start.partition("\n")[0].replace(" ", "").strip().split(","):
        read_zmap(texts, found)
        return Kind.ZMAP
    read_list(texts, found)
    return Kind.LIST
