"""One question to a web server in a namespace, asked with plain `http.client`: nothing of ours is in between."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

from real_servers import Namespace
from tls_servers import within

from leadapron.model import Endpoint


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What `http.client` made of an answer."""

    status: int
    version: int
    """10 or 11"""
    headers: Mapping[str, str]
    """names in lower case; of several of one name the last"""
    body: bytes
    is_kept: bool
    """the server left the connection open"""


def ask(
    inside: Namespace,
    here: Endpoint,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Answer:
    """One request over a connection of its own, from inside the namespace."""

    def exchange() -> Answer:
        connection = http.client.HTTPConnection(str(here.address), here.port, timeout=20)
        try:
            connection.request(method, target, content, dict(headers or {}))
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            body = answer.read()
            kept = connection.sock is not None
            return Answer(status=answer.status, version=answer.version, headers=fields, body=body, is_kept=kept)
        finally:
            connection.close()

    return within(inside, exchange)
