"""How ports were looked for, said in each format and language."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import re

import pytest
from report_estate import METHOD, RUN, exposed
from rich.console import Console

from leadapron.model import Delta, SeedFile, SweepFigures
from leadapron.report import method
from leadapron.report.html import render_html
from leadapron.report.json import render_json
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.terminal import show
from leadapron.report.view import View, build_view

EN, IT = messages("en"), messages("it")
QUIET = SweepFigures(method="syn", sent=4096, sent_bytes=245_760, seconds=3.1, cpu=0.8432, memory=90 << 20)
NOISY = dataclasses.replace(
    QUIET,
    duplicates=1,
    late=20_000,
    invalid=3,
    dropped=400,
    lost=17,
    not_sent={"denied": 256, "ENOBUFS": 4, "EPERM": 1},
    untold=1,
)


def swept(figures: SweepFigures | None) -> View:
    return build_view(dataclasses.replace(RUN, sweep=figures), [exposed("198.18.0.1")], [], [])


@pytest.mark.parametrize(
    ("figures", "sentences"),
    [
        (None, ["By connections."]),
        (SweepFigures(method=""), ["By connections."]),
        (
            SweepFigures(method="connect", sent=12_345),
            ["By connections of processes of their own, 12,345 of them."],
        ),
        (
            QUIET,
            [
                "By SYN packets, which open no connection: 4,096 packets, 245,760 bytes.",
                "0.8 seconds of processor time.",
            ],
        ),
        (
            NOISY,
            [
                "By SYN packets, which open no connection: 4,096 packets, 245,760 bytes.",
                "Of the answers, 1 came again, 20,000 too late, and 3 to no question.",
                (
                    "400 answers found no room in this machine. Who may have sent them was asked again; 17 endpoints stay"
                    " unknown."
                ),
                "256 packets were kept back, since the scope no longer allowed them.",
                "5 packets could not be sent (ENOBUFS, EPERM).",
                "0.8 seconds of processor time.",
                "One process was killed, or still sweeps: what it did is not counted here.",
            ],
        ),
        (
            SweepFigures(method="syn", untold=2),
            [
                "By SYN packets, which open no connection: 0 packets, 0 bytes.",
                "2 processes were killed, or still sweep: what they did is not counted here.",
            ],
        ),
    ],
)
def test_it_says_what_it_took_and_what_was_not_heard(figures: SweepFigures | None, sentences: list[str]) -> None:
    run = dataclasses.replace(RUN, sweep=figures)
    assert method.swept(EN, run) == sentences
    in_italian = method.swept(IT, run)
    assert len(in_italian) == len(sentences)
    assert not set(in_italian) & set(sentences)


def test_it_says_of_which_part_of_the_scope() -> None:
    files = (SeedFile(kind="zmap", sha256="0" * 64, pairs=1500), SeedFile(kind="list", sha256="1" * 64, pairs=3))
    seeded = dataclasses.replace(RUN, seeds=files)
    assert method.swept(EN, seeded) == [
        "Only what 2 files of other scanners name (list, zmap; 1,503 addresses and ports).",
        "By connections.",
    ]
    one = dataclasses.replace(RUN, seeds=files[:1], sweep=QUIET)
    assert method.swept(EN, one)[0] == "Only what a file of another scanner names (zmap; 1,500 addresses and ports)."
    share = dataclasses.replace(RUN, delta=Delta(since="20261128T093000Z-abcdef", part=2, parts=7))
    assert method.swept(EN, share)[0] == (
        "Share 3 of 7 of the space of run 20261128T093000Z-abcdef, and endpoints of findings again."
    )
    assert method.swept(IT, share)[0].startswith("Parte 3 di 7")


def test_a_sweep_by_packets_has_a_pace_of_its_own() -> None:
    assert "At most 500 connections a second." in method.pace(EN, METHOD)
    how = dataclasses.replace(METHOD, packets_per_second=50_000)
    assert method.pace(EN, how)[1:3] == ["At most 50,000 SYN packets a second.", method.pace(EN, METHOD)[1]]
    assert "Al massimo 50.000 pacchetti SYN al secondo." in method.pace(IT, how)


def of_page(view: View, language: str) -> str:
    """The row of the page that says it."""
    page = render_html(view, language)
    title = messages(language)("report.swept")
    found = re.search(rf"<dt>{title}</dt>\s*<dd[^>]*><span>(.*?)</span></dd>", page, re.DOTALL)
    return html.unescape(found[1]) if found else ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("figures", [None, QUIET, NOISY])
def test_it_stands_on_the_page_beside_the_pace(figures: SweepFigures | None, language: str) -> None:
    view = swept(figures)
    assert of_page(view, language) == " ".join(method.swept(messages(language), view.run))


def in_terminal(view: View, language: str, **options: object) -> str:
    console = Console(file=io.StringIO(), width=2000, **options)  # type: ignore[arg-type]
    show(view, console, language)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "no_color": True}], ids=["pipe", "terminal"])
def test_the_terminal_says_it_where_it_took_processes(language: str, options: dict[str, object]) -> None:
    t = messages(language)
    view = swept(NOISY)
    told = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(in_terminal(view, language, **options).split()))
    assert t("show.swept", how=" ".join(method.swept(t, view.run))) in told
    assert t("show.swept", how="") not in in_terminal(swept(None), language, **options)


def test_programs_have_each_figure() -> None:
    assert json.loads(render_json(swept(None)))["run"]["sweep"] is None
    assert json.loads(render_json(swept(NOISY)))["run"]["sweep"] == {
        "method": "syn",
        "sent": 4096,
        "sent_bytes": 245_760,
        "duplicates": 1,
        "late": 20_000,
        "invalid": 3,
        "dropped": 400,
        "lost": 17,
        "not_sent": {"ENOBUFS": 4, "EPERM": 1, "denied": 256},
        "cpu_seconds": 0.843,
        "memory_bytes": 90 << 20,
        "untold": 1,
    }
