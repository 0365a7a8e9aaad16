"""When up/down windows open and close.

What lives here: the lengths that there are, their names, and the arithmetic of their boundaries, daylight saving
included. What must not: slugs, listings, prices.

Windows of 5 m, 15 m and 1 h begin at multiples of their length. Windows of 4 h begin at US-Eastern midnight and every
fourth hour of that wall clock, those of a day at US-Eastern noon (Polymarket CLOB docs, crypto up/down markets): their
UTC times move with daylight saving, and the window in which the clocks change is an hour longer or shorter. The rule is
that of the Energy Policy Act of 2005: from the second Sunday of March 07:00 UTC to the first Sunday of November 06:00
UTC Eastern time is four hours behind UTC, else five.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
WINDOW_SECONDS: Final = MappingProxyType({"5m": 300, "15m": 900, "1h": HOUR_S, "4h": 4 * HOUR_S, "1d": DAY_S})
"""Names of the windows and their usual lengths in seconds."""
_NOON_S: Final = DAY_S // 2
_DAYS_TO_MARCH_1: Final = 59


def current_open(window_s: int, now_s: int) -> int:
    """Return the start of the window of this usual length that is running at `now_s`, in UTC seconds.

    Raises:
        ValueError: no window has this length.
    """
    if window_s not in WINDOW_SECONDS.values():
        raise ValueError(f"window_s is {window_s}, expected one of {sorted(WINDOW_SECONDS.values())}")
    step = min(window_s, HOUR_S)
    start = now_s - now_s % step
    while not _begins(window_s, start):
        start -= HOUR_S
    return start


def close_of(window_s: int, opens_at_s: int) -> int:
    """Return the end of the window that starts at `opens_at_s`: the start of the next one, in UTC seconds."""
    step = min(window_s, HOUR_S)
    end = opens_at_s + step
    while not _begins(window_s, end):
        end += HOUR_S
    return end


def eastern_s(second: int) -> int:
    """Return US-Eastern wall-clock time at a UTC second, counted as if it were UTC."""
    return second - (4 if _is_summer(second) else 5) * HOUR_S


def shares_its_label(hour_s: int) -> bool:
    """True for the two hours of autumn that one label of US-Eastern time stands for."""
    return eastern_s(hour_s) in {eastern_s(hour_s - HOUR_S), eastern_s(hour_s + HOUR_S)}


def _begins(window_s: int, second: int) -> bool:
    """True when a window of this length begins at a full hour (or at a multiple of a shorter length)."""
    if window_s <= HOUR_S:
        return True
    phase = _NOON_S if window_s == DAY_S else 0
    return (eastern_s(second) - phase) % window_s == 0


def _is_summer(second: int) -> bool:
    days = second // DAY_S
    year, january_1 = _year_of(days)
    leap = 1 if _days_in(year) == 366 else 0
    march_1 = january_1 + _DAYS_TO_MARCH_1 + leap
    november_1 = march_1 + 245
    begins = (_first_sunday(march_1) + 7) * DAY_S + 7 * HOUR_S
    ends = _first_sunday(november_1) * DAY_S + 6 * HOUR_S
    return begins <= second < ends


def _year_of(days: int) -> tuple[int, int]:
    """The year of a day counted from 1970, and the day on which it began."""
    year, begun = 1970, 0
    while days >= begun + _days_in(year):
        begun += _days_in(year)
        year += 1
    return year, begun


def _days_in(year: int) -> int:
    return 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365


def _first_sunday(day: int) -> int:
    """The first Sunday on or after a day counted from 1970, which began on a Thursday."""
    return day + (3 - day) % 7
