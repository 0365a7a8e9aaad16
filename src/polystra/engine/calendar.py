"""The calendar: which markets should be known now, and what happens when their window ends.

The current window of each symbol and length (`domain.windows`) and, before it ends, the next are
looked for, so that the next one's book is there when it opens; a market that is not listed yet is
asked for again, one of a long window less often after a minute: a day's market that is never listed, or refused, is
no reason for a request every ten seconds all day. Markets whose business is done are forgotten, so that memory stays
bounded.
"""

from __future__ import annotations

from polystra.domain.book import OrderBook
from polystra.domain.events import MarketsListed
from polystra.domain.facts import MarketRecorded
from polystra.domain.fills import FillStatus
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S
from polystra.domain.windows import close_of, current_open
from polystra.engine.effects import DiscoverMarket, UnwatchTokens, WatchTokens
from polystra.engine.positions.settlement import FIRST_ASK_S
from polystra.engine.state import EngineState, MarketState, Turn

_RETRY_S = 10
_ASKED_OFTEN = 6
"""So many times in a row a market is asked for; then there is a pause of a hundredth of its window."""
_FORGET_AFTER_S = 900
_RETIRED_MAX = 20_000
_AHEAD_MAX_S = 900
_JOIN_AT_LEAST_S = 60
"""A window with less than this left when first seen is not joined."""


class Calendar:
    """Owns which markets are watched."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._asked: dict[tuple[str, int, int], tuple[int, int]] = {}
        """Of markets that are missing: how often each was asked for, and from which second on it may be again."""

    def tick(self, turn: Turn) -> None:
        """Ask for what should be known and is not; run every few seconds by a timer."""
        now_s = turn.now_ns // NS_PER_S
        missing = self._missing(now_s)
        self._asked = {each: self._asked.get(each, (0, 0)) for each in missing}
        wanted = [each for each in missing if now_s >= self._asked[each][1]]
        limit = self._state.config.markets_limit
        room = limit - self._state.accepted_markets if limit else len(wanted)
        if self._state.stopping is None:
            for symbol, window_s, opens_at_s in wanted[: max(0, room)]:
                times = self._asked[symbol, window_s, opens_at_s][0] + 1
                pause_s = 0 if times < _ASKED_OFTEN else window_s // 100
                self._asked[symbol, window_s, opens_at_s] = (times, now_s + pause_s)
                turn.effects.append(DiscoverMarket(symbol=symbol, window_s=window_s, opens_at_s=opens_at_s))
        self._forget(now_s, turn)
        turn.timer("calendar", turn.now_ns + _RETRY_S * NS_PER_S)

    def listed(self, event: MarketsListed, turn: Turn) -> None:
        """Take new markets, update known ones."""
        for market in event.markets:
            known = self._state.markets.get(market.condition_id)
            if known is None:
                self._add(market, turn)
            elif known.market != market and market.tick_size <= known.market.tick_size:
                known.market = market
                self._record(known, turn)

    def restore(self, market: Market, turn: Turn) -> None:
        """Watch a market of the last run again."""
        self._watch(self._state.markets[market.condition_id], turn)

    # --- inside -----------------------------------------------------------------------

    def _missing(self, now_s: int) -> list[tuple[str, int, int]]:
        known = {(m.market.symbol, m.market.window_s, m.market.opens_at_s) for m in self._state.markets.values()}
        wanted = []
        for window_s in self._state.config.windows_s:
            current = current_open(window_s, now_s)
            following = close_of(window_s, current)
            starts = [current] if following - now_s >= _JOIN_AT_LEAST_S else []
            if following - now_s <= max(self._state.config.discover_ahead_s, min(window_s // 2, _AHEAD_MAX_S)):
                starts.append(following)
            for start in starts:
                wanted += [
                    (symbol, window_s, start)
                    for symbol in self._state.config.symbols
                    if (symbol, window_s, start) not in known
                ]
        return sorted(wanted, key=lambda each: each[2])

    def _add(self, market: Market, turn: Turn) -> None:
        limit = self._state.config.markets_limit
        if limit and self._state.accepted_markets >= limit:
            return
        self._state.accepted_markets += 1
        state = MarketState(market=market, books={market.up_token: OrderBook(), market.down_token: OrderBook()})
        self._state.markets[market.condition_id] = state
        self._record(state, turn)
        self._watch(state, turn)

    def _watch(self, state: MarketState, turn: Turn) -> None:
        market = state.market
        self._state.market_of_token[market.up_token] = market.condition_id
        self._state.market_of_token[market.down_token] = market.condition_id
        turn.effects.append(WatchTokens(token_ids=(market.up_token, market.down_token)))
        turn.timer(f"close:{market.condition_id}", market.closes_at_s * NS_PER_S)
        asks_at = max(turn.now_ns, (market.closes_at_s + FIRST_ASK_S) * NS_PER_S)
        turn.timer(f"resolve:{market.condition_id}", asks_at)

    def _record(self, state: MarketState, turn: Turn) -> None:
        turn.facts.append(MarketRecorded(market=state.market, price_to_beat=state.price_to_beat, at_ns=turn.now_ns))

    def _forget(self, now_s: int, turn: Turn) -> None:
        for market in list(self._state.markets.values()):
            is_old = market.settled and now_s > market.market.closes_at_s + _FORGET_AFTER_S
            if not is_old or not self._trades_are_final(market):
                continue
            tokens = (market.market.up_token, market.market.down_token)
            if any(token in self._state.redeeming for token in tokens):
                self._slim(market)
            else:
                self._drop(market, turn)

    def _trades_are_final(self, market: MarketState) -> bool:
        return all(
            fill.status in (FillStatus.CONFIRMED, FillStatus.FAILED)
            for fill in self._state.fills.values()
            if fill.condition_id == market.condition_id
        )

    def _slim(self, market: MarketState) -> None:
        """A claim may wait for days to be redeemed: keep neither books nor orders of its market meanwhile."""
        market.books = {token: OrderBook() for token in market.books}
        self._retire_orders(market)

    def _drop(self, market: MarketState, turn: Turn) -> None:
        state = self._state
        tokens = (market.market.up_token, market.market.down_token)
        turn.effects.append(UnwatchTokens(token_ids=tokens))
        for token in tokens:
            state.market_of_token.pop(token, None)
            state.share_differences.pop(token, None)
            state.readings.pop(token, None)
            state.checked_tokens.discard(token)
        self._retire_orders(market)
        for key, fill in list(state.fills.items()):
            if fill.condition_id == market.condition_id:
                del state.fills[key]
        for position_id in market.positions:
            state.positions.pop(position_id, None)
            state.recorded.pop(position_id, None)
            state.exits.pop(position_id, None)
        state.ledger.forget(market.condition_id)
        state.results.forget(market.condition_id)
        del state.markets[market.condition_id]

    def _retire_orders(self, market: MarketState) -> None:
        """Drop the orders of a market; their venue ids stay known, the oldest of very many excepted."""
        state = self._state
        for track in list(state.orders.of_market(market.condition_id)):
            del state.orders[track.order.terms.client_order_id]
            state.requests.pop(track.order.terms.request_id, None)
            if track.order.order_id is not None:
                state.by_order_id.pop(track.order.order_id, None)
                state.retired[track.order.order_id] = None
        for order_id, condition_id in list(state.strangers.items()):
            if condition_id == market.condition_id:
                del state.strangers[order_id]
                state.retired[order_id] = None
        while len(state.retired) > _RETIRED_MAX:
            state.retired.popitem(last=False)
