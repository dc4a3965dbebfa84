"""Signs of whose records these are: of patients, of phantoms, of nobody. Counted where they are read; numbers only.

What is counted of the sample of a census, by the names that facts have behind `sign.`:

    records       the sample
    named         a patient's name is populated
    names         different names
    shapes        different names once their digits are made equal: names that a program counts up have few
    births        different birth dates
    impossible    born in the future, or over 120 years before the study
    removed       PatientIdentityRemoved is YES (PS3.3 C.7.1.1)
    anonymous     a name that says that it is none; where it is blank, an ID
    phantom       a name of a test object or a trial; where it is blank, an ID
    public        a study UID below the root of a public collection
    own           the patient's ID is of an issuer whom the scope calls ours; only where it names any
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

NAME, ID, BIRTH, STUDY_DATE = 0x00100010, 0x00100020, 0x00100030, 0x00080020
REMOVED, STUDY_UID, ISSUER = 0x00120062, 0x0020000D, 0x00100021
TAGS = (NAME, ID, BIRTH, STUDY_DATE, REMOVED, STUDY_UID, ISSUER)

OLDEST = 120
"""Years."""

_BLANK = b" \0"
_DIGITS = re.compile(rb"[0-9]+")
_DATE = re.compile(rb"[0-9]{8}")
_ANONYMOUS = re.compile(
    rb"\b(?:anon\w*|de-?identified|removed|redacted|pseudo\w*|no[ -]?name|nobody|unknown|subject[ -]?[0-9]*"
    rb"|case[ -]?[0-9]+)\b"
    rb"|^x{3,}|^[0-9a-f]{24,}(?: |$)",
    re.IGNORECASE,
)
_PHANTOM = re.compile(
    rb"\b(?:(?:phantom|fantom)\w*|catphan\w*|waterbottle|(?:qa|qc|acr|dummy|sample|synthetic|calibration|service)[0-9]*"
    rb"|(?:test|demo)(?:s|ing|er|patient|pat|person|case|data)?[0-9]*|compressedsamples"
    rb"|john doe|doe j\w*|mustermann|(?:last|first|sur|family|given|patient) ?name|last first)\b",
    re.IGNORECASE,
)


@functools.cache
def public_roots() -> tuple[bytes, ...]:
    """UID roots of public collections, from `public.toml`."""
    raw = tomllib.loads((resources.files(__package__) / "public.toml").read_text("utf-8"))
    return tuple(f"{root['uid']}.".encode() for root in raw["root"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What the scope says is ours: UID roots, each with its last dot, and issuers of patient IDs."""

    roots: tuple[bytes, ...] = ()
    issuers: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, roots: Iterable[str], issuers: Iterable[str]) -> Own:
        """As the scope has them."""
        return cls(
            roots=tuple(f"{root}.".encode() for root in roots),
            issuers=frozenset(issuer.encode() for issuer in issuers),
        )


class Signs:
    """Counts records. `today` is the day after which nobody is born; `issuers` are ours."""

    def __init__(self, today: dt.date, issuers: frozenset[bytes] = frozenset()) -> None:
        self._issuers = issuers
        self._today = f"{today:%Y%m%d}".encode()
        self._counts = dict.fromkeys(("records", "named", "impossible", "removed", "anonymous", "phantom", "public"), 0)
        if issuers:
            self._counts["own"] = 0
        self._names: set[int] = set()
        self._shapes: set[int] = set()
        self._births: set[int] = set()

    def take(self, values: Mapping[int, bytes]) -> None:
        """One record: the values of `TAGS`, which are read and forgotten."""
        name, patient, birth, studied, removed, uid, issuer = (values.get(tag, b"").strip(_BLANK) for tag in TAGS)
        counts = self._counts
        counts["records"] += 1
        if name:
            counts["named"] += 1
            self._names.add(hash(name.lower()))
            self._shapes.add(hash(_DIGITS.sub(b"0", name.lower())))
        if birth:
            self._births.add(hash(birth))
        text = name.replace(b"^", b" ").replace(b"_", b" ") or patient.replace(b"_", b" ")
        counts["impossible"] += self._is_impossible(birth, studied)
        counts["removed"] += removed.upper() == b"YES"
        counts["anonymous"] += _ANONYMOUS.search(text) is not None
        counts["phantom"] += _PHANTOM.search(text) is not None
        counts["public"] += uid.startswith(public_roots())
        if self._issuers:
            counts["own"] += issuer in self._issuers

    def _is_impossible(self, birth: bytes, studied: bytes) -> bool:
        if not _DATE.fullmatch(birth):
            return False
        if birth > self._today:
            return True
        return _DATE.fullmatch(studied) is not None and int(studied[:4]) - int(birth[:4]) > OLDEST

    def numbers(self) -> dict[str, int]:
        return {**self._counts, "names": len(self._names), "shapes": len(self._shapes), "births": len(self._births)}
