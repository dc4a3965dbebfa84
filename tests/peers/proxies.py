"""nginx before real servers, in their namespace: it ends TLS for a server in clear, or deals connections out in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import Namespace, free_ports, require
from tls_servers import Pair

from leadapron.model import Endpoint

MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
"""Of Debian's libnginx-mod-stream."""
CONFIGURATION = """\
load_module {module};
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log info;
events {{ worker_connections 512; }}
stream {{
{stream}
}}
"""
TERMINATING = """\
server {{
  listen {here} ssl;
  ssl_certificate {pair.certificate};
  ssl_certificate_key {pair.key};
  {directives}
  proxy_pass {backend};
}}
"""
IN_TURN = """\
upstream backends {{
  {servers}
}}
server {{
  listen {here};
  proxy_next_upstream off;
  proxy_pass backends;
}}
"""


@contextlib.contextmanager
def nginx_tls(
    inside: Namespace, folder: Path, backend: Endpoint, pair: Pair, *directives: str, address: str = "127.0.0.1"
) -> Iterator[Endpoint]:
    """TLS ends at nginx, which speaks to `backend` in clear. `directives`: of `ngx_stream_ssl_module`."""
    here = _free(address)
    lines = "\n  ".join(f"{each};" for each in directives)
    stream = TERMINATING.format(here=here, pair=pair, directives=lines, backend=backend)
    with _nginx(inside, folder, here, stream):
        yield here


@contextlib.contextmanager
def nginx_balancer(
    inside: Namespace, folder: Path, backends: Sequence[Endpoint], address: str = "127.0.0.1"
) -> Iterator[Endpoint]:
    """Each connection goes to the next of `backends`, in turn: there is one worker, and it never leaves one out.

    A backend that does not answer keeps its turn: nobody else is asked, and the connection is closed.
    """
    here = _free(address)
    servers = "\n  ".join(f"server {each} max_fails=0;" for each in backends)
    with _nginx(inside, folder, here, IN_TURN.format(here=here, servers=servers)):
        yield here


def _free(address: str) -> Endpoint:
    (port,) = free_ports(1)
    return Endpoint(address=ip_address(address), port=port)


@contextlib.contextmanager
def _nginx(inside: Namespace, folder: Path, here: Endpoint, stream: str) -> Iterator[None]:
    """In the foreground, in a folder of its own, ended by its process id."""
    require("nginx")
    if not MODULE.exists():
        pytest.skip("nginx has no stream module (tests/apt-packages.txt)")
    place = folder / f"nginx-{here.port}"
    place.mkdir()
    configuration = place / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(module=MODULE, folder=place, stream=stream))
    command = ("nginx", "-p", place, "-c", configuration, "-e", place / "start.log")
    with inside.serving(here.port, *command, log=place / "output.log"):
        yield
