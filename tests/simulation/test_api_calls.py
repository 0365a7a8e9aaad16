"""Five positions over a simulated hour: what they cost in requests, counted at the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.api_calls import MOST_PER_POSITION, POLLING, SYMBOLS, count_calls


@pytest.mark.slow
def test_a_position_costs_at_most_six_requests_over_its_life(tmp_path: Path):
    calls = count_calls(tmp_path)
    assert len(calls.of_position) == len(SYMBOLS)
    for symbol, kinds in calls.of_position.items():
        assert kinds["POST /order"] == 2, symbol
        assert kinds.total() <= MOST_PER_POSITION, (symbol, kinds)
    assert calls.total < POLLING // 2
