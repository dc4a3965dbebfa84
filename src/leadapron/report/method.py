"""What was looked for, how gently, and what the report cannot speak about, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from leadapron.model import DENIED, SNAPSHOT_OF, Method, Run, SweepFigures
from leadapron.report.inert import plain
from leadapron.report.messages import Messages
from leadapron.scope.doors import Door, doors

_PACE = (
    "connections_per_second",
    "packets_per_second",
    "per_network",
    "associations",
    "queries",
    "answers",
    "requests",
    "seconds",
)
_SOURCES = {"country": "report.source_country", "city": "report.source_city", "asn": "report.source_asn"}


def pace(t: Messages, method: Method | None) -> list[str]:
    """Sentences on pace and budget; none where they are not known."""
    known = [(name, getattr(method, name)) for name in _PACE] if method is not None else []
    return [t(f"method.{name}", value=t.number(value)) for name, value in known if value]


def swept(t: Messages, run: Run) -> list[str]:
    """Of which part of the scope, and how ports were looked for, in sentences: what it took, and what this machine kept from
    being seen."""
    figures, part = run.sweep, list(_part(t, run))
    if figures is None or not figures.method:
        return [*part, t("method.swept_here")]
    begun = t(f"method.swept_{figures.method}", sent=t.number(figures.sent), bytes=t.number(figures.sent_bytes))
    return [*part, begun, *_answers(t, figures), *_kept_back(t, figures), *_cost(t, figures)]


def _part(t: Messages, run: Run) -> Iterator[str]:
    if run.seeds:
        kinds = ", ".join(sorted({file.kind for file in run.seeds}))
        pairs = t.number(sum(file.pairs for file in run.seeds))
        yield t.plural(
            "method.swept_seeds", len(run.seeds), count=t.number(len(run.seeds)), kinds=plain(kinds), pairs=pairs
        )
    if (delta := run.delta) is not None:
        yield t("method.swept_delta", since=delta.since, part=t.number(delta.part + 1), parts=t.number(delta.parts))


def _answers(t: Messages, figures: SweepFigures) -> Iterator[str]:
    odd = {name: getattr(figures, name) for name in ("duplicates", "late", "invalid")}
    if any(odd.values()):
        yield t("method.swept_odd", **{name: t.number(count) for name, count in odd.items()})
    if figures.dropped:
        yield t("method.swept_dropped", dropped=t.number(figures.dropped), lost=t.number(figures.lost))


def _kept_back(t: Messages, figures: SweepFigures) -> Iterator[str]:
    errors = {name: count for name, count in figures.not_sent.items() if count and name != DENIED}
    if denied := figures.not_sent.get(DENIED):
        yield t("method.swept_denied", count=t.number(denied))
    if errors:
        yield t("method.swept_not_sent", count=t.number(sum(errors.values())), errors=plain(", ".join(sorted(errors))))


def _cost(t: Messages, figures: SweepFigures) -> Iterator[str]:
    if figures.cpu:
        yield t("method.swept_cpu", seconds=t.number(round(figures.cpu, 1)))
    if figures.untold:
        yield t.plural("method.swept_untold", figures.untold, count=t.number(figures.untold))


def ports(t: Messages, tried: Sequence[int]) -> str:
    """`4 of 65,535: 104, 2762, 4242, 11112`, shortened after 20."""
    shown = ", ".join(map(str, tried[:20])) + (" …" if len(tried) > 20 else "")
    if not tried:
        return t("number.unknown")
    return t("method.ports", tried=t.number(len(tried)), all=t.number(65_535), ports=shown)


def looked_for(t: Messages, method: Method | None) -> str:
    """The doors, with those that open over them; a dash where they are not known."""
    names = method.doors if method is not None else ()
    return ", ".join(_titles(door for door in doors().values() if _is_among(door, names))) or t("number.unknown")


def sources(t: Messages, run: Run) -> list[tuple[str, str]]:
    """What countries, and networks by country, are taken from, each with its date; none where that is not known."""
    known = [(t(_SOURCES[kind]), plain(source)) for kind, source in run.data.items() if kind in _SOURCES]
    taken = [(kind, source) for kind, source in run.data.items() if kind.startswith(SNAPSHOT_OF)]
    return [*known, *((_of_grant(t, kind), plain(source)) for kind, source in taken)]


def _of_grant(t: Messages, kind: str) -> str:
    return t("report.source_snapshot", grant=plain(kind.removeprefix(SNAPSHOT_OF)))


def not_looked(t: Messages, run: Run) -> list[str]:
    """What the report cannot speak about."""
    tried = len(run.ports)
    ports_line = (
        t("report.not_looked_ports", tried=t.number(tried), rest=t.number(65_535 - tried))
        if tried
        else t("report.not_looked_ports_unknown")
    )
    others = (t(f"report.not_looked_{name}") for name in ("outside", "images", "passwords"))
    return [ports_line, *others, *_not_looked_for(t, run.method)]


def _not_looked_for(t: Messages, method: Method | None) -> list[str]:
    if method is None or not method.doors:
        return [t("report.not_looked_doors_unknown")]
    left = _titles(door for door in doors().values() if not _is_among(door, method.doors))
    return [t("report.not_looked_doors", doors=", ".join(left))] if left else []


def _is_among(door: Door, names: Collection[str]) -> bool:
    return door.name in names or door.over in names


def _titles(of: Iterable[Door]) -> list[str]:
    return sorted((door.title for door in of), key=str.casefold)
