"""Positions of a backtest one by one, what they cost, and the account's value over time; from facts as they are made.

What lives here: why each position was opened and closed, its costs split into fee, spread and slippage, the account
marked at mid prices. What must not: counts and forecasts (`tally`), how any of it is shown (the application).

Costs of an order that takes, against the book that the engine saw when it decided:
- spread: half the distance between best bid and best ask, on what was filled;
- slippage: what the fill was worse than the best price on its side: levels below the best one, and whatever the
  book moved while the order was on its way (below zero where it moved in our favour).
An order that rests pays neither. Where a side of the book was empty the half spread is not known: such fills are
counted in `unquoted`, and their slippage is against the price that the order's plan reckoned with.

Memory grows with positions, not with the recording: the value over time is thinned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from polystra.domain.facts import (
    DecisionRecorded,
    Fact,
    FillRecorded,
    IntentRecorded,
    MarketRecorded,
    PositionRecorded,
    SettlementRecorded,
)
from polystra.domain.fills import Fill, Liquidity
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.market import Market, Outcome
from polystra.domain.orders import Side
from polystra.domain.positions import PositionStatus
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, MicroPrice, MicroShares, Nanos

Quote: TypeAlias = tuple[MicroPrice | None, MicroPrice | None]
"""Best bid and best ask of a token as the engine knows them."""
MARK_EVERY_S: Final = 10
"""So often open positions are valued."""
_MOST_POINTS: Final = 2_000


@dataclass(slots=True, kw_only=True)
class Trade:
    """One position from its first fill on. Money in micro-dollars, times in UTC ns; 0: not yet."""

    position_id: PositionId
    slug: str
    symbol: str
    outcome: Outcome
    entry_rule: str
    entry_reason: str
    opened_ns: Nanos = 0
    closed_ns: Nanos = 0
    bought: MicroShares = 0
    bought_cash: MicroDollars = 0
    sold: MicroShares = 0
    sold_cash: MicroDollars = 0
    fees: MicroDollars = 0
    spread: MicroDollars = 0
    slippage: MicroDollars = 0
    realised_pnl: MicroDollars = 0
    exit_rule: str = ""
    """The rule of the last sale; `resolution` where shares were held until the market paid."""
    exit_reason: str = ""
    up_payout: MicroPrice | None = None
    """What the market paid for Up, None before its verdict."""

    @property
    def entry_price(self) -> MicroPrice:
        """What a share cost on average, fees apart."""
        return self.bought_cash * MICRO // self.bought if self.bought else 0

    @property
    def exit_price(self) -> MicroPrice | None:
        """What a share brought on average, the market's payment for those held to the end among them."""
        held = self.bought - self.sold
        paid = 0
        if self.up_payout is not None and held > 0:
            paid = held * (self.up_payout if self.outcome is Outcome.UP else MICRO - self.up_payout) // MICRO
        elif held > 0 or not self.bought:
            return self.sold_cash * MICRO // self.sold if self.sold else None
        return (self.sold_cash + paid) * MICRO // max(self.bought, self.sold)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill, to be drawn: `price` in the token's own terms, `rule` of its order."""

    at_ns: Nanos
    slug: str
    outcome: Outcome
    side: Side
    price: MicroPrice
    rule: str


@dataclass(slots=True)
class Series:
    """A line of points that stays short: when it is full, every second point goes."""

    points: list[tuple[Nanos, int]] = field(default_factory=list)
    most: int = _MOST_POINTS
    _every: int = 1
    _told: int = 0

    def add(self, at_ns: Nanos, value: int) -> None:
        """Keep a point, or not, once there are many."""
        if self._told % self._every == 0:
            self.points.append((at_ns, value))
            if len(self.points) >= self.most:
                del self.points[1::2]
                self._every *= 2
        self._told += 1


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an order was to do, and the book when it was decided."""

    condition_id: ConditionId
    position_id: PositionId
    rule: str
    planned: MicroPrice | None
    quote: Quote


@dataclass(slots=True)
class TradeBook:
    """Give `take` every batch of facts, and `mark` now and then; then read."""

    trades: dict[PositionId, Trade] = field(default_factory=dict)
    executions: dict[str, list[Execution]] = field(default_factory=dict)
    """By the market's slug."""
    spread: MicroDollars = 0
    slippage: MicroDollars = 0
    unquoted: int = 0
    """Fills that took while a side of the book was empty."""
    marked: Series = field(default_factory=Series)
    """The result since the start with open positions at mid prices."""
    deepest: MicroDollars = 0
    """The deepest fall of `marked` from its highest point before, every mark counted."""
    _highest: MicroDollars = 0
    _lowest: MicroDollars = 0
    _last: MicroDollars = 0
    _realised: MicroDollars = 0
    _markets: dict[ConditionId, Market] = field(default_factory=dict)
    """Those without a verdict."""
    _wishes: dict[ClientOrderId, _Wish] = field(default_factory=dict)
    _entries: dict[ConditionId, DecisionRecorded] = field(default_factory=dict)
    _open: dict[PositionId, PositionRecorded] = field(default_factory=dict)
    _marks: dict[TokenId, MicroPrice] = field(default_factory=dict)
    _next_mark_ns: Nanos = 0

    def take(self, facts: Sequence[Fact], now_ns: Nanos, quote: Callable[[TokenId], Quote]) -> None:
        """Collect one batch; `quote` tells the book as it is now."""
        for fact in facts:
            match fact:
                case DecisionRecorded(action="ENTER"):
                    self._entries[fact.condition_id] = fact
                case MarketRecorded(market=market) if fact.at_ns < market.closes_at_s * NS_PER_S:
                    self._markets[market.condition_id] = market
                case IntentRecorded():
                    self._intent(fact, quote)
                case FillRecorded(is_new=True):
                    self._fill(fact.fill)
                case PositionRecorded():
                    self._position(fact, now_ns, quote)
                case SettlementRecorded():
                    self._settled(fact)
                case _:
                    pass

    def mark(self, now_ns: Nanos, quote: Callable[[TokenId], Quote]) -> None:
        """Value the account, if it is time to and something is held."""
        if now_ns >= self._next_mark_ns and self._open:
            self._value(now_ns, quote)

    def absorb(self, later: TradeBook) -> None:
        """Add what a later recording came to, as if its result went on from this one's."""
        base = self._last
        self.trades |= later.trades
        for slug, made in later.executions.items():
            self.executions.setdefault(slug, []).extend(made)
        self.spread += later.spread
        self.slippage += later.slippage
        self.unquoted += later.unquoted
        self.deepest = max(self.deepest, later.deepest, self._highest - base - later._lowest)
        self._highest = max(self._highest, base + later._highest)
        self._lowest = min(self._lowest, base + later._lowest)
        self._last = base + later._last
        for at_ns, value in later.marked.points:
            self.marked.add(at_ns, base + value)

    @property
    def filled(self) -> list[Trade]:
        """Positions that came to be, in the order of their first fill."""
        return sorted((each for each in self.trades.values() if each.bought), key=lambda each: each.opened_ns)

    # --- inside -----------------------------------------------------------------------

    def _intent(self, fact: IntentRecorded, quote: Callable[[TokenId], Quote]) -> None:
        terms = fact.order.terms
        self._wishes[terms.client_order_id] = _Wish(
            terms.condition_id, terms.position_id, terms.rule, terms.planned_price, quote(terms.token_id)
        )
        market = self._markets.get(terms.condition_id)
        if terms.side is Side.BUY and market is not None and terms.position_id not in self.trades:
            decision = self._entries.get(terms.condition_id)
            known = decision is not None and decision.decision_id == fact.decision_id
            chance = f"; P(Up) {decision.p_up:.3f}" if decision is not None and known else ""
            self.trades[terms.position_id] = Trade(
                position_id=terms.position_id,
                slug=market.slug,
                symbol=market.symbol,
                outcome=market.outcome_of(terms.token_id),
                entry_rule=terms.rule,
                entry_reason=f"{terms.reason}{chance}",
            )

    def _fill(self, fill: Fill) -> None:
        wish = self._wishes.get(fill.client_order_id)
        trade = self.trades.get(fill.position_id)
        if wish is None or trade is None:
            return
        trade.opened_ns = trade.opened_ns or fill.matched_at_ns
        trade.fees += fill.fee
        if fill.side is Side.BUY:
            trade.bought += fill.quantity
            trade.bought_cash += fill.cash
        else:
            trade.sold += fill.quantity
            trade.sold_cash += fill.cash
            trade.exit_rule = wish.rule
            trade.closed_ns = fill.matched_at_ns
        if fill.liquidity is Liquidity.TAKER:
            self._cost(fill, wish, trade)
        made = Execution(fill.matched_at_ns, trade.slug, trade.outcome, fill.side, fill.price, wish.rule)
        self.executions.setdefault(trade.slug, []).append(made)

    def _cost(self, fill: Fill, wish: _Wish, trade: Trade) -> None:
        bid, ask = wish.quote
        facing = ask if fill.side is Side.BUY else bid
        if bid is None or ask is None:
            self.unquoted += 1
        else:
            half = (ask - bid) * fill.quantity // (2 * MICRO)
            self.spread += half
            trade.spread += half
        reckoned = wish.planned if facing is None else facing
        if reckoned is not None:
            due = reckoned * fill.quantity // MICRO
            worse = fill.cash - due if fill.side is Side.BUY else due - fill.cash
            self.slippage += worse
            trade.slippage += worse

    def _position(self, fact: PositionRecorded, now_ns: Nanos, quote: Callable[[TokenId], Quote]) -> None:
        trade = self.trades.get(fact.position_id)
        if trade is None:
            return
        self._realised += fact.realised_pnl - trade.realised_pnl
        trade.realised_pnl = fact.realised_pnl
        trade.exit_reason = fact.exit_reason or trade.exit_reason
        if fact.pending_shares + fact.settled_shares > 0 and fact.status is not PositionStatus.RESOLVED:
            self._open[fact.position_id] = fact
        else:
            self._open.pop(fact.position_id, None)
            self._marks.pop(fact.token_id, None)
        self._value(now_ns, quote)

    def _settled(self, fact: SettlementRecorded) -> None:
        """Note what the market paid; its orders and decisions are forgotten."""
        self._entries.pop(fact.condition_id, None)
        self._markets.pop(fact.condition_id, None)
        over = [(each, wish) for each, wish in self._wishes.items() if wish.condition_id == fact.condition_id]
        for client_order_id, wish in over:
            del self._wishes[client_order_id]
            trade = self.trades.get(wish.position_id)
            if trade is not None and trade.up_payout is None:
                trade.up_payout = fact.up_payout
                if trade.bought > trade.sold:
                    trade.exit_rule, trade.closed_ns = "resolution", fact.at_ns

    def _value(self, now_ns: Nanos, quote: Callable[[TokenId], Quote]) -> None:
        self._next_mark_ns = now_ns + MARK_EVERY_S * NS_PER_S
        value = self._realised
        for held in self._open.values():
            bid, ask = quote(held.token_id)
            if bid is not None and ask is not None:
                self._marks[held.token_id] = (bid + ask) // 2
            mark = self._marks.get(held.token_id, held.average_price)
            value += (mark - held.average_price) * (held.pending_shares + held.settled_shares) // MICRO
        self.marked.add(now_ns, value)
        self._last = value
        self._lowest = min(self._lowest, value)
        self._highest = max(self._highest, value)
        self.deepest = max(self.deepest, self._highest - value)
