"""Where a viewer says that its data lie: only what is on the same server comes out, and never more than a few."""

from __future__ import annotations

import time
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.model import Endpoint
from leadapron.protocols.portal.sources import MAX_ROOTS, Sources, is_looked_at, sources
from seeds import seeds

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080, name="pacs.hospital.example")
NOTHING = Sources((), 0)


def found(text: str, page: str = "/ohif/") -> Sources:
    return sources(text.encode(), page, HERE)


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("qidoRoot: '/dicom-web'", ("/dicom-web",)),
        ('"qidoRoot": "/dicom-web/"', ("/dicom-web",)),
        ("qidoRoot:`/a`, wadoRoot: '/b'", ("/a",)),
        ("qidoRoot: 'rs'", ("/ohif/rs",)),
        ("qidoRoot: '/'", ("",)),
        ("qidoRoot: 'http://pacs.hospital.example:8080/rs'", ("/rs",)),
        ("qidoRoot: '/a'}, {qidoRoot: '/a'}, {qidoRoot: '/b'", ("/a", "/b")),
        ("".join(f"qidoRoot: '/{number}' " for number in range(9)), ("/0", "/1", "/2", "/3")),
    ],
)
def test_roots_on_the_same_server_are_found(text: str, here: tuple[str, ...]) -> None:
    assert found(text) == Sources(here, 0)
    assert len(here) <= MAX_ROOTS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qidoRoot",
        "qidoRoot: 1",
        "qidoRoot: ''",
        "// qidoRoot: '/a'",
        "  // qidoRoot: '/a'",
        "/* qidoRoot: '/a' */",
        "myqidoRoot: '/a'",
    ],
)
def test_what_is_no_root_is_none(text: str) -> None:
    assert found(text) == NOTHING


@pytest.mark.parametrize(
    "root",
    [
        "http://[::1",
        "http://[/x",
        "http://pacs.hospital.example:99999/x",
        "https://pacs.hospital.example/x",
        "javascript:alert(1)",
        "\\\\host\\x",
    ],
)
def test_a_root_that_is_elsewhere_or_nowhere_is_counted_only(root: str) -> None:
    assert found(f"qidoRoot: '{root}'") == Sources((), 1)


def test_what_the_door_of_dicomweb_looks_at_is_known() -> None:
    assert is_looked_at("/dicom-web")
    assert is_looked_at("/dcm4chee-arc/aets/DCM4CHEE/rs")
    assert is_looked_at("")
    assert not is_looked_at("/pacs/dicom-web")


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda root: f"qidoRoot: '{root}'".encode()))
@seeds(
    [
        (b"window.config = { dataSources: [{ configuration: { qidoRoot: '/pacs/dicom-web' } }] };",),
        (b"qidoRoot: 'https://pacs.invalid/dicom-web', qidoRoot: '//pacs.invalid/dicom-web'",),
        (b"qidoRoot: '/a?b', qidoRoot: '/../a', qidoRoot: 'javascript:x'",),
        (b"qidoRoot: '/a' " * 10_000,),
    ]
)
def test_any_configuration_gives_plain_paths(config: bytes) -> None:
    here, elsewhere = sources(config, "/ohif/", HERE)
    assert len(here) <= MAX_ROOTS
    assert elsewhere >= 0
    assert all(
        root == "" or (root.startswith("/") and root.isascii() and not set("?#% \r\n") & set(root)) for root in here
    )


@pytest.mark.parametrize("filler", ["qidoRoot:", "qidoRoot: '", "/*", "// ", " ", "qidoRoot: '/a' "])
def test_a_configuration_of_one_word_over_and_over_is_read_in_bounded_time(filler: str) -> None:
    began = time.process_time()
    found(filler * ((256 << 10) // len(filler)))
    assert time.process_time() - began < 5.0
