"""The note that announces an audit to those who will see it: plain text that pastes into a mail, or the same as JSON."""

from __future__ import annotations

import datetime as dt
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources

from leadapron.model import Depth
from leadapron.protocols.dicom.census import SAMPLE
from leadapron.report import words
from leadapron.report.messages import Messages, messages
from leadapron.scope.buckets import Bucket, Store
from leadapron.scope.doors import doors
from leadapron.scope.grant import Grant, Scope, Snapshot, Zone
from leadapron.settings import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

WIDTH = 76
"""Columns: a mail program that quotes the note does not break its lines."""

Section = tuple[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What a scope does not say of us: the addresses that we come from, and whom to call. Empty: to be filled in."""

    addresses: tuple[str, ...] = ()
    phone: str = ""


def announcement(scope: Scope, sender: Sender, language: str) -> str:
    """Raises InputError for a language without texts."""
    t = texts(language)
    first, last = _days(scope.grants)
    lines = [*_wrapped(t("subject", first=_day(t, first), last=_day(t, last))), "", *_wrapped(t("intro"))]
    for heading, entries in _sections(t, scope, sender):
        lines += ["", heading.upper(), ""]
        for entry in entries:
            lines += _item(entry)
    return "\n".join([*lines, "", *_wrapped(t("scope", scope=scope.id, sha256=scope.sha256)), ""])


def texts(language: str) -> Messages:
    """Those of reports, and the note's own before them. Raises InputError."""
    known = messages(language)
    file = resources.files("leadapron.report") / "messages" / "announce" / f"{language}.toml"
    return Messages(language, {**known.texts, **tomllib.loads(file.read_text("utf-8"))})


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """A word that is longer than a line, an address, stays whole."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _item(entry: str) -> list[str]:
    """An entry that begins with a tab belongs to the one before it."""
    return _wrapped(entry.lstrip("\t"), *(("    ", "      ") if entry.startswith("\t") else ("- ", "  ")))


def _sections(t: Messages, scope: Scope, sender: Sender) -> Iterator[Section]:
    yield t("who"), _who(t, scope, sender)
    yield t("what"), _what(t, scope)
    yield t("sees"), list(_sees(t, scope))
    yield t("gentle"), _gentle(t, scope)
    first, last = _days(scope.grants)
    yield t("when"), [t("days", first=_day(t, first), last=_day(t, last))]
    yield t("wrong"), [t("stop"), t("exclude"), t("ask")]


def _who(t: Messages, scope: Scope, sender: Sender) -> list[str]:
    vantage, name = scope.vantage, scope.vantage.name
    lines = [
        t("contact", name=scope.contact.name, email=scope.contact.email),
        t("phone", phone=sender.phone or t("fill_in")),
        t("vantage", name=name, kind=t(f"vantage.{vantage.kind.value}")),
        t("addresses", addresses=", ".join(sender.addresses) or t("fill_in")),
        t("calling", title=scope.contact.calling_aet),
        t("implementation", uid=IMPLEMENTATION_CLASS_UID),
        t("version", version=IMPLEMENTATION_VERSION_NAME),
    ]
    if (ours := scope.listener) is not None:
        lines.append(t("listener", name=name, listener=f"{ours.host}, TCP {', '.join(map(str, ours.ports))}"))
    return lines


def _what(t: Messages, scope: Scope) -> list[str]:
    lines: list[str] = []
    for grant in scope.grants:
        lines += _grant(t, grant)
    named = (f"{doors()[name].title} {_listed(ports)}" for name, ports in scope.ports.by_door.items())
    lines.append(t("ports", ports="; ".join(named)))
    excluded = _excluded(scope)
    if excluded or not scope.exclusions:
        lines.append(t("excluded", networks=", ".join(excluded)) if excluded else t("excluded_none"))
    return [*lines, t("excluded_asked", count=t.number(len(scope.exclusions)))] if scope.exclusions else lines


def _grant(t: Messages, grant: Grant) -> Iterator[str]:
    key = "owner_party" if grant.party else "owner"
    yield t(key, grant=grant.id, owner=grant.owner, party=grant.party)
    key = "granted" if grant.reference else "granted_plain"
    yield "\t" + t(key, by=grant.granted_by, reference=grant.reference)
    yield "\t" + t("valid", first=_day(t, grant.valid_from), last=_day(t, grant.valid_until))
    if grant.snapshot is not None:
        yield "\t" + networks_of(t, grant, grant.snapshot)
    elif grant.networks:
        yield "\t" + t("networks", networks=_listed(grant.networks))
    if grant.names:
        yield "\t" + t("names", names=", ".join(grant.names))
    if grant.buckets:
        yield "\t" + t("buckets", buckets=", ".join(_bucket(bucket) for bucket in grant.buckets))
    yield "\t" + t("depth", depth=_name(grant.depth))


def networks_of(t: Messages, grant: Grant, snapshot: Snapshot) -> str:
    """Whose networks a grant took from a file, and which file that is."""
    return t(
        "snapshot",
        what=", ".join(grant.taken),
        file=snapshot.file,
        title=snapshot.title,
        date=_day(t, snapshot.date),
        networks=t.number(snapshot.networks),
        addresses=t.number(snapshot.addresses4),
        sha256=snapshot.sha256,
    )


def _sees(t: Messages, scope: Scope) -> Iterator[str]:
    """As far as the deepest grant goes."""
    deepest = max(grant.depth for grant in scope.grants)
    for depth in Depth:
        if depth <= deepest:
            yield t(f"depth_{_name(depth)}", sample=t.number(SAMPLE))
    if deepest >= Depth.TALK:
        budget = asdict(scope.budget)
        yield t("budget", **{name: t.number(value) for name, value in budget.items()})
        yield t("tls")
    for key, grants in (
        ("titles", [grant.id for grant in scope.grants if grant.well_known_titles]),
        ("cleartext", [grant.id for grant in scope.grants if grant.cleartext_census and grant.depth >= Depth.CENSUS]),
        ("blank", [grant.id for grant in scope.grants if grant.blank_login]),
        ("callers", [grant.id for grant in scope.grants if grant.calling_aets]),
        ("certificate", [grant.id for grant in scope.grants if grant.key_pair is not None]),
    ):
        if grants:
            yield t(key, grants=", ".join(grants))
    yield t("never")


def _gentle(t: Messages, scope: Scope) -> list[str]:
    pace = scope.pace
    overall, network = t.number(pace.connections_per_second), t.number(pace.per_network)
    return [t("pace", overall=overall, network=network), t("backoff"), *(_zone(t, zone) for zone in scope.zones)]


def _zone(t: Messages, zone: Zone) -> str:
    rules = [t("zone_depth", depth=_name(zone.max_depth))] if zone.max_depth is not None else []
    rules += [t("zone_window", window=str(zone.window))] if zone.window else []
    rules += [t("zone_gap", seconds=t.number(zone.gap_seconds))] if zone.gap_seconds else []
    return t("zone", zone=zone.name, networks=_listed(zone.networks), rules="; ".join(rules) or t("zone_none"))


def as_json(scope: Scope, sender: Sender) -> dict[str, object]:
    """The same facts, without sentences. Days as ISO 8601, both included, UTC."""
    first, last = _days(scope.grants)
    return {
        "scope": {"id": scope.id, "sha256": scope.sha256},
        "contact": {"name": scope.contact.name, "email": scope.contact.email, "phone": sender.phone},
        "vantage": {"kind": scope.vantage.kind.value, "name": scope.vantage.name, "addresses": list(sender.addresses)},
        "dicom": {
            "calling_aet": scope.contact.calling_aet,
            "implementation_class_uid": IMPLEMENTATION_CLASS_UID,
            "implementation_version_name": IMPLEMENTATION_VERSION_NAME,
        },
        "valid": {"first": str(first), "last": str(last)},
        "grants": [_grant_json(grant) for grant in scope.grants],
        "ports": {name: list(ports) for name, ports in scope.ports.by_door.items()},
        "excluded": _excluded(scope),
        "excluded_on_request": len(scope.exclusions),
        "zones": [_zone_json(zone) for zone in scope.zones],
        "pace": asdict(scope.pace),
        "budget": asdict(scope.budget),
        "infrastructure": [
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in scope.infrastructure
        ],
    }


def _bucket(bucket: Bucket) -> str:
    """With the place where it is asked, which the URL of a web folder holds."""
    return str(bucket) if bucket.store is Store.WEB else f"{bucket} ({bucket.origin})"


def _grant_json(grant: Grant) -> dict[str, object]:
    return {
        "id": grant.id,
        "owner": grant.owner,
        "party": grant.party,
        "granted_by": grant.granted_by,
        "reference": grant.reference,
        "valid": {"first": str(grant.valid_from), "last": str(grant.valid_until)},
        "networks": [] if grant.snapshot is not None else [str(network) for network in grant.networks],
        "countries": list(grant.countries),
        "as_numbers": list(grant.as_numbers),
        "snapshot": None if grant.snapshot is None else asdict(grant.snapshot) | {"date": str(grant.snapshot.date)},
        "names": list(grant.names),
        "buckets": [_bucket(bucket) for bucket in grant.buckets],
        "depth": _name(grant.depth),
        "well_known_titles": grant.well_known_titles,
        "cleartext_census": grant.cleartext_census,
        "blank_login": grant.blank_login,
        "calling_aets": list(grant.calling_aets),
        "client_certificate": grant.key_pair is not None,
    }


def _zone_json(zone: Zone) -> dict[str, object]:
    return {
        "name": zone.name,
        "networks": [str(network) for network in zone.networks],
        "max_depth": _name(zone.max_depth) if zone.max_depth is not None else None,
        "window": str(zone.window) if zone.window else None,
        "gap_seconds": zone.gap_seconds,
    }


def _excluded(scope: Scope) -> list[str]:
    return list(dict.fromkeys(str(network) for grant in scope.grants for network in grant.exclude))


def _days(grants: Sequence[Grant]) -> tuple[dt.date, dt.date]:
    return min(grant.valid_from for grant in grants), max(grant.valid_until for grant in grants)


def _day(t: Messages, day: dt.date) -> str:
    return words.date(t, dt.datetime.combine(day, dt.time(), dt.UTC))


def _name(depth: Depth) -> str:
    return depth.name.lower()


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))
