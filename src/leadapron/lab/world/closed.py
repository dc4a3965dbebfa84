"""Whether this is a network namespace without a way out: only loopback and veth pairs, and no route behind a neighbour.

The world answers for millions of public addresses. Where a packet could leave the machine it must not begin.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from leadapron.errors import InputError

TIMEOUT = 10.0
_VIA = frozenset(("gateway", "via", "nexthops", "nhid"))
"""What `ip -json route` calls a neighbour."""


def expect_closed() -> None:
    """Raises InputError where there is another interface, a route through a gateway, or no `ip` to ask."""
    for family in ("-4", "-6"):
        if (why := way_out(_asked("-details", "link"), _asked(family, "route"))) is not None:
            raise InputError(f"the world is played in a network namespace without a way out only: {why}")


def way_out(links: Sequence[Mapping[str, Any]], routes: Sequence[Mapping[str, Any]]) -> str | None:
    """What leads out of the namespace, as `ip -json` shows links and routes; None where nothing does.

    A container has its interface by a veth pair, too: its default route gives it away.
    """
    for link in links:
        if link.get("ifname") != "lo" and link.get("linkinfo", {}).get("info_kind") != "veth":
            return f"here is {link.get('ifname')}"
    for route in routes:
        if route.get("dst") == "default" or not _VIA.isdisjoint(route):
            return f"here is a route to {route.get('dst')}"
    return None


def _asked(*arguments: str) -> list[dict[str, Any]]:
    ip = shutil.which("ip")
    if ip is None:
        raise InputError("the world needs `ip` (iproute2) to see whether the namespace has a way out")
    try:
        done = subprocess.run(  # noqa: S603 - found by its name, with arguments of our own
            [ip, "-json", *arguments], check=True, capture_output=True, text=True, timeout=TIMEOUT
        )
        found = json.loads(done.stdout or "[]")
    except (OSError, subprocess.SubprocessError, ValueError):
        raise InputError("`ip` does not say whether the namespace has a way out") from None
    return [each for each in found if each]
