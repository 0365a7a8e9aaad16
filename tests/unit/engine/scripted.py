"""A strategy by script, and the moments at which it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.market import Outcome
from polystra.domain.units import E8
from polystra.engine.config import EngineConfig
from polystra.engine.strategy.evaluate import Action, Evaluation
from tests.unit.engine.desk import CASH, Desk, enter

SKIP = replace(enter(), action=Action.SKIP, reason="edge is too small", price=None, quantity=None)


def wish(quantity: float = 10, cents: float = 50, *, p_up: float = 0.6, **words: Any) -> Evaluation:
    """A decision to enter that believes in this chance."""
    made = enter(quantity, cents, **words)
    return replace(made, fused=made.fused._replace(p_up=p_up))


class Strategy:
    """Says `answer` whenever it is asked."""

    def __init__(self) -> None:
        self.answer: Evaluation = SKIP

    def be_silent(self) -> None:
        """From now on it wants nothing."""
        self.answer = SKIP

    def __call__(self, view: Any, settings: Any, advisor: object = None) -> Evaluation:
        return self.answer


class ScriptedDesk(Desk):
    """A desk whose strategy is a script."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: EngineConfig | None = None, **words: Any) -> None:
        super().__init__(settings, **words)
        self.strategy = Strategy()
        monkeypatch.setattr("polystra.engine.trader.evaluate", self.strategy)

    def tick(self, bid: float = 49, ask: float = 51, *, seconds: float = 1) -> ScriptedDesk:
        """Time passes, the books stand at these prices, a price comes: the trader looks."""
        self.advance(seconds).books(bid, ask)
        return self.look()

    def look(self) -> ScriptedDesk:
        """A price comes: the trader looks, unless it did a moment ago."""
        self.step(PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=60_000 * E8, at_ns=self.now_ns))
        return self

    def says(self, quantity: float = 10, cents: float = 50, *, p_up: float = 0.6, **words: Any) -> ScriptedDesk:
        """From now on the strategy wants to enter."""
        self.strategy.answer = wish(quantity, cents, p_up=p_up, **words)
        return self

    def silent(self, p_up: float = 0.6, outcome: Outcome = Outcome.UP) -> ScriptedDesk:
        """From now on it wants nothing."""
        self.strategy.answer = replace(SKIP, fused=SKIP.fused._replace(p_up=p_up), outcome=outcome)
        return self


def scripted(monkeypatch: pytest.MonkeyPatch, settings: EngineConfig, *, cash: int = CASH) -> ScriptedDesk:
    desk = ScriptedDesk(monkeypatch, settings)
    desk.ready(cash=cash)
    return desk
