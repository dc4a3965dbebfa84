"""Where an address stands, as databases say: country, city, autonomous system.

Databases err, and the one that ships says so itself: a place is a hint, and every report names its sources and their
dates. A look-up sends nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from leadapron.errors import InputError
from leadapron.model import Address
from leadapron.scope.grant import AttributionFiles
from leadapron.scope.mmdb import Database, Kind, NotADatabase
from leadapron.scope.special import is_special, unmapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Empty parts are not known."""

    country: str = ""
    """ISO 3166-1 alpha-2"""
    city: str = ""
    as_number: int | None = None
    as_name: str = ""


NOWHERE = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The databases of a run. Without any, every place is empty."""

    countries: Database | None = None
    cities: Database | None = None
    systems: Database | None = None
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """what each kind of database is and when it was built: `{"country": "GeoLite2-Country, 2026-11-20"}`"""

    def at(self, address: Address) -> Place:
        """Empty for special-purpose addresses (RFC 6890), whatever the databases say: nobody's country is theirs.

        A city that lies in another country than the address does, by another file, is left out.
        """
        plain = unmapped(address)
        if is_special(plain):
            return NOWHERE
        country = self.countries.country(plain) if self.countries else ""
        city = self.cities.city(plain) if self.cities and self.cities.country(plain) in ("", country) else ""
        number, name = self.systems.autonomous_system(plain) if self.systems else (None, "")
        return Place(country=country, city=city, as_number=number, as_name=name)


@contextlib.contextmanager
def opened(files: AttributionFiles) -> Iterator[Attribution]:
    """The files that the scope names; for countries without one the file of cities, else the database that ships.

    Raises InputError.
    """
    with contextlib.ExitStack() as stack:
        named = {kind: stack.enter_context(_open(path)) for kind, path in files.named().items()}
        sources = {kind: f"{database.name}, {database.built}" for kind, database in named.items()}
        if (countries := named.get(Kind.COUNTRY) or named.get(Kind.CITY)) is None:
            countries = stack.enter_context(shipped())
            sources[Kind.COUNTRY] = f"{_shipped_name()}, {countries.built}"
        sources.setdefault(Kind.COUNTRY, sources.get(Kind.CITY, ""))
        yield Attribution(
            countries=countries,
            cities=named.get(Kind.CITY),
            systems=named.get(Kind.ASN),
            sources={kind.value: source for kind, source in sources.items()},
        )


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Database]:
    try:
        database = Database.open(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; correct [attribution] in the scope file") from None
    except NotADatabase as error:
        raise InputError(f"{path} {error}; correct [attribution] in the scope file") from None
    with contextlib.closing(database):
        yield database


@contextlib.contextmanager
def shipped() -> Iterator[Database]:
    """The country database that is part of this package (see `data/README.md`)."""
    file = resources.files("leadapron.attribute") / "data" / "country.mmdb"
    with resources.as_file(file) as path, contextlib.closing(Database.open(path)) as database:
        yield database


def _shipped_name() -> str:
    about = tomllib.loads((resources.files("leadapron.attribute") / "data" / "country.toml").read_text("utf-8"))
    return f"{about['name']} {about['version']}"
