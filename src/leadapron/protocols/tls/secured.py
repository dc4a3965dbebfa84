"""A job inside TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from leadapron.model import Depth, Endpoint
from leadapron.net.conversation import Conversation, Job, Limits
from leadapron.protocols.tls.session import client_context
from leadapron.protocols.tls.through import through


class KeyPair(NamedTuple):
    """Files in PEM: a client certificate, with its chain, and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """`job` inside TLS, named with `prefix` before its own name. The endpoint's name goes as SNI.

    `key_pair` is shown to a server that asks for one. What is said is encrypted: suites that do not encrypt are left out.
    """

    prefix: str
    job: Job[Any]
    key_pair: KeyPair | None = None

    in_clear: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.prefix + self.job.name

    @property
    def endpoint(self) -> Endpoint:
        return self.job.endpoint

    @property
    def depth(self) -> Depth:
        return self.job.depth

    @property
    def limits(self) -> Limits:
        return self.job.limits

    @property
    def delay(self) -> float:
        return self.job.delay

    def converse(self) -> Conversation[Any]:
        context = client_context(*(self.key_pair or ()), unencrypted=False)
        return (yield from through(self.job.converse(), context, self.endpoint.name))
