"""From what a walk found to an observation: the verdict table of `docs/files.md`, the same for every door."""

from __future__ import annotations

from collections.abc import Mapping

from leadapron.model import (
    Access,
    Census,
    Count,
    CountKind,
    Counts,
    Depth,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.protocols.base import Terms
from leadapron.protocols.files.formats import Sort, formats
from leadapron.protocols.files.result import Found

_ALWAYS = ("entries", "files", "folders")
_WHERE_ANY = (
    *(
        "others",
        "odd",
        "closed",
        "broken",
        "unlisted",
        "loops",
        "candidates",
        "barred",
        "unread",
        "headers",
        "odd_headers",
    ),
    *("instances", "titles", "burned_in", "burned_out", "documents", "reports", "private"),
    *("directories", "directory_studies", "directory_images"),
)
_NOTHING = Product()

Facts = Mapping[str, int | bool]


def observe(
    found: Found,
    service: Service,
    terms: Terms,
    *,
    facts: Facts,
    product: Product = _NOTHING,
    tls: Mapping[str, int | bool | str] | None = None,
) -> Observation:
    """`facts`: those of the door itself, beside which stand those of the files."""
    is_asked = terms.depth >= Depth.COUNT
    listed, unknowns = _listed(found) if is_asked else (Verdict.NOT_ASKED, [])
    read, why_read = _read(found) if is_asked else (Verdict.NOT_ASKED, [])
    return Observation(
        service=service,
        access=Access(
            reach=Verdict.PROVEN,
            talk=Verdict.PROVEN,
            list=listed,
            read=read,
            write=Verdict.OFFERED if found.writable else Verdict.NOT_ASKED,
        ),
        counts=_counts(found),
        product=product,
        owner=terms.owner,
        facts={**facts, **facts_of(found)},
        unknowns=tuple(dict.fromkeys((*unknowns, *why_read, *found.unknowns, *_ended(found)))),
        tls=tls,
        census=Census(sampled=found.sampled, present=found.present) if found.sampled else None,
    )


def _counts(found: Found) -> Counts:
    """Where there is no image there is no study either."""
    nothing = found.images is not None and found.images.high == 0
    return Counts(images=found.images, studies=Count.exact(0) if nothing else found.studies)


def _listed(found: Found) -> tuple[Verdict, list[Failed]]:
    if found.listed:
        return Verdict.PROVEN, []
    if found.refused:
        return Verdict.REFUSED, []
    if found.ended is not None:
        return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=found.ended.reason)]
    reason = next((unknown.reason for unknown in found.unknowns), Reason.EMPTY)
    return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=reason)]


def _read(found: Found) -> tuple[Verdict, list[Failed]]:
    """Proven only where bytes came."""
    if found.read:
        return Verdict.PROVEN, []
    if found.barred and not found.unread:
        return Verdict.REFUSED, []
    if found.why_read is not None:
        return Verdict.UNKNOWN, [Failed(stage=Stage.COUNT, reason=found.why_read)]
    return Verdict.NOT_ASKED, []


def _ended(found: Found) -> tuple[Failed, ...]:
    return () if found.ended is None else (found.ended,)


def facts_of(found: Found) -> dict[str, int | bool]:
    """The facts `files.…` and `sign.…`; what is not known, or is none, is absent."""
    facts: dict[str, int | bool] = {f"files.{name}": getattr(found, name) for name in _ALWAYS}
    facts |= {f"files.{name}": count for name in _WHERE_ANY if (count := getattr(found, name))}
    facts |= {f"files.{name}": count for name, count in _by_sort(found).items() if count}
    facts["files.imaging"] = _imaging(found)
    if found.images is not None and found.images.kind is CountKind.EXACT:  # then all was listed, and looked into
        facts = {"files.ransom_notes": 0, "files.encrypted": 0, "files.preamble_executable": 0, **facts}
    if found.sized:
        facts["files.bytes"] = found.size
    if found.writable:
        facts["files.world_writable"] = found.writable
    if found.read:
        facts |= {"files.read": found.read, "files.dicom": found.proven}
    facts |= {f"files.preamble_{name}": count for name, count in found.preambles.items() if name != "plain" and count}
    if found.withheld:
        facts["census_withheld"] = True
    return facts | {f"sign.{name}": count for name, count in found.signs.items()}


def _imaging(found: Found) -> int:
    """Files of images, in all formats: by the names, and at least as many as were looked into. Where all were, a name alone
    makes no DICOM file."""
    sorts = {name: formats()[name].sort for name in found.formats if name in formats()}
    named = sum(found.formats[name] for name, sort in sorts.items() if sort is Sort.DICOM)
    others = sum(found.formats[name] for name, sort in sorts.items() if sort is Sort.IMAGING)
    is_known = found.images is not None and found.images.kind is CountKind.EXACT
    return (found.proven if is_known else max(named, found.proven)) + others


def _by_sort(found: Found) -> dict[str, int]:
    """Files by what their names say: `dicom_named`, each imaging format and trace by its name, archives together."""
    counts: dict[str, int] = {}
    for name, count in found.formats.items():
        sort = formats()[name].sort if name in formats() else Sort.UNNAMED
        key = {Sort.DICOM: "dicom_named", Sort.ARCHIVE: "archives", Sort.UNNAMED: "unnamed"}.get(sort, name)
        counts[key] = counts.get(key, 0) + count
    return counts
