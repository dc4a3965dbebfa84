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
    """What several back ends show, one at least: counts that hold for all of them. They may show the same studies, or all
    others. It caps only where each of them does."""
    if len(found) == 1:
        return found[0]
    largest = max(found, key=lambda each: (each.studies or each.worklist or Count.exact(0)).value)
    free = [each for each in found if not each.capped]
    return replace(
        largest,
        why=Reason.LIMIT,
        status=min(each.status for each in found),
        capped=not free,
        most_answers=max(each.most_answers for each in free or found),
        bad_claims=sum(each.bad_claims for each in found),
        studies=_either([each.studies for each in found]),
        series=_either([each.series for each in found]),
        images=_either([each.images for each in found]),
        worklist=_either([each.worklist for each in found]),
    )


def at_least(found: Found) -> Found:
    """The same, where another back end may show more."""
    return replace(
        found,
        why=found.why or Reason.LIMIT,
        studies=_either([found.studies, None]),
        series=_either([found.series, None]),
        images=_either([found.images, None]),
        worklist=_either([found.worklist, None]),
    )


def _either(counts: Sequence[Count | None]) -> Count | None:
    """The largest at least, the sum at most; None: one that is not known, and may be any number."""
    known = [count for count in counts if count is not None]
    if not known:
        return None
    largest = max(known, key=_sure)
    highs = [None if count is None or count.kind is CountKind.ESTIMATE else count.high for count in counts]
    high = None if None in highs else sum(high for high in highs if high is not None)
    return Count(value=_sure(largest), low=_sure(largest), high=high, kind=CountKind.BOUND, source=largest.source)


def _sure(count: Count) -> int:
    """An estimate says nothing for sure."""
    return 0 if count.kind is CountKind.ESTIMATE else count.low
