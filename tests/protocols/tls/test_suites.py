"""Numbers, names and classes of cipher suites, compared with what OpenSSL calls them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from leadapron.errors import InputError
from leadapron.protocols.tls.suites import Class, numbers_of, parse_suites, suites

PAGE = (Path(__file__).parents[3] / "docs" / "tls.md").read_text()
OPENSSL = re.compile(r"0x(..),0x(..) - (\S+).* Kx=(\S+) +Au=(\S+) +Enc=(\S+)")


def test_openssl_calls_them_the_same() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (tests/apt-packages.txt)")
    command = ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    found = OPENSSL.findall(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours = {int(high + low, 16): (name, kx, au, enc) for high, low, name, kx, au, enc in found}
    shared = {number: each for number, each in ours.items() if number in suites()}
    assert len(shared) > 60
    for number, (name, kx, au, enc) in shared.items():
        assert suites()[number].name == name
        assert suites()[number].of is expected(kx, au, enc), name
    without = {name for number, (name, *_) in ours.items() if number not in suites()}
    assert all("PSK" in name or "SRP" in name for name in without)


def expected(kx: str, au: str, enc: str) -> Class:
    """The class by OpenSSL's own description."""
    if kx == "any":
        return Class.TLS13
    for is_so, of in (
        (au == "None", Class.ANON),
        (enc == "None", Class.NULL),
        (enc.startswith("RC4"), Class.RC4),
        (enc.startswith("3DES"), Class.TRIPLE_DES),
        (kx == "RSA", Class.RSA_KX),
        (not re.search("GCM|CCM|POLY1305", enc), Class.CBC_DHE if kx == "DH" else Class.CBC),
        (kx == "DH", Class.AEAD_DHE),
    ):
        if is_so:
            return of
    return Class.AEAD_ECDHE


@pytest.mark.parametrize(
    ("number", "name", "of"),
    [
        (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", Class.EXPORT),
        (0x0005, "TLS_RSA_WITH_RC4_128_SHA", Class.RC4),
        (0x0009, "TLS_RSA_WITH_DES_CBC_SHA", Class.TRIPLE_DES),
        (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", Class.TRIPLE_DES),
        (0x0017, "TLS_DH_anon_EXPORT_WITH_RC4_40_MD5", Class.EXPORT),
        (0x009C, "TLS_RSA_WITH_AES_128_GCM_SHA256", Class.RSA_KX),
        (0xC004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", Class.RSA_KX),
        (0xC013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Class.CBC),
        (0x1304, "TLS_AES_128_CCM_SHA256", Class.TLS13),
    ],
)
def test_those_that_openssl_no_longer_knows(number: int, name: str, of: Class) -> None:
    """RFC 2246 section A.5, RFC 5288, RFC 8422, RFC 8446 section B.4."""
    assert (suites()[number].name, suites()[number].of) == (name, of)


@pytest.mark.parametrize("of", list(Class))
def test_each_class_has_suites_and_is_explained(of: Class) -> None:
    assert numbers_of([of])
    assert f"| `{of}` |" in PAGE


def test_no_secret_in_common_is_needed() -> None:
    assert not [suite for suite in suites().values() if re.search("PSK|SRP|KRB5|SCSV", suite.name)]


@pytest.mark.parametrize(
    "document",
    [
        "[cbc]\n0xZZ = 'A'",
        "[none]\n0x01 = 'A'",
        "[cbc]\n0x1F001 = 'A'",
        "[cbc]\n1 = 'A'\n[rc4]\n0x1 = 'B'",
        "cbc = 1",
        "[",
    ],
    ids=["no number", "no class", "too large", "twice", "no table", "no TOML"],
)
def test_a_malformed_file_is_refused(document: str) -> None:
    with pytest.raises(InputError):
        parse_suites(document)
