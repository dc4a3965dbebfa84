"""What a JSON record of a scanner, or of a search engine, says about open ports. Nothing else of it is looked at.

| kind | a record has | sources |
|---|---|---|
| masscan | `ip` and `ports` (-oJ), or `ip`, `proto` and `rec_type` (-oD) | masscan 1.3.2, 1.0.4 |
| zmap | `saddr` | zmap 2.1.1 (-O json) |
| Shodan | `ip_str`, `ipv6` or `ip`, with `port` | its banner schema; shodan 1.31 |
| Censys | `ip` and `services` (Search 2), the same in `host_v1.resource` (Platform) | censys 2.3, censys-platform 0.16 |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from leadapron.discover.seeds.lists import zmap_answer
from leadapron.discover.seeds.pairs import Found, Kind, Skipped

Record = Mapping[str, Any]

_AROUND = ("result", "host_v1", "host", "resource")
"""What Censys wraps a host in."""
_OTHER_ASSETS = frozenset({"certificate_v1", "webproperty_v1"})


def read_objects(records: Iterable[Record], found: Found) -> Kind:
    """The kind is that of the first record; the others have to be alike."""
    kind: Kind | None = None
    for record in records:
        its_kind = _kind(record)
        if its_kind is None or kind not in (None, its_kind):
            problem = "is of another kind than those before" if kind else "is of no scanner that we know"
            raise found.mistake(f"{problem}; see docs/seeds.md for the formats")
        kind = its_kind
        _READERS[kind](record, found)
    if kind is None:
        raise found.mistake("has no record; give the result of a scan that found something")
    return kind


def _kind(record: Record) -> Kind | None:
    if "saddr" in record:
        return Kind.ZMAP
    if "ports" in record or "rec_type" in record:
        return Kind.MASSCAN if "ip" in record else None
    if "port" in record:
        return Kind.SHODAN if record.keys() & {"ip_str", "ipv6", "ip"} else None
    if record.keys() & _OTHER_ASSETS or "services" in _host(record) or "ip" in _host(record):
        return Kind.CENSYS
    return None


def _zmap(record: Record, found: Found) -> None:
    port = _port(record["sport"], found) if "sport" in record else None
    success, classification = record.get("success", ""), record.get("classification", "")
    zmap_answer(_text(record["saddr"]), port, str(success).lower(), _text(classification), found)


def _masscan(record: Record, found: Found) -> None:
    """A banner has no status: its port is open."""
    parts = _objects(record["ports"], found) if "ports" in record else iter([record])
    for part in parts:
        data = part.get("data")
        status = data.get("status", "open") if isinstance(data, dict) else part.get("status", "open")
        _offer(record["ip"], part, found, is_open=status == "open", transport=part.get("proto"))


def _shodan(record: Record, found: Found) -> None:
    """`ip` is the number of an IPv4 address; IPv6 has its text in `ipv6`."""
    address = record.get("ipv6") or record.get("ip_str") or record.get("ip")
    if isinstance(address, int) and 0 <= address < 1 << 32:
        address = str(IPv4Address(address))
    _offer(address, record, found, transport=record.get("transport", "tcp"))


def _censys(record: Record, found: Found) -> None:
    host = _host(record)
    if record.keys() & _OTHER_ASSETS:
        found.skip(Skipped.NOT_A_HOST)
    elif not host.get("services"):
        found.skip(Skipped.NO_PORT)
    else:
        for service in _objects(host["services"], found):
            _offer(host.get("ip"), service, found, transport=service.get("transport_protocol", "tcp"))


_READERS: Mapping[Kind, Callable[[Record, Found], None]] = {
    Kind.MASSCAN: _masscan,
    Kind.ZMAP: _zmap,
    Kind.SHODAN: _shodan,
    Kind.CENSYS: _censys,
}


def _host(record: Record) -> Record:
    """The host within what is wrapped around it."""
    for key in _AROUND:
        inner = record.get(key)
        record = inner if isinstance(inner, dict) else record
    return record


def _offer(address: object, part: Record, found: Found, *, transport: object, is_open: bool = True) -> None:
    if _text(transport).lower() != "tcp":
        found.skip(Skipped.NOT_TCP)
    elif not is_open:
        found.skip(Skipped.NOT_OPEN)
    elif (port := _port(part.get("port"), found)) == 0:
        found.skip(Skipped.NO_PORT)
    else:
        found.add(_text(address), port)


def _port(value: object, found: Found) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise found.mistake("has no port; fetch or write it again")
    return value


def _objects(value: object, found: Found) -> Iterator[Record]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise found.mistake("has no list of ports or services; fetch or write it again")
    return iter(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
