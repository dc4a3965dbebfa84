from __future__ import annotations

import os
import shutil
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from reference import pins, scopes
from scope_samples import grant, scope, zone

from leadapron.errors import InputError
from leadapron.scope.export import nft_rules
from leadapron.scope.grant import Scope
from leadapron.scope.window import Window


def can_use_nft() -> bool:
    if os.geteuid() or not shutil.which("nft") or not shutil.which("unshare"):
        return False
    return not subprocess.run(["unshare", "-n", "nft", "list", "ruleset"], capture_output=True, check=False).returncode


needs_nft = pytest.mark.skipif(not can_use_nft(), reason="needs root, nft and network namespaces")


def whole() -> Scope:
    return scope(
        grant("198.18.0.0/24", "2001:db8::/64", exclude=["198.18.0.7", "198.18.0.64/28"], names=("pacs.example",)),
        grant("198.18.1.0/24", id="next"),
        zones=(zone("198.18.0.0/25", name="night", window=Window.parse("22:00-05:00 UTC")),),
        infrastructure=(("198.18.0.7", 5432), ("2001:db8:5::1", 53), ("db.example", 5433)),
    )


def test_the_rules_hold_what_the_policy_permits() -> None:
    rules = nft_rules(whole(), {"db.example": (ip_address("192.0.2.9"),)})
    assert "198.18.0.0-198.18.0.6,\n\t\t\t198.18.0.8-198.18.0.63,\n\t\t\t198.18.0.80-198.18.1.255 }" in rules
    assert "2001:db8::-2001:db8::ffff:ffff:ffff:ffff }" in rules
    assert "elements = { 192.0.2.9 . 5433,\n\t\t\t198.18.0.7 . 5432 }" in rules
    assert "2001:db8:5::1 . 53" in rules
    assert 'meta skuid "leadapron" jump scanner' in rules
    assert "# Not included, because it was not resolved: pacs.example" in rules
    assert "not resolved: db.example" not in rules
    assert "Not left out" not in rules
    ours = scope(grant("198.18.0.0/24"), infrastructure=(("pacsdb.example", 104), ("db.example", 5432)))
    assert "# Not left out of the targets, for the same reason: pacsdb.example\n# Load" in nft_rules(ours)
    assert "# Zone 'night' is only open 22:00-05:00 UTC." in rules
    assert whole().sha256 in rules


def test_the_user_cannot_smuggle_rules() -> None:
    assert "meta skuid 1000 jump" in nft_rules(whole(), user="1000")
    for user in ('x" accept', "a b", "", "-x", "x\ny"):
        with pytest.raises(InputError, match="--user"):
            nft_rules(whole(), user=user)


def check(rules: str, folder: Path) -> None:
    path = folder / "rules.nft"
    path.write_text(rules)
    done = subprocess.run(["unshare", "-n", "nft", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nft
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scopes(), pins)
def test_nft_accepts_the_rules(
    tmp_path: Path, subject: Scope, known: dict[str, tuple[IPv4Address | IPv6Address, ...]]
) -> None:
    check(nft_rules(subject, known, user="0"), tmp_path)


@needs_nft
def test_nft_accepts_a_whole_and_an_empty_scope(tmp_path: Path) -> None:
    check(nft_rules(whole(), user="0"), tmp_path)
    check(nft_rules(scope(), user="0"), tmp_path)


DIAL = """\
import os, socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for _ in range(2):
    subprocess.run(["nft", "-f", sys.argv[1]], check=True)
servers = [socket.create_server(("0.0.0.0", port)) for port in (104, 105, 5432)]
def dial(host, port):
    with socket.socket() as ours:
        ours.settimeout(0.3)
        try:
            ours.connect((host, port))
        except OSError:
            return False
        return True
places = [("127.0.0.1", 104), ("127.0.0.9", 104), ("127.0.0.1", 105), ("127.0.1.1", 104), ("127.0.0.9", 5432)]
assert all(dial(*place) for place in places)
os.setuid(65534)
print(*(int(dial(*place)) for place in places))
"""


@needs_nft
def test_the_kernel_holds_the_scanner_to_the_rules_and_nobody_else(tmp_path: Path) -> None:
    subject = scope(grant("127.0.0.0/24", exclude=["127.0.0.9"]), infrastructure=(("127.0.0.9", 5432),))
    path = tmp_path / "rules.nft"
    path.write_text(nft_rules(subject, user="65534"))
    command = ["unshare", "-n", sys.executable, "-c", DIAL, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["1", "0", "0", "0", "1"], "")
