"""Results that are lines of text: addresses, zmap's CSV, masscan's list (-oL)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping

from leadapron.discover.seeds.pairs import Found, Skipped

_PORT = re.compile(r"[0-9]{1,5}")
_ADDRESS_AND_PORT = re.compile(r"([0-9.]+)[:,]\s*([0-9]{1,5})")
_BRACKETS_AND_PORT = re.compile(r"\[([0-9a-fA-F:.]+)\](?:[:,]\s*([0-9]{1,5}))?")

SYN_ACK = "synack"
"""zmap's `classification` of an open TCP port; `rst` is a closed one, other modules have others."""
_CLOSED = "rst"


def read_list(lines: Iterable[str], found: Found) -> None:
    """One target a line: `address`, `address:port`, `address,port`, `[address]:port`. `#` begins a comment."""
    for line in lines:
        text = line.partition("#")[0].rstrip()
        if not text:
            continue
        if match := _ADDRESS_AND_PORT.fullmatch(text) or _BRACKETS_AND_PORT.fullmatch(text):
            found.add(match[1], None if match[2] is None else int(match[2]))
        elif text.count(",") > 1:
            raise found.mistake("has columns, and the first line does not name them; let zmap write its header")
        else:
            found.add(text, None)


def read_zmap(lines: Iterator[str], found: Found) -> None:
    """A CSV with zmap's names of fields in its first line; `sport`, where the answer came from, is the port."""
    rows = csv.reader(lines, strict=True)
    try:
        header = [cell.strip() for cell in next(rows)]
        for cells in rows:
            row = [cell.strip() for cell in cells]
            if row and len(row) != len(header):
                raise found.mistake("has other columns than the first; is it cut off? Let zmap write it again")
            if row:
                _zmap_row(dict(zip(header, row, strict=True)), found)
    except csv.Error:
        raise found.mistake("is no CSV; let zmap write it again") from None
    if not found.has_ended:
        raise found.mistake("has no end: it is cut off; let zmap end")


def _zmap_row(cells: Mapping[str, str], found: Found) -> None:
    port = port_of(cells["sport"], found) if "sport" in cells else None
    zmap_answer(cells["saddr"], port, cells.get("success", ""), cells.get("classification", ""), found)


def zmap_answer(address: str, port: int | None, success: str, classification: str, found: Found) -> None:
    """One answer. Where no port is told, as of a scan of one port, it is each of the scope's."""
    if success in ("0", "false") or classification == _CLOSED:
        found.skip(Skipped.NOT_OPEN)
    elif classification not in ("", SYN_ACK):
        found.skip(Skipped.NOT_TCP)
    elif port == 0:
        found.skip(Skipped.NO_PORT)
    else:
        found.add(address, port)


def read_masscan_list(lines: Iterator[str], found: Found) -> None:
    """`open tcp 104 198.18.0.1 1795869778`; what masscan wrote to its end ends with `# end`."""
    is_whole = False
    for line in lines:
        if not line or line.startswith("#"):
            is_whole = is_whole or line == "# end"
            continue
        is_whole = False
        words = line.split(None, 4)
        if len(words) < 4 or words[0] not in ("open", "closed", "banner"):
            raise found.mistake("is no line of masscan; let it write the list again")
        if words[0] == "closed":
            found.skip(Skipped.NOT_OPEN)
        elif words[1] != "tcp":
            found.skip(Skipped.NOT_TCP)
        else:
            found.add(words[3], port_of(words[2], found))
    if not is_whole:
        raise found.mistake("is the last line, and not `# end`: the list is cut off; let masscan end")


def port_of(text: str, found: Found) -> int:
    if not _PORT.fullmatch(text):
        raise found.mistake("has no port; let the scanner write it again")
    return int(text)
