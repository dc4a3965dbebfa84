"""What may be published of a run: aggregates without an address, an owner or a name, and no small number. Pure."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from leadapron.assess.catalogue import catalogue
from leadapron.model import Count, Observation, Product, Reason, RunStatus, Severity, Unique, VantageKind
from leadapron.report.suppression import SMALL, Hidden, Number, is_small, partition, shown
from leadapron.report.view import ServiceView, View

Sum = Count | Hidden | None
"""None: not known."""

CLEAR, TLS = "clear", "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A row of a table. `name` "": not known. `images` stays None where the table has none."""

    name: str
    services: Number
    images: Sum = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Endpoints that could not be seen, for one reason."""

    reason: Reason
    endpoints: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    studies: Sum
    images: Sum


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTotals:
    """`listed` sums exposed services; `unique` has each study once; `genuine` those that show patients, each study once
    where that is known."""

    endpoints_tried: Number
    endpoints_reached: Number
    servers: Number
    exposed_servers: Number
    exposed_services: Number
    listed: Figures
    unique: Figures
    genuine: Figures


Table = tuple[Cell, ...] | None
"""The largest first, hidden ones by name at the end; None: withheld whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """`country`, `product` and `encryption` divide the exposed services. `control` and `severity` count services on which a
    stranger meets a broken control; one service may stand in several rows."""

    day: dt.date
    status: RunStatus
    version: str
    vantage: VantageKind
    ports: tuple[int, ...]
    country_source: str
    """name and date of the database; "": not known"""
    totals: PublicTotals
    country: Table
    product: Table
    encryption: Table
    control: Table
    severity: Table
    unknowns: tuple[Unseen, ...] | None
    """the most first; None: withheld whole"""


def published(view: View) -> Public:
    """Of few exposed services, or few exposed servers, nothing but the key numbers is said."""
    run, totals = view.run, view.totals
    strangers = [item for item in view.services if not (item.observation.certified or item.observation.middlebox)]
    open_ = min(totals.exposed_services, totals.exposed_servers) >= SMALL
    exposed = [item.observation for item in view.exposed]
    encryption = _divided(exposed, _encryption, (CLEAR, TLS)) if open_ else None
    control, severity = _broken(strangers, encryption) if open_ else (None, None)
    return Public(
        day=run.started_at.astimezone(dt.UTC).date(),
        status=RunStatus.INCOMPLETE if run.status is RunStatus.RUNNING else run.status,
        version=run.version,
        vantage=run.vantage.kind,
        ports=run.ports,
        country_source=run.data.get("country", ""),
        totals=_totals(view),
        country=_countries(view, exposed) if open_ else None,
        product=_divided(exposed, lambda item: _product(item.product)) if open_ else None,
        encryption=encryption,
        control=control,
        severity=severity,
        unknowns=_unknowns(view) if open_ else None,
    )


# -- totals --------------------------------------------------------------------------------------------------------


def _totals(view: View) -> PublicTotals:
    totals, unique = view.totals, view.totals.unique or Unique()
    genuine_images = totals.genuine_images if totals.unique is None else unique.genuine_images
    exposed = [item.observation for item in view.exposed]
    return PublicTotals(
        endpoints_tried=shown(totals.endpoints_tried),
        endpoints_reached=shown(totals.endpoints_reached),
        servers=shown(totals.servers),
        exposed_servers=shown(totals.exposed_servers),
        exposed_services=shown(totals.exposed_services),
        listed=_figures(exposed, totals.studies, totals.images),
        unique=_figures(exposed, unique.studies, unique.images),
        genuine=_figures(exposed, unique.genuine_studies, genuine_images, whose=_shows_patients),
    )


Test = Callable[[Observation], bool]


def _figures(
    exposed: Iterable[Observation], studies: Count | None, images: Count | None, whose: Test = lambda _: True
) -> Figures:
    """Hidden where few services, or servers, make up a sum, or what is left of the sum over all."""
    with_studies = [item for item in exposed if item.counts.studies is not None]
    with_images = [item for item in exposed if item.counts.images is not None]
    return Figures(studies=_sum(studies, with_studies, whose), images=_sum(images, with_images, whose))


def _sum(count: Count | None, parts: Sequence[Observation], whose: Test) -> Sum:
    counted = [item for item in parts if whose(item)]
    rest = [item for item in parts if not whose(item)]
    return Hidden.WITHHELD if count is not None and (_are_few(counted) or _are_few(rest)) else count


def _are_few(observations: Sequence[Observation]) -> bool:
    servers = {(item.service.endpoint.address, item.service.endpoint.port) for item in observations}
    return is_small(len(servers))


def _shows_patients(observation: Observation) -> bool:
    return observation.genuineness is not None and observation.genuineness.verdict == "patients"


# -- tables --------------------------------------------------------------------------------------------------------


def _divided(exposed: Iterable[Observation], name: Callable[[Observation], str], always: Sequence[str] = ()) -> Table:
    """The exposed services, each in one cell; cells of `always` stand there also when they are empty."""
    counted = Counter(dict.fromkeys(always, 0))
    counted.update(map(name, exposed))
    cells = partition(counted)
    return None if cells is None else _table(Cell(name=name, services=number) for name, number in cells.items())


def _table(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (*_number_order(cell.services), cell.name)))


def _number_order(number: Number) -> tuple[bool, int]:
    """The order of hidden numbers says nothing about them."""
    return (True, 0) if isinstance(number, Hidden) else (False, -number)


def _encryption(observation: Observation) -> str:
    if observation.tls is not None:
        return TLS
    return CLEAR if observation.facts.get("clear") else ""


def _product(product: Product) -> str:
    """Without versions; of a tie all names."""
    return product.name or " / ".join(product.candidates)


def _countries(view: View, exposed: Sequence[Observation]) -> Table:
    cells = _divided(exposed, lambda item: item.owner.country)
    if cells is None:
        return None
    counted: defaultdict[str, list[Observation]] = defaultdict(list)
    for item in exposed:
        if item.counts.images is not None:
            counted[item.owner.country].append(item)
    visible = [cell.name for cell in cells if not isinstance(cell.services, Hidden)]
    rest = [item for country, items in counted.items() if country not in visible for item in items]
    withheld = any(_are_few(items) for items in (rest, *(counted[country] for country in visible)))

    def images(country: str) -> Sum:
        return Hidden.WITHHELD if withheld or country not in visible else view.totals.countries[country].images

    return tuple(Cell(name=cell.name, services=cell.services, images=images(cell.name)) for cell in cells)


Sets = Mapping[str, frozenset[int]]
"""The services of each row, by their place in the list."""


def _broken(services: Sequence[ServiceView], encryption: Table) -> tuple[Table, Table]:
    """By control, and by severity, each as far as it tells of no hidden cell of another table."""
    controls = _sets((number, finding.control) for number, item in enumerate(services) for finding in item.findings)
    severities = _sets(
        (number, finding.severity.value) for number, item in enumerate(services) for finding in item.findings
    )
    is_encryption_open = encryption is not None and not any(isinstance(cell.services, Hidden) for cell in encryption)
    cells = {
        control: shown(len(found)) if is_encryption_open or not _tells_of_encryption(control) else _hidden(len(found))
        for control, found in controls.items()
    }
    by_severity = {
        severity.value: _severity(severity, severities.get(severity.value, frozenset()), services, controls, cells)
        for severity in Severity
    }
    return (
        _table(Cell(name=control, services=number) for control, number in cells.items()),
        tuple(Cell(name=severity, services=number) for severity, number in by_severity.items()),
    )


def _sets(pairs: Iterable[tuple[int, str]]) -> Sets:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for number, name in pairs:
        found[name].add(number)
    return {name: frozenset(numbers) for name, numbers in found.items()}


def _hidden(number: int) -> Hidden:
    return Hidden.FEW if is_small(number) else Hidden.WITHHELD


def _tells_of_encryption(control: str) -> bool:
    known = catalogue().get(control)
    return known is None or any(key == "clear" or key.startswith("tls.") for key in known.evidence)


def _severity(
    severity: Severity,
    found: frozenset[int],
    services: Sequence[ServiceView],
    controls: Sets,
    cells: Mapping[str, Number],
) -> Number:
    """Where more services are of a severity than its shown controls could account for, the rest is of hidden ones."""
    of_it = {finding.control for item in services for finding in item.findings if finding.severity is severity}
    hidden = {control for control in of_it if isinstance(cells[control], Hidden)}
    accounted = sum(len(controls[control]) for control in of_it - hidden)
    return _hidden(len(found)) if hidden and len(found) > accounted else shown(len(found))


def _unknowns(view: View) -> tuple[Unseen, ...]:
    """Over all stages. No total of them is shown."""
    counted: Counter[Reason] = Counter()
    for unknown in view.unknowns:
        counted[unknown.reason] += unknown.count
    rows = [Unseen(reason=reason, endpoints=shown(count)) for reason, count in counted.items()]
    return tuple(sorted(rows, key=lambda row: (*_number_order(row.endpoints), row.reason)))
