"""Every kind of trader does what it is for, repeats with its seed and makes no money out of nothing."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.core import CoreEvent, ExchangeCore, LevelsChanged, OrderEvent, TradeEvent, TradeView
from polystra.exchange.simulation import DEFAULT_EPOCH_S, BuiltInConfig, Simulation
from polystra.exchange.traders.config import CrowdConfig
from polystra.matching.book import ONE, UP
from tests.unit.exchange import event_log

END_S = DEFAULT_EPOCH_S + 300
QUIET = CrowdConfig()
SOURCE = Path(__file__).parents[3]


class Floor:
    """One 5-minute BTC market with a crowd, run up to its end unless told otherwise."""

    def __init__(self, crowd: CrowdConfig, *, seed: int = 7, until_s: int = 300) -> None:
        self.core = ExchangeCore(rng=random.Random(1))
        self.config = BuiltInConfig(seed=seed, symbols=("BTC",), windows=("5m",), crowd=crowd)
        self.simulation = Simulation(self.config, self.core)
        self.events: list[CoreEvent] = []
        self.core.add_listener(self.events.append)
        self.run_to(DEFAULT_EPOCH_S)
        self.market = next(self.simulation.world.markets())
        self.run_to(DEFAULT_EPOCH_S + until_s)

    def run_to(self, second: int) -> None:
        self.simulation.run_due(second * NS_PER_S)

    def account(self, name: str) -> str:
        return self.core.open_house_account(name)

    def trades(self) -> list[TradeView]:
        """The trades of the market, once each."""
        return [
            event.trade
            for event in self.events
            if isinstance(event, TradeEvent)
            and event.trade.status == "MATCHED"
            and event.trade.condition_id == self.market.spec.condition_id
        ]

    def orders_of(self, account: str, kind: str) -> list[OrderEvent]:
        return [
            event
            for event in self.events
            if isinstance(event, OrderEvent) and event.order.account == account and event.type == kind
        ]


def kinds_of_legs(trade: TradeView) -> set[str]:
    """Say how pairs changed hands in a trade's legs."""
    return {
        "transfer" if leg.outcome_index == trade.outcome_index else "mint" if trade.side == "BUY" else "merge"
        for leg in trade.legs
    }


def test_the_informed_taker_earns_from_the_makers_what_it_knows_ahead() -> None:
    earned = traded = 0
    for seed in range(4):
        floor = Floor(replace(QUIET, informed_takers=1, informed_lead_s=20), seed=seed)
        informed = floor.account("informed-taker")
        floor.run_to(END_S + 30)
        up_payout = floor.core.market(floor.market.spec.condition_id).up_payout
        assert up_payout is not None
        for trade in floor.trades():
            if trade.taker_account == informed:
                payout = up_payout if trade.outcome_index == UP else ONE - up_payout
                earned += trade.size * payout // ONE - trade.cash
                traded += 1
    assert traded >= 10
    assert earned > 0


def test_the_spoofer_shows_large_orders_and_is_hardly_ever_met() -> None:
    floor = Floor(replace(QUIET, spoofers=1))
    spoofer = floor.account("spoofer")
    shown = floor.orders_of(spoofer, "PLACEMENT")
    assert len(shown) >= 15
    assert min(event.order.original_size for event in shown) >= 1_500 * MICRO
    taken_back = floor.orders_of(spoofer, "CANCELLATION")
    assert len(taken_back) == len(shown)
    met = sum(leg.size for trade in floor.trades() for leg in trade.legs if leg.account == spoofer)
    assert met * 100 < sum(event.order.original_size for event in shown)


def test_the_vanishing_book_is_empty_for_its_time_and_comes_back() -> None:
    crowd = replace(QUIET, vanish_every_s=30, vanish_for_s=10, noise_takers=0)
    floor = Floor(crowd, until_s=0)
    empty: list[int] = []
    for second in range(DEFAULT_EPOCH_S, END_S - 20):
        floor.run_to(second)
        if floor.core.best(floor.market.spec.up_token) == (None, None):
            empty.append(second)
    assert 15 <= len(empty) <= 200
    stretches = [second for second in empty if second - 1 not in empty]
    assert len(stretches) >= 2
    assert list(floor.core.open_orders(floor.simulation.crowd.makers))


def test_the_cross_outcome_trader_mints_merges_and_brings_strangers_together() -> None:
    floor = Floor(replace(QUIET, makers=4, cross_outcome_traders=2))
    trades = floor.trades()
    kinds = [kind for trade in trades for kind in kinds_of_legs(trade)]
    assert kinds.count("mint") >= 20
    first = floor.account("cross-outcome")
    partners = {floor.account(f"partner of {floor.account(name)}") for name in ("cross-outcome", "cross-outcome-2")}
    merged = [t for t in trades if t.taker_account in partners and t.side == "SELL" and "merge" in kinds_of_legs(t)]
    assert len(merged) >= 3
    assert any(leg.account == first for trade in merged for leg in trade.legs)
    assert sum(len({leg.account for leg in trade.legs}) > 1 for trade in trades) >= 10


def test_the_dust_maker_leaves_odd_remainders_on_the_book() -> None:
    def odd(dust_makers: int) -> int:
        floor = Floor(replace(QUIET, noise_takers=0, dust_makers=dust_makers))
        levels = [event for event in floor.events if isinstance(event, LevelsChanged)]
        return sum(change.size % 100 > 0 for event in levels for change in event.changes)

    assert odd(1) >= odd(0) + 50


def test_more_makers_with_wider_and_larger_quotes() -> None:
    def quotes(crowd: CrowdConfig) -> tuple[int, int]:
        floor = Floor(crowd, until_s=0)
        spreads = depth = 0
        for second in range(DEFAULT_EPOCH_S + 5, DEFAULT_EPOCH_S + 100, 5):
            floor.run_to(second)
            bid, ask = floor.core.best(floor.market.spec.up_token)
            spreads += (ONE if ask is None else ask) - (bid or 0)
            depth += sum(size for side in floor.core.depth(floor.market.spec.up_token) for _, size in side)
        return spreads, depth

    narrow, thin = quotes(replace(QUIET, makers=1))
    wide, _ = quotes(replace(QUIET, makers=1, maker_spread_percent=400))
    _, thick = quotes(replace(QUIET, makers=3, maker_size_percent=300))
    assert 2 * wide > 3 * narrow
    assert thick > 3 * thin


def test_a_quarter_of_the_pace_moves_about_a_quarter_of_the_quotes_and_leaves_in_time() -> None:
    def placed(floor: Floor) -> int:
        return sum(isinstance(event, OrderEvent) and event.type == "PLACEMENT" for event in floor.events)

    usual, slow = Floor(QUIET), Floor(replace(QUIET, pace_percent=25))
    assert 3 * placed(slow) < placed(usual) < 6 * placed(slow)
    assert slow.trades()
    for floor in (slow, Floor(replace(QUIET, pace_percent=10))):
        assert floor.core.depth(floor.market.spec.up_token) == ([], [])


def test_one_more_kind_leaves_the_draws_of_the_others_alone() -> None:
    def first_quotes(crowd: CrowdConfig) -> list[tuple[int, int]]:
        floor = Floor(crowd, until_s=-300)
        maker = floor.account("market-maker-1")
        return [(e.order.price, e.order.original_size) for e in floor.orders_of(maker, "PLACEMENT")]

    assert first_quotes(QUIET) == first_quotes(replace(QUIET, dust_makers=1, spoofers=1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_money_is_made_by_any_kind(seed: int) -> None:
    floor = Floor(CrowdConfig.every_kind(), seed=seed, until_s=0)
    core, spec = floor.core, floor.market.spec
    total = core.total_money()
    for second in range(DEFAULT_EPOCH_S, END_S + 40, 3):
        floor.run_to(second)
        assert core.total_money() == total
        if core.market(spec.condition_id).up_payout is None:
            pairs = core.books().markets[spec.condition_id].collateral
            assert core.outstanding(spec.up_token) == core.outstanding(spec.down_token) == pairs
    assert core.market(spec.condition_id).closed
    # Every winning pair was paid out; whole payouts leave nothing behind.
    assert core.books().markets[spec.condition_id].collateral == 0


def test_same_seed_and_crowd_same_event_log() -> None:
    crowd = CrowdConfig.every_kind()
    assert event_log.digest(7, crowd, 60) == event_log.digest(7, crowd, 60)
    assert event_log.digest(7, crowd, 60) != event_log.digest(8, crowd, 60)
    assert event_log.digest(7, crowd, 60) != event_log.digest(7, QUIET, 60)


def test_the_event_log_does_not_hang_on_pythons_hash_seed() -> None:
    def run(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{SOURCE / 'src'}:{SOURCE}"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.exchange.event_log", "7", "40"],
            env=environment,
            cwd=SOURCE,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    first = run("1")
    assert len(first) == 64
    assert run("2") == first


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"makers": -1}, "makers is -1"),
        ({"makers": True}, "makers is True"),
        ({"maker_size_percent": 5}, "maker_size_percent is 5"),
        ({"vanish_for_s": 0}, "vanish_for_s is 0"),
        ({"bankers": 1}, "bankers is unknown"),
    ],
)
def test_a_wrong_crowd_is_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        CrowdConfig.from_mapping(values)


def test_a_scenario_names_its_crowd() -> None:
    assert CrowdConfig.from_mapping({"makers": 3, "spoofers": 1}) == CrowdConfig(makers=3, spoofers=1)
    assert CrowdConfig.from_mapping({}) == QUIET


def test_nobody_leaves_an_empty_book() -> None:
    floor = Floor(CrowdConfig.nobody(), until_s=60)
    assert floor.core.depth(floor.market.spec.up_token) == ([], [])
