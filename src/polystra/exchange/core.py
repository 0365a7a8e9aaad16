"""The built-in exchange's core (interface first): accounts, markets, matching, settlement.

Sans-I/O, single-threaded and deterministic: time and chance come in as arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from polystra.exchange.model import (
    BookTraded,
    CancelReport,
    CoreConfig,
    CoreEvent,
    LevelChange,
    LevelsChanged,
    MakerLeg,
    MarketListed,
    MarketResolved,
    MarketSpec,
    OrderEvent,
    OrderView,
    Placement,
    PlaceRequest,
    Redeemed,
    Refusal,
    TickSizeChanged,
    TradeEvent,
    TradeView,
    TradingStopped,
)

__all__ = [
    "BookTraded", "CancelReport", "CoreConfig", "CoreEvent", "ExchangeCore", "LevelChange", "LevelsChanged",
    "MakerLeg", "MarketListed", "MarketResolved", "MarketSpec", "OrderEvent", "OrderView", "PlaceRequest",
    "Placement", "Redeemed", "Refusal", "TickSizeChanged", "TradeEvent", "TradeView", "TradingStopped",
]


class ExchangeCore:
    """The exchange without its sockets."""

    def __init__(self, *, rng: random.Random, config: CoreConfig | None = None) -> None:
        self.config = config or CoreConfig()
        self._rng = rng
        self._listeners: list[Callable[[CoreEvent], None]] = []

    def add_listener(self, callback: Callable[[CoreEvent], None]) -> None:
        """Call `callback` with every event, in order."""
        self._listeners.append(callback)
