"""Whose server it is, by its greeting. The name is from our table; nothing else of a greeting is kept but a version."""

from __future__ import annotations

import re

from leadapron.model import Product

_VERSION = rb"(?P<version>[0-9][0-9A-Za-z.-]{0,23})?"

_PRODUCTS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("vsftpd", re.compile(rb"\(vsFTPd " + _VERSION)),
    ("ProFTPD", re.compile(rb"\bProFTPD(?: " + _VERSION + rb")?")),
    ("Pure-FTPd", re.compile(rb"\bPure-FTPd\b")),
    ("FileZilla Server", re.compile(rb"\bFileZilla Server(?: version)?(?: " + _VERSION + rb")?")),
    ("Microsoft FTP Service", re.compile(rb"\bMicrosoft FTP Service\b")),
    ("pyftpdlib", re.compile(rb"\bpyftpdlib(?: " + _VERSION + rb")?")),
    ("Serv-U", re.compile(rb"\bServ-U FTP(?:[- ]Server)?(?: v?" + _VERSION + rb")?")),
    ("Wing FTP Server", re.compile(rb"\bWing FTP Server\b")),
    ("Synology DSM", re.compile(rb"\bSynology FTP server\b|\bDiskStation FTP server\b", re.IGNORECASE)),
    ("QNAP QTS", re.compile(rb"\bQNAP\b|\bNASFTPD Turbo station\b", re.IGNORECASE)),
    ("CrushFTP", re.compile(rb"\bCrushFTP\b")),
    ("Xlight FTP", re.compile(rb"\bXlight FTP\b")),
    ("VxWorks", re.compile(rb"\bVxWorks\b.{0,64}\bFTP server\b")),
)
"""Greetings as the products' own sources and manuals have them; a name that nobody says elsewhere."""


def product_of(greeting: bytes) -> Product:
    """What a greeting says that it is; no name where it says nothing that is known. A greeting is set by an administrator:
    it is a claim."""
    for name, pattern in _PRODUCTS:
        if (found := pattern.search(greeting)) is not None:
            version = found.groupdict().get("version") or b""
            return Product(name=name, version=version.decode("ascii").rstrip(".-"), confidence="table")
    return Product()
