"""`docs/commands`: each command has its page, which names each argument and option, and nothing that does not exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from leadapron.cli import main

PAGES = Path(__file__).parents[2] / "docs" / "commands"
ROOT = typer.main.get_command(main.app)
HELP = ("--help", "-h")
GROUPS = (("cluster",), ("scope",), ("survey",), ("vantage",))
"""Words that call no command by themselves."""


def commands(command: Any = ROOT, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it; the first is `leadapron` itself."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


COMMANDS = dict(commands())


def section(words: tuple[str, ...]) -> str:
    """What the pages say about a command: its page; of a command within a group the part of the page under its name."""
    page = (PAGES / f"{words[0] if words else 'leadapron'}.md").read_text()
    if len(words) < 2:
        return page
    (part,) = re.findall(rf"^## leadapron {' '.join(words)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return str(part)


def names(command: Any) -> set[str]:
    """Arguments as they stand in the usage, options with every spelling."""
    found: set[str] = set()
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            found.add(parameter.metavar)
        else:
            found.update(parameter.opts)
    return found.difference(HELP)


def documented(text: str) -> set[str]:
    """Arguments and options that have a row of a table."""
    cells = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return {
        term.split()[0]
        for cell in cells
        for term in re.findall(r"`([^`]+)`", cell)
        if re.fullmatch(r"--?[a-z][a-z-]*( [A-Z]+)?|[A-Z]+", term)
    }.difference(HELP)


def code(text: str) -> Iterator[str]:
    """The command lines of the code blocks, without comments, with continued lines joined."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.split("  #")[0].strip()


def is_usage(line: str) -> bool:
    """It shows the form: optional parts in brackets."""
    return "[" in line.split("|")[0]


def usages(text: str) -> list[str]:
    """Usages, which may go over several lines."""
    blocks = re.findall(r"^```\n(leadapron .*?)^```", text, re.MULTILINE | re.DOTALL)
    return [" ".join(block.split()) for block in blocks if is_usage(block)]


def examples() -> Iterator[tuple[str, str]]:
    for page in [*sorted(PAGES.glob("*.md")), PAGES.parents[1] / "README.md", PAGES.parent / "scope.md"]:
        for line in code(page.read_text()):
            if line.startswith("leadapron ") and not is_usage(line):
                yield page.name, line


def test_each_page_is_of_a_command() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {words[0] for words in COMMANDS if words} | {"leadapron"}


@pytest.mark.parametrize("words", [words for words, command in COMMANDS.items() if words not in GROUPS], ids=" ".join)
def test_each_argument_and_option_has_its_row_and_no_row_is_of_another(words: tuple[str, ...]) -> None:
    expected = names(COMMANDS[words])

    rows = documented(section(words))
    if words[:1] == ("scope",):  # what `check` has in common with `export` is explained once
        rows |= documented(section(("scope", "check"))) & expected
    if not words:  # beside its options the page has those of the environment
        rows = {row for row in rows if row.startswith("-")}

    assert rows == expected


@pytest.mark.parametrize("words", [words for words in COMMANDS if words not in ((), *GROUPS)], ids=" ".join)
def test_the_usage_shows_each_long_option_and_argument(words: tuple[str, ...]) -> None:
    (usage,) = usages(section(words))
    shown = set(re.findall(r"--[a-z-]+", usage))
    arguments = {name for name in names(COMMANDS[words]) if name.isupper()}

    assert usage.startswith(f"leadapron {' '.join(words)} ")
    assert arguments <= set(re.findall(r"\b[A-Z]+\b", usage))
    if "[OPTIONS]" not in usage:
        assert shown == {name for name in names(COMMANDS[words]) if name.startswith("--")}


@pytest.mark.parametrize(("page", "line"), list(examples()))
def test_each_example_parses(page: str, line: str) -> None:
    parts = shlex.split(re.split(r" [|>&]", line)[0])[1:]

    command, words = ROOT, []
    while parts and parts[0] in getattr(command, "commands", {}):
        words.append(parts.pop(0))
        command = command.commands[words[-1]]
    assert not hasattr(command, "commands"), f"{page}: {line} names no command"

    with command.make_context("leadapron", parts) as context:
        assert context.command is command


def test_there_are_examples_of_every_command() -> None:
    lines = [line for _, line in examples()]
    for words in COMMANDS:
        if words not in ((), *GROUPS):
            assert any(line.startswith(" ".join(("leadapron", *words))) for line in lines), words


def test_the_table_of_commands_is_whole() -> None:
    page = section(())
    assert re.findall(r"^\| \[`leadapron ([\w-]+)`\]\(([\w-]+)\.md\)", page, re.MULTILINE) == [
        (name, name)
        for name in (
            *(
                "demo",
                "init",
                "scope",
                "survey",
                "vantage",
                "listen",
                "announce",
                "audit",
                "cluster",
                "files",
                "show",
                "report",
            ),
            *("feeds", "changes"),
            *("accept", "false-positive", "planned", "verify", "stop", "purge"),
        )
    ]
    assert {words[0] for words in COMMANDS if words} == set(re.findall(r"\(([\w-]+)\.md\)", page))
