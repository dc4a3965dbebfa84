"""Servers that mean harm: each ends within its time and bytes, is a result, and says nothing of what it was told."""

from __future__ import annotations

import json
import socket
import time
from ipaddress import ip_address
from typing import Any

import pytest
from file_doors import asked, terms
from ftp_peer import FtpPeer, endless, sending, silent

from leadapron.model import Endpoint, Failed, Observation, Reason, Verdict
from leadapron.protocols.ftp.probe import PROTOCOL
from listening import listening

CANARY = b"SYNTHETIC^BIRGIT"
IDLE = 0.4


def audit(peer: FtpPeer, **of: Any) -> tuple[dict[str, Observation], Failed | None]:
    begun = time.monotonic()
    with listening(peer.serve) as (endpoint,):
        seen, failed, attempts = asked(
            PROTOCOL, endpoint, terms(**{"blank_login": True, "seconds": 10, **of}), idle=IDLE
        )
    assert time.monotonic() - begun < 20
    assert "BIRGIT" not in json.dumps(attempts) + repr(seen) + repr(failed)
    assert not any(each.split(b" ")[0] in FORBIDDEN for each in peer.asked)
    return seen, failed


FORBIDDEN = {b"STOR", b"STOU", b"APPE", b"DELE", b"MKD", b"RMD", b"RNFR", b"RNTO", b"SITE", b"PORT", b"EPRT", b"ALLO"}


def reasons(observation: Observation) -> set[Reason]:
    return {each.reason for each in observation.unknowns}


def test_one_that_is_well() -> None:
    peer = FtpPeer()
    seen, failed = audit(peer)
    assert failed is None
    assert seen["/"].access.list is Verdict.PROVEN
    assert seen["/"].access.read is Verdict.PROVEN
    assert sum(each.startswith(b"USER") for each in peer.asked) == 2
    assert {each for each in peer.asked if each.startswith((b"USER", b"PASS"))} == {
        b"USER anonymous",
        b"PASS anonymous@",
    }


def test_without_the_grant_no_name_is_said() -> None:
    peer = FtpPeer()
    audit(peer, blank_login=False)
    assert not any(each.startswith((b"USER", b"PASS")) for each in peer.asked)


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"", Reason.TIMEOUT),
        (b"220-" + CANARY + b"\r\n" + b"more\r\n" * 20_000, Reason.LIMIT),
        (b"2" * 100_000, Reason.LIMIT),
        (b"SSH-2.0-" + CANARY + b"\r\n", Reason.PROTOCOL),
        (b"421 too many, " + CANARY + b"\r\n", Reason.LIMIT),
        (b"530 not you, " + CANARY + b"\r\n", Reason.AUTH),
        (b"500 " + CANARY + b"\r\n", Reason.PROTOCOL),
        (b"120 wait\r\n" * 100, Reason.LIMIT),
    ],
)
def test_greetings_that_are_none(greeting: bytes, reason: Reason) -> None:
    seen, failed = audit(FtpPeer(greeting=greeting))
    assert not seen
    assert failed is not None
    assert failed.reason is reason


@pytest.mark.parametrize(
    ("verb", "answer", "verdict"),
    [
        (b"PASS", b"530 " + CANARY + b"\r\n", Verdict.REFUSED),
        (b"USER", b"530 " + CANARY + b"\r\n", Verdict.REFUSED),
        (b"PASS", b"530 Sorry, the maximum number of clients is reached\r\n", Verdict.UNKNOWN),
        (b"USER", b"500 OOPS " + CANARY + b"\r\n", Verdict.UNKNOWN),
        (b"PASS", b"421 too many\r\n", Verdict.UNKNOWN),
        (b"PASS", b"452 later\r\n", Verdict.UNKNOWN),
        (b"USER", CANARY + b"\r\n", Verdict.UNKNOWN),
        (b"USER", b"", Verdict.UNKNOWN),
    ],
)
def test_only_a_no_is_a_refusal(verb: bytes, answer: bytes, verdict: Verdict) -> None:
    seen, failed = audit(FtpPeer(answers={verb: answer}))
    assert failed is None
    assert seen["/"].access.list is verdict
    assert bool(seen["/"].unknowns) is (verdict is Verdict.UNKNOWN)
    assert seen[""].facts.get("blank_login_accepted") is (False if verdict is Verdict.REFUSED else None)


@pytest.mark.parametrize(
    ("verb", "answer", "offered"),
    [(b"AUTH", b"502 no\r\n", False), (b"AUTH", b"", None), (b"FEAT", b"211-" + b"x\r\n" * 40_000, None)],
)
def test_tls_that_was_not_heard_of_is_not_missing(verb: bytes, answer: bytes, offered: bool | None) -> None:
    seen, _ = audit(FtpPeer(answers={verb: answer}), blank_login=False)
    assert seen[""].facts.get("tls_offered") is offered


def test_data_goes_to_nobody_else() -> None:
    """The server names another host, where somebody listens: nobody comes."""
    with socket.create_server(("127.88.9.9", 0)) as elsewhere:
        elsewhere.settimeout(0.1)
        port = elsewhere.getsockname()[1]
        named = b"227 Entering (127,88,9,9,%d,%d)\r\n" % (port >> 8, port & 255)
        seen, _ = audit(FtpPeer(answers={b"EPSV": b"500 no\r\n", b"PASV": named}))
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert seen["/"].facts["pasv_elsewhere"] is True
    assert seen["/"].access.list is Verdict.UNKNOWN
    assert seen["/"].unknowns


@pytest.mark.parametrize(
    "answer",
    [b"229 (|||0|)\r\n", b"229 (|||99999|)\r\n", b"229 " + CANARY + b"\r\n", b"229 (|1|10.0.0.1|21|)\r\n"],
)
def test_ports_that_are_none(answer: bytes) -> None:
    seen, _ = audit(FtpPeer(answers={b"EPSV": answer}))
    assert seen["/"].access.list is Verdict.UNKNOWN
    assert Reason.PROTOCOL in reasons(seen["/"])


def test_a_data_port_where_nobody_listens() -> None:
    with socket.create_server(("127.88.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    seen, _ = audit(FtpPeer(answers={b"EPSV": b"229 (|||%d|)\r\n" % port}))
    assert seen["/"].access.list is Verdict.UNKNOWN
    assert Reason.REFUSED in reasons(seen["/"])


def test_a_listing_that_never_comes() -> None:
    seen, _ = audit(FtpPeer(data={b"MLSD": silent}))
    assert seen["/"].access.list is not Verdict.PROVEN
    assert seen["/"].unknowns


@pytest.mark.parametrize("piece", [b"x" * 65536, b"type=file;size=1; " + CANARY + b"\r\n", b"nonsense\r\n"])
def test_a_listing_that_never_ends(piece: bytes) -> None:
    seen, _ = audit(FtpPeer(data={b"MLSD": endless(piece)}), answers=2000, seconds=3)
    assert seen["/"].unknowns, "what was cut is not the end"


def test_names_that_lead_elsewhere_are_left_out() -> None:
    names = [b"..", b"../etc", b"/etc/passwd", b"a\0b", b"c\rDELE d", CANARY]
    peer = FtpPeer(data={b"MLSD": sending(b"".join(b"type=dir; " + name + b"\r\n" for name in names))})
    seen, _ = audit(peer, requests=20)
    asked_for = {each for each in peer.asked if each.startswith(b"CWD")}
    assert all(b".." not in each and b"etc" not in each and b"DELE" not in each for each in asked_for)
    assert b"CWD /" + CANARY in asked_for
    assert seen["/"].facts["files.odd"] >= 4


def test_a_file_that_never_ends_is_cut_where_there_is_enough() -> None:
    peer = FtpPeer(data={b"RETR": endless(b"\0" * 128 + b"DICM" + b"\0" * 65536)})
    seen, _ = audit(peer)
    assert seen["/"].access.read is Verdict.PROVEN


def test_a_folder_that_is_closed() -> None:
    seen, _ = audit(FtpPeer(answers={b"CWD": b"550 " + CANARY + b"\r\n"}))
    assert seen["/"].access.list is Verdict.REFUSED


def test_a_server_without_listings_for_programs() -> None:
    listing = b"total 1\r\n-rw-r--r-- 1 0 0 140 Nov 27 10:00 IM000001\r\n"
    seen, _ = audit(FtpPeer(answers={b"MLSD": b"502 no\r\n"}, data={b"LIST": sending(listing)}))
    assert seen["/"].access.list is Verdict.PROVEN
    assert seen["/"].access.read is Verdict.PROVEN


def test_bytes_behind_the_answer_to_auth_are_not_taken_into_the_session() -> None:
    peer = FtpPeer(answers={b"USER": b"530 not in clear\r\n", b"AUTH": b"234 go\r\n230 injected\r\n"})
    seen, _ = audit(peer)
    assert seen["/"].access.list is Verdict.UNKNOWN
    assert "blank_login_accepted" not in seen[""].facts


def test_a_host_that_is_not_there() -> None:
    with socket.create_server(("127.88.0.1", 0)) as closed:
        here = Endpoint(address=ip_address("127.88.0.1"), port=closed.getsockname()[1])
    seen, failed, _ = asked(PROTOCOL, here, terms(), idle=IDLE)
    assert not seen
    assert failed is not None
    assert failed.reason is Reason.REFUSED
