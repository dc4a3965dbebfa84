"""How numbers, verdicts and reasons are said to people, in the language of `Messages`. Every string is `plain`."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence

from leadapron.assess import remedies
from leadapron.assess.catalogue import Mappings, Text, catalogue
from leadapron.model import (
    CERTIFIED_BY,
    Access,
    Count,
    CountKind,
    Finding,
    Moved,
    Observation,
    Product,
    Run,
    RunStatus,
    Service,
    Verdict,
)
from leadapron.protocols.files.attributes import GROUPS, groups
from leadapron.report import stored
from leadapron.report.inert import plain
from leadapron.report.messages import Messages
from leadapron.report.view import ACTIVE, Decision, UnknownView, View
from leadapron.report.worldmap import Mark
from leadapron.scope.doors import doors

ACCESSES = ("list", "read", "write")
"""What a director asks about; `reach` and `talk` are true of everything that a report shows."""

_MAPPING_NAMES = {
    "nist_csf": "NIST CSF 2.0",
    "hipaa": "HIPAA 45 CFR",
    "gdpr": "GDPR",
    "nis2": "NIS2",
    "iso_27002": "ISO/IEC 27002:2022",
}


def counted(t: Messages, name: str, count: Count | None) -> str:
    """`4,210 studies`. Empty where nothing is known, also where all that is known is "at least none"."""
    if count is None or (count.kind is CountKind.BOUND and not count.low and count.high is None):
        return ""
    return t.plural(f"counted.{name}", count.value, count=number(t, count))


def number(t: Messages, count: Count | None) -> str:
    """`12,345`, `at least 12,345`, `100 to 200`, `about 12,000`, or a dash where it is not known."""
    if count is None:
        return t("number.unknown")
    if count.kind is CountKind.EXACT:
        return t.number(count.value)
    if count.kind is CountKind.ESTIMATE:
        return t("number.about", value=t.number(count.value))
    if count.high is None:
        return t("number.at_least", low=t.number(count.low))
    return t("number.between", low=t.number(count.low), high=t.number(count.high))


def short_number(t: Messages, count: Count | None) -> str:
    """For a narrow column: `12,345`, `≥ 12,345`, `100–200`, `≈ 12,000`, or a dash."""
    if count is None:
        return t("number.unknown")
    if count.kind is CountKind.EXACT:
        return t.number(count.value)
    if count.kind is CountKind.ESTIMATE:
        return f"≈ {t.number(count.value)}"
    return f"≥ {t.number(count.low)}" if count.high is None else f"{t.number(count.low)}–{t.number(count.high)}"


def provenance(t: Messages, count: Count) -> str:
    """How a count is known: `exact, counted by us`."""
    kind = t(f"kind.{count.kind.value}")
    if count.kind is CountKind.BOUND and count.high is not None:
        kind = t("kind.bounds")
    if count.kind is CountKind.ESTIMATE and count.high is not None:
        kind = t("kind.estimate_interval", low=t.number(count.low), high=t.number(count.high))
    return t("kind.with_source", kind=kind, source=t(f"source.{count.source.value}"))


def figure_notes(t: Messages, listed: Count | None, shown: Count | None, genuine: Count | None) -> list[str]:
    """Below a key number: how it is known, what all servers list together where that is more, and what is of patients."""
    notes = [provenance(t, shown)] if shown is not None else []
    if listed is not None and shown is not None and listed.low > shown.low:
        notes.append(t("report.listed_in_all", count=short_number(t, listed)))
    return [*notes, t("report.genuine", count=short_number(t, genuine))] if genuine is not None else notes


def genuine_images(view: View) -> Count | None:
    """Those of patients, each once where that is known."""
    unique, totals = view.totals.unique, view.totals
    return totals.genuine_images if unique is None or totals.genuine_images is None else unique.genuine_images


def by_country(t: Messages, view: View) -> list[str]:
    """Sentences: how many services in how many countries, and how their images are spread."""
    totals, unknown_country = view.totals, view.totals.countries.get("")
    known = len(totals.countries) - (unknown_country is not None)
    services, images = t.number(totals.exposed_services), counted(t, "images", totals.images)
    lines = [t.plural("report.countries_sum", known, services=services, countries=t.number(known))]
    if images:
        lines.append(t("report.countries_images", images=images))
    if spread := totals.concentration:
        median = counted(t, "images", spread.median) or number(t, spread.median)
        half, of = t.number(spread.half), t.number(spread.services)
        lines.append(t("report.concentration", half=half, services=of, median=median))
    return lines


def map_country(t: Messages, mark: Mark) -> str:
    """`DE: 7 exposed services`."""
    return t.plural("report.map_country", mark.services, country=mark.code, count=t.number(mark.services))


def levels(least: Sequence[int]) -> list[str]:
    """`1–3`, `4–15`, … of the least number of each level; the last one has no end."""
    ranges = [f"{low}–{high - 1}" for low, high in itertools.pairwise(least)]
    return [*ranges, f"≥ {least[-1]}"]


def shared(t: Messages, observation: Observation) -> list[str]:
    """What of it others show too, and what of it is ours."""
    facts, lines = observation.facts, list[str]()
    for name in ("studies_elsewhere", "own_studies", "sign.own"):
        if count := facts.get(name):
            lines.append(t.plural(f"shared.{name}", int(count), count=t.number(int(count))))
    return lines


def in_turn(t: Messages, observation: Observation) -> str:
    """In three words, that several servers answer there, or one in several ways; else ""."""
    return t("back_ends.short") if back_ends(t, observation) else ""


def back_ends(t: Messages, observation: Observation) -> str:
    """The same in a sentence."""
    if count := observation.facts.get("implementations"):
        return t("back_ends.implementations", count=t.number(int(count)))
    return t("back_ends.differ") if observation.facts.get("answers_differ") else ""


def when(t: Messages, time: dt.datetime | None) -> str:
    """`23 November 2026, 17:52 UTC`."""
    if time is None:
        return t("time.never")
    utc = time.astimezone(dt.UTC)
    return f"{date(t, utc)}, {utc:%H:%M} UTC"


def date(t: Messages, time: dt.datetime) -> str:
    utc = time.astimezone(dt.UTC)
    return t("time.date", day=str(utc.day), month=t(f"month.{utc.month}"), year=str(utc.year))


def where(service: Service) -> str:
    """`192.0.2.10:104`, IPv6 in brackets."""
    return plain(str(service.endpoint))


DICOM = "dicom"


def title(t: Messages, observation: Observation) -> str:
    """The called AE title that works; "any title" where the server does not check. Of another door its name, and the share,
    path or bucket."""
    door = doors().get(observation.service.protocol)
    if door is not None and door.name != DICOM:
        named = plain(f"{door.title} {observation.service.resource.removesuffix(CERTIFIED_BY)}".strip())
    elif observation.facts.get("called_title_enforced") is False:
        named = t("report.title_any")
    else:
        named = plain(observation.service.resource.removesuffix(CERTIFIED_BY)) or t("number.unknown")
    return t("report.title_certified", title=named) if observation.certified else named


def door(protocol: str) -> str:
    """As people write it."""
    known = doors().get(protocol)
    return plain(protocol) if known is None else known.title


def by_door(t: Messages, view: View) -> str:
    """`By door: DICOM 3 of 12 open, FTP 1 of 1 open`; "" where servers answered by one only."""
    parts = [
        t("show.door", door=door(name), open=t.number(part.exposed_servers), servers=t.number(part.servers))
        for name, part in view.totals.doors.items()
    ]
    return t("show.doors", parts=", ".join(parts)) if len(parts) > 1 else ""


def product(t: Messages, item: Product) -> str:
    """Name and version; several names where they tie; else the toolkit; else a dash."""
    if item.name:
        return plain(f"{item.name} {item.version}".strip())
    if item.candidates:
        *first, last = map(plain, item.candidates)
        return t("product.one_of", first=", ".join(first), last=last) if first else last
    return t("product.toolkit", toolkit=plain(item.toolkit)) if item.toolkit else t("number.unknown")


_VERSIONS = {
    "ssl_3_0": "SSL 3.0",
    "tls_1_0": "TLS 1.0",
    "tls_1_1": "TLS 1.1",
    "tls_1_2": "TLS 1.2",
    "tls_1_3": "TLS 1.3",
}


def encryption(t: Messages, observation: Observation) -> str:
    """`TLS 1.2, TLS 1.3; certificate: 364 days left; no client certificate demanded`, or that there is none. Empty where
    it is not known."""
    facts, tls = observation.facts, observation.tls
    if tls is None:
        where_else = "encryption.beside" if facts.get("tls.beside") else "encryption.none"
        return t(where_else) if facts.get("clear") else ""
    versions = ", ".join(text for name, text in _VERSIONS.items() if tls.get(f"version.{name}"))
    parts = [versions or t("encryption.tls")]
    if isinstance(days := tls.get("days_left"), int):
        parts.append(t("encryption.days", days=t.number(days)) if days >= 0 else t("encryption.expired"))
    if (demanded := tls.get("client_certificate_demanded")) is not None:
        parts.append(t("encryption.demanded" if demanded else "encryption.not_demanded"))
    return "; ".join(parts)


def capabilities(t: Messages, access: Access) -> tuple[str, str]:
    """What anyone can do, proven, and what is offered: `list`, `offered: fetch, store`. Either may be empty."""

    def named(wanted: Verdict) -> str:
        return ", ".join(t(f"can.{name}") for name in ACCESSES if getattr(access, name) is wanted)

    offered = named(Verdict.OFFERED)
    return named(Verdict.PROVEN), t("can.offered", what=offered) if offered else ""


def accesses(t: Messages, access: Access) -> list[tuple[str, Verdict, str]]:
    """Name, verdict and what it means, for the accesses that matter."""
    return [
        (t(f"access.{name}"), verdict, t(f"verdict.{name}.{verdict.value}"))
        for name in ACCESSES
        for verdict in (getattr(access, name),)
    ]


def contexts(t: Messages, observation: Observation) -> list[str]:
    """The presentation contexts that were accepted, by the names and in the order of the catalogue of texts."""
    accepted = {fact for fact, value in observation.facts.items() if fact.startswith("context.") and value is True}
    known = [key for key in t.texts if key in accepted]
    return [t(key) for key in known] + [
        plain(key.removeprefix("context.")) for key in sorted(accepted.difference(known))
    ]


def census(t: Messages, observation: Observation) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """What a census found, by group: its name, how many records have any of it at least, and (keyword, records), most
    first. Groups of which nothing is populated are left out."""
    taken = observation.census
    found: dict[str, list[tuple[str, int]]] = {group: [] for group in GROUPS}
    for keyword, count in sorted((taken.present if taken else {}).items(), key=lambda one: (-one[1], one[0])):
        found.setdefault(groups().get(keyword, "institution"), []).append((plain(keyword), count))
    return [(t(f"census.{group}"), rows[0][1], rows) for group, rows in found.items() if rows]


def genuineness(t: Messages, observation: Observation) -> tuple[str, str]:
    """Whose records a service shows, and by which signals; "" for what is not known."""
    judged = observation.genuineness
    if judged is None:
        return "", ""
    spoke = ", ".join(_named(t, "signal", signal) for signal in judged.signals)
    return _named(t, "genuineness", judged.verdict), t("genuineness.because", signals=spoke) if spoke else ""


def _named(t: Messages, family: str, name: str) -> str:
    """The text for a name of a set that grows; the name itself where there is none yet."""
    key = f"{family}.{name}"
    return t(key) if key in t.texts else plain(name)


def nobodys(t: Messages, observation: Observation) -> str:
    """In two words whose records these are, where they are not those of patients; else ""."""
    verdict = observation.genuineness.verdict if observation.genuineness is not None else ""
    key = f"genuineness_short.{verdict}"
    return t(key) if key in t.texts else ""


def evidence(t: Messages, finding: Finding) -> list[tuple[str, str]]:
    """Pairs of what and how much."""
    return [(_fact(t, key), _value(t, value)) for key, value in finding.evidence.items()]


def _fact(t: Messages, key: str) -> str:
    return t(f"evidence.{key}") if f"evidence.{key}" in t else plain(key)


def _value(t: Messages, value: int | bool | str) -> str:
    if isinstance(value, bool):
        return t("value.yes") if value else t("value.no")
    return t.number(value) if isinstance(value, int) else plain(value)


def control_text(t: Messages, finding: Finding) -> Text:
    """Of the catalogue, in the report's language; for a control that this version does not know, the finding's own."""
    control = catalogue().get(finding.control)
    if control is None:
        return Text(title=finding.title, checked="", remedy=finding.remedy)
    return control.text(t.language)


def product_steps(t: Messages, view: View, control: str) -> list[str]:
    """The exact steps for the products behind the findings of a control, each once, those of the worst service first."""
    products = [
        item.observation.product
        for item in view.services
        if any(finding.control == control for finding in item.findings)
    ]
    steps = (step for product in products for step in remedies.product_steps(control, product, t.language))
    return list(dict.fromkeys(steps))


def standing(t: Messages, finding: Finding) -> str:
    """How a finding of `View.history` stands. One that stands as before was not looked at."""
    if finding.moved_to is not None:
        return _moved(t, "moved.to", finding.moved_to)
    return t("finding_status.not_looked_at" if finding.status in ACTIVE else f"finding_status.{finding.status.value}")


def moved_from(t: Messages, finding: Finding) -> str:
    """Empty where its service did not move."""
    return "" if finding.moved_from is None else _moved(t, "moved.from", finding.moved_from)


def _moved(t: Messages, key: str, moved: Moved) -> str:
    because = ", ".join(_named(t, "moved", each) for each in moved.because)
    return t(key, place=plain(str(moved.endpoint)), because=because)


def decision(t: Messages, decided: Decision) -> str:
    """`accepted until 31 January 2027`."""
    kind, until = t(f"disposition.{decided.disposition.kind.value}"), decided.disposition.until
    if until is None:
        return kind
    day = dt.datetime.combine(until, dt.time(), dt.UTC)
    return t("disposition.expired" if decided.is_expired else "disposition.until", kind=kind, date=date(t, day))


def mappings(control_id: str) -> list[tuple[str, str]]:
    """Frameworks and their clauses. Empty for a control that this version does not know."""
    control = catalogue().get(control_id)
    if control is None:
        return []
    clauses: Mappings = control.mappings
    return [(name, ", ".join(getattr(clauses, key))) for key, name in _MAPPING_NAMES.items() if getattr(clauses, key)]


def places(t: Messages, group: UnknownView, most: int) -> list[str]:
    """The first `most` of them, and how many more there are."""
    named = [stored.where(t, place) for place in group.places[:most]]
    rest = len(group.places) - most
    return [*named, t("report.places_more", count=t.number(rest))] if rest > 0 else named


def unknown(t: Messages, group: UnknownView) -> tuple[str, str]:
    """What happened, and what it means."""
    return t(f"stage.{group.stage.value}"), t(f"reason.{group.reason.value}")


def status(t: Messages, run: Run) -> str:
    """Empty for a complete run; else that it is not, and why."""
    if run.status is RunStatus.COMPLETE:
        return ""
    text = t(f"status.{run.status.value}")
    if not run.why:
        return text
    why = stored.why(t, run.why)
    return t("status.because", status=text, why=why if why.endswith("?") else f"{why}.")
