from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from report_estate import RUN, decision, exposed, findings_of, history, seen
from rich.cells import cell_len
from rich.console import Console

from leadapron.model import Product, RunStatus
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.terminal import show
from leadapron.report.tlp import DEFAULT_TLP
from leadapron.report.view import View, build_view


def shown(view: View, language: str = "en", tlp: str = DEFAULT_TLP, **options: object) -> str:
    stream = io.StringIO()
    show(view, Console(file=stream, _environ={}, **options), language, tlp=tlp)  # type: ignore[arg-type]
    return stream.getvalue()


def in_terminal(view: View, language: str = "en", **options: object) -> str:
    defaults: dict[str, object] = {"force_terminal": True, "width": 80, "color_system": None}
    return shown(view, language, **defaults | options)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [60, 80, 132])
def test_it_fits_the_terminal(viewed: Callable[..., View], width: int, language: str) -> None:
    long = "2001:db8:1234:5678:9abc:def0:1234:5678"
    services = [
        exposed(long, 11112, name="a" * 120 + ".example", product=Product(candidates=("x" * 60, "y" * 60))),
        seen(long, 104, resource="SIXTEENCHARSLONG"),
    ]
    view = viewed(services, status=RunStatus.STOPPED, why="w" * 200)
    for line in in_terminal(view, language, width=width).splitlines():
        assert cell_len(line) <= width


def test_a_terminal_shows_everything(view: View) -> None:
    text = in_terminal(view)
    for expected in ("4 of 9 imaging servers", "Critical", "198.18.0.12:4242", "LA-15", "198.18.0.21:11112", "≥ 8,412"):
        assert expected in text
    assert "\x1b" not in text


def test_colour_is_for_terminals_that_want_it(view: View) -> None:
    assert "\x1b[" in in_terminal(view, color_system="standard")
    plain = io.StringIO()
    show(view, Console(file=plain, force_terminal=True, width=80, _environ={"NO_COLOR": "1", "TERM": "xterm"}))
    assert "\x1b[3" not in plain.getvalue()
    assert "\x1b[4" not in plain.getvalue()


def test_a_pipe_gets_plain_lines_that_are_never_wrapped(view: View) -> None:
    lines = shown(view, width=20).splitlines()
    (row,) = [line for line in lines if "198.18.0.12:4242" in line]
    assert row.startswith("Critical  198.18.0.12:4242")
    assert row.endswith("list; offered: fetch, store  3,890 studies, 412,730 images")
    assert all(line == line.rstrip() for line in lines)
    assert not set("─│┃━┏") & set("".join(lines))


def test_a_run_that_is_not_complete_says_so(viewed: Callable[..., View]) -> None:
    view = viewed([], status=RunStatus.INCOMPLETE)
    assert "unknown, not safe" in " ".join(in_terminal(view).split())
    assert "unknown, not safe" in shown(view)


def test_what_is_closed_or_gone_is_shown() -> None:
    view = build_view(RUN, [], history(), [])
    for text in (in_terminal(view, width=120), shown(view)):
        assert "Closed, moved or no longer seen" in text
        (gone,) = [line.rstrip() for line in text.splitlines() if "198.18.0.90:104" in line]
        assert gone.startswith("LA-11")
        assert re.split("  +", gone)[-3:] == ["198.18.0.90:104", "not observed this time", "2026-10-24"]
        assert "moved to 198.18.0.20:11112" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_marking_is_one_line(view: View, language: str) -> None:
    marking = messages(language)("show.tlp", tlp="TLP:AMBER+STRICT")
    assert marking in shown(view, language).splitlines()
    assert marking in map(str.rstrip, in_terminal(view, language).splitlines())
    assert "TLP:RED" in shown(view, language, tlp="red")


def test_the_hint_names_the_store_where_it_is_another(view: View) -> None:
    stream = io.StringIO()
    show(view, Console(file=stream, force_terminal=True, width=120, _environ={}), store="sqlite:///demo.db")
    assert f"leadapron report {view.run.id} -o report.html --store sqlite:///demo.db" in stream.getvalue()
    assert f"leadapron report {view.run.id} -o report.html" in in_terminal(view)
    assert "--store" not in in_terminal(view)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_decided_is_listed(language: str) -> None:
    observations = [exposed("198.18.0.1")]
    findings = findings_of(observations)
    key, t = findings[0].key, messages(language)
    view = build_view(RUN, observations, findings, [], {key: decision(key)})

    (line,) = [line for line in shown(view, language).splitlines() if key in line]
    assert line.split()[:2] == [findings[0].control, "198.18.0.1:104"]
    assert t("disposition.accepted") in line
    assert " ".join(in_terminal(view, language, width=120).split()).count(t("show.decisions")) == 1
    assert t("show.decisions") not in shown(build_view(RUN, observations, findings, []), language)
