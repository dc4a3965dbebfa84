"""nmap's XML (-oX), which masscan writes, too: the open TCP ports of each host."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from leadapron.discover.seeds.pairs import Found, Skipped
from leadapron.discover.seeds.source import MAX_RECORD

_BLOCK = 1 << 16
_FAMILIES = ("ipv4", "ipv6")


def read_nmap(stream: io.BufferedReader[Any], found: Found) -> None:
    """In a stream, no tree is built. Raises InputError for what is no XML of nmap, is cut off, or declares entities."""
    found.unit = "host"
    hosts = _Hosts(found)
    parser = DefusedXMLParser(target=hosts)
    try:
        while data := stream.read(_BLOCK):
            parser.feed(data)
            hosts.has_fed(len(data))
        parser.close()
    except DefusedXmlException:
        raise found.mistake("declares entities, which no scanner does; is this the result of a scan?") from None
    except (ParseError, ValueError, LookupError):  # what is no XML; an encoding that is none, or not known
        raise found.mistake("is no XML, or is cut off; let nmap end") from None


class _Hosts:
    """Told of each element."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._path: list[str] = []
        self._silent = 0
        """bytes since an element began or ended"""
        self._address = self._port = ""
        self._has_ports = False

    def has_fed(self, size: int) -> None:
        """What no element comes out of is kept by the parser."""
        self._silent += size
        if self._silent > MAX_RECORD:
            raise self._found.mistake(f"has a part longer than {MAX_RECORD >> 20} MiB; is this the result of a scan?")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self._path and tag != "nmaprun":
            raise self._found.mistake("is XML, but not of nmap; write it with -oX")
        self._silent = 0
        self._path.append(tag)
        match self._path[1:]:
            case ["host"]:
                self._found.at += 1
                self._address, self._has_ports = "", False
            case ["host", "address"] if attributes.get("addrtype") in _FAMILIES:
                self._address = attributes.get("addr", "")
            case ["host", "ports", "port"]:
                self._has_ports = True
                self._port = attributes.get("portid", "") if attributes.get("protocol") == "tcp" else ""
            case ["host", "ports", "port", "state"]:
                self._state(attributes.get("state", ""))

    def _state(self, state: str) -> None:
        if not self._port:
            self._found.skip(Skipped.NOT_TCP)
        elif state != "open":
            self._found.skip(Skipped.NOT_OPEN)
        elif not self._port.isdecimal() or len(self._port) > 5:
            raise self._found.mistake("has a port that is none; let nmap write it again")
        elif self._port == "0":
            self._found.skip(Skipped.NO_PORT)
        else:
            self._found.add(self._address, int(self._port))

    def end(self, tag: str) -> None:
        self._silent = 0
        self._path.pop()
        if tag == "host" and len(self._path) == 1 and not self._has_ports:
            self._found.skip(Skipped.NO_PORT)

    def data(self, _text: str) -> None:
        self._silent = 0

    def close(self) -> None:
        return None
