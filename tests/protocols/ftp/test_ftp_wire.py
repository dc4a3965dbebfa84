"""Replies, data ports, features: whole, byte by byte, cut and hostile."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.identify.match import IDENTIFY
from leadapron.model import Product
from leadapron.protocols.base import Page
from leadapron.protocols.ftp import wire
from leadapron.protocols.ftp.wire import MAX_LINE, MAX_REPLY, Replies, Reply, command
from seeds import seeds

MULTI = b"220-Welcome\r\n 220 not the end\r\n220not either\r\nfree text\r\n220 the end\r\n"


def replies(*pieces: bytes) -> list[Reply]:
    reading = Replies()
    found: list[Reply] = []
    for piece in pieces:
        reading.receive(piece)
        while (reply := reading.next()) is not None:
            found.append(reply)
    return found


@pytest.mark.parametrize(
    ("raw", "codes"),
    [
        (b"220 ready\r\n", [220]),
        (b"220 ready\n", [220]),
        (b"220\r\n", [220]),
        (MULTI, [220]),
        (b"150 a\r\n226 b\r\n", [150, 226]),
        (MULTI + b"331 who\r\n", [220, 331]),
    ],
)
def test_replies_whole_and_byte_by_byte(raw: bytes, codes: list[int]) -> None:
    assert [each.code for each in replies(raw)] == codes
    assert replies(*(raw[place : place + 1] for place in range(len(raw)))) == replies(raw)


@pytest.mark.parametrize("length", range(len(MULTI)))
def test_a_reply_that_is_cut_is_none(length: int) -> None:
    assert replies(MULTI[:length]) == []


@pytest.mark.parametrize("raw", [b"\r\n", b"hello\r\n", b"99 x\r\n", b"720 x\r\n", b"2200 x\r\n", b"SSH-2.0-x\r\n"])
def test_what_is_no_reply(raw: bytes) -> None:
    with pytest.raises(WireError) as caught:
        replies(raw)
    assert not caught.value.limit


@pytest.mark.parametrize(
    "raw", [b"2" * (MAX_LINE + 1), b"220 " + b"x" * MAX_LINE, b"220-a\r\n" + b"more\r\n" * (MAX_REPLY // 5 + 1)]
)
def test_endless_lines_and_endless_replies_end(raw: bytes) -> None:
    with pytest.raises(WireError) as caught:
        replies(raw)
    assert caught.value.limit


def test_many_long_replies_are_not_one() -> None:
    assert len(replies((b"220-a\r\n" + b"more\r\n" * 1000 + b"220 b\r\n") * 20)) == 20


@given(st.lists(st.binary(max_size=64), max_size=16))
@seeds(
    [
        ([b"220 (vsFTPd 3.0.3)\r\n"],),
        ([b"211-Features:\r\n EPSV\r\n", b"211 End\r\n"],),
        ([b"227 Entering Passive Mode (198,18,0,9,0,0).\r\n"],),
        ([b"220-a\r\n" + b"more\r\n" * 20_000],),
        ([b"2" * 100_000],),
    ]
)
def test_any_bytes_give_replies_or_the_one_error(pieces: list[bytes]) -> None:
    try:
        found = replies(*pieces)
    except WireError:
        return
    assert all(100 <= each.code <= 699 for each in found)


@given(st.lists(st.text("abc -", max_size=12), min_size=1, max_size=6), st.integers(100, 699))
def test_what_was_written_is_read(lines: list[str], code: int) -> None:
    *first, last = [line.encode() for line in lines]
    raw = b"".join(b"%d-%s\r\n" % (code, line) for line in first) + b"%d %s\r\n" % (code, last)
    (reply,) = replies(raw)
    assert reply.code == code


def test_passive_ports() -> None:
    assert wire.passive(Reply(code=227, text=b"Entering Passive Mode (127,0,0,1,4,1).")) == (b"\x7f\0\0\1", 1025)
    assert wire.passive(Reply(code=227, text=b"=10,9,8,7,255,255")) == (b"\x0a\x09\x08\x07", 65535)
    assert wire.extended_passive(Reply(code=229, text=b"Entering (|||6446|)")) == 6446
    assert wire.extended_passive(Reply(code=229, text=b"Entering (!!!80!)")) == 80


@pytest.mark.parametrize(
    ("code", "text"),
    [(227, b"(256,0,0,1,4,1)"), (227, b"(1,2,3,4,0,0)"), (227, b"(1,2,3,4)"), (500, b"(1,2,3,4,5,6)"), (227, b"")],
)
def test_passive_ports_that_are_none(code: int, text: bytes) -> None:
    with pytest.raises(WireError):
        wire.passive(Reply(code=code, text=text))


@pytest.mark.parametrize(
    ("code", "text"),
    [(229, b"(|||0|)"), (229, b"(|||65536|)"), (229, b"(|1|10.0.0.1|21|)"), (229, b""), (500, b"(|||80|)")],
)
def test_extended_passive_ports_that_are_none(code: int, text: bytes) -> None:
    with pytest.raises(WireError):
        wire.extended_passive(Reply(code=code, text=text))


@given(st.binary(max_size=64))
def test_any_text_is_a_port_or_the_one_error(text: bytes) -> None:
    for read, code in ((wire.passive, 227), (wire.extended_passive, 229)):
        with contextlib.suppress(WireError):
            read(Reply(code=code, text=text))


def test_features_are_names_of_ours() -> None:
    text = b"Features:\n EPSV\n MLST type*;size*;\n auth tls\n REST STREAM\n XMADEUP PATIENT^NAME\nEnd"
    assert wire.features(Reply(code=211, text=text)) == {"epsv", "mlsd", "auth_tls", "rest_stream"}
    assert wire.features(Reply(code=211, text=b" AUTH TLS;TLS-C;SSL;")) == {"auth_tls"}
    assert wire.features(Reply(code=211, text=b" AUTH GSSAPI")) == frozenset()


@given(st.binary(max_size=300))
def test_any_text_has_features_of_ours_only(text: bytes) -> None:
    assert wire.features(Reply(code=211, text=text)) <= set(wire.FEATURES)


def test_commands() -> None:
    assert command(b"CWD", b"/a b") == b"CWD /a b\r\n"
    assert command(b"CWD", b"/\xff") == b"CWD /\xff\xff\r\n"
    for argument in (b"a\r\nDELE b", b"a\nb", b"a\rb"):
        with pytest.raises(ValueError):
            command(b"CWD", argument)


def product_of(greeting: bytes) -> Product:
    return IDENTIFY.page(Page(status=220, fields=((b"ftp", greeting),)))


@pytest.mark.parametrize(
    ("greeting", "name", "version"),
    [
        (b"(vsFTPd 3.0.5)", "vsftpd", "3.0.5"),
        (b"ProFTPD 1.3.8 Server (SYNTHETIC^NAME) [::ffff:10.0.0.1]", "ProFTPD", "1.3.8"),
        (b"ProFTPD Server (Debian) [10.0.0.1]", "ProFTPD", ""),
        (b"---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\nYou are user 1", "Pure-FTPd", ""),
        (b"FileZilla Server version 0.9.41 beta", "FileZilla Server", "0.9.41"),
        (b"Microsoft FTP Service", "Microsoft FTP Service", ""),
        (b"pyftpdlib 2.0.1 ready.", "pyftpdlib", "2.0.1"),
        (b"SYNTHETIC^NAME's server", "", ""),
    ],
)
def test_products(greeting: bytes, name: str, version: str) -> None:
    product = product_of(greeting)
    assert (product.name, product.version) == (name, version)


@given(st.binary(max_size=200))
def test_a_product_is_of_our_table(greeting: bytes) -> None:
    product = product_of(b"ProFTPD " + greeting)
    assert product.name == "ProFTPD" or "ProFTPD" in product.candidates
    assert len(product.version) <= 25
    assert all(each.isalnum() or each in ".-" for each in product.version)
