"""Longer slices of the search: four markets of two windows, and a whole day."""

from __future__ import annotations

import pytest

from tests.simulation.search_plan import draw
from tests.simulation.search_run import run_plan


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 110))
def test_four_markets_of_two_windows_survive_their_bad_days(seed):
    assert run_plan(draw(seed, minutes=20, profile="full", markets=4)).broken == ()


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_whole_day_with_trouble_in_every_part_of_it_breaks_nothing():
    plan = draw(7, minutes=1_440, profile="full", markets=4)
    assert max(crash.from_s for crash in plan.crashes) > 40_000
    verdict = run_plan(plan)
    assert verdict.broken == ()
    assert verdict.restarts > 5
