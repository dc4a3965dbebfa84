"""The workers of a Dask cluster, as a coordinator calls them: one long task a worker, for as many as there are seats."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import Client

from leadapron.cluster.calling import shift
from leadapron.cluster.certificates import CLIENT
from leadapron.cluster.links import PORT, log_as_we_do, security
from leadapron.cluster.order import Order
from leadapron.cluster.serving import vantage_resource
from leadapron.errors import InputError
from leadapron.model import VantageKind
from leadapron.net.resolve import resolve

log = logging.getLogger(__name__)

CONNECT = 5.0
TICK = 1.0
PAUSE = 2.0
"""Seconds between the end of a task and the next for the same worker; and between two tries to reach the scheduler."""
_OVER = frozenset({"finished", "error", "lost", "cancelled"})


def endpoint_of(address: str) -> tuple[str, int]:
    """Host and port, as `[infrastructure]` has them, of `tls://HOST:PORT`. Raises InputError."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(address)
        if parts.scheme == "tls" and parts.hostname and not parts.path.strip("/"):
            return parts.hostname, parts.port or PORT
    raise InputError("--scheduler is not the address of one; write tls://HOST:PORT")


class DaskCrew:
    """`host` is resolved once, before the gate is armed: afterwards no name is looked up."""

    def __init__(self, scheduler: tuple[str, int], certificates: Path, vantage: VantageKind) -> None:
        """Raises InputError."""
        self._address = _literal(*scheduler)
        self._security = security(certificates, CLIENT)
        self._resource = vantage_resource(vantage)
        log_as_we_do()
        self._client: Client | None = None
        self._futures: dict[str, Any] = {}
        self._again: dict[str, float] = {}
        """by the address of the worker, and below: when it may be called again"""
        self._connect_at = 0.0
        self._faults: list[str] = []
        self._places: list[tuple[str, int]] = []
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def count(self) -> int:
        """Workers from this vantage that are there now. Raises InputError where the scheduler is not."""
        if (client := self._connected()) is None:
            raise InputError(f"no scheduler answers at {self._address} to our certificate; is it running?")
        return sum(bool(each["resources"].get(self._resource)) for each in _workers(client).values())

    def places(self) -> list[tuple[str, int]]:
        """Where the scheduler and its workers listen, as far as it is known."""
        return self._places

    def faults(self) -> Sequence[str]:
        return list(self._faults)

    def call(self, order: Order) -> None:
        """Never waits: the cluster is spoken to in a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._tend, args=(order,), daemon=True, name="crew")
            self._thread.start()

    def dismiss(self) -> None:
        self._closed.set()

    def _tend(self, order: Order) -> None:
        while not self._closed.wait(TICK):
            try:
                if (client := self._connected()) is not None:
                    self._fill(client, order, _workers(client))
            except (Exception, CancelledError) as error:  # noqa: BLE001 - Dask raises anything when a scheduler goes away
                log.warning("the scheduler does not answer: %s", type(error).__name__)
                self._let_go()

    def _fill(self, client: Client, order: Order, workers: Mapping[str, Any]) -> None:
        """A task for each worker of the vantage that has none, as long as there are seats. Dask would give all of them to
        the first that comes: what it knows of a resource is how much of it there is, not how much is free."""
        now = time.monotonic()
        self._places = [_place(address) for address in (self._address, *workers)]
        for address in list(self._futures):
            self._note(address, now, is_there=address in workers)
        for address, each in workers.items():
            is_free = address not in self._futures and now >= self._again.get(address, 0.0)
            if is_free and len(self._futures) < order.seats and each["resources"].get(self._resource):
                self._futures[address] = client.submit(
                    shift,
                    order,
                    key=f"shift-{order.run}-{secrets.token_hex(8)}",
                    pure=False,
                    resources={self._resource: 1},
                    workers=[address],
                    allow_other_workers=False,
                )

    def _note(self, address: str, now: float, *, is_there: bool) -> None:
        """A task that is over, or whose worker is gone."""
        future = self._futures[address]
        if is_there and future.status not in _OVER:
            return
        if future.status == "error":
            self._faults.append(f"a task of the cluster ended with {type(future.exception(timeout=CONNECT)).__name__}")
        elif future.status == "finished" and (why := future.result(timeout=CONNECT)):
            log.warning("a shift ended: %s", why)
        if not is_there:
            future.cancel()
        del self._futures[address]
        self._again[address] = now + PAUSE

    def _connected(self) -> Client | None:
        """None while the scheduler is away; nothing waits for it for long."""
        if self._client is not None and self._client.status == "running":
            return self._client
        if (self._client is not None and self._client.status == "connecting") or time.monotonic() < self._connect_at:
            return None
        self._let_go()
        self._connect_at = time.monotonic() + PAUSE
        try:
            self._client = Client(
                self._address, security=self._security, timeout=CONNECT, set_as_default=False, name="leadapron"
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            log.warning("the scheduler cannot be reached: %s", type(error).__name__)
        return self._client

    def close(self) -> None:
        """Tasks that are under way are called off; shifts are ended by the store."""
        self.dismiss()
        if self._thread is not None:
            self._thread.join(2 * CONNECT)
        self._let_go()

    def _let_go(self) -> None:
        client, self._client = self._client, None
        self._futures.clear()
        if client is not None:
            with contextlib.suppress(Exception, CancelledError):
                client.close(timeout=CONNECT)


def _place(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or 0


def _workers(client: Client) -> dict[str, Any]:
    """By address; as `Client.scheduler_info`, which waits for ever for a scheduler that went away. Raises TimeoutError."""
    if (scheduler := client.scheduler) is None:
        raise TimeoutError
    workers: dict[str, Any] = client.sync(scheduler.identity, n_workers=-1, callback_timeout=CONNECT)["workers"]
    return workers


def _literal(host: str, port: int) -> str:
    """Raises InputError."""
    found, unresolved = resolve([host])
    if unresolved:
        raise InputError(f"--scheduler: {host} has no address; name one that resolves, or its address")
    address = found[host][0]
    return f"tls://[{address}]:{port}" if address.version == 6 else f"tls://{address}:{port}"
