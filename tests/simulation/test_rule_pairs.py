"""Every pair of on and off of the rules runs a market: none depends on another, and the books agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from polystra.domain.units import MICRO
from polystra.ports.logbook import LogEvent
from tests.simulation.rule_pairs import RULES, covering_rows, settings_rows
from tests.simulation.scenario_file import CENT, Expected, Quotes, Scenario, Step
from tests.simulation.scenario_runner import Played, differences, play
from tests.simulation.search_end import at_the_end

FIGURES = {
    "MIN_EDGE_PERCENT": "3",
    "MAX_TRADE_SIZE": "12",
    "TAKE_PROFIT_PERCENT": "20",
    "STOP_LOSS_PERCENT": "20",
    "TRAILING_STOP_PERCENT": "15",
    "BREAK_EVEN_AFTER_PERCENT": "10",
    "TIME_STOP_SECONDS": "100",
    "UNFILLED_TIMEOUT_SECONDS": "25",
    "SCALE_IN_TRIGGER_PERCENT": "5",
    "SCALE_IN_MIN_DOLLARS": "3",
}
RISING = (49, 50, 53, 58, 61, 60, 66, 72, 69, 80, 88, 93, 97, 98)
FALLING = (49, 51, 55, 59, 54, 48, 40, 31, 35, 22, 12, 8, 4, 2)
TROUBLES = (
    {"restart": (100.3, 30.0)},
    {"modes": (("restarting", 90, 20),)},
    {"faults": ({"fault": "trade_failed", "probability": 0.3, "with": {"seconds": 3}},)},
    {
        "faults": (
            {"fault": "reply_dropped", "where": {"method": "POST"}, "probability": 0.3},
            {"fault": "reply_dropped", "where": {"method": "DELETE"}, "probability": 0.3},
        )
    },
    {
        "faults": (
            {"fault": "message_dropped", "where": {"stream": "user"}, "probability": 0.3},
            {"fault": "message_duplicated", "where": {"stream": "user"}, "probability": 0.3},
        )
    },
)
"""What goes wrong beside: restarts of daemon and venue, failed trades, lost replies, lost and doubled words."""
EVERY_S = 20
"""So far apart are the moves of the book."""


def market(settings: dict[str, str], path: tuple[int, ...]) -> Scenario:
    """Two coins whose books move along `path`, the price of the coin with them; entries by wish and by edge."""
    up = path is RISING
    return Scenario(
        title="a row",
        settings={**FIGURES, **settings},
        payout=MICRO if up else 0,
        quotes=tuple(
            Quotes(
                number * EVERY_S + 0.5,
                ((bid * CENT, 60 * MICRO), (max(1, bid - 4) * CENT, 300 * MICRO)),
                ((min(99, bid + 2) * CENT, 15 * MICRO), (min(99, bid + 5) * CENT, 300 * MICRO)),
            )
            for number, bid in enumerate(path)
        ),
        prices=(
            *((number * EVERY_S, 64_000 + 4.0 * (bid - 49)) for number, bid in enumerate(path)),
            (700, 64_000 + 4.0 * (path[-1] - 49)),
        ),
        steps=(
            Step(8, "enter", "up", quantity=20 * MICRO, price=53 * CENT),
            Step(9, "enter", "down", budget=6 * MICRO, price=53 * CENT, market="ETH 5m"),
            Step(70, "add", "up", quantity=6 * MICRO, price=62 * CENT),
            Step(131, "enter", "down", quantity=10 * MICRO, price=40 * CENT, market="ETH 5m"),
            Step(210, "exit", "up"),
        ),
        then=Expected(),
        faults=(),
        rules={"balance_lag_ms": 2_000},
        cash=1_000 * MICRO,
        markets=("BTC 5m", "ETH 5m"),
    )


def wrong(scenario: Scenario, played: Played) -> list[str]:
    """What does not hold at the end: books that differ, adjustments, frozen markets, live orders, broken sums."""
    frozen = [str(fields) for fields in played.lines.of(LogEvent.MARKET_FROZEN)]
    failed = [str(fields) for fields in played.lines.of(LogEvent.STRATEGY_FAILED)]
    left_open = played.summary.left_open
    return [*differences(scenario, played), *at_the_end(played.report, played.reading, left_open), *frozen, *failed]


def test_every_two_columns_show_all_four_pairs():
    for columns in (2, 3, 10, len(RULES)):
        rows = covering_rows(columns)
        for left, right in combinations(range(columns), 2):
            assert {(row[left], row[right]) for row in rows} == {(a, b) for a in (False, True) for b in (False, True)}


@pytest.mark.parametrize("path", [RISING, FALLING], ids=["rising", "falling"])
@pytest.mark.parametrize("number", range(len(settings_rows())))
def test_a_row_runs_its_market(number: int, path: tuple[int, ...], tmp_path: Path):
    scenario = market(settings_rows()[number], path)
    played = play(scenario, tmp_path)
    assert wrong(scenario, played) == []
    assert played.account.fills


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES, ids=["restart", "venue", "chain", "replies", "messages"])
@pytest.mark.parametrize("number", range(len(settings_rows())))
def test_a_row_runs_its_market_in_trouble(number: int, trouble: dict[str, Any], tmp_path: Path):
    scenario = replace(market(settings_rows()[number], FALLING), **trouble)
    assert wrong(scenario, play(scenario, tmp_path)) == []
