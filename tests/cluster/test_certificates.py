"""Certificates of a cluster: of one authority, for the roles that they name, for their owner only."""

from __future__ import annotations

import datetime as dt
import itertools
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from leadapron.cluster.certificates import CLIENT, SCHEDULER, WORKER, certificate_file, key_file, make_certificates
from leadapron.errors import InputError

HOSTS = ["scheduler.hospital.example", "192.0.2.1", "2001:db8::1"]


def context(folder: Path, role: str, *, serves: bool, trusts: Path | None = None) -> ssl.SSLContext:
    """As Dask makes it: both sides want a certificate, and no name is compared."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serves else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(certificate_file(trusts or folder, "authority"))
    made.load_cert_chain(certificate_file(folder, role), key_file(folder, role))
    return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Raises ssl.SSLError where one of them refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    both = (
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    open_ends = set(both)
    for end in itertools.islice(itertools.cycle(both), 20):
        if end in open_ends:
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not open_ends


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cluster") / "certificates"
    make_certificates(made, hosts=HOSTS, days=30)
    return made


@pytest.mark.parametrize(("server", "client"), [(SCHEDULER, WORKER), (SCHEDULER, CLIENT), (WORKER, SCHEDULER)])
def test_each_role_is_what_it_is_for(folder: Path, server: str, client: str) -> None:
    handshake(context(folder, server, serves=True), context(folder, client, serves=False))


def test_who_may_only_ask_cannot_play_the_scheduler(folder: Path) -> None:
    with pytest.raises(ssl.SSLError, match="certificate"):
        handshake(context(folder, CLIENT, serves=True), context(folder, WORKER, serves=False))


def test_another_authority_is_refused_on_both_sides(folder: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path, days=30)
    for server, client in ((folder, tmp_path), (tmp_path, folder)):
        with pytest.raises(ssl.SSLError, match="certificate"):
            handshake(context(server, SCHEDULER, serves=True), context(client, WORKER, serves=False, trusts=server))


def test_keys_are_for_their_owner_only(folder: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_they_name_hosts_and_end(folder: Path) -> None:
    made = x509.load_pem_x509_certificate(certificate_file(folder, SCHEDULER).read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == HOSTS
    assert made.not_valid_after_utc - dt.datetime.now(dt.UTC) < dt.timedelta(days=30)
    assert made.not_valid_before_utc < dt.datetime.now(dt.UTC)


def test_what_is_there_is_kept_unless_told_otherwise(folder: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path, days=1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="is there already; --force"):
        make_certificates(tmp_path, days=1)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    certificate_file(tmp_path, WORKER).chmod(0o644)
    make_certificates(tmp_path, days=1, force=True)
    assert all(path.read_bytes() != data for path, data in before.items())
    assert stat.S_IMODE(certificate_file(tmp_path, WORKER).stat().st_mode) == 0o600


def test_a_host_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is neither a name in ASCII nor an address"):
        make_certificates(tmp_path / "c", hosts=["k\u00f6ln.example"], days=1)
    assert not (tmp_path / "c").exists()
