"""When up/down windows open and close, and what the venue calls them.

What lives here: window lengths, their alignment, slugs and titles. 5m and 15m windows are
multiples of their length; 1h is the clock hour; 4h and 1d follow US-Eastern midnight and noon,
so their UTC phase moves with daylight saving (Polymarket CLOB docs, crypto up/down markets).
What must not: prices, books, which markets exist. Daylight saving is computed from the rule in
force since 2007, so that no time-zone database is needed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from polystra.exchange.assets import Asset

HOUR_S: Final = 3_600
WINDOW_SECONDS: Final[dict[str, int]] = {"5m": 300, "15m": 900, "1h": HOUR_S, "4h": 4 * HOUR_S, "1d": 24 * HOUR_S}
"""Nominal length of each window; a daylight-saving change makes one 4h or 1d window longer or shorter."""


def _nth_sunday(year: int, month: int, nth: int, hour_utc: int) -> int:
    first = datetime(year, month, 1, hour_utc, tzinfo=UTC)
    day = 1 + (6 - first.weekday()) % 7 + 7 * (nth - 1)
    return int(first.replace(day=day).timestamp())


def eastern_offset_s(second: int) -> int:
    """Return US-Eastern time minus UTC in seconds at a UTC second (-4 h in summer, else -5 h)."""
    year = datetime.fromtimestamp(second, UTC).year
    summer = _nth_sunday(year, 3, 2, 7) <= second < _nth_sunday(year, 11, 1, 6)
    return (-4 if summer else -5) * HOUR_S


def eastern(second: int) -> datetime:
    """Return the US-Eastern wall clock at a UTC second (as a datetime labelled UTC)."""
    return datetime.fromtimestamp(second + eastern_offset_s(second), UTC)


def next_open(window: str, not_before_s: int) -> int:
    """Return the first window start at or after `not_before_s`; raises KeyError for an unknown window."""
    length = WINDOW_SECONDS[window]
    step = min(length, HOUR_S)
    start = -(-not_before_s // step) * step
    phase = 12 * HOUR_S if window == "1d" else 0
    while length > HOUR_S and (start + eastern_offset_s(start) - phase) % length:
        start += HOUR_S
    return start


def close_of(window: str, opens_at_s: int) -> int:
    """Return the end of the window that starts at `opens_at_s`: the start of the next one."""
    if WINDOW_SECONDS[window] <= HOUR_S:
        return opens_at_s + WINDOW_SECONDS[window]
    return next_open(window, opens_at_s + 1)


def slug_of(asset: Asset, window: str, opens_at_s: int) -> str:
    """Return the venue's slug of a window."""
    if window == "1h":
        local = eastern(opens_at_s)
        return f"{_long_name(asset)}-up-or-down-{_day(local)}-{_hour(local).lower()}-et"
    if window == "1d":
        return f"{_long_name(asset)}-up-or-down-on-{_day(eastern(close_of(window, opens_at_s)))}"
    return f"{asset.symbol.lower()}-updown-{window}-{opens_at_s}"


def title_of(asset: Asset, window: str, opens_at_s: int) -> str:
    """Return the venue's question, e.g. `Bitcoin Up or Down - March 12, 5:20AM-5:25AM ET`."""
    start, end = eastern(opens_at_s), eastern(close_of(window, opens_at_s))
    if window == "1d":
        return f"{asset.name} Up or Down on {end:%B} {end.day}?"
    if window == "1h":
        return f"{asset.name} Up or Down - {start:%B} {start.day}, {_hour(start)} ET"
    return f"{asset.name} Up or Down - {start:%B} {start.day}, {_minute(start)}-{_minute(end)} ET"


def iso(second: int) -> str:
    """Return a UTC second as the venue writes it, e.g. `2026-03-12T09:20:00Z`."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _long_name(asset: Asset) -> str:
    return asset.name.lower()


def _day(local: datetime) -> str:
    return f"{local:%B}-{local.day}-{local.year}".lower()


def _hour(local: datetime) -> str:
    return f"{local.hour % 12 or 12}{'AM' if local.hour < 12 else 'PM'}"


def _minute(local: datetime) -> str:
    return f"{local.hour % 12 or 12}:{local.minute:02d}{'AM' if local.hour < 12 else 'PM'}"
