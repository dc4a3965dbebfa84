"""Packets that leave for places, counted by nftables inside a namespace: what is sent, whoever sends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path

from real_servers import Namespace

TABLE = """
table inet watch {{
  chain out {{
    type filter hook output priority 0;
{rules}
  }}
}}
"""


def packets(inside: Namespace) -> dict[str, int]:
    """What the counters of the table `watch` have counted, by their comments."""
    listed = json.loads(inside.run("nft", "-j", "list", "table", "inet", "watch").stdout)
    rules = [entry["rule"] for entry in listed["nftables"] if "rule" in entry]
    counts: dict[str, int] = {}
    for rule in rules:
        number = next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
        counts[rule["comment"]] = counts.get(rule["comment"], 0) + number
    return counts


def load(inside: Namespace, folder: Path, rules: str) -> None:
    """A table of counters; one that is there already begins anew."""
    file = folder / "watch.nft"
    file.write_text("table inet watch {}\ndelete table inet watch\n" + rules)
    loaded = inside.run("nft", "-f", file)
    assert loaded.returncode == 0, loaded.stderr


def watch(inside: Namespace, folder: Path, places: Mapping[str, Sequence[str]]) -> Callable[[], dict[str, int]]:
    """Counts packets to the networks of each place from now on."""
    rules = "\n".join(
        f'    {"ip6" if ip_network(network).version == 6 else "ip"} daddr {network} counter comment "{name}"'
        for name, networks in places.items()
        for network in networks
    )
    load(inside, folder, TABLE.format(rules=rules))
    return lambda: packets(inside)
