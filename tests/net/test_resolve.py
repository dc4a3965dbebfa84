from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from leadapron.model import Reason, Stage
from leadapron.net.resolve import resolve

ANSWERS: dict[str, list[str] | Exception] = {
    "pacs.example": ["2001:db8::2", "198.18.0.2", "198.18.0.1", "198.18.0.2", "::ffff:198.18.0.9", "fe80::1%lo"],
    "gone.example": socket.gaierror(socket.EAI_NONAME, "not known"),
    "slow.example": socket.gaierror(socket.EAI_AGAIN, "try again"),
    "broken.example": socket.gaierror(socket.EAI_FAIL, "failed"),
    "empty.example": [],
    "bad.example": UnicodeError("label"),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def answer(host: str, port: None, *, type: int) -> list[Any]:
        seen.append(host)
        found = ANSWERS[host]
        if isinstance(found, Exception):
            raise found
        families = [socket.AF_INET6 if ":" in text else socket.AF_INET for text in found]
        return [(family, type, 6, "", (text, 0)) for family, text in zip(families, found, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return seen


def test_all_addresses_of_a_name_once_and_in_order(asked: list[str]) -> None:
    pins, failures = resolve(["pacs.example", "pacs.example"])
    assert pins == {
        "pacs.example": (
            IPv4Address("198.18.0.1"),
            IPv4Address("198.18.0.2"),
            IPv4Address("198.18.0.9"),
            IPv6Address("2001:db8::2"),
            IPv6Address("fe80::1"),
        )
    }
    assert failures == ()
    assert asked == ["pacs.example"]


def test_a_name_without_an_address_is_a_result(asked: list[str]) -> None:
    pins, failures = resolve(ANSWERS)
    assert list(pins) == ["pacs.example"]
    assert {failure.endpoint: failure.reason for failure in failures} == {
        "gone.example": Reason.EMPTY,
        "slow.example": Reason.TIMEOUT,
        "broken.example": Reason.UNREACHABLE,
        "empty.example": Reason.EMPTY,
        "bad.example": Reason.UNREACHABLE,
    }
    assert {failure.stage for failure in failures} == {Stage.CONNECT}


def test_no_name_asks_nothing(asked: list[str]) -> None:
    assert resolve([]) == ({}, ())
    assert asked == []


def test_localhost() -> None:
    pins, failures = resolve(["localhost"])
    assert failures == ()
    assert all(ip_address(address).is_loopback for address in pins["localhost"])
