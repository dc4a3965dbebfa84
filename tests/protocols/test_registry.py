"""Every protocol is what its folder, its page and its place in the registry say."""

import re
from pathlib import Path

import pytest

import leadapron.protocols
from leadapron.protocols.http.web import web_doors
from leadapron.protocols.registry import PROTOCOLS
from leadapron.scope.doors import doors, doors_of_their_own, is_of

FOLDER = Path(leadapron.protocols.__path__[0])
TESTS = Path(__file__).parent
DOCS = Path(__file__).parents[2] / "docs"


def test_every_folder_is_registered_under_its_name() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/probe.py")} == set(PROTOCOLS) == set(doors_of_their_own())
    assert {path.parent.name for path in FOLDER.glob("*/door.py")} == set(web_doors()) == set(doors()) - set(PROTOCOLS)


@pytest.mark.parametrize("name", sorted(doors()))
def test_a_door_has_its_page_and_its_tests(name: str) -> None:
    assert (DOCS / f"{name}.md").read_text().startswith("# ")
    assert list((TESTS / name).glob("test_*.py"))


NO_SERVER = {"hl7"}
"""Doors of which no real server can be installed that says anything to what is asked."""


@pytest.mark.parametrize("name", sorted(doors()))
def test_a_door_takes_any_bytes_and_is_tried_on_a_real_server(name: str) -> None:
    own = [file.read_text() for file in (TESTS / name).glob("*.py")]
    assert any("@given(" in text for text in own)
    peers = [file.read_text() for file in (TESTS.parent / "peers").glob("test_*.py")]
    assert name in NO_SERVER or any(re.search(rf"""["'./]{name}\b""", text) for text in peers)


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_protocol_is_that_of_its_folder(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert protocol.__class__.__module__ == f"leadapron.protocols.{name}.probe"
    assert "failed" not in protocol.results


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_hello_says_who_calls_and_is_bounded(name: str) -> None:
    hello = PROTOCOLS[name].hello("LEADAPRON")
    if hello is None:
        return
    assert b"LEADAPRON" in hello.request
    assert 0 < hello.max_answer <= 1 << 20
    assert not hello.whole(b"")


def test_a_result_over_http_is_of_one_door_only() -> None:
    results = {(name, result) for door in web_doors().values() for name, result in door.results.items()}
    assert len({name for name, _ in results}) == len({result for _, result in results}) == len(results)


def test_kinds_are_those_that_controls_are_about() -> None:
    assert is_of("dicom", frozenset({"dicom"}))
    assert is_of("dicomweb", frozenset({"web"}))
    assert not is_of("dicom", frozenset({"web"}))
    assert not is_of("nothing", frozenset({"web", "files"}))
