"""The hours in which a zone may be touched."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TEXT = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2}) (\S+)")
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Daily hours in a time zone; the end lies on the next day when it is not after the start.

    Where the clocks change, an hour that does not exist or exists twice is read so that the window is shorter.
    """

    start: dt.time
    end: dt.time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Window:
        """`22:00-05:00 Europe/Berlin`. Raises ValueError, whose text says what is wrong."""
        if not (match := _TEXT.fullmatch(text)):
            raise ValueError("is not of the form HH:MM-HH:MM ZONE")
        *numbers, name = match.groups()
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"names an unknown time zone {name!r}") from None
        try:
            start, end = dt.time(int(numbers[0]), int(numbers[1])), dt.time(int(numbers[2]), int(numbers[3]))
        except ValueError:
            raise ValueError("holds a time that is not between 00:00 and 23:59") from None
        if start == end:
            raise ValueError("starts and ends at the same time")
        return cls(start=start, end=end, zone=zone)

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone.key}"

    def closes(self, now: dt.datetime) -> dt.datetime | None:
        """When the window that is open at `now` (aware) closes, in UTC; None when it is shut."""
        today = now.astimezone(self.zone).date()
        ends = [end for day in (today - _DAY, today) for start, end in [self._span(day)] if start <= now < end]
        return max(ends, default=None)

    def _span(self, day: dt.date) -> tuple[dt.datetime, dt.datetime]:
        """In UTC, of the window that starts on `day` of the zone."""
        last = day if self.end > self.start else day + _DAY
        return max(self._readings(day, self.start)), min(self._readings(last, self.end))

    def _readings(self, day: dt.date, time: dt.time) -> list[dt.datetime]:
        """Both readings of a local time: they differ where the clocks change."""
        local = dt.datetime.combine(day, time, tzinfo=self.zone)
        return [local.replace(fold=fold).astimezone(dt.UTC) for fold in (0, 1)]
