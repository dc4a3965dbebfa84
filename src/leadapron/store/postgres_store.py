"""A store on a PostgreSQL server: where it is, and what is said of it without its secrets.

libpq opens its connections in C, below the audit hook; psycopg looks names up in Python, above it, and the hook denies
that once a run has begun. So the server's name is resolved once, when the store is opened, and a connection that is
made again later goes to the same addresses.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa

from leadapron.errors import StoreError
from leadapron.net.resolve import resolve
from leadapron.scope.special import unmapped

PORT = 5432
CONNECT_TIMEOUT = 10
"""Seconds, where the URL does not say otherwise."""

MIGRATION_LOCK = 0x4C41_5052
"""Of one transaction at a time: two processes may open a store that has to be migrated."""

_DRIVERS = ("postgresql", "postgresql+psycopg")
_ELSEWHERE = frozenset({"hostaddr", "service", "servicefile", "port"})
"""Parameters that lead to another place than the URL names."""
_ENVIRONMENT = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGSERVICEFILE")
"""What libpq takes from the environment, below what the URL says."""
LOST = {"tcp_user_timeout": 20_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A server that vanished without a word is given up within half a minute: a write holds up the whole run."""
_SECRET = ("password", "passfile", "sslpassword", "sslkey")


def check(url: sa.URL) -> None:
    """Raises StoreError for a URL that needs another driver, or does not show where it leads."""
    if url.drivername not in _DRIVERS:
        raise StoreError("--store names another driver; write postgresql+psycopg://USER@HOST/DATABASE")
    hosts = _several(url, "host")
    is_socket = len(hosts) == 1 and hosts[0].startswith("/") and not url.host
    if not _ELSEWHERE.isdisjoint(url.query) or (hosts and not is_socket) or "," in (url.host or ""):
        raise StoreError("--store leads to more than one place; name one host, before the database")
    if found := [name for name in _ENVIRONMENT if os.environ.get(name)]:
        raise StoreError(f"the environment leads the store elsewhere; unset {', '.join(found)}")
    if not url.database:
        raise StoreError("--store names no database; write postgresql+psycopg://USER@HOST/DATABASE")


def endpoint(url: sa.URL) -> tuple[str, int] | None:
    """Host and port in the form of `[infrastructure]`; None for a socket of this machine."""
    if not url.host:
        return None
    return _literal(url.host) or url.host.lower().rstrip("."), url.port or PORT


def place(url: sa.URL) -> str:
    """For messages: neither a password nor parameters, among which there may be one."""
    return url.set(query={}).render_as_string()


def said(error: object, url: sa.URL) -> str:
    """The first line of what the server or libpq says. What the URL keeps secret is no part of it."""
    text = (str(error).splitlines() or ["no reason given"])[0]
    secrets = [str(url.password or ""), *(value for name in _SECRET for value in _several(url, name))]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def engine_options(url: sa.URL) -> dict[str, Any]:
    """A connection that the server or a firewall closed while the run was quiet is made again."""
    given = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "leadapron", "client_encoding": "utf8"}
    arguments: dict[str, Any] = {name: value for name, value in given.items() if name not in url.query}
    lost = {name: value for name, value in LOST.items() if url.host and name not in url.query}
    return {"connect_args": arguments | lost | _addresses(url), "pool_pre_ping": True}


def _addresses(url: sa.URL) -> dict[str, str]:
    """What libpq is told of the host. Raises StoreError when its name has no address."""
    if not url.host:
        return {}
    if literal := _literal(url.host):
        return {"host": literal, "hostaddr": literal}
    found, unresolved = resolve([url.host])
    if unresolved:
        raise StoreError(f"{place(url)}: {url.host} has no address; name a host that resolves, or its address")
    addresses = [str(address) for address in found[url.host]]
    return {"host": ",".join([url.host] * len(addresses)), "hostaddr": ",".join(addresses)}


def _literal(host: str) -> str:
    """An address in its canonical form; "" for a name."""
    try:
        return str(unmapped(ip_address(host)))
    except ValueError:
        return ""


def _several(url: sa.URL, name: str) -> tuple[str, ...]:
    value = url.query.get(name, ())
    return (value,) if isinstance(value, str) else tuple(value)
