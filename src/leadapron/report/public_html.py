"""The publication for people: a page in the shell of the report, without script or external request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from leadapron.assess.catalogue import catalogue
from leadapron.model import RunStatus
from leadapron.report import method, words
from leadapron.report.html import render_page
from leadapron.report.inert import plain
from leadapron.report.messages import Messages, messages
from leadapron.report.public import CLEAR, TLS, Cell, Public, Sum, Table, Unseen
from leadapron.report.suppression import Hidden, Number
from leadapron.report.tlp import PUBLIC_TLP


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A table as it stands on the page. `rows` None: withheld; each row is its name, what is said under it, and numbers."""

    id: str
    heading: str
    caption: str
    column: str
    numbers: tuple[str, ...]
    rows: Sequence[tuple[str, str, Sequence[str]]] | None


def render_public_html(public: Public, language: str = "en", tlp: str = PUBLIC_TLP) -> str:
    """Raises `InputError` for an unknown language or marking."""
    t = messages(language)
    day = words.date(t, dt.datetime.combine(public.day, dt.time(), dt.UTC))
    return render_page(
        "public.html",
        t,
        tlp,
        public=public,
        day=day,
        sentence=_sentence(public, t),
        status="" if public.status is RunStatus.COMPLETE else t(f"status.{public.status.value}"),
        figures=list(_figures(public, t)),
        tables=list(_tables(public, t)),
        rows=list(_rows(public, t, day)),
        withheld=t("public.withheld"),
    )


def _number(t: Messages, number: Number) -> str:
    if isinstance(number, Hidden):
        return t("public.withheld") if number is Hidden.WITHHELD else number.value
    return t.number(number)


def _sum(t: Messages, count: Sum) -> str:
    return _number(t, count) if isinstance(count, Hidden) else words.short_number(t, count)


# -- the beginning -------------------------------------------------------------------------------------------------


def _sentence(public: Public, t: Messages) -> str:
    said = _said(public, t)
    return t("sentence.blind_midway", said=said) if public.status is RunStatus.BLIND else said


def _said(public: Public, t: Messages) -> str:
    totals, anyone = public.totals, t(f"anyone.{public.vantage.value}")
    exposed, servers = totals.exposed_servers, totals.servers
    if exposed == 0:
        if isinstance(servers, Hidden):
            return t("public.none_of_few", anyone=anyone)
        return t("public.none", servers=t.number(servers), anyone=anyone) if servers else t("public.no_server")
    if isinstance(exposed, Hidden):
        return t("public.few", anyone=anyone)
    said = {"exposed": t.number(exposed), "servers": _number(t, servers)}
    return t("sentence.exposed.other", **said, anyone=anyone, what=_what(public, t))


def _what(public: Public, t: Messages) -> str:
    studies, images = (
        "" if isinstance(count, Hidden) else words.counted(t, name, count)
        for name, count in (("studies", _best(public, "studies")), ("images", _best(public, "images")))
    )
    return (
        t("sentence.with", first=studies, second=images)
        if studies and images
        else studies or images or t("public.what")
    )


def _best(public: Public, name: str) -> Sum:
    """Each once, where that is known."""
    unique: Sum = getattr(public.totals.unique, name)
    listed: Sum = getattr(public.totals.listed, name)
    return listed if unique is None else unique


def _figures(public: Public, t: Messages) -> Iterator[tuple[str, str, str]]:
    """Name, number, and what it is a part of."""
    totals = public.totals
    yield (
        t("report.exposed_servers"),
        _number(t, totals.exposed_servers),
        t("report.exposed_servers_of", servers=_number(t, totals.servers)),
    )
    for name, text in (("studies", t("report.studies")), ("images", t("report.images"))):
        count: Sum = _best(public, name)
        listed: Sum = getattr(totals.listed, name)
        differs = isinstance(listed, Hidden) or listed != count
        yield text, _sum(t, count), t("report.listed_in_all", count=_sum(t, listed)) if differs else ""
    yield t("public.genuine_studies"), _sum(t, totals.genuine.studies), ""
    yield t("public.genuine_images"), _sum(t, totals.genuine.images), ""
    yield (
        t("public.reached"),
        _number(t, totals.endpoints_reached),
        t("public.reached_of", tried=_number(t, totals.endpoints_tried)),
    )


# -- tables --------------------------------------------------------------------------------------------------------


def _tables(public: Public, t: Messages) -> Iterator[Shown]:
    unknown = t("report.country_unknown")
    named = {CLEAR: t("public.clear"), TLS: "TLS"}
    yield _table(t, "country", public.country, lambda name: (name or unknown, ""), with_images=True)
    yield _table(t, "product", public.product, lambda name: (name or unknown, ""))
    yield _table(t, "encryption", public.encryption, lambda name: (named.get(name, unknown), ""))
    yield _table(t, "severity", public.severity, lambda name: (t(f"severity.{name}"), ""))
    yield _table(t, "control", public.control, lambda name: _control(t, name))
    yield Shown(
        id="unknown",
        heading=t("report.unknowns"),
        caption=t("report.unknowns_caption"),
        column=t("report.column_reason"),
        numbers=(t("report.column_count"),),
        rows=None if public.unknowns is None else [_unseen(t, row) for row in public.unknowns],
    )


_TEXTS = {
    "country": ("public.country", "public.country_caption", "report.column_country"),
    "product": ("public.product", "public.product_caption", "report.column_product"),
    "encryption": ("public.encryption", "public.encryption_caption", "report.encryption"),
    "severity": ("public.severity", "public.severity_caption", "report.column_severity"),
    "control": ("public.control", "public.control_caption", "report.column_finding"),
}

Named = Callable[[str], tuple[str, str]]


def _table(t: Messages, name: str, table: Table, named: Named, *, with_images: bool = False) -> Shown:
    heading, caption, column = map(t, _TEXTS[name])
    numbers = (t("report.column_services"), t("report.column_images"))
    return Shown(
        id=name,
        heading=heading,
        caption=caption,
        column=column,
        numbers=numbers if with_images else numbers[:1],
        rows=None if table is None else list(_cells(t, table, named, with_images=with_images)),
    )


def _cells(
    t: Messages, table: Iterable[Cell], named: Named, *, with_images: bool
) -> Iterator[tuple[str, str, Sequence[str]]]:
    for cell in table:
        numbers = [_number(t, cell.services), *([_sum(t, cell.images)] if with_images else [])]
        name, about = named(cell.name)
        yield plain(name), plain(about), numbers


def _control(t: Messages, control: str) -> tuple[str, str]:
    known = catalogue().get(control)
    return (control, "") if known is None else (known.text(t.language).title, control)


def _unseen(t: Messages, row: Unseen) -> tuple[str, str, Sequence[str]]:
    return t(f"reason.{row.reason.value}"), "", [_number(t, row.endpoints)]


# -- the end -------------------------------------------------------------------------------------------------------


def _rows(public: Public, t: Messages, day: str) -> Iterator[tuple[str, str]]:
    """How it was counted."""
    yield t("public.day"), day
    yield t("report.vantage"), t(f"vantage.{public.vantage.value}")
    yield t("report.run"), t(f"run_status.{public.status.value}")
    yield t("report.ports"), method.ports(t, public.ports)
    if public.country_source:
        yield t("report.source_country"), plain(public.country_source)
    yield t("public.small"), t("public.small_text")
    yield t("report.data"), t("report.data_text")
    yield t("report.version"), plain(f"leadapron {public.version}")
