"""How scheduler, workers and coordinator speak with each other: Dask over mutual TLS 1.3, and nothing else that listens."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.config
from distributed import Scheduler, Security, Worker

from leadapron.cluster.certificates import AUTHORITY, certificate_file, key_file
from leadapron.errors import InputError

PORT = 8786
"""Of the scheduler, where nothing else is said: Dask's own."""

_SETTINGS = {
    "distributed.comm.require-encryption": True,
    "distributed.comm.tls.min-version": 1.3,
    "distributed.comm.timeouts.connect": "5s",
    "distributed.comm.timeouts.tcp": "20s",
    "distributed.scheduler.allowed-failures": 1_000_000,  # a shift is not to blame for the end of its worker
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.diagnostics.nvml": False,
}


def security(directory: Path, role: str) -> Security:
    """Of the files that `leadapron.cluster.certificates` made. Raises InputError where one is lacking."""
    certificate, key = certificate_file(directory, role), key_file(directory, role)
    authority = certificate_file(directory, AUTHORITY)
    for path in (authority, certificate, key):
        if not path.is_file():
            raise InputError(f"{path} is not there; `leadapron cluster certificates` makes it")
    dask.config.set(_SETTINGS)
    named = {f"tls_{role}_cert": str(certificate), f"tls_{role}_key": str(key)}
    return Security(
        tls_ca_file=str(authority), require_encryption=True, tls_min_version=ssl.TLSVersion.TLSv1_3, **named
    )


def log_as_we_do() -> None:
    """Dask has handlers of its own, which would write what ours does not."""
    for name in [each for each in logging.root.manager.loggerDict if each.startswith(("distributed", "dask"))]:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


class QuietScheduler(Scheduler):  # type: ignore[misc, unused-ignore]
    """Without the page that Dask serves to anyone, in clear."""

    def start_http_server(self, *_: Any, **__: Any) -> None: ...


class QuietWorker(Worker):  # type: ignore[misc, unused-ignore]
    """The same. `on_close` is told right away that it closes, which it does once its tasks have ended."""

    on_close: Callable[[], object] = staticmethod(lambda: None)

    async def close(self, *arguments: Any, **options: Any) -> str | None:  # type: ignore[override]
        self.on_close()
        return await super().close(*arguments, **options)

    def start_http_server(self, *_: Any, **__: Any) -> None: ...
