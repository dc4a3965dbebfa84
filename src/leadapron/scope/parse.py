"""The single values of a scope file, from text to what they mean. Each raises Mistake, which says what to do."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton
from urllib.parse import unquote, urlsplit

from leadapron.model import Depth
from leadapron.scope.buckets import Bucket, Origin, Store, default_origin
from leadapron.scope.grant import Network
from leadapron.scope.special import unmapped
from leadapron.scope.window import Window

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_NETWORK4 = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:/([0-9]{1,2}))?")
_MAPPED = IPv6Network("::ffff:0:0/96")
_BUCKETS = {
    Store.S3: re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9])"),
    Store.AZURE: re.compile(
        r"(?P<account>[a-z0-9]{3,24})/(?P<name>\$(?:root|web|logs)|(?=[a-z0-9-]{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*)"
    ),
    Store.GOOGLE: re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])"),
}
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_SCHEMES = {"http": 80, "https": 443}


class Mistake(ValueError):  # noqa: N818 - the user's, in a file
    """What is wrong, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem}; {remedy}")


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Mistake("is not a string", 'write it in quotes, "…"')
    return value


def line(value: object) -> str:
    """One line of text, at most 200 characters, not empty."""
    text = _string(value).strip()
    if not text:
        raise Mistake("is empty", "write it out: it is recorded with every result")
    return optional_line(text)


def optional_line(value: object) -> str:
    text = _string(value).strip()
    if len(text) > 200 or not text.isprintable():
        raise Mistake("is longer than 200 characters or not plain text", "write one short line")
    return text


def identifier(value: object) -> str:
    text = _string(value)
    if not _ID.fullmatch(text):
        raise Mistake(
            "is not an identifier",
            "use up to 64 letters, digits, and . - _ after the first",
        )
    return text


def email(value: object) -> str:
    text = optional_line(value)
    if not text.isascii() or not _EMAIL.fullmatch(text):
        raise Mistake("is not an e-mail address", 'write it as "security@hospital.example"')
    return text


def country(value: object) -> str:
    text = _string(value)
    if text and not re.fullmatch("[A-Z]{2}", text):
        raise Mistake("is not a country code", 'use two capital letters (ISO 3166-1), "DE"')
    return text


def country_code(value: object) -> str:
    """As `country`, and never empty."""
    if not (code := country(value)):
        raise Mistake("is an empty country code", 'use two capital letters (ISO 3166-1), "DE"')
    return code


def as_number(value: object) -> int:
    """RFC 6793: 32 bits; 0 is reserved."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 32:
        raise Mistake("is not the number of an autonomous system", "write it without AS and quotes, 64500")
    return value


def uid_root(value: object) -> str:
    """PS3.5 section 9.1: components of digits, without leading zeros; short enough to leave room for what is below."""
    text = _string(value).rstrip(".")
    if len(text) > 60 or not re.fullmatch(r"[0-2](?:\.(?:0|[1-9][0-9]*)){2,}", text):
        raise Mistake("is not a UID root", "write the root that your UIDs begin with, as 1.2.826.0.1.3680043.8.1055")
    return text


def issuer(value: object) -> str:
    """PS3.5 table 6.2-1, LO: at most 64 characters, no backslash; ASCII, so that one reading is the only one."""
    text = _string(value).strip(" ")
    if not text or len(text) > 64 or not text.isascii() or not text.isprintable() or "\\" in text:
        raise Mistake("is not an issuer of patient IDs", "write it as your systems do, at most 64 ASCII characters")
    return text


def ae_title(value: object) -> str:
    """PS3.5 6.2, AE: at most 16 characters of the default repertoire, no backslash, no control character."""
    text = _string(value)
    if not text.strip(" "):
        raise Mistake("is an empty AE title", "an AE title has at least one character that is no space")
    if not _AE_TITLE.fullmatch(text.strip(" ")):
        raise Mistake(
            "is not an AE title", "use at most 16 ASCII characters, no backslash and no control character (PS3.5 6.2)"
        )
    return text.strip(" ")


def depth(value: object) -> Depth:
    names = [member.name.lower() for member in Depth]
    if value not in names:
        raise Mistake("is not a depth", f"use one of {', '.join(names)}")
    return Depth[str(value).upper()]


def network(value: object) -> Network:
    text = _string(value).strip()
    return _plain_network(text) or _any_network(text)


def _plain_network(text: str) -> IPv4Network | None:
    """The common form, in a third of the time; None for whatever needs a closer look."""
    if not (match := _NETWORK4.fullmatch(text)):
        return None
    try:
        return IPv4Network((int.from_bytes(inet_pton(AF_INET, match[1])), int(match[2] or 32)))
    except (OSError, ValueError):
        return None


def _any_network(text: str) -> Network:
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise Mistake(f"{text!r} is not a network", 'write an address or a prefix, "198.18.0.0/24"') from None
    address, slash, prefix = text.partition("/")
    if slash and not prefix.isdecimal():
        raise Mistake(f"{text!r} has a mask", f'write the length of the prefix, "{loose}"')
    if ip_address(address) != loose.network_address:
        raise Mistake(f"{text!r} has host bits set", f'write "{loose}", or one address without a prefix')
    if isinstance(loose, IPv6Network):
        if loose.network_address.scope_id:
            raise Mistake(f"{text!r} has a scope id", "leave out what follows the %")
        if loose.subnet_of(_MAPPED):
            inside = f"{unmapped(loose.network_address)}/{loose.prefixlen - 96}"
            raise Mistake(f"{text!r} is IPv4-mapped", f'write it as IPv4, "{inside}"')
    return loose


def host_name(value: object) -> str:
    text = _string(value).strip().lower().removesuffix(".")
    if re.fullmatch(r"[0-9./]+", text) or ":" in text:
        raise Mistake(f"{text!r} is an address, not a name", "move it to `networks`")
    if not text or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise Mistake(
            f"{text!r} is not a host name", 'write it in full, "pacs.hospital.example"; no wildcard, umlauts as xn--…'
        )
    return text


def window(value: object) -> Window:
    try:
        return Window.parse(_string(value))
    except Mistake:
        raise
    except ValueError as error:
        raise Mistake(str(error), 'write it as "22:00-05:00 Europe/Berlin"') from None


def port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65_535:
        raise Mistake("is not a port", "use a whole number from 1 to 65535")
    return value


def endpoint(value: object) -> tuple[str, int]:
    """`10.0.0.53:53`, `[2001:db8::1]:5432`, `db.hospital.example:5432`."""
    host, colon, digits = _string(value).strip().rpartition(":")
    form = 'write "HOST:PORT", an IPv6 address in brackets, "[2001:db8::1]:5432"'
    if not colon or not re.fullmatch("[0-9]{1,5}", digits):
        raise Mistake("is not an endpoint", form)
    number = port(int(digits))
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise Mistake("is not an endpoint", form)
    try:
        return str(unmapped(ip_address(host))), number
    except ValueError:
        return host_name(host), number


def port_range(value: object) -> tuple[int, int]:
    """`61000-65535`, or a single port: the first and the last."""
    match = re.fullmatch("([0-9]{1,5})(?:-([0-9]{1,5}))?", _string(value).strip())
    if not match:
        raise Mistake("is not a range of ports", 'write the first and the last, "61000-65535"')
    first, last = port(int(match[1])), port(int(match[2] or match[1]))
    if last < first:
        raise Mistake("ends before it begins", f'write the lower port first, "{last}-{first}"')
    return first, last


def source_address(value: object) -> IPv4Address:
    """An address that packets can come from."""
    text = _string(value).strip()
    try:
        address = IPv4Address(text)
    except ValueError:
        raise Mistake(f"{text!r} is not an IPv4 address", "write the address that the sweep comes from") from None
    if address.is_multicast or address.is_unspecified or int(address) >> 28 == 0xF:
        raise Mistake(f"{address} is nobody's address", "write the address that the sweep comes from")
    return address


def web_address(value: object) -> str:
    """An `http` or `https` URL, as a browser takes it; ASCII, so that it shows what it is."""
    text = optional_line(value)
    try:
        parts = urlsplit(text)
        is_sound = parts.scheme in _SCHEMES and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or not text.isascii() or re.search(r"[\s\"'<>\\]", text):
        raise Mistake(f"{text!r} is not a web address", 'write it as "https://cert.example/survey"')
    return text


def bucket(value: object) -> Bucket:
    """`s3://name`, `az://account/container`, `gs://name`, each with an own endpoint behind an @."""
    text = _string(value).strip()
    scheme, _, rest = text.partition("://")
    what, at, where = rest.partition("@")
    form = 'write "s3://name", "az://account/container" or "gs://name", an own endpoint behind an @'
    if scheme not in {store.value for store in _BUCKETS}:
        raise Mistake(f"{text!r} is not a bucket", form)
    store = Store(scheme)
    match = _BUCKETS[store].fullmatch(what)
    if match is None or ".." in what:
        raise Mistake(f"{what!r} is not the name of a bucket there", form)
    name, account = match["name"], match.groupdict().get("account") or ""
    origin = _origin(where) if at else default_origin(store, name, account)
    return Bucket(store=store, name=name, account=account, origin=origin)


def url(value: object) -> Bucket:
    """`https://host[:port]/path`: the folder of a web server, and what is below it."""
    text = _string(value).strip()
    form = 'write "https://www.hospital.example/images/": http or https, host and port, the path of a folder'
    scheme, _, rest = text.partition("://")
    where, slash, path = rest.partition("/")
    path = f"/{path}" if path.endswith("/") or not path else f"/{path}/"
    parts = path.split("/")[1:-1]
    if not slash or not _PATH.fullmatch(path) or len(path) > 512 or not {"", ".", ".."}.isdisjoint(map(unquote, parts)):
        raise Mistake(f"{text!r} is not the URL of a folder", form)
    return Bucket(store=Store.WEB, name=path, origin=_origin(f"{scheme}://{where}", form))


_FORM = 'write "https://minio.hospital.example:9000" behind the @: http or https, host and port, no path'


def _origin(text: str, form: str = _FORM) -> Origin:
    """Of `https://host[:port]`, and nothing behind it."""
    try:
        url = urlsplit(text)
        host, number = url.hostname or "", url.port
    except ValueError:
        raise Mistake(f"{text!r} is not an endpoint", form) from None
    is_bare = url.path in ("", "/") and not (url.query or url.fragment or "@" in url.netloc)
    if url.scheme not in _SCHEMES or not host or not is_bare or "?" in text or "#" in text:
        raise Mistake(f"{text!r} is not an endpoint", form)
    try:
        host = str(unmapped(ip_address(host)))
    except ValueError:
        host = host_name(host)
    number = _SCHEMES[url.scheme] if number is None else port(number)
    return Origin(is_tls=url.scheme == "https", host=host, port=number)
