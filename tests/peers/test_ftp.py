"""Real FTP servers: who lets anyone in, in clear or inside TLS, and what is behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from file_doors import CANARY, asked, made_up_folder, open_to_all, proftpd, pyftpdlib, require_proftpd, terms, vsftpd
from real_servers import Namespace, namespace, require
from tls_servers import Pair, within

from leadapron.model import Count, Depth, Endpoint, Observation, Verdict
from leadapron.protocols.ftp.probe import PROTOCOL

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "openssl", "vsftpd")
    with namespace() as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    open_to_all(tmp_path)
    return made_up_folder(tmp_path)


def audit(inside: Namespace, port: int, address: str = "127.0.0.1", **of: Any) -> dict[str, Observation]:
    """The plan, to its end; no name that a server said is in what is stored."""
    endpoint = Endpoint(address=ip_address(address), port=port)
    seen, failed, attempts = within(inside, lambda: asked(PROTOCOL, endpoint, terms(**{"blank_login": True, **of})))
    assert failed is None
    for stored in (json.dumps(attempts), repr(seen)):
        assert CANARY not in stored
        assert "BIRGIT" not in stored
    return seen


def is_open(seen: dict[str, Observation]) -> None:
    assert seen[""].facts["blank_login_accepted"] is True
    assert seen["/"].access.list is Verdict.PROVEN
    assert seen["/"].access.read is Verdict.PROVEN
    assert seen["/"].counts.images == Count.exact(7)


def test_vsftpd_lets_anyone_in(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with vsftpd(inside, tmp_path, root) as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].product.name == "vsftpd"
    assert seen[""].product.version.startswith("3.")
    assert seen[""].facts["tls_offered"] is False
    assert seen[""].facts["pasv_elsewhere"] is False


def test_vsftpd_over_ipv6(inside: Namespace, root: Path, tmp_path: Path) -> None:
    settings = {"listen": "NO", "listen_ipv6": "YES", "listen_address": "", "listen_address6": "::1"}
    with vsftpd(inside, tmp_path, root, **settings) as port:
        seen = audit(inside, port, "::1")
    is_open(seen)
    assert "pasv_elsewhere" not in seen[""].facts


def test_without_the_grant_for_a_login_nothing_is_asked(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with vsftpd(inside, tmp_path, root) as port:
        seen = audit(inside, port, blank_login=False)
        shallow = audit(inside, port, depth=Depth.TALK)
    for each in (seen, shallow):
        assert set(each) == {""}
        assert each[""].access.talk is Verdict.PROVEN
        assert each[""].access.list is Verdict.NOT_ASKED
        assert "blank_login_accepted" not in each[""].facts


def test_vsftpd_lets_nobody_in(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with vsftpd(inside, tmp_path, root, anonymous_enable="NO", local_enable="YES") as port:
        seen = audit(inside, port)
    assert seen["/"].access.list is Verdict.REFUSED
    assert seen["/"].access.read is Verdict.REFUSED
    assert seen[""].facts["blank_login_accepted"] is False


def test_vsftpd_lists_a_closed_folder_as_an_empty_one(inside: Namespace, root: Path, tmp_path: Path) -> None:
    (root / "empty").chmod(0o311)
    with vsftpd(inside, tmp_path, root, ls_recurse_enable="NO") as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen["/"].facts["files.closed"] == 1, "a closed folder is not an empty one"


@pytest.mark.parametrize("reuse", ["YES", "NO"])
def test_vsftpd_inside_tls_only(reuse: str, inside: Namespace, root: Path, pair: Pair, tmp_path: Path) -> None:
    settings = {"force_anon_logins_ssl": "YES", "force_anon_data_ssl": "YES", "allow_anon_ssl": "YES"}
    with vsftpd(inside, tmp_path, root, pair, **settings, require_ssl_reuse=reuse) as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].facts["tls_offered"] is True
    assert seen[""].facts["tls_required"] is True
    assert seen[""].facts["data_in_tls"] is True


def test_vsftpd_inside_tls_from_the_first_byte(inside: Namespace, root: Path, pair: Pair, tmp_path: Path) -> None:
    with vsftpd(inside, tmp_path, root, pair, 990, implicit_ssl="YES", allow_anon_ssl="YES") as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].product.name == "vsftpd"
    assert seen[""].facts["implicit_tls"] is True
    assert seen[""].facts["data_in_tls"] is True


def test_vsftpd_offers_tls(inside: Namespace, root: Path, pair: Pair, tmp_path: Path) -> None:
    with vsftpd(inside, tmp_path, root, pair, allow_anon_ssl="YES") as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].facts["tls_offered"] is True
    assert seen[""].facts["tls_required"] is False
    assert seen[""].facts["data_in_tls"] is False


def test_proftpd_lets_anyone_in(inside: Namespace, root: Path, tmp_path: Path) -> None:
    require_proftpd()
    with proftpd(inside, tmp_path, root) as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].product.name == "ProFTPD"
    assert seen[""].facts["feature.mlsd"] is True


def test_proftpd_inside_tls_only(inside: Namespace, root: Path, pair: Pair, tmp_path: Path) -> None:
    require_proftpd()
    with proftpd(inside, tmp_path, root, pair) as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].facts["tls_required"] is True
    assert seen[""].facts["data_in_tls"] is True


def test_pyftpdlib_lets_anyone_write(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with pyftpdlib(inside, tmp_path, root, permissions="elradfmwM") as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].product.name == "pyftpdlib"
    assert seen["/"].access.write is Verdict.OFFERED


def test_pyftpdlib_lets_anyone_read(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with pyftpdlib(inside, tmp_path, root) as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen["/"].access.write is Verdict.NOT_ASKED


def test_pyftpdlib_names_another_host(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with pyftpdlib(inside, tmp_path, root, elsewhere="198.18.0.9") as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].facts["pasv_elsewhere"] is True


def test_pyftpdlib_inside_tls_only(inside: Namespace, root: Path, pair: Pair, tmp_path: Path) -> None:
    with pyftpdlib(inside, tmp_path, root, pair=pair) as port:
        seen = audit(inside, port)
    is_open(seen)
    assert seen[""].facts["tls_required"] is True
