"""A slice of the soak stays flat, and the judgement finds what grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.soak import soak
from tests.simulation.soak_figures import LIMITS, Sample, judge, slope

FLAT = Sample(
    hour=1,
    memory_kb=120_000,
    venue_kb=20_000,
    engine_kb=2_000,
    tasks=44,
    handles=14,
    wal_kb=32_000,
    log_lines=1_600,
    markets=64,
    own_objects=1_800,
    venue_objects=9_000,
    state={"orders": 80, "markets": 32},
    rows={"orders": 200},
)
"""An hour as the soak measures it."""
HOURS = 48


def grown(name: str, by: int) -> list[str]:
    """What is found to grow when one figure climbs by so much an hour."""
    samples = []
    for hour in range(HOURS):
        value = getattr(FLAT, name)
        more = {**value, "orders": value["orders"] + by * hour} if isinstance(value, dict) else value + by * hour
        samples.append(replace(FLAT, **{name: more}))  # type: ignore[arg-type]
    return [each.name for each in judge(samples) if each.grows]


def test_the_slope_of_a_line_is_its_climb_an_hour() -> None:
    assert slope([3.0, 5.0, 7.0, 9.0]) == pytest.approx(2.0)
    assert slope([5.0, 5.0, 5.0]) == 0.0
    assert slope([4.0]) == 0.0


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("memory_kb", 1_000),
        ("engine_kb", 40),
        ("tasks", 1),
        ("handles", 1),
        ("wal_kb", 1_000),
        ("log_lines", 60),
        ("own_objects", 192),
        ("state", 4),
        ("rows", 64),
    ],
)
def test_what_grows_with_every_hour_is_found(name: str, by: int) -> None:
    expected = {"memory_kb": "rest_kb", "state": "state orders", "rows": "rows orders"}.get(name, name)
    assert grown(name, by) == [expected]
    assert grown(name, 0) == []


def test_every_limit_has_its_reason() -> None:
    assert all(limit.reason for limit in LIMITS.values())


@pytest.mark.timeout(300)
def test_an_hour_of_two_coins_stays_flat(tmp_path: Path) -> None:
    soaked = soak(12, tmp_path, symbols=("BTC", "ETH"), every_s=300)
    assert [each for each in judge(soaked.samples) if each.grows and not each.name.startswith("rows")] == []
    assert soaked.report.discrepancies == ()
    assert soaked.report.adjustments == ()
    assert soaked.report.orders > 20


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_eight_hours_of_four_coins_stay_flat(tmp_path: Path) -> None:
    soaked = soak(8, tmp_path)
    assert [each for each in judge(soaked.samples) if each.grows] == []
    assert soaked.report.discrepancies == ()
    assert soaked.report.adjustments == ()
