"""The plan of a take-profit: prices and parts, as pure arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.ids import PositionId
from polystra.engine.config import ExitConfig, ExitMode, TakeProfitKind
from polystra.engine.exit_memory import mode_of
from polystra.engine.positions.exit_plan import Target, belongs_to, targets
from tests.unit.engine.desk import MARKET

HALF = 500_000
LADDER = ((500_000, 400_000), (500_000, 800_000))


def plan(config: ExitConfig, *, average: int = HALF, total: int = 20_000_000, sold: int = 0) -> list[tuple[int, int]]:
    found = targets(config, MARKET, average=average, total=total, sold=sold)
    return [(target.price, target.quantity) for target in found]


@pytest.mark.parametrize(
    ("config", "price"),
    [
        (ExitConfig(take_profit_ppm=800_000), 900_000),
        (ExitConfig(take_profit_ppm=333_333), 670_000),
        (ExitConfig(take_profit_kind=TakeProfitKind.PRICE, take_profit_price=755_000), 760_000),
        (
            ExitConfig(take_profit_kind=TakeProfitKind.RISK, stop_loss_ppm=200_000, take_profit_risk_ppm=3_000_000),
            800_000,
        ),
    ],
)
def test_one_part_sells_everything_at_the_target_rounded_up(config, price):
    assert plan(config) == [(price, 20_000_000)]


def test_a_target_beyond_the_highest_price_is_no_target():
    assert plan(ExitConfig(), average=560_000) == []


def test_the_rule_switched_off_has_no_target():
    assert plan(ExitConfig(take_profit=False, ladder=LADDER)) == []


@pytest.mark.parametrize(
    ("sold", "left"),
    [
        (0, [(700_000, 10_000_000), (900_000, 10_000_000)]),
        (4_000_000, [(700_000, 6_000_000), (900_000, 10_000_000)]),
        (10_000_000, [(700_000, 0), (900_000, 10_000_000)]),
        (13_000_000, [(700_000, 0), (900_000, 7_000_000)]),
    ],
)
def test_what_is_sold_is_taken_from_the_lowest_part(sold, left):
    assert plan(ExitConfig(ladder=LADDER), sold=sold) == left


def test_a_ladder_of_less_than_everything_keeps_the_rest_for_resolution():
    found = plan(ExitConfig(ladder=((300_000, 400_000),)), total=10_010_000)
    assert found == [(700_000, 3_000_000)]


def test_the_part_beyond_the_highest_price_is_held():
    assert plan(ExitConfig(ladder=((500_000, 400_000), (500_000, 1_500_000)))) == [(700_000, 10_000_000)]


@pytest.mark.parametrize("total", [5_000_000, 7_777_777, 10_010_000, 99_997_714])
def test_the_parts_are_together_what_is_held(total):
    assert sum(quantity for _, quantity in plan(ExitConfig(ladder=LADDER), total=total)) == total


def test_an_order_less_than_its_own_tick_from_a_target_stays():
    ahead = (Target(846_000, 5_000_000), Target(900_000, 5_000_000))
    assert belongs_to(850_000, 10_000, ahead) == ahead[0]
    assert belongs_to(850_000, 1_000, ahead) is None
    assert belongs_to(900_000, 10_000, ahead) == ahead[1]
    assert belongs_to(500_000, 10_000, ()) is None


def test_the_share_in_the_other_mode_is_drawn_from_seed_and_position_alone():
    config = ExitConfig(ab_share_ppm=300_000)
    ids = [PositionId(f"m:up:{number}") for number in range(2_000)]
    drawn = [mode_of(config, b"seed", each) for each in ids]
    assert drawn == [mode_of(config, b"seed", each) for each in ids]
    assert 500 < drawn.count(ExitMode.MONITOR) < 700
    assert drawn != [mode_of(config, b"other", each) for each in ids]
    assert {mode_of(replace(config, ab_share_ppm=0), b"seed", each) for each in ids} == {ExitMode.LIMIT_ORDERS}
    assert {mode_of(replace(config, ab_share_ppm=1_000_000), b"seed", each) for each in ids} == {ExitMode.MONITOR}
