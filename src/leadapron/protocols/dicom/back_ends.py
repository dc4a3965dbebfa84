"""Several servers behind one endpoint: a load balancer hands each association to one of them. Pure.

They are told apart by what they say of their implementation (PS3.7 section D.3.3.2), which is the server's, not ours. Two of
one implementation are one to us, unless they answer the same association in different ways.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from leadapron.model import Count, CountKind, Reason
from leadapron.protocols.dicom.found import Found
from leadapron.protocols.dicom.wire.items import UserInformation


def implementation(user: UserInformation) -> str:
    """16 hexadecimal digits for class UID and version name; nothing can be read from them."""
    said = user.implementation_class_uid.encode("ascii", "replace") + b"\0" + user.implementation_version_name
    return hashlib.blake2s(said, digest_size=8).hexdigest()


def together(found: Sequence[Found]) -> Found:
    """What several back ends show, one at least: that of the largest, with counts that hold for all of them. They may show
    the same studies, or all others."""
    largest = max(found, key=lambda each: (each.studies or each.worklist or Count.exact(0)).value)
    joined = replace(
        largest,
        studies=_either([each.studies for each in found]),
        series=_either([each.series for each in found]),
        images=_either([each.images for each in found]),
        worklist=_either([each.worklist for each in found]),
    )
    return joined if joined == largest else replace(joined, why=Reason.LIMIT)


def _either(counts: Sequence[Count | None]) -> Count | None:
    known = [count for count in counts if count is not None]
    if not known or (len(known) == len(counts) and len(set(known)) == 1):
        return known[0] if known else None
    largest = max(known, key=lambda count: count.value)
    highs = [None if count is None else count.high for count in counts]
    return replace(
        largest,
        low=max(count.low for count in known),
        high=None if None in highs else sum(high for high in highs if high is not None),
        kind=CountKind.BOUND,
    )
