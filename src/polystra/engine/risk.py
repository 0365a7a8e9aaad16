"""Limits on entries: what may still be risked, and why not. Exits are never limited here.

Exposure of a market is the cost of the shares held in it plus the notional of its live
entries, both without fees; orders in doubt count as live.
"""

from __future__ import annotations

from dataclasses import dataclass

from polystra.domain.events import StreamName
from polystra.domain.ids import ConditionId
from polystra.domain.orders import Purpose
from polystra.domain.units import MicroDollars
from polystra.engine.state import EngineState

_REQUIRED = (StreamName.MARKET, StreamName.USER, StreamName.PRICES)


@dataclass(frozen=True, slots=True)
class Budget:
    """What an entry in one market may cost: `bankroll` for sizing, `room` as the hard cap."""

    bankroll: MicroDollars
    room: MicroDollars


class Risk:
    """Answers questions; changes nothing."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def entry_block(self) -> str | None:
        """Why no entry may leave now, in words, or None."""
        state = self._state
        if state.blocks:
            return next(iter(state.blocks.values()))
        if state.stopping is not None:
            return "stopping"
        for stream in _REQUIRED:
            if stream not in state.streams_up:
                return f"the {stream} stream is not connected"
        return None

    def exposure(self, condition_id: ConditionId | None = None) -> MicroDollars:
        """Micro-dollars at risk in one market, or in all."""
        total = 0
        for position in self._state.positions.values():
            if condition_id in (None, position.condition_id) and position.shares > 0:
                total += position.bought_cost - position.released_cost
        for track in self._state.live_orders():
            terms = track.order.terms
            if terms.purpose is Purpose.ENTRY and condition_id in (None, terms.condition_id):
                total += terms.budget or -(-terms.price * track.order.remaining // 1_000_000)
        return total

    def open_positions(self) -> int:
        """Positions with shares, and entries that may still become one."""
        held = {p.position_id for p in self._state.positions.values() if p.shares > 0}
        held |= {t.order.terms.position_id for t in self._state.live_orders() if t.order.terms.purpose is Purpose.ENTRY}
        return len(held)

    def budget(self, condition_id: ConditionId) -> Budget:
        """What may be spent on this market now."""
        config = self._state.config.risk
        cash = max(0, self._state.ledger.cash - self._state.reserved_cash())
        bankroll = min(cash, config.capital) if config.capital else cash
        room = min(
            cash,
            config.max_exposure - self.exposure(),
            config.max_exposure_per_market - self.exposure(condition_id),
        )
        if config.capital:
            room = min(room, config.capital - self.exposure())
        return Budget(bankroll=bankroll, room=max(0, room))
