"""Every protocol is what its folder, its page and its place in the registry say."""

from pathlib import Path

import pytest

import leadapron.protocols
from leadapron.protocols.registry import PROTOCOLS

FOLDER = Path(leadapron.protocols.__path__[0])
DOCS = Path(__file__).parents[2] / "docs"


def test_every_folder_is_registered_under_its_name() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/probe.py")}
    assert folders == set(PROTOCOLS)


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_protocol_has_its_page_and_its_products(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert protocol.__class__.__module__ == f"leadapron.protocols.{name}.probe"
    assert (DOCS / f"{name}.md").read_text().startswith("# ")
    assert list((FOLDER / name / "products").glob("*.toml"))


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_hello_says_who_calls_and_is_bounded(name: str) -> None:
    hello = PROTOCOLS[name].hello("LEADAPRON")
    if hello is None:
        return
    assert b"LEADAPRON" in hello.request
    assert 0 < hello.max_answer <= 1 << 20
    assert not hello.whole(b"")
