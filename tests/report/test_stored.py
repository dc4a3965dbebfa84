"""Each sentence that a run stores is known, by the form that the source gives it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from leadapron.report import stored
from leadapron.report.messages import LANGUAGES, messages

EN, IT = messages("en"), messages("it")
SOURCE = Path(str(resources.files("leadapron")))
PLACES = {
    ("pipeline_evidence.py", "_without_hello"),
    ("pipeline_sweep.py", "unknowns"),
    ("discover/middlebox.py", "middleboxes"),
    ("discover/middlebox.py", "_text"),
    ("report/load.py", "_of_scope"),
}
"""Functions that name places which are no endpoints."""


def sample(node: ast.AST) -> str:
    """A string of the source, each value in it an X. "" for what is no string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(sample(part) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def reasons() -> set[str]:
    """Why a run is not complete: `.request(…)` and `RunStopped(…)` say it, tuples of a status and a text, and the `why` of a
    sweep in a process of its own."""
    found: set[str] = set()
    for node in (node for path in SOURCE.rglob("*.py") for node in nodes(path)):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found |= {sample(node.args[0])} if name in ("request", "RunStopped") else set()
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and ast.unparse(node.elts[0]).startswith("RunStatus."):
            found.add(sample(node.elts[1]))
    for path in (SOURCE / "pipeline_away.py", SOURCE / "pipeline_sweeper.py"):
        assigned = (node for node in nodes(path) if isinstance(node, ast.Assign))
        found |= {sample(node.value) for node in assigned if ast.unparse(node.targets[0]).split(".")[-1] == "why"}
    return found - {""}


def places() -> set[str]:
    """What the functions of `PLACES` format, and what is formatted into an `Unknown` elsewhere."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef) and (str(path.relative_to(SOURCE)), node.name) in PLACES:
                found |= {sample(part) for part in ast.walk(node) if isinstance(part, ast.JoinedStr)}
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Unknown"):
                found |= {sample(word.value) for word in node.keywords if word.arg == "endpoint"}
    return found - {""}


def test_the_source_has_them() -> None:
    assert "stopped by X" in reasons()
    assert len(reasons()) >= len([key for key in EN.texts if key.startswith("why.")])
    ranges = {"X-X port X", "X-X port X, X of X addresses", "X, every open port"}
    assert ranges | {"grant X, depth X", "scope X"} <= places()


@pytest.mark.parametrize("text", sorted(reasons()))
def test_each_reason_of_the_source_is_known(text: str) -> None:
    assert stored.why(EN, text) == text
    assert stored.why(IT, text) != text


@pytest.mark.parametrize("text", sorted(places()))
def test_each_place_of_the_source_is_known(text: str) -> None:
    assert stored.where(EN, text) == text
    assert stored.where(IT, text) != text


@pytest.mark.parametrize(
    ("text", "italian"),
    [
        ("stopped by `leadapron stop`", "fermata da `leadapron stop`"),
        ("stopped by SIGINT", "fermata da SIGINT"),
        (
            "the scope no longer holds: scope.toml:3 id: missing; name it",
            "l'ambito non è più valido: scope.toml:3 id: missing; name it",
        ),
        (
            "the scope file /a/scope.toml cannot be read: No such file or directory",
            "il file dell'ambito /a/scope.toml non si può leggere: No such file or directory",
        ),
    ],
)
def test_a_reason_keeps_what_is_in_it(text: str, italian: str) -> None:
    assert stored.why(IT, text) == italian


@pytest.mark.parametrize(
    ("text", "italian"),
    [
        ("198.18.0.0-198.18.0.19 port 104", "198.18.0.0-198.18.0.19 porta 104"),
        ("198.18.0.0/24 port 104", "198.18.0.0/24 porta 104"),
        (
            "198.18.0.0-198.18.0.29 port 104, 27 of 30 addresses",
            "198.18.0.0-198.18.0.29 porta 104, 27 indirizzi su 30",
        ),
        ("198.18.0.9, every open port", "198.18.0.9, ogni porta aperta"),
        ("grant own-2026, depth connect", "autorizzazione own-2026, profondità connect"),
        ("scope slow", "ambito slow"),
        ("198.18.0.9:104", "198.18.0.9:104"),
        ("[2001:db8::1]:104", "[2001:db8::1]:104"),
        ("pacs.hospital.example", "pacs.hospital.example"),
    ],
)
def test_a_place_keeps_what_is_in_it(text: str, italian: str) -> None:
    assert stored.where(IT, text) == italian


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", ["", "another reason", "scope \x1b[2J", "stopped by {signal.__class__}", "a port \n"])
def test_what_is_not_known_is_shown_as_it_is_and_does_nothing(text: str, language: str) -> None:
    for said in (stored.why(messages(language), text), stored.where(messages(language), text)):
        assert said.isprintable()
        assert said.split(" ")[-1] == text.replace("\x1b", "\ufffd").replace("\n", "\ufffd").split(" ")[-1]
