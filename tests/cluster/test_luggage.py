"""What travels of a scope: all that it names, nothing that lies elsewhere, and no secret in what is shown."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from leadapron.cluster import luggage
from leadapron.cluster.crew import endpoint_of
from leadapron.cluster.luggage import pack, unpack
from leadapron.cluster.order import Order, share_of
from leadapron.errors import InputError
from leadapron.pipeline_control import Options
from leadapron.scope.grant import load_scope
from scope_file import write_scope

SURVEY = """
[survey]
opt_out = "opt-out@hospital.example"
page = "pages/opt-out.html"
exclusions = "exclusions.txt"
"""


def packed(folder: Path, **changes: str) -> Path:
    folder.mkdir()
    (folder / "pages").mkdir()
    (folder / "pages" / "opt-out.html").write_text("<p>SYNTHETIC</p>")
    (folder / "exclusions.txt").write_text("")
    (folder / "letter.pdf").write_bytes(b"SYNTHETIC letter")
    terms = {"granted": 'document = "letter.pdf"', "extra": SURVEY} | changes
    return write_scope(folder / "scope.toml", networks=["198.18.0.0/24"], ports=[104], **terms)  # type: ignore[arg-type]


def test_a_scope_is_the_same_elsewhere(tmp_path: Path) -> None:
    path = packed(tmp_path / "here")
    bag = pack(path)
    assert set(bag.files) == {"scope.toml", "pages/opt-out.html", "exclusions.txt", "letter.pdf"}
    assert bag.exclusions == "exclusions.txt"
    there = unpack(bag, tmp_path / "there")
    one, other = load_scope(path), load_scope(there)
    assert one.digests == other.digests
    assert [each.document_sha256 for each in one.grants] == [each.document_sha256 for each in other.grants]
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "there").rglob("*") if each.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize("name", ["../letter.pdf", "/etc/hostname"])
def test_what_lies_elsewhere_does_not_travel(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "here", granted=f'document = "{name}"')
    with pytest.raises(InputError, match="lies elsewhere"):
        pack(path)


def test_there_is_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luggage, "MOST", 100)
    with pytest.raises(InputError, match="MiB together"):
        pack(packed(tmp_path / "here"))


def test_no_secret_is_shown(tmp_path: Path) -> None:
    bag = replace(pack(packed(tmp_path / "here")), files={"key.pem": b"SECRET-1"})
    order = Order(
        run="r", store="postgresql://x:SECRET-2@h/d", key=b"SECRET-3", luggage=bag, options=Options(), seats=2,
        version="0", level=30,
    )  # fmt: skip
    assert "SECRET" not in repr(order) + repr(bag)


def test_the_shares_of_the_pace_are_the_pace(tmp_path: Path) -> None:
    scope = load_scope(packed(tmp_path / "here"))
    scope = replace(scope, sweep=replace(scope.sweep, packets_per_second=30_000.0, bits_per_second=3e6))
    share = share_of(scope, 3)
    assert 3 * share.pace.connections_per_second == scope.pace.connections_per_second
    assert 3 * share.pace.per_network == scope.pace.per_network
    assert 3 * share.packets_per_second == scope.packets_per_second
    assert 3 * (share.sweep.bits_per_second or 0) == scope.sweep.bits_per_second
    assert share.digests == scope.digests


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("tls://192.0.2.1:9000", ("192.0.2.1", 9000)),
        ("tls://[2001:db8::1]", ("2001:db8::1", 8786)),
        ("tls://Scheduler.Hospital.Example", ("scheduler.hospital.example", 8786)),
    ],
)
def test_the_address_of_a_scheduler(address: str, place: tuple[str, int]) -> None:
    assert endpoint_of(address) == place


@pytest.mark.parametrize("address", ["tcp://192.0.2.1:8786", "192.0.2.1:8786", "tls://", "tls://h:99999", "tls://h/x"])
def test_what_is_no_address_of_one(address: str) -> None:
    with pytest.raises(InputError, match="tls://HOST:PORT"):
        endpoint_of(address)
