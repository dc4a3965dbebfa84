from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.scope.window import Window

NIGHT = Window.parse("22:00-05:00 Europe/Berlin")


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("now", "closes"),
    [
        ("2026-11-20T20:59:59", None),
        ("2026-11-20T21:00:00", "2026-11-21T04:00:00"),
        ("2026-11-21T00:30:00", "2026-11-21T04:00:00"),
        ("2026-11-21T03:59:59.999999", "2026-11-21T04:00:00"),
        ("2026-11-21T04:00:00", None),
        ("2026-07-01T20:00:00", "2026-07-02T03:00:00"),  # summer time
        ("2026-07-01T19:59:59", None),
        ("2026-10-24T23:00:00", "2026-10-25T04:00:00"),  # the clocks go back in this night
    ],
)
def test_a_window_over_midnight(now: str, closes: str | None) -> None:
    assert NIGHT.closes(utc(now)) == (utc(closes) if closes else None)


def test_a_window_within_a_day() -> None:
    window = Window.parse("09:00-17:30 UTC")
    assert window.closes(utc("2026-11-20T09:00:00")) == utc("2026-11-20T17:30:00")
    assert window.closes(utc("2026-11-20T08:59:59")) is None
    assert window.closes(utc("2026-11-20T17:30:00")) is None


def test_where_the_clocks_change_the_window_is_the_shorter_reading() -> None:
    """On 2026-10-25 Berlin has 02:00 to 03:00 twice; on 2026-03-29 not at all."""
    twice = Window.parse("01:00-02:30 Europe/Berlin")
    assert twice.closes(utc("2026-10-25T00:15:00")) == utc("2026-10-25T00:30:00")
    assert twice.closes(utc("2026-10-25T01:15:00")) is None
    never = Window.parse("02:15-02:45 Europe/Berlin")
    assert all(
        never.closes(utc(f"2026-03-29T0{hour}:{minute:02}:00")) is None for hour in (0, 1) for minute in range(60)
    )


@given(st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31), timezones=st.just(dt.UTC)))
def test_an_open_window_is_open_by_the_clock_on_the_wall_and_until_it_closes(now: dt.datetime) -> None:
    closes = NIGHT.closes(now)
    local = now.astimezone(NIGHT.zone).time()
    if closes is None:
        assert not (local >= dt.time(22))
        assert not (local < dt.time(5))
    else:
        assert local >= dt.time(22) or local < dt.time(5)
        assert NIGHT.closes(closes - dt.timedelta(microseconds=1)) == closes
        assert NIGHT.closes(closes) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("22-05 Europe/Berlin", "form"),
        ("22:00-05:00", "form"),
        ("22:00-24:00 UTC", "between 00:00 and 23:59"),
        ("22:00-22:00 UTC", "same time"),
        ("22:00-05:00 Europe/Berlln", "unknown time zone"),
        ("22:00-05:00 ../../etc/passwd", "unknown time zone"),
        ("22:00-05:00 Europe", "unknown time zone"),
    ],
)
def test_bad_windows(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Window.parse(text)
