from __future__ import annotations

import re
import string
from importlib import resources

import pytest

from leadapron.assess.genuineness import SIGNALS
from leadapron.assess.moved import SIGNS
from leadapron.assess.severity import NOBODYS
from leadapron.errors import InputError
from leadapron.model import (
    CountKind,
    Counts,
    CountSource,
    DispositionKind,
    FindingStatus,
    Method,
    Reason,
    RunStatus,
    Severity,
    Stage,
    VantageKind,
    Verdict,
)
from leadapron.protocols.dicom.attributes import GROUPS
from leadapron.protocols.dicom.negotiation import CONTEXTS
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.tlp import TLP

EN = messages("en")
OTHERS = [language for language in LANGUAGES if language != "en"]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_each_language_has_the_same_keys(language: str) -> None:
    assert set(messages(language).texts) == set(EN.texts)


@pytest.mark.parametrize("language", OTHERS)
def test_each_text_has_the_same_placeholders(language: str) -> None:
    texts = messages(language).texts
    assert {key: placeholders(text) for key, text in texts.items()} == {
        key: placeholders(text) for key, text in EN.texts.items()
    }


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("severity", Severity),
        ("finding_status", FindingStatus),
        ("disposition", DispositionKind),
        ("kind", CountKind),
        ("source", CountSource),
        ("stage", Stage),
        ("reason", Reason),
        ("vantage", VantageKind),
        ("anyone", VantageKind),
        ("stranger", VantageKind),
        ("run_status", RunStatus),
        ("verdict_word", Verdict),
        ("verdict.list", Verdict),
        ("verdict.read", Verdict),
        ("verdict.write", Verdict),
        ("month", [str(month) for month in range(1, 13)]),
        ("tlp", [label.removeprefix("TLP:") for label in TLP]),
        ("method", set(Method.__dataclass_fields__) - {"doors"}),
        ("count", Counts.__dataclass_fields__),
        ("context", CONTEXTS),
        ("census", GROUPS),
        ("signal", SIGNALS),
        ("moved", SIGNS),
        ("genuineness", ["patients", *NOBODYS, "unknown"]),
        ("genuineness_short", NOBODYS),
    ],
)
def test_each_member_of_a_closed_set_has_a_text(prefix: str, names: object) -> None:
    assert [name for name in names if f"{prefix}.{name}" not in EN] == []  # type: ignore[attr-defined]


def test_each_text_that_a_module_names_exists_and_none_is_left_over() -> None:
    package = resources.files("leadapron.report")
    modules = ("headline.py", "method.py", "words.py", "terminal.py", "html.py", "public_html.py", "messages.py")
    pages = ("page.html", "report.html", "public.html")
    sources = [package / name for name in modules] + [package / "templates" / name for name in pages]
    code = "".join(source.read_text("utf-8") for source in sources)
    named = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)+)["']""", code)) - {"report.css", *pages}
    assert {key for key in named if key.split(".")[0] in {text.split(".")[0] for text in EN.texts}} <= (
        set(EN.texts) | {key.rpartition(".")[0] for key in EN.texts}
    )
    families = {"severity", "finding_status", "kind", "source", "stage", "reason", "vantage", "anyone", "run_status"}
    families |= {"verdict_word", "verdict", "month", "tlp", "method", "count", "context", "can", "access", "status"}
    families |= {
        "census",
        "disposition",
        "genuineness",
        "genuineness_short",
        "signal",
        "shared",
        "evidence",
        "counted",
        "listing",
        "reached",
        "stranger",
        "why",
        "place",
        "moved",
    }
    leftover = {
        key
        for key in EN.texts
        if key not in named
        and re.sub(r"\.(one|other)$", "", key) not in named
        and key.split(".")[0] not in families
        and not key.startswith(("report.not_looked_", "report.column_", "sentence.only", "sentence.exposed"))
    }
    assert leftover == set()


@pytest.mark.parametrize(
    ("language", "value", "expected"),
    [
        ("en", 0, "0"),
        ("en", 1234567, "1,234,567"),
        ("it", 1234567, "1.234.567"),
        ("en", 500.0, "500"),
        ("en", 1234.5, "1,234.5"),
        ("it", 1234.5, "1.234,5"),
    ],
)
def test_numbers_have_the_separators_of_the_language(language: str, value: float, expected: str) -> None:
    assert messages(language).number(value) == expected


def test_braces_in_a_value_mean_nothing() -> None:
    assert EN("sentence.with", first="{second.__class__}", second="b") == "{second.__class__} with b"


def test_an_unknown_language_is_an_input_error() -> None:
    with pytest.raises(InputError, match="choose one of en, it"):
        messages("../../etc/passwd")
