"""Every protocol is what its folder, its page and its place in the registry say."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix import EXCUSED, MADE_UP, Row, row
from matrix.cells import State

import leadapron.protocols
from leadapron.assess.catalogue import catalogue
from leadapron.protocols.http.web import web_doors
from leadapron.protocols.registry import PROTOCOLS
from leadapron.scope.doors import doors, doors_of_their_own, is_of
from seeds import seeds

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


def lacking(name: str, cells: Row | None) -> set[State]:
    """The states in which a door is not tried, without a reason. What is open or locked has to be a real server."""
    own = set() if cells is None else cells.states()
    real = own if cells is None or name in MADE_UP else cells.states(real=True) | (own & {State.HOSTILE})
    return {state for state in State if state not in real and (name, state) not in EXCUSED}


@pytest.mark.parametrize("name", sorted(doors()))
def test_a_door_is_tried_open_locked_and_hostile(name: str) -> None:
    assert not lacking(name, row(name)), f"tests/peers/matrix/{name}.py lacks cells"


def test_a_door_without_its_cells_is_noticed() -> None:
    """So that the test above can fail."""
    cells = row("ftp")
    assert cells is not None
    assert lacking("new", None) == set(State)
    assert lacking("new", Row(peers=(), hostile=cells.hostile)) == {State.OPEN, State.LOCKED}
    assert lacking("new", Row(peers=cells.peers, hostile=())) == {State.HOSTILE}
    assert lacking("new", cells) == set()


def test_reasons_are_those_of_doors_that_need_them() -> None:
    for (name, state), why in EXCUSED.items():
        cells = row(name)
        assert name in doors() and cells is not None and state not in cells.states() and why
    assert set(MADE_UP) <= set(doors())


def test_the_matrix_has_modules_of_doors_and_its_own_only() -> None:
    modules = {file.stem for file in (TESTS.parent / "peers" / "matrix").glob("*.py")}
    assert modules - set(doors()) == {"__init__", "audit", "cells", "pages", "serve", "starting"}


@pytest.mark.parametrize("name", sorted(doors()))
def test_a_door_takes_any_bytes_and_has_seeds(name: str) -> None:
    """Properties for any bytes, which are tried on some that were seen, or were hostile, too."""
    own = [file.read_text() for file in (TESTS / name).rglob("test_*.py")]
    assert any("@seeds(" in text and "@given(" in text for text in own)


def test_seeds_are_tried() -> None:
    tried: set[int] = set()

    @seeds([(7,), (8,)])
    @given(st.just(1))
    def test(number: int) -> None:
        tried.add(number)

    test()
    assert tried == {1, 7, 8}


NO_PRODUCT: Mapping[str, str] = {
    "dicomweb": "Orthanc says so itself, at /system; others are told by their front page, which is HTTP's",
    "fhir": "a statement names its software: fhir/servers.toml",
    "hl7": "an acknowledgement names systems of a hospital, and no product",
    "iscsi": "a Login Response names none",
    "listing": "its server is told by the front page, which is HTTP's",
    "nfs": "ONC RPC names none",
    "webdav": "its server is told by the front page, which is HTTP's",
}
"""Doors without products of their own, and why."""
NO_CONTROL: Mapping[str, str] = {
    "hl7": "that it can be reached is told; what a stranger may do is never tried",
    "iscsi": "that it talks to a stranger is told; its disks are not asked for",
}
"""Doors that no control is about, and why."""


@pytest.mark.parametrize("name", sorted(doors()))
def test_a_door_has_products_or_a_reason(name: str) -> None:
    own = list((FOLDER / name / "products").glob("*.toml"))
    assert bool(own) is not bool(NO_PRODUCT.get(name))


@pytest.mark.parametrize("name", sorted(doors()))
def test_a_door_has_controls_or_a_reason(name: str) -> None:
    about = [control.id for control in catalogue().values() if is_of(name, control.protocols)]
    assert bool(about) is not bool(NO_CONTROL.get(name))


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
