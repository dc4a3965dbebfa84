"""Whether a page is a listing of a folder, and whose: told by what the server itself writes, not by what is listed.

The examples are the pages of the servers themselves (tests/protocols/listing/data), of IIS what its documentation shows.
"""

from __future__ import annotations

import enum
import re

LOOKED_AT = 64 << 10
"""Bytes at the beginning of a page, within which it says what it is."""


class Format(enum.IntEnum):
    """Also the fact `listing.format`, so that a number never changes its meaning."""

    OTHER = 1
    """a page that calls itself an index of a folder"""
    NGINX = 2
    APACHE_PLAIN = 3
    APACHE_FANCY = 4
    APACHE_TABLE = 5
    LIGHTTPD = 6
    CADDY = 7
    IIS = 8
    PYTHON = 9
    RCLONE = 10
    NGINX_JSON = 11
    CADDY_JSON = 12
    NGINX_XML = 13


JSON = frozenset({Format.NGINX_JSON, Format.CADDY_JSON})
HEADED = re.compile(
    rb"<(?:title|h1|h2)\b[^>]{0,200}>(?:[^<]{0,100}<img\b[^>]{0,300}>)?[^<]{0,60}?"
    rb"\b(?:Index of|Directory listing (?:of|for)|Directory:)\s{0,5}\[?/",
    re.IGNORECASE,
)
"""Apache, nginx, lighttpd, Tomcat, Jetty, WsgiDAV, Twisted and many others."""

_MARKS: tuple[tuple[Format, re.Pattern[bytes]], ...] = tuple(
    (known, re.compile(pattern, re.IGNORECASE))
    for known, pattern in (
        (Format.NGINX_JSON, rb'\s{0,8}\[\s{0,8}\{ "name":"[^\n]{0,9000}", "type":"(?:directory|file|other)", "mtime":'),
        (Format.CADDY_JSON, rb'\s{0,8}\[\{"name":"[^\n]{0,9000}?","size":-?[0-9]{1,20},"url":"'),
        (Format.NGINX_XML, rb'<\?xml version="1\.0"\?>\s{0,4}<list>'),
        (Format.RCLONE, rb'href="\?download=zip"|<size>[0-9-]{1,20}</size>'),
        (Format.CADDY, rb'href="(?:\./)?\?(?:layout=[a-z]{0,9}&(?:amp;)?)?sort=name(?:dirfirst)?&(?:amp;)?order='),
        (Format.LIGHTTPD, rb'<table summary="Directory Listing"'),
        (Format.PYTHON, rb"<title>Directory listing for /[^<]{0,4000}</title>"),
        (
            Format.APACHE_TABLE,
            rb'<h1>Index of [^<]{1,4000}</h1>[^<]{0,9}<table[^>]{0,99}>\s{0,9}<tr><th[^?]{0,200}"\?C=N;',
        ),
        (Format.APACHE_FANCY, rb'<h1>Index of [^<]{1,4000}</h1>\s{0,9}<pre>[^?]{0,300}"\?C=N;'),
        (Format.APACHE_PLAIN, rb"<h1>Index of [^<]{1,4000}</h1>\s{0,9}<ul><li>"),
        (Format.NGINX, rb"<h1>Index of [^<]{1,4000}</h1><hr><pre><a href="),
        (Format.IIS, rb"<title>[^<]{1,300} - /[^<]{0,4000}</title></head><body><H1>[^<]{1,4300}</H1><hr>\s{0,9}<pre>"),
        (Format.OTHER, HEADED.pattern),
    )
)
_AT_START = JSON | {Format.NGINX_XML}


def format_of(start: bytes) -> Format | None:
    """Of the page that begins so; None: it is none, as far as it came. Takes any bytes."""
    start = start[:LOOKED_AT]
    for known, pattern in _MARKS:
        if (pattern.match if known in _AT_START else pattern.search)(start) is not None:
            return known
    return None


CAPS = {Format.CADDY: 10_000, Format.CADDY_JSON: 10_000}
"""Entries after which a server stops, and does not say so (Caddy, browse.go: defaultDirEntryLimit)."""

_ENDS = re.compile(rb"</html>|</body>|</pre>|</ul>", re.IGNORECASE)


def is_whole(kind: Format, end: bytes) -> bool:
    """Whether a page with this end came to it: a server that ends the connection in the middle says so in no other way."""
    if kind in JSON:
        return end.rstrip().endswith(b"]")
    if kind is Format.NGINX_XML:
        return end.rstrip().endswith(b"</list>")
    return _ENDS.search(end) is not None
