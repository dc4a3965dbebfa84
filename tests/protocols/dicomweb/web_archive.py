"""An archive over HTTP as a function: QIDO-RS that honours, or ignores, what it is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit


def reply(body: bytes, status: int = 200, *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d x" % status, b"Content-Length: %d" % len(body), *fields, b"", body])


def data_set(study: int, images: int | None = 2) -> dict[str, object]:
    found: dict[str, object] = {
        "0020000D": {"vr": "UI", "Value": [f"2.25.11.{study}"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": f"SYNTHETIC^{study}"}]},
        "00100020": {"vr": "LO", "Value": [f"SYNTHETIC-{study}"]},
        "00080020": {"vr": "DA", "Value": [f"20{study % 20:02}0101"]} if study % 10 else {"vr": "DA"},
    }
    if images is not None:
        found["00201208"] = {"vr": "IS", "Value": [images]}
    return found


@dataclass
class WebArchive:
    """`studies` lie behind `base`. `cap`: so many in one answer at most; `status` for everything else there."""

    studies: int
    base: str = "/dicom-web"
    cap: int = 1 << 30
    honours_offset: bool = True
    honours_dates: bool = True
    status: int = 200
    others: int = 404
    pages: Mapping[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, sent: bytes) -> tuple[bytes, bool]:
        method, target = re.match(rb"(\S+) (\S+) HTTP/1.1", sent).groups()  # type: ignore[union-attr]
        target = target.decode()
        if method != b"GET":
            return reply(b"", 405), True
        self.asked.append(target)
        url = urlsplit(target)
        if url.path in self.pages:
            return reply(self.pages[url.path]), True
        if url.path != f"{self.base}/studies":
            return reply(b"<html>nothing</html>", self.others), True
        if self.status != 200:
            return reply(b"no", self.status), True
        return self._studies(parse_qs(url.query)), True

    def _studies(self, asked: Mapping[str, list[str]]) -> bytes:
        rows = [data_set(number) for number in range(self.studies)]
        if self.honours_dates and "StudyDate" in asked:
            first, _, last = asked["StudyDate"][0].partition("-")
            rows = [row for row in rows if first <= _date(row) <= (last or first)]
        offset = int(asked.get("offset", ["0"])[0]) if self.honours_offset else 0
        most = min(int(asked["limit"][0]), self.cap)
        rows = rows[offset : offset + most]
        return reply(json.dumps(rows).encode()) if rows else reply(b"", 204)


def _date(row: Mapping[str, object]) -> str:
    element = row["00080020"]
    return element.get("Value", [""])[0] if isinstance(element, dict) else ""
