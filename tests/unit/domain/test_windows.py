"""Boundaries of up/down windows, over the days on which New York's clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from polystra.domain.windows import DAY_S, HOUR_S, WINDOW_SECONDS, close_of, current_open, eastern_s, shares_its_label
from polystra.exchange.schedule import close_of as exchange_close
from polystra.exchange.schedule import next_open

NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def wall(second: int) -> datetime:
    return datetime.fromtimestamp(second, NEW_YORK).replace(tzinfo=None)


@pytest.mark.parametrize("year", range(2024, 2041))
def test_eastern_time_is_new_yorks(year: int) -> None:
    """Every hour around both changes, and noon of every tenth day."""
    hours = [utc(f"{year}-03-0{day}") + hour * HOUR_S for day in (8, 9) for hour in range(24)]
    hours += [utc(f"{year}-{month}") + hour * HOUR_S for month in ("03-14", "11-01") for hour in range(-48, 8 * 24)]
    hours += [utc(f"{year}-01-01T12:00") + day * DAY_S for day in range(0, 365, 10)]
    for second in hours:
        shown = datetime.fromtimestamp(eastern_s(second), UTC).replace(tzinfo=None)
        assert shown == wall(second), second


@pytest.mark.parametrize(
    ("window", "at", "opens", "closes"),
    [
        ("5m", "2026-07-01T10:07:00", "2026-07-01T10:05:00", "2026-07-01T10:10:00"),
        ("15m", "2026-07-01T10:15:00", "2026-07-01T10:15:00", "2026-07-01T10:30:00"),
        ("1h", "2026-07-01T10:59:59", "2026-07-01T10:00:00", "2026-07-01T11:00:00"),
        ("4h", "2026-07-01T12:00:00", "2026-07-01T12:00:00", "2026-07-01T16:00:00"),
        ("4h", "2026-12-01T20:30:00", "2026-12-01T17:00:00", "2026-12-01T21:00:00"),
        ("1d", "2026-07-01T15:59:59", "2026-06-30T16:00:00", "2026-07-01T16:00:00"),
        ("1d", "2026-12-01T17:00:00", "2026-12-01T17:00:00", "2026-12-02T17:00:00"),
        # clocks forward on 8 March 2026 at 07:00 UTC: midnight to four is three hours, noon to noon twenty-three
        ("4h", "2026-03-08T06:00:00", "2026-03-08T05:00:00", "2026-03-08T08:00:00"),
        ("1d", "2026-03-08T06:00:00", "2026-03-07T17:00:00", "2026-03-08T16:00:00"),
        # clocks back on 1 November 2026 at 06:00 UTC: five hours, twenty-five
        ("4h", "2026-11-01T08:30:00", "2026-11-01T04:00:00", "2026-11-01T09:00:00"),
        ("1d", "2026-11-01T16:30:00", "2026-10-31T16:00:00", "2026-11-01T17:00:00"),
    ],
)
def test_the_running_window(window: str, at: str, opens: str, closes: str) -> None:
    start = current_open(WINDOW_SECONDS[window], utc(at))
    assert (start, close_of(WINDOW_SECONDS[window], start)) == (utc(opens), utc(closes))


@pytest.mark.parametrize("window", WINDOW_SECONDS)
def test_windows_follow_each_other_without_a_gap_over_a_year_as_on_the_exchange(window: str) -> None:
    """The exchange's schedule was written apart from this one."""
    length = WINDOW_SECONDS[window]
    ends = utc("2027-01-01")
    start = current_open(length, utc("2026-02-27"))
    step = max(length, HOUR_S)
    while start < ends:
        end = close_of(length, start)
        assert (next_open(window, start), exchange_close(window, start)) == (start, end)
        assert current_open(length, start) == current_open(length, end - 1) == start
        start = end if length >= HOUR_S else current_open(length, start + step)


def test_two_hours_of_autumn_have_one_label() -> None:
    shared = [hour for hour in range(utc("2026-10-31"), utc("2026-11-03"), HOUR_S) if shares_its_label(hour)]
    assert shared == [utc("2026-11-01T05:00"), utc("2026-11-01T06:00")]
    assert not any(shares_its_label(hour) for hour in range(utc("2026-03-07"), utc("2026-03-10"), HOUR_S))


def test_a_length_that_no_window_has() -> None:
    with pytest.raises(ValueError, match="window_s is 600"):
        current_open(600, 0)
