"""The cipher suites of `suites.toml`: numbers, names and classes."""

from __future__ import annotations

import enum
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

from leadapron.errors import InputError


class Class(enum.StrEnum):
    """What suites have in common that decides about them, strongest first."""

    TLS13 = "tls13"
    AEAD_ECDHE = "aead-ecdhe"
    AEAD_DHE = "aead-dhe"
    CBC = "cbc"
    """with forward secrecy, by ECDHE"""
    CBC_DHE = "cbc-dhe"
    """likewise, by DHE, whose group may be too short"""
    RSA_KX = "rsa-kx"
    """no forward secrecy: the key is sent under RSA, or agreed by static DH or ECDH"""
    TRIPLE_DES = "3des"
    """blocks of 64 bits: 3DES, DES, IDEA"""
    RC4 = "rc4"
    NULL = "null"
    """not encrypted"""
    EXPORT = "export"
    ANON = "anon"
    """without a certificate"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A cipher suite: its number and name in IANA's registry."""

    number: int
    name: str
    of: Class


@functools.cache
def suites() -> Mapping[int, Suite]:
    """All of them, by number."""
    return parse_suites((resources.files(__package__) / "suites.toml").read_text("utf-8"))


def parse_suites(document: str) -> Mapping[int, Suite]:
    """The suites in a document. Raises InputError where it is malformed, or names one twice."""
    found: dict[int, Suite] = {}
    try:
        for name, table in tomllib.loads(document).items():
            for number, suite in table.items():
                _add(found, Suite(number=int(number, 16), name=str(suite), of=Class(name)))
    except (ValueError, AttributeError) as error:
        raise InputError(
            "suites.toml: tables are classes, keys are numbers in hexadecimal, values are names"
        ) from error
    return found


def _add(found: dict[int, Suite], suite: Suite) -> None:
    if suite.number in found or not 0 <= suite.number <= 0xFFFF:
        raise InputError("suites.toml: a number twice, or out of range")
    found[suite.number] = suite


def numbers_of(classes: Iterable[Class]) -> tuple[int, ...]:
    """The numbers of all suites of these classes, in the order of the file: strongest class first."""
    wanted = frozenset(classes)
    return tuple(number for number, suite in suites().items() if suite.of in wanted)
