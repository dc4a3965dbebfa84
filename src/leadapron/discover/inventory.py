"""Inventories: which systems there should be. Read from a CSV, from Orthanc's configuration, or from dcm4chee's LDIF.

An inventory widens nothing: what it names outside of the grants, or on another port, is told and not touched.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from leadapron.errors import InputError
from leadapron.model import Expected

MAX_SIZE = 16 << 20
MAX_ENTRIES = 100_000

_ADDRESS, _PORT = ("address", "ip", "host", "hostname"), ("port",)
_TITLE, _OWNER = ("aet", "ae_title", "title"), ("owner",)
"""Names of columns, the first that is there."""
_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")


def read_inventory(path: Path) -> tuple[Expected, ...]:
    """The systems that a file names, each once. The format is told by what is in it. Raises InputError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            raise InputError(f"{path}: is larger than 16 MiB; split it, and give --inventory several times")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a CSV, an orthanc.json or an LDIF") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8; save it as UTF-8") from None
    found = tuple(dict.fromkeys(_entries(path, text)))
    if len(found) > MAX_ENTRIES:
        raise InputError(f"{path}: names more than {MAX_ENTRIES:,} systems; split it")
    if not found:
        raise InputError(f"{path}: names no system; a CSV needs the columns address and port")
    return found


def _entries(path: Path, text: str) -> Iterator[Expected]:
    start = text.lstrip()
    if start.startswith(("{", "/")):
        return _of_orthanc(path, text)
    if re.search(r"^dn::? ", text, re.MULTILINE):
        return _of_ldif(path, text)
    return _of_csv(path, text)


def _expected(path: Path, where: str, host: object, port: object, title: object, owner: str | None) -> Expected:
    """One system. Raises InputError, which names the place and repeats nothing but the faulty word."""
    digits = str(port).strip()
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 0 < int(digits) < 65_536:
        raise InputError(f"{path}: {where}: {digits[:20]!r} is no port; write a number from 1 to 65535")
    name = host.strip().lower().rstrip(".") if isinstance(host, str) else ""
    try:
        name = str(ip_address(name))
    except ValueError:
        if not re.fullmatch(r"[a-z0-9._-]{1,253}", name):
            raise InputError(f"{path}: {where}: {name[:40]!r} is neither an address nor a host name") from None
    aet = str(title or "").strip()
    if aet and not _AE_TITLE.fullmatch(aet):
        raise InputError(f"{path}: {where}: {aet[:20]!r} is no AE title; at most 16 ASCII characters, no backslash")
    return Expected(host=name, port=int(digits), title=aet, owner=owner)


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _of_csv(path: Path, text: str) -> Iterator[Expected]:
    reader = csv.reader(io.StringIO(text), dialect=_dialect(text), strict=True)
    try:
        header = [cell.strip().lower().replace(" ", "_") for cell in next(reader, [])]
        address, port = (_column(header, names) for names in (_ADDRESS, _PORT))
        title, owner = (_column(header, names) for names in (_TITLE, _OWNER))
        if address is None or port is None:
            raise InputError(f"{path}: line 1: no columns address and port; name them in the first line")
        for row in reader:
            if any(cell.strip() for cell in row):
                cells = [*row, *[""] * (len(header) - len(row))]
                named = "" if title is None else cells[title]
                owned = None if owner is None else cells[owner].strip()
                yield _expected(path, f"line {reader.line_num}", cells[address], cells[port], named, owned)
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: is no CSV: {error}") from None


def _dialect(text: str) -> type[csv.Dialect]:
    class Dialect(csv.excel):
        delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","

    return Dialect


def _column(header: list[str], names: Iterable[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


# -- Orthanc -----------------------------------------------------------------------------------------------------------


def _of_orthanc(path: Path, text: str) -> Iterator[Expected]:
    """`DicomModalities` of its configuration, which is JSON with comments; likewise what `GET /modalities?expand` says."""
    try:
        content = json.loads(_COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " ", text))
    except (ValueError, RecursionError) as error:  # json.JSONDecodeError is one; a number may be too long
        line = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}: {line}is no JSON; name an orthanc.json, or a CSV") from None
    modalities = content.get("DicomModalities", content) if isinstance(content, dict) else None
    if not isinstance(modalities, dict):
        raise InputError(f"{path}: has no DicomModalities; name the configuration that lists the peers")
    for name, peer in modalities.items():
        where = f"DicomModalities {name[:40]!r}"
        title, host, port = _of_peer(path, where, peer)
        yield _expected(path, where, host, port, title, None)


def _of_peer(path: Path, where: str, peer: Any) -> tuple[object, object, object]:
    """`["AET", "host", 104, …]`, or an object with AET, Host and Port."""
    if isinstance(peer, list) and len(peer) >= 3:
        return peer[0], peer[1], peer[2]
    if isinstance(peer, dict) and {"AET", "Host", "Port"} <= peer.keys():
        return peer["AET"], peer["Host"], peer["Port"]
    raise InputError(f"{path}: {where}: is no peer; write [AET, host, port] or an object with AET, Host and Port")


# -- dcm4chee ----------------------------------------------------------------------------------------------------------


def _of_ldif(path: Path, text: str) -> Iterator[Expected]:
    """Devices with their connections and application entities (PS3.15 Annex H): each title at each of its connections."""
    entries = {_name(entry["dn"][0]): entry for entry in _ldif(path, text) if "dn" in entry}
    for name, entry in entries.items():
        for title in entry.get("dicomaetitle", []):
            for reference in entry.get("dicomnetworkconnectionreference", []):
                connection = entries.get(_name(reference))
                if connection is None:
                    raise InputError(
                        f"{path}: {name[:80]}: names a connection that is not in the file; export it whole"
                    )
                for host in connection.get("dicomhostname", []):
                    for port in connection.get("dicomport", []):
                        yield _expected(path, name[:80], host, port, "" if title == "*" else title, None)


def _name(distinguished: str) -> str:
    """A distinguished name as it is compared (RFC 4514): case and spaces around its signs do not count."""
    return re.sub(r"\s*([,=+])\s*", r"\1", distinguished.strip().lower())


def _ldif(path: Path, text: str) -> Iterator[dict[str, list[str]]]:
    """Entries of RFC 2849: attributes in lower case. Change records are read as what they add."""
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\n ", "")):
        entry: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            if not colon or line.startswith("#"):
                continue
            if value.startswith(":"):
                value = _decoded(path, name, value[1:])
            entry.setdefault(name.strip().lower(), []).append(value.strip())
        yield entry


def _decoded(path: Path, name: str, value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except ValueError:  # UnicodeDecodeError is one
        raise InputError(f"{path}: {name[:40]}: is no base64 of UTF-8 text") from None
