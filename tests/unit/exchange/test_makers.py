"""The crowd: valuations with the right shape, quotes that make a usable book, the same every time."""

import hashlib
import random

import pytest

from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.core import BookTraded, CoreEvent, ExchangeCore, LevelsChanged
from polystra.exchange.fair_value import fair_up, normal_cdf
from polystra.exchange.makers import CENT, WITHDRAW_S, Belief
from polystra.exchange.simulation import DEFAULT_EPOCH_S, BuiltInConfig, Simulation

END_S = DEFAULT_EPOCH_S + 300


class Floor:
    """A simulated hour-part of one 5-minute BTC market with a record of its events."""

    def __init__(self, seed: int) -> None:
        self.core = ExchangeCore(rng=random.Random(1))
        self.simulation = Simulation(BuiltInConfig(seed=seed, symbols=("BTC",), windows=("5m",)), self.core)
        self.events: list[CoreEvent] = []
        self.core.add_listener(self.events.append)
        self.run_to(DEFAULT_EPOCH_S)
        self.market = next(self.simulation.world.markets())

    def run_to(self, second: int) -> None:
        self.simulation.run_due(second * NS_PER_S)

    def best(self) -> tuple[int | None, int | None]:
        return self.core.best(self.market.spec.up_token)


def test_normal_distribution() -> None:
    assert normal_cdf(0.0) == pytest.approx(0.5)
    assert normal_cdf(1.96) == pytest.approx(0.975, abs=1e-4)


def test_fair_value_knows_the_averaging_minute() -> None:
    common = {"volatility": 45 / 60**0.5, "lookback_s": 60.0, "strike": 64_000.0}
    at_start, _ = fair_up(spot=64_030.0, left_s=60.0, average=64_030.0, **common)
    assert at_start == pytest.approx(0.876, abs=0.002)
    late, _ = fair_up(spot=64_030.0, left_s=20.0, average=64_030.0, **common)
    assert late > 0.999
    flipped, _ = fair_up(spot=64_005.0, left_s=10.0, average=63_990.0, **common)
    assert flipped < 0.01


def test_beliefs_are_late_and_wrong() -> None:
    beliefs = [Belief.drawn(random.Random(seed)) for seed in range(50)]
    assert all(NS_PER_S <= belief.delay_ns <= 3 * NS_PER_S for belief in beliefs)
    factors = [belief.volatility_factor for belief in beliefs]
    assert min(factors) < 0.9
    assert max(factors) > 1.1


def test_the_book_is_two_sided_narrow_and_deep_enough() -> None:
    floor = Floor(7)
    spreads = []
    for second in range(DEFAULT_EPOCH_S + 5, END_S - 60, 5):
        floor.run_to(second)
        bid, ask = floor.best()
        if bid is not None and ask is not None:
            assert bid < ask
            assert bid % CENT == ask % CENT == 0
            spreads.append((ask - bid) // CENT)
    assert len(spreads) > 30
    assert sum(spreads) / len(spreads) <= 4
    bids, asks = floor.core.depth(floor.market.spec.up_token)
    assert sum(size for _, size in [*bids, *asks]) >= 40 * MICRO


def test_messages_flow_at_a_steady_rate_and_trades_happen() -> None:
    floor = Floor(7)
    floor.run_to(DEFAULT_EPOCH_S + 60)
    floor.events.clear()
    floor.run_to(DEFAULT_EPOCH_S + 180)
    own = [e for e in floor.events if getattr(e, "condition_id", "") == floor.market.spec.condition_id]
    messages = sum(isinstance(event, LevelsChanged) for event in own)
    assert 4 * 120 <= messages <= 20 * 120
    assert sum(isinstance(event, BookTraded) for event in own) >= 20


def test_quotes_are_withdrawn_before_the_end() -> None:
    floor = Floor(7)
    floor.run_to(END_S - WITHDRAW_S + 1)
    assert floor.best() == (None, None)


def test_makers_know_their_fills() -> None:
    floor = Floor(7)
    floor.run_to(DEFAULT_EPOCH_S + 200)
    live = {order.order_id for order in floor.core.open_orders(floor.simulation.crowd.makers)}
    assert set(floor.simulation.crowd.owners) == live


def test_prices_move_far_enough_for_profits_and_stops() -> None:
    ups = downs = 0
    for seed in range(4):
        floor = Floor(seed)
        entry: int | None = None
        for second in range(DEFAULT_EPOCH_S + 20, END_S - 20, 4):
            floor.run_to(second)
            bid, ask = floor.best()
            entry = entry or ask
            if bid is not None and entry is not None:
                ups += bid * 10 >= entry * 18
                downs += bid * 2 <= entry
    assert ups + downs > 0


def test_same_seed_same_events() -> None:
    def digest(seed: int) -> str:
        floor = Floor(seed)
        floor.run_to(DEFAULT_EPOCH_S + 120)
        return hashlib.sha256(repr(floor.events).encode()).hexdigest()

    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_no_money_is_made_out_of_nothing() -> None:
    floor = Floor(7)
    before = floor.core.total_money()
    floor.run_to(END_S + 30)
    assert floor.core.total_money() == before
