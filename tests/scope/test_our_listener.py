from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from scope_samples import FILE, NOON, TODAY, Clock

from leadapron.errors import InputError, ScopeErrors
from leadapron.scope.decision import Denied
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope, load_scope
from leadapron.scope.our_listener import read_token

NAMED = 'name = "vm-frankfurt-1"\n'
TOKEN = "0123456789abcdef"


def load(folder: Path, keys: str) -> Scope:
    (folder / "scope.toml").write_text(FILE.replace(NAMED, NAMED + keys, 1))
    return load_scope(folder / "scope.toml", today=TODAY)


def test_the_listener_is_infrastructure_on_each_of_its_ports_and_no_target(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(f"{TOKEN}\n")
    scope = load(tmp_path, 'listener = "198.18.0.9:443"\ntoken_file = "t"\nlistener_ports = [104, 443]\n')

    assert scope.listener is not None
    assert (scope.listener.host, scope.listener.ports) == ("198.18.0.9", (443, 104))
    assert scope.infrastructure == (("198.18.0.9", 443), ("198.18.0.9", 104))
    assert read_token(scope.listener.token_file) == TOKEN.encode()
    gate = Gate(scope, clock=Clock(NOON))
    assert gate.dial_allowed("198.18.0.9", 443) is None
    assert gate.dial_allowed("198.18.0.9", 80) is not None
    assert gate.denied_at(ip_address("198.18.0.9"), 104) is Denied.EXCLUDED
    assert gate.denied_at(ip_address("198.18.0.9"), 11112) is Denied.EXCLUDED


def test_a_name_is_resolved_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(TOKEN)
    scope = load(tmp_path, 'listener = "listener.hospital.example:443"\ntoken_file = "t"\n')
    assert "listener.hospital.example" in scope.names


@pytest.mark.parametrize(
    ("keys", "key", "problem"),
    [
        ('listener = "198.18.0.9:443"\n', "vantage", "has a listener without a token"),
        ('token_file = "t"\n', "vantage", "names no listener"),
        ("listener_ports = [104]\n", "vantage", "names no listener"),
        ('listener = "198.18.0.9"\ntoken_file = "t"\n', "vantage.listener", "is not an endpoint"),
        ('listener = "198.18.0.9:443"\ntoken_file = "lost"\n', "vantage.token_file", "'lost' holds no token"),
        ('listener = "198.18.0.9:443"\ntoken_file = "short"\n', "vantage.token_file", "'short' holds no token"),
    ],
)
def test_mistakes(tmp_path: Path, keys: str, key: str, problem: str) -> None:
    (tmp_path / "t").write_text(TOKEN)
    (tmp_path / "short").write_text("secret")
    with pytest.raises(ScopeErrors) as caught:
        load(tmp_path, keys)
    assert [(error.key, error.problem) for error in caught.value.errors] == [(key, problem)]


@pytest.mark.parametrize(
    "token", [b"", b"fifteen letters", b"x" * 257, b"with a \0 in it, and long", "ünicode, long enough".encode()]
)
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, token: bytes) -> None:
    (tmp_path / "t").write_bytes(token)
    with pytest.raises(InputError) as caught:
        read_token(tmp_path / "t")
    assert str(caught.value) == f"{tmp_path / 't'}: a token has 16 to 256 printable ASCII characters"
