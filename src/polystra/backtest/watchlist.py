"""Which markets a recorder listens to: those that a daemon with the same settings would watch.

What lives here: the engine's own calendar, driven without an engine, and whose verdict is due. What must not:
questions to the venue, files.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import MarketResolved, MarketsListed
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine.calendar import Calendar
from polystra.engine.config import EngineConfig
from polystra.engine.effects import DiscoverMarket, WatchTokens
from polystra.engine.positions.settlement import FIRST_ASK_S
from polystra.engine.state import EngineState, Turn

_ASK_EVERY_NS: Final = 10 * NS_PER_S
_ASK_FOR_NS: Final = 6 * 3_600 * NS_PER_S
"""A verdict that has not come by then is not waited for."""


class Watchlist:
    """See the module docstring."""

    def __init__(self, config: EngineConfig) -> None:
        self._state = EngineState(config=config)
        self._calendar = Calendar(self._state)
        self._asked_ns: dict[ConditionId, Nanos] = {}
        self._given_up: list[Market] = []

    def missing(self, now_ns: Nanos) -> list[DiscoverMarket]:
        """Markets that should be known now and are not."""
        turn = Turn(now_ns=now_ns)
        self._calendar.tick(turn)
        return [effect for effect in turn.effects if isinstance(effect, DiscoverMarket)]

    def listed(self, event: MarketsListed, now_ns: Nanos) -> list[TokenId]:
        """Take what was found; returns the tokens to listen to."""
        turn = Turn(now_ns=now_ns)
        self._calendar.listed(event, turn)
        return [token for effect in turn.effects if isinstance(effect, WatchTokens) for token in effect.token_ids]

    def awaiting_verdict(self, now_ns: Nanos) -> list[Market]:
        """Markets whose verdict is to be asked for now."""
        due: list[Market] = []
        for known in self._state.markets.values():
            market = known.market
            first_ns = (market.closes_at_s + FIRST_ASK_S) * NS_PER_S
            asked_ns = self._asked_ns.get(market.condition_id, 0)
            if known.settled or now_ns < first_ns or now_ns - asked_ns < _ASK_EVERY_NS:
                continue
            if now_ns - first_ns > _ASK_FOR_NS:
                self._settle(market.condition_id)
                self._given_up.append(market)
                continue
            self._asked_ns[market.condition_id] = now_ns
            due.append(market)
        return due

    def given_up(self) -> list[Market]:
        """Markets whose verdict is not waited for any longer, each told once."""
        told, self._given_up = self._given_up, []
        return told

    def resolved(self, event: MarketResolved) -> Market | None:
        """Take a verdict; returns the market whose business is done by it, None for any other word."""
        known = self._state.markets.get(event.condition_id)
        if known is None or known.settled or not event.confirmed:
            return None
        self._settle(event.condition_id)
        return known.market

    def _settle(self, condition_id: ConditionId) -> None:
        self._state.markets[condition_id].settled = True
        self._asked_ns.pop(condition_id, None)
