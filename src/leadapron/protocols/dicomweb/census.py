"""The census over DICOMweb: in how many of the first studies that come each attribute is populated. Numbers only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from leadapron.errors import WireError
from leadapron.model import Completed, Depth, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost
from leadapron.protocols.dicom import signs
from leadapron.protocols.dicom.attributes import attributes
from leadapron.protocols.dicom.census import SAMPLE
from leadapron.protocols.dicom.signs import Signs
from leadapron.protocols.dicomweb.counting import JSON, MAX_PAGE, PLAIN_JSON, Api
from leadapron.protocols.dicomweb.documents import Record, orthanc_records, records
from leadapron.protocols.http.exchange import NoAnswer
from leadapron.protocols.http.web import WebJob


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCensus:
    """In how many of `sampled` data sets each attribute (PS3.6 keyword) is populated; absent ones in none."""

    sampled: int
    present: dict[str, int] = field(default_factory=dict)
    signs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling(WebJob):
    """The job: one query for `SAMPLE` studies with all their attributes."""

    api: Api
    base: str
    route: str = "studies"
    today: dt.date
    issuers: frozenset[bytes] = frozenset()
    depth: Depth = Depth.CENSUS

    def converse(self) -> Conversation[WebCensus]:
        is_qido = self.api is Api.QIDO
        asked = f"{self.base}/{self.route}?includefield=all" if is_qido else "/studies?expand&since=0"
        try:
            target = f"{asked}&limit={SAMPLE}".encode()
            answer = yield from self.client().get(target, JSON if is_qido else PLAIN_JSON, max_body=MAX_PAGE)
        except Lost as lost:
            return Failed(stage=Stage.CENSUS, reason=lost.reason)
        except NoAnswer as none:
            return Failed(stage=Stage.CENSUS, reason=none.reason)
        if answer.status != 200 or answer.why is not None:
            return Failed(stage=Stage.CENSUS, reason=answer.why or Reason.PROTOCOL)
        try:
            found = (records if is_qido else orthanc_records)(answer.body)
            return Completed(result=taken(found, self.today, self.issuers))
        except WireError:
            return Failed(stage=Stage.CENSUS, reason=Reason.PROTOCOL)


_KEYWORDS = dict(
    zip(
        signs.TAGS,
        (
            *("PatientName", "PatientID", "PatientBirthDate", "StudyDate"),
            *("PatientIdentityRemoved", "StudyInstanceUID", "IssuerOfPatientID"),
        ),
        strict=True,
    )
)


def taken(found: list[Record], today: dt.date, issuers: frozenset[bytes] = frozenset()) -> WebCensus:
    """What is counted of the first `SAMPLE` of them."""
    counts = Signs(today, issuers)
    present: dict[str, int] = {}
    for record in found[:SAMPLE]:
        counts.take({tag: record(tag, keyword) for tag, keyword in _KEYWORDS.items()})
        for tag, attribute in attributes().items():
            if record(tag, attribute.keyword).strip(b" \0"):
                present[attribute.keyword] = present.get(attribute.keyword, 0) + 1
    sampled = min(len(found), SAMPLE)
    return WebCensus(sampled=sampled, present=present, signs=counts.numbers() if sampled else {})
