"""What an exit or an entry by hand would do now: from the engine's memory, in words, before anything is asked.

What lives here: finding what is meant, the walk through the book, the fee, the venue's minimum. What must not:
changes, the decision: the person's, and after it the engine's by its own rules and limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.controls import ManualCommand
from polystra.domain.ids import ConditionId, PositionId
from polystra.domain.liquidity import liquidity_for
from polystra.domain.market import SIZE_STEP, Outcome
from polystra.domain.orders import Side
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, MicroPrice, MicroShares, format_micros
from polystra.engine.state import EngineState, MarketState

EVERYTHING: Final = "all"
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class WantedEntry:
    """Where an entry by hand would go, at its worst price."""

    condition_id: ConditionId
    price: MicroPrice


class ManualEvidence:
    """Reads the engine's memory; changes nothing."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def of_exit(self, subject: str) -> tuple[tuple[PositionId, ...], tuple[str, ...], str]:
        """What an exit of a position (its id, or how it begins) or of all would sell: which, in words, or why not."""
        held = [position for position in self._state.positions.held() if position.shares >= SIZE_STEP]
        held = [position for position in held if position.condition_id in self._state.markets]
        if subject != EVERYTHING:
            exact = [position for position in held if position.position_id == subject]
            held = exact or [position for position in held if position.position_id.startswith(subject)]
        if not held:
            return (), (), self._nothing(subject)
        if subject != EVERYTHING and len(held) > 1:
            names = ", ".join(position.position_id for position in held[:_MOST_NAMED])
            return (), (), f"{subject} means more than one position: {names}"
        meant: list[PositionId] = []
        lines: list[str] = []
        refused: list[str] = []
        for position in held:
            words, refusal = self._exit_of(position)
            lines.append(words)
            if refusal:
                refused.append(refusal)
            else:
                meant.append(position.position_id)
        if meant:
            return tuple(meant), (*lines, *(f"left out: {words}" for words in refused)), ""
        return (), tuple(lines), "; ".join(refused)

    def of_entry(self, command: ManualCommand) -> tuple[WantedEntry | None, tuple[str, ...], str]:
        """What an entry by hand would buy, in words, or why not."""
        found = [
            market
            for market in self._state.markets.values()
            if command.subject in (market.market.slug, market.condition_id)
        ]
        if not found:
            slugs = ", ".join(market.market.slug for market in self._state.markets.values())
            return None, (), f"no market {command.subject} is watched; those that are: {slugs[:600] or 'none'}"
        market = found[0]
        token_id = market.market.token(Outcome(command.outcome))
        book = market.books[token_id]
        if not book.in_sync or book.best_ask is None:
            return None, (), f"nobody offers {command.outcome} in {market.market.slug} now: try again in a moment"
        walk = liquidity_for(Side.BUY, book.asks.items(), command.budget * MICRO // book.best_ask)
        worst = command.price or walk.worst or book.best_ask
        average = walk.average or book.best_ask
        shares = min(walk.shares, command.budget * MICRO // average)
        fee = market.market.fees.taker_fee(average, shares)
        words = (
            f"{market.market.slug} {command.outcome}: best ask {format_micros(book.best_ask)}; "
            f"{format_micros(command.budget)} dollars buy about {format_micros(shares)} shares at "
            f"{format_micros(average)}, worst price {format_micros(worst)}, fee about {format_micros(fee)} dollars"
        )
        return WantedEntry(market.condition_id, worst), (words,), ""

    # --- inside -----------------------------------------------------------------------

    def _nothing(self, subject: str) -> str:
        if subject == EVERYTHING:
            return "no position is open: there is nothing to sell"
        known = [position.position_id for position in self._state.positions.held()]
        return f"no open position is called {subject}; open: {', '.join(known[:_MOST_NAMED]) or 'none'}"

    def _exit_of(self, position: Position) -> tuple[str, str]:
        """An exit in words, and why the venue would not take it."""
        market = self._state.markets[position.condition_id]
        name, shares = position.position_id, position.shares
        held = f"{name}: {format_micros(shares)} shares, bought at {format_micros(position.average_price)}"
        if market.resolution is not None or market.frozen:
            why = "its market is over" if market.resolution is not None else f"its market is frozen: {market.frozen}"
            return held, f"{name} is not sold: {why}"
        minimum = market.market.minimum_size
        if shares < minimum:
            return held, (
                f"{name} holds {format_micros(shares)} shares, below the venue's minimum of {format_micros(minimum)}: "
                "let it be held to the market's verdict, or add to it first"
            )
        return f"{held}; {self._offer(position, market, shares)}", ""

    def _offer(self, position: Position, market: MarketState, shares: MicroShares) -> str:
        book = market.books[position.token_id]
        if not book.in_sync or book.best_bid is None:
            return "nobody bids now: it is sold as soon as somebody does"
        walk = liquidity_for(Side.SELL, book.bids.items(), shares)
        config = self._state.config.exits
        floor = market.market.price_at_or_below(book.best_bid - book.best_bid * config.worst_price_ppm // MICRO)
        average = walk.average or book.best_bid
        fee = market.market.fees.taker_fee(average, walk.shares)
        there = "" if walk.is_enough else f" (only {format_micros(walk.shares)} shares are bid for)"
        return (
            f"best bid {format_micros(book.best_bid)}, about {format_micros(walk.dollars)} dollars at "
            f"{format_micros(average)} on average{there}, worst price {format_micros(floor)}, fee about "
            f"{format_micros(fee)} dollars"
        )
