"""The shape of `scope.toml`. pydantic stands here and nowhere further in; `leadapron.scope.grant` is what comes out."""

from __future__ import annotations

import datetime as dt
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainValidator,
    ValidationError,
    create_model,
    model_validator,
)

from leadapron.model import Depth
from leadapron.scope import parse
from leadapron.scope.buckets import Bucket
from leadapron.scope.doors import doors_with_ports
from leadapron.scope.grant import DEFAULT_SOURCE_PORTS, Network
from leadapron.scope.window import Window


def _date(value: object) -> dt.date:
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date):
        raise parse.Mistake("is not a date", "write a date without quotes and without a time, 2027-02-01")
    return value


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise parse.Mistake("is not a positive number", "use a number above 0")
    return float(value)


def _gap(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise parse.Mistake("is not a number of seconds", "use a number from 0 to 86400")
    return float(value)


def _bits(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1_000 <= value <= 1e12:
        raise parse.Mistake("is not a rate in bits a second", "use a number from 1000 to 1e12, 50000000 for 50 Mbit/s")
    return float(value)


def _amount(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 53:
        raise parse.Mistake("is not a positive whole number", "use a whole number above 0")
    return value


Line = Annotated[str, BeforeValidator(parse.line)]
OptionalLine = Annotated[str, BeforeValidator(parse.optional_line)]
Identifier = Annotated[str, BeforeValidator(parse.identifier)]
AETitle = Annotated[str, BeforeValidator(parse.ae_title)]
Date = Annotated[dt.date, BeforeValidator(_date)]
DepthName = Annotated[Depth, BeforeValidator(parse.depth)]
NetworkText = Annotated[Network, PlainValidator(parse.network)]
BucketName = Annotated[InstanceOf[Bucket], BeforeValidator(parse.bucket)]
UrlText = Annotated[InstanceOf[Bucket], BeforeValidator(parse.url)]
HostName = Annotated[str, BeforeValidator(parse.host_name)]
CountryCode = Annotated[str, BeforeValidator(parse.country_code)]
AsNumber = Annotated[int, BeforeValidator(parse.as_number)]
Port = Annotated[int, BeforeValidator(parse.port)]
Positive = Annotated[float, BeforeValidator(_positive)]
Amount = Annotated[int, BeforeValidator(_amount)]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ContactTable(_Table):
    name: Line
    email: Annotated[str, BeforeValidator(parse.email)]
    calling_aet: AETitle = "LEADAPRON"


class VantageTable(_Table):
    kind: Literal["internet", "partner-vpn", "office", "clinical"]
    name: Line
    listener: Annotated[tuple[str, int], BeforeValidator(parse.endpoint)] | None = None
    token_file: OptionalLine = ""
    listener_ports: list[Port] = []

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.listener is None and (self.token_file or self.listener_ports):
            raise parse.Mistake("names no listener", 'add `listener = "HOST:PORT"`, or remove what belongs to it')
        if self.listener is not None and not self.token_file:
            raise parse.Mistake("has a listener without a token", "name the file of its token in `token_file`")
        return self


class GrantTable(_Table):
    id: Identifier
    owner: Line
    party: OptionalLine = ""
    basis: Literal["owner", "partner", "statutory"]
    granted_by: Line
    reference: OptionalLine = ""
    document: OptionalLine = ""
    valid_from: Date
    valid_until: Date
    country: Annotated[str, BeforeValidator(parse.country)] = ""
    depth: DepthName
    networks: list[NetworkText] = []
    names: list[HostName] = []
    buckets: list[BucketName] = []
    urls: list[UrlText] = []
    countries: list[CountryCode] = []
    as_numbers: list[AsNumber] = []
    snapshot: OptionalLine = ""
    exclude: list[NetworkText] = []
    wide: bool = False
    called_aets: list[AETitle] = []
    calling_aets: Annotated[list[AETitle], Field(max_length=5)] = []
    well_known_titles: bool = False
    cleartext_census: bool = False
    blank_login: bool = False
    client_certificate: OptionalLine = ""
    client_key: OptionalLine = ""


class ZoneTable(_Table):
    name: Identifier
    networks: Annotated[list[NetworkText], Field(min_length=1)]
    max_depth: DepthName | None = None
    window: Annotated[InstanceOf[Window], BeforeValidator(parse.window)] | None = None
    gap_seconds: Annotated[float, BeforeValidator(_gap)] = 0.0


class MineTable(_Table):
    uid_roots: list[Annotated[str, BeforeValidator(parse.uid_root)]] = []
    issuers: list[Annotated[str, BeforeValidator(parse.issuer)]] = []


class _Ports(_Table):
    @model_validator(mode="after")
    def _names_a_door(self) -> Self:
        if not self.by_door():
            raise parse.Mistake("names no door", "name one with its ports, `dicom = [104, 11112]`, or remove the table")
        return self

    def by_door(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(dict.fromkeys(ports)) for name, ports in self if ports is not None}


_PortList = Annotated[list[Port], Field(min_length=1)] | None
PortsTable: type[_Ports] = create_model(
    "PortsTable", __base__=_Ports, **cast("dict[str, Any]", dict.fromkeys(doors_with_ports(), (_PortList, None)))
)


class PaceTable(_Table):
    connections_per_second: Positive = 500.0
    per_network: Positive = 100.0


class BudgetTable(_Table):
    associations: Amount = 12
    queries: Amount = 40
    answers: Amount = 20_000
    requests: Amount = 2_000
    seconds: Positive = 60.0


class InfrastructureTable(_Table):
    allow: list[Annotated[tuple[str, int], BeforeValidator(parse.endpoint)]] = []


def _number(name: str, least: float, most: float) -> BeforeValidator:
    """A number, of `name`, from `least` to `most`."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise parse.Mistake(f"is not a number of {name}", f"use a number from {least:g} to {most:g}")
        return float(value)

    return BeforeValidator(read)


def _whole(name: str, most: int) -> BeforeValidator:
    """A whole number, of `name`, from 1 to `most`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise parse.Mistake(f"is not a number of {name}", f"use a whole number from 1 to {most}")
        return value

    return BeforeValidator(read)


class SweepTable(_Table):
    method: Literal["auto", "syn", "connect"] = "auto"
    packets_per_second: Positive | None = None
    bits_per_second: Annotated[float, BeforeValidator(_bits)] | None = None
    probes: Annotated[int, _whole("probes", 5)] = 1
    cooldown_seconds: Annotated[float, _number("seconds", 1, 60)] = 8.0
    source_address: Annotated[InstanceOf[IPv4Address], BeforeValidator(parse.source_address)] | None = None
    source_ports: Annotated[tuple[int, int], BeforeValidator(parse.port_range)] = DEFAULT_SOURCE_PORTS
    processes: Annotated[int, _whole("processes", 64)] = 1


class SurveyTable(_Table):
    opt_out: Annotated[str, BeforeValidator(parse.email)]
    page: Line
    url: Annotated[str, BeforeValidator(parse.web_address)] = ""
    exclusions: OptionalLine = ""


class AttributionTable(_Table):
    country: OptionalLine = ""
    city: OptionalLine = ""
    asn: OptionalLine = ""


class ScopeFile(_Table):
    version: Literal[1]
    id: Identifier
    contact: ContactTable
    vantage: VantageTable
    grant: Annotated[list[GrantTable], Field(min_length=1)]
    zone: list[ZoneTable] = []
    mine: list[MineTable] = []
    ports: PortsTable | None = None
    pace: PaceTable = PaceTable()
    budget: BudgetTable = BudgetTable()
    sweep: SweepTable = SweepTable()
    survey: SurveyTable | None = None
    infrastructure: InfrastructureTable = InfrastructureTable()
    attribution: AttributionTable = AttributionTable()


TABLES: dict[str, type[_Table]] = {
    "contact": ContactTable,
    "vantage": VantageTable,
    "grant": GrantTable,
    "zone": ZoneTable,
    "mine": MineTable,
    "ports": PortsTable,
    "pace": PaceTable,
    "budget": BudgetTable,
    "sweep": SweepTable,
    "survey": SurveyTable,
    "infrastructure": InfrastructureTable,
    "attribution": AttributionTable,
}

T = TypeVar("T", bound=_Table)


def keys_at(place: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand in the table at `place`."""
    table = TABLES[str(place[0])] if place and place[0] in TABLES else ScopeFile
    return list(table.model_fields)


def sound(raw: dict[str, Any], key: str, table: type[T]) -> dict[int, T]:
    """The tables of the array `key` that hold no mistake in themselves, by their index."""
    found: dict[int, T] = {}
    items = raw.get(key)
    for index, item in enumerate(items if isinstance(items, list) else []):
        try:
            found[index] = table.model_validate(item)
        except ValidationError:
            continue
    return found


def sound_table(raw: dict[str, Any], key: str, table: type[T]) -> T | None:
    """The table `key`, where it stands in the file and holds no mistake in itself."""
    return sound({key: [raw[key]]}, key, table).get(0) if key in raw else None
