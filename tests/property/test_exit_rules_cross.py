"""Every combination of the exit rules, each over its own random path of prices, fills, failures and lost messages.

Against the model venue: never more is sold than is held, and shares under a plan are protected at
every moment or their market is frozen and told. When the wire has fallen quiet and the price has
fallen through every stop, nothing sellable is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, TypeAlias

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, Side
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import CloseAction, ExitConfig, ExitMode, UnfilledConfig
from polystra.engine.state import ExitPhase, ExitState
from tests.property.test_engine_against_model_venue import ModelVenue, check, quieten
from tests.unit.engine.desk import CLOSES, UP, Desk, config

Settings: TypeAlias = dict[str, Any]
LADDER = ((500_000, 400_000), (500_000, 800_000))
TAKE_PROFITS: tuple[Settings, ...] = (
    {"take_profit": False},
    {"take_profit": True},
    {"take_profit": True, "ladder": LADDER},
)
STOPS: tuple[Settings, ...] = ({"stop_loss": False}, {"stop_loss": True})
TRAILING: tuple[Settings, ...] = ({"trailing": False}, {"trailing": True})
BREAK_EVEN: tuple[Settings, ...] = ({"break_even": False}, {"break_even": True, "break_even_after_ppm": 150_000})
TIME: tuple[Settings, ...] = ({"time_stop": False}, {"time_stop": True, "time_stop_s": 40})
GUARDS: tuple[Settings, ...] = (
    {"close_guard_s": 0},
    {"close_guard_s": 20, "close_action": CloseAction.HOLD},
    {"close_guard_s": 560, "close_action": CloseAction.EXIT},
)
AGES: tuple[Settings, ...] = ({"max_age_s": 0}, {"max_age_s": 15})
MODES: tuple[Settings, ...] = ({"mode": ExitMode.LIMIT_ORDERS}, {"mode": ExitMode.MONITOR})
COMBINATIONS = [
    {name: value for part in parts for name, value in part.items()}
    for parts in product(TAKE_PROFITS, STOPS, TRAILING, BREAK_EVEN, TIME, GUARDS, AGES, MODES)
]
STEPS = 40
PATH = ((49, 51), (25, 27), (24, 27), (60, 62), (90, 92), (70, 72), (56, 58), (40, 42))


@dataclass
class Market(ModelVenue):
    """The model venue with a price that walks, answering for books and balances too."""

    top: tuple[float, float] = (49, 51)

    def collect(self) -> None:
        for effect in self.desk.effects:
            if isinstance(effect, fx.ReadBook) and effect.token_id == UP:
                self.wire.append(lambda: self.show(*self.top))
            elif isinstance(effect, fx.ReadTokenBalance):
                self.wire.append(self._balance)
        super().collect()

    def _balance(self) -> None:
        shares = None if self._chance(0.2) else self.shares
        self.desk.step(ev.TokenBalanceRead(token_id=UP, shares=shares, at_ns=self.desk.now_ns))
        self.collect()

    def show(self, bid: float, ask: float) -> None:
        self.top = (bid, ask)
        self.desk.book(bid, ask)
        self.collect()

    def walk(self) -> None:
        if self.rng.random() < 0.2:
            self.show(*self.rng.choice(PATH))
        self.act()


def protected(desk: Desk) -> None:
    """Shares under a plan are guarded or being sold, with something that will wake the engine up."""
    settings = desk.state.config.exits
    for position in desk.state.positions.values():
        market = desk.state.markets[position.condition_id]
        arrived = desk.state.arrived_shares(position.position_id)
        if arrived < SIZE_STEP or desk.now_ns >= CLOSES * NS_PER_S:
            continue
        if market.frozen:
            assert desk.notices(NoticeKind.MARKET_FROZEN)
            continue
        exits = desk.state.exits[position.position_id]
        assert exits.phase is not ExitPhase.DONE
        if exits.phase is ExitPhase.SELLING:
            assert _moves(desk, position)
        elif settings.stop_loss:
            assert exits.stop_price is not None
            assert exits.stop_price >= 250_000
        if exits.phase is ExitPhase.GUARDING and settings.take_profit and not exits.watched:
            assert exits.take_profit_price is None or _covered(desk, position, exits)


def _moves(desk: Desk, position: Position) -> bool:
    """An order, a question about one, or a timer of the position is under way."""
    unsettled = any(
        not track.is_settled
        for track in desk.state.orders_of(position.position_id)
        if track.order.status is not OrderStatus.DENIED
    )
    return unsettled or any(key.endswith(position.position_id) and key.startswith("exit") for key in desk.timers)


def _covered(desk: Desk, position: Position, exits: ExitState) -> bool:
    """What may rest does, or waits for an answer or a timer; the rest is watched."""
    if exits.mode is ExitMode.MONITOR:
        return True
    sells = [t for t in desk.state.orders_of(position.position_id) if t.order.terms.side is Side.SELL]
    free = desk.state.arrived_shares(position.position_id) - desk.state.promised_shares(position.position_id)
    whole = not desk.state.config.exits.ladder
    return not whole or free < 5_000_000 or any(not track.is_settled for track in sells) or _moves(desk, position)


@pytest.mark.parametrize("mode", list(ExitMode))
def test_every_combination_of_the_rules_sells_no_more_than_is_held_and_leaves_nothing_unprotected(mode):
    combinations = [each for each in COMBINATIONS if each["mode"] is mode]
    assert len(combinations) == 288
    fired: set[str] = set()
    for number, combination in enumerate(combinations):
        exits = ExitConfig(**combination)
        desk = Desk(config(unfilled=UnfilledConfig(timeout_s=20), exits=exits)).ready()
        venue = Market(desk, Random(number))
        desk.enter()
        venue.collect()
        for _ in range(STEPS):
            venue.walk()
            check(desk, venue)
            protected(desk)
        quieten(desk, venue)
        check(desk, venue)
        assert venue.oversold == 0
        if exits.stop_loss or exits.trailing:
            venue.show(3, 5)
            quieten(desk, venue)
            check(desk, venue)
            assert desk.position().shares < SIZE_STEP
        assert not desk.state.markets[desk.position().condition_id].frozen
        assert desk.state.ledger.balance(UP).shares == venue.shares
        fired |= {track.order.terms.rule for track in desk.state.orders.values()}
    assert fired >= {"take-profit", "stop-loss", "trailing-stop", "break-even", "time-stop", "close-guard"}
