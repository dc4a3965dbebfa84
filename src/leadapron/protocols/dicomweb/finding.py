"""Looking for archives on a web server: the routes where products have them, each asked for one study at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leadapron.model import Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.attempts import ended_by_us
from leadapron.protocols.dicomweb.counting import JSON, PLAIN_JSON, Api
from leadapron.protocols.dicomweb.documents import archive_titles, is_dicom_json, orthanc_version, statistics
from leadapron.protocols.http.exchange import Answer, NoAnswer
from leadapron.protocols.http.web import LOCKED, WebJob

MAX_TITLES = 4
"""Archives behind one dcm4chee-arc that are looked at."""
AETS = "/dcm4chee-arc/aets"
ROOT = "/"

BASES: Mapping[str, str] = {
    "/dicom-web": "Orthanc, and most others",
    "/orthanc/dicom-web": "Orthanc behind a reverse proxy",
    "/dicomweb": "Google Healthcare and viewers' proxies",
    "/rs": "OHIF's examples",
    "/qido-rs": "dcm4che's stand-alone servers",
    "": "the service root itself: Microsoft's dicom-server, tiny archives",
}
"""Where QIDO-RS routes are looked for, and whose they are."""

_OK, _NO_CONTENT = 200, 204


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An archive. `status` is that of the least question: 200, 204, or the one that refuses who asks."""

    api: Api
    base: str
    status: int
    route: str = "studies"
    """`studies/` where that is open, and the one without the slash is locked (OHIF issue 3993)"""

    @property
    def resource(self) -> str:
        return self.base or ROOT

    @property
    def is_locked(self) -> bool:
        return self.status in LOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """What was found. `version` is Orthanc's, where it states one."""

    places: tuple[Place, ...] = ()
    is_orthanc: bool = False
    version: str = ""
    requests: int = 0
    why: Failed | None = None
    """not every route was asked"""
    ended: Failed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking(WebJob):
    """The job. `is_all_locked`: the front page is, or a path that cannot be there, so that a refusal does not tell a route
    from any other path."""

    is_all_locked: bool
    answers_anything: bool

    def converse(self) -> Conversation[Archives]:
        looker = _Looker(self)
        try:
            yield from looker.run()
        except Lost as lost:
            return looker.result(lost.reason)
        except NoAnswer as none:
            return looker.result(none.reason)
        return looker.result(None)


class _Looker:
    def __init__(self, job: Looking) -> None:
        self._job, self._client = job, job.client()
        self._places: list[Place] = []
        self._version: str | None = None

    def run(self) -> Steps[None]:
        """Raises NoAnswer, Lost."""
        yield from self._look_for_orthanc()
        for base in BASES:
            yield from self._look_at(base)
        titles = yield from self._dcm4chee_titles()
        for title in titles:
            yield from self._look_at(f"{AETS}/{title}/rs")

    def result(self, reason: Reason | None) -> Completed[Archives]:
        why = None if reason is None else Failed(stage=Stage.LIST, reason=reason)
        return Completed(
            result=Archives(
                places=tuple(self._places),
                is_orthanc=self._version is not None,
                version=self._version or "",
                requests=self._client.requests,
                why=why,
                ended=ended_by_us(Stage.LIST, reason),
            )
        )

    def _look_for_orthanc(self) -> Steps[None]:
        answer = yield from self._get("/system", max_body=1 << 14)
        if answer.status == _OK:
            self._version = orthanc_version(answer.body)
        if self._version is None:
            return
        answer = yield from self._get("/statistics", max_body=1 << 14)
        if answer.status in LOCKED or (answer.status == _OK and statistics(answer.body) is not None):
            self._places.append(Place(api=Api.ORTHANC, base="", status=answer.status))

    def _look_at(self, base: str) -> Steps[None]:
        answer = yield from self._client.get(f"{base}/studies?limit=1".encode(), JSON)
        place = self._place(base, answer)
        if place is not None and (place.is_locked):
            other = yield from self._client.get(f"{base}/studies/?limit=1".encode(), JSON)
            if other.status == _OK and is_dicom_json(other.body) and other.body.strip() != b"[]":
                place = Place(api=Api.QIDO, base=base, status=other.status, route="studies/")
        if place is not None:
            self._places.append(place)

    def _place(self, base: str, answer: Answer) -> Place | None:
        """An empty answer may be anybody's, where any path is answered; a refusal, where all are refused."""
        if answer.status == _OK:
            is_archive = is_dicom_json(answer.body) and not self._is_orthancs_own(base)
        elif answer.status == _NO_CONTENT:
            is_archive = not self._job.answers_anything
        else:
            is_archive = answer.status in LOCKED and not self._job.is_all_locked
        return Place(api=Api.QIDO, base=base, status=answer.status) if is_archive else None

    def _is_orthancs_own(self, base: str) -> bool:
        """Orthanc lists identifiers of its own at `/studies`: an empty one looks like an empty archive."""
        return not base and self._version is not None

    def _dcm4chee_titles(self) -> Steps[list[str]]:
        answer = yield from self._get(AETS, max_body=1 << 16)
        if answer.status == _OK:
            return list(archive_titles(answer.body, MAX_TITLES) or ())
        if answer.status in LOCKED and not self._job.is_all_locked:
            self._places.append(Place(api=Api.QIDO, base=AETS, status=answer.status))
        return []

    def _get(self, target: str, *, max_body: int) -> Steps[Answer]:
        return (yield from self._client.get(target.encode(), PLAIN_JSON, max_body=max_body))
