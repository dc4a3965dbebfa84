"""What a survey publishes, for those whom it meets: a page, lines for the DNS and for whois, a description of its probes
(RFC 9511), and the networks that it leaves alone. Nothing of grants that are not wide: whose they are is nobody's business.
"""

from __future__ import annotations

import datetime as dt
import textwrap
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from urllib.parse import quote

from leadapron.errors import InputError
from leadapron.model import Address, Depth
from leadapron.report import announcement, words
from leadapron.report.announcement import WIDTH
from leadapron.report.html import render_sheet
from leadapron.report.messages import Messages
from leadapron.scope import parse
from leadapron.scope.doors import doors
from leadapron.scope.grant import Grant, Network, Scope, Survey
from leadapron.settings import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PAGE, TEXT, EXCLUSIONS = "index.html", "index.txt", "exclusions.txt"
FILES = (PAGE, TEXT, EXCLUSIONS, "reverse-dns.txt", "whois.txt", "probing.txt")

TTL = 3600
"""Seconds, of the records for the DNS."""
_SHOWN = 12
"""Networks of a grant that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What is published of a scope. `sources` are the addresses that the survey comes from, `day` that of writing (UTC)."""

    scope: Scope
    survey: Survey
    grants: tuple[Grant, ...]
    """the wide ones"""
    sources: tuple[Address, ...]
    domain: str
    """below which the addresses get their names"""
    day: dt.date

    @classmethod
    def of(cls, scope: Scope, sources: Sequence[Address], day: dt.date) -> Kit:
        """Raises InputError where the scope has nothing to publish, or not all that it takes."""
        if scope.survey is None:
            raise InputError(f"{scope.path}: has no table [survey]; add it, as docs/scope.md says")
        grants = tuple(grant for grant in scope.grants if grant.wide)
        if not grants:
            raise InputError(
                f"{scope.path}: no grant is wide; a kit is of a survey, and `leadapron announce` of an audit"
            )
        own = scope.sweep.source_address
        addresses = tuple(dict.fromkeys(sources)) or ((own,) if own is not None else ())
        if not addresses:
            raise InputError(f"{scope.path}: says no address that the survey comes from; name it with --source")
        domain = _domain(scope)
        return cls(scope=scope, survey=scope.survey, grants=grants, sources=addresses, domain=domain, day=day)

    @property
    def names(self) -> dict[Address, str]:
        return {address: f"survey-{number}.{self.domain}" for number, address in enumerate(self.sources, 1)}

    @property
    def last_day(self) -> dt.date:
        return max(grant.valid_until for grant in self.grants)

    @property
    def excluded(self) -> list[Network]:
        """In order, each once: what the wide grants leave out, and what was asked for."""
        networks = {network for grant in self.grants for network in grant.exclude}
        networks |= {exclusion.network for exclusion in self.scope.exclusions}
        return sorted(networks, key=lambda network: (network.version, int(network.network_address), network.prefixlen))


def kit_files(kit: Kit, language: str) -> dict[str, str]:
    """Text by the name of the file. Raises InputError for a language without texts."""
    t = texts(language)
    written = (_page(t, kit), _text(t, kit), _exclusions(kit), _dns(kit), _whois(kit), _probing(kit, language))
    return dict(zip(FILES, written, strict=True))


def texts(language: str) -> Messages:
    """Those of announcements, and the page's own before them. Raises InputError."""
    known = announcement.texts(language)
    file = resources.files("leadapron.report") / "messages" / "survey" / f"{language}.toml"
    return Messages(language, {**known.texts, **tomllib.loads(file.read_text("utf-8"))})


def _domain(scope: Scope) -> str:
    """That of the address to which people write."""
    assert scope.survey is not None
    try:
        return parse.host_name(scope.survey.opt_out.rpartition("@")[2])
    except parse.Mistake:
        raise InputError(
            f"{scope.path}: `opt_out` of [survey] has no domain; write it as optout@cert.example"
        ) from None


# -- the page ------------------------------------------------------------------------------------------------------

Section = tuple[str, list[str]]
"""A heading and what stands under it, a line each."""


def _page(t: Messages, kit: Kit) -> str:
    leave, *others = _sections(t, kit)
    subject = quote(t("leave_subject"))
    return render_sheet(
        "survey.html",
        "survey.css",
        t=t,
        kit=kit,
        day=_day(t, kit.day),
        paragraphs=_paragraphs(kit.survey.text),
        leave=leave,
        sections=others,
        mail=f"mailto:{quote(kit.survey.opt_out, safe='@')}?subject={subject}",
        files={"text": TEXT, "exclusions": EXCLUSIONS},
    )


def _text(t: Messages, kit: Kit) -> str:
    lines = [*_wrapped(t("title")), "", *_wrapped(t("lead", name=kit.scope.contact.name)), "", t("about").upper()]
    for paragraph in _paragraphs(kit.survey.text):
        lines += ["", *_wrapped(paragraph)]
    for heading, entries in _sections(t, kit):
        lines += ["", heading.upper(), ""]
        for entry in entries:
            lines += _wrapped(entry, "- ", "  ")
    return "\n".join([*lines, "", t("as_of", date=_day(t, kit.day)), *([kit.survey.url] if kit.survey.url else []), ""])


def _sections(t: Messages, kit: Kit) -> list[Section]:
    return [
        (t("leave"), _leave(t, kit)),
        (t("from"), list(_origin(t, kit))),
        (t("sent"), list(_sent(t, kit))),
        (t("speed"), list(_speed(t, kit.scope))),
        (t("basis"), list(_basis(t, kit))),
        (t("data"), [t("data_counts"), t("never")]),
        (t("questions"), [t("ask_whom", name=kit.scope.contact.name, email=kit.scope.contact.email), t("ask_log")]),
    ]


def _leave(t: Messages, kit: Kit) -> list[str]:
    count = len(kit.excluded)
    networks = t.plural("networks_counted", count, count=t.number(count))
    listed = t("leave_listed" if count else "leave_none", networks=networks, file=EXCLUSIONS)
    return [t("leave_how", opt_out=kit.survey.opt_out), t("leave_when"), t("leave_block"), listed]


def _origin(t: Messages, kit: Kit) -> Iterator[str]:
    for address, name in kit.names.items():
        yield t("from_address", address=str(address), name=name)
    if kit.scope.sweep.method != "connect":
        first, last = kit.scope.sweep.source_ports
        yield t("from_ports", first=str(first), last=str(last))
    contact = kit.scope.contact
    yield t("from_dicom", title=contact.calling_aet, uid=IMPLEMENTATION_CLASS_UID, version=IMPLEMENTATION_VERSION_NAME)
    if _deepest(kit) >= Depth.TALK:
        yield t("from_http", email=contact.email)


def _sent(t: Messages, kit: Kit) -> Iterator[str]:
    scope, deepest = kit.scope, _deepest(kit)
    titles = {doors()[name].title: ports for name, ports in scope.ports.by_door.items()}
    yield t("sent_ports", ports="; ".join(f"{title} {', '.join(map(str, ports))}" for title, ports in titles.items()))
    syn = t.plural("sent_syn", scope.sweep.probes, count=str(scope.sweep.probes))
    yield {"syn": syn, "connect": t("sent_connect"), "auto": t("sent_either", syn=syn)}[scope.sweep.method]
    if deepest >= Depth.TALK:
        yield t("sent_talk", doors=", ".join(titles))
    if deepest >= Depth.COUNT:
        yield t("sent_count")
        yield t("sent_budget", **{name: t.number(value) for name, value in asdict(scope.budget).items()})


def _speed(t: Messages, scope: Scope) -> Iterator[str]:
    sweep, pace = scope.sweep, scope.pace
    if sweep.method != "connect":
        yield t("speed_packets", packets=t.number(scope.packets_per_second))
        if sweep.bits_per_second is not None:
            yield t("speed_bits", bits=t.number(sweep.bits_per_second))
    yield t("speed_connections", overall=t.number(pace.connections_per_second))
    yield t("speed_network", network=t.number(pace.per_network))


def _basis(t: Messages, kit: Kit) -> Iterator[str]:
    for grant in kit.grants:
        key = (
            "basis_statutory" if grant.basis == "statutory" else "basis_reference" if grant.reference else "basis_plain"
        )
        basis = t(key, by=grant.granted_by, reference=grant.reference)
        yield t("basis_days", basis=basis, first=_day(t, grant.valid_from), last=_day(t, grant.valid_until))
        if grant.snapshot is not None:
            yield announcement.networks_of(t, grant, grant.snapshot)
        elif grant.networks:
            yield t("networks", networks=_first_of(t, grant.networks))


def _first_of(t: Messages, networks: Sequence[Network]) -> str:
    shown, rest = ", ".join(map(str, networks[:_SHOWN])), len(networks) - _SHOWN
    return t("more", shown=shown, count=t.number(rest)) if rest > 0 else shown


def _deepest(kit: Kit) -> Depth:
    return max(grant.depth for grant in kit.grants)


def _day(t: Messages, day: dt.date) -> str:
    return words.date(t, dt.datetime.combine(day, dt.time(), dt.UTC))


def _paragraphs(text: str) -> list[str]:
    """What stands between empty lines, each in one line."""
    blocks = "\n".join(line.strip() for line in text.splitlines()).split("\n\n")
    return [" ".join(block.split()) for block in blocks if block.strip()]


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


# -- what others read ----------------------------------------------------------------------------------------------


def _exclusions(kit: Kit) -> str:
    head = f"# Networks that this survey leaves alone, {kit.day} (UTC). Opt out: {kit.survey.opt_out}"
    return "\n".join([head, *map(str, kit.excluded), ""])


def _dns(kit: Kit) -> str:
    """Records in the form of a zone file (RFC 1035 section 5): names for the addresses, and back."""
    lines = ["; Reverse DNS: with the one who holds the addresses."]
    lines += [f"{address.reverse_pointer}. {TTL} IN PTR {name}." for address, name in kit.names.items()]
    lines += ["", f"; Forward DNS: in the zone {kit.domain}."]
    told = "; ".join(["internet survey", f"opt out: {kit.survey.opt_out}", *filter(None, [kit.survey.url])])
    for address, name in kit.names.items():
        lines.append(f"{name}. {TTL} IN {'A' if address.version == 4 else 'AAAA'} {address}")
        lines.append(f"{name}. {TTL} IN TXT {' '.join(map(_quoted, textwrap.wrap(told, 255, break_long_words=True)))}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _whois(kit: Kit) -> str:
    """Attributes of RPSL (RFC 2622) for the object of the addresses, in ASCII."""
    scope, survey = kit.scope, kit.survey
    lines = [
        *_attribute("descr", f"Internet survey of medical imaging servers, {scope.contact.name}"),
        *_attribute("remarks", f"These addresses are those of a survey: {', '.join(map(str, kit.sources))}"),
        *_attribute("remarks", "It looks for imaging servers that show patients' pictures to anyone."),
        *(_attribute("remarks", f"What it is: {survey.url}") if survey.url else []),
        *_attribute("remarks", f"To be left alone, write to: {survey.opt_out}"),
        *_attribute("remarks", f"Questions and complaints: {scope.contact.email}"),
        *_attribute("remarks", f"Authorised until: {kit.last_day} (UTC)"),
    ]
    return "\n".join([*lines, ""])


def _attribute(name: str, value: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    for part in textwrap.wrap(plain, WIDTH - 16, break_long_words=False, break_on_hyphens=False):
        yield f"{name + ':':16}{part}"


def _probing(kit: Kit, language: str) -> str:
    """RFC 9511 section 2.2, in the form of RFC 9116 section 4: it stands at /.well-known/probing.txt of each name."""
    end = kit.last_day + dt.timedelta(days=1)
    fields: Mapping[str, str] = {
        "Contact": f"mailto:{quote(kit.survey.opt_out, safe='@')}",
        "Expires": f"{end}T00:00:00Z",
        "Preferred-Languages": ", ".join(dict.fromkeys((language, "en"))),
        "Description": "Survey of medical imaging servers that are open to anyone"
        + (f"; {kit.survey.url}" if kit.survey.url else ""),
    }
    canonical = [f"Canonical: https://{name}/.well-known/probing.txt" for name in kit.names.values()]
    return "\n".join([*canonical, *(f"{name}: {value}" for name, value in fields.items()), ""])
