"""May this order be signed? One clear sentence when not: field, value, rule, remedy.

What lives here: the venue's rules for an order as pure functions of its terms and of what is known
at that moment. What must not: why an order is wanted, limits of risk, roundings (`domain.rounding`:
an order that is off a grid is refused here, never mended), any I/O.

What is not known refuses nothing: the venue has the last word. Rules and limits: Polymarket CLOB
docs (orders, price grid, order types, matching engine).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from polystra.domain.book import OrderBook
from polystra.domain.market import SIZE_STEP, VENUE_TICKS, Market
from polystra.domain.orders import OrderTerms, Side, TimeInForce
from polystra.domain.rounding import (
    DOLLAR_STEP,
    dollars_down,
    dollars_wanted_down,
    keeps_worst_price,
    shares_wanted_down,
    size_down,
)
from polystra.domain.units import (
    MICRO,
    NS_PER_S,
    MicroDollars,
    MicroShares,
    Nanos,
    ceil_to,
    floor_to,
    format_micros,
    notional_ceil,
)
from polystra.domain.venue import VenueMode
from polystra.engine.state import EngineState

MINIMUM_MARKETABLE: Final[MicroDollars] = MICRO
"""The venue matches no buy at once that is worth less than a dollar."""

GTD_LEAST_S: Final = 180
"""The venue takes no GTD order whose expiration is nearer than this, by its own clock."""

GTD_EARLY_S: Final = 60
"""The venue removes a GTD order this long before its expiration."""

_MODE_WORDS: Final = {
    VenueMode.RESTARTING: "it is restarting and takes no order for a minute or two: try again then",
    VenueMode.POST_ONLY: "for two minutes after a restart it takes only post-only orders: make it post-only or wait",
    VenueMode.CANCEL_ONLY: "it takes only cancels: wait until trading is on again",
    VenueMode.DISABLED: "trading is switched off there: wait until it is on again",
    VenueMode.CLOSED_ONLY: "this account may only sell what it holds: see why in the account's settings at the venue",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is known when an order is about to be signed. None: not known."""

    venue_now_ns: Nanos
    """The venue's time."""
    market: Market | None
    own_now_ns: Nanos | None = None
    """Our own time: a market counts as ended only when both clocks say so, as either may be wrong."""
    book: OrderBook | None = None
    """The local book of the order's token; judged only when in sync."""
    is_resolved: bool = False
    mode: VenueMode = VenueMode.NORMAL
    free_cash: MicroDollars | None = None
    """Dollars that no live buy has reserved."""
    allowance: MicroDollars | None = None
    """The most that a contract of the venue may take of the wallet's dollars."""
    free_shares: MicroShares = 0
    """Shares of the position that have arrived on chain and that no live sell has reserved."""
    awaited_shares: MicroShares = 0
    """Shares bought that have not arrived on chain yet."""


_Rule: TypeAlias = Callable[[OrderTerms, Market, Moment], str | None]


def refusal(terms: OrderTerms, moment: Moment) -> str | None:
    """Return why the order may not be signed, in one sentence, or None."""
    return next(_refusals(terms, moment), None)


def moment_of(state: EngineState, terms: OrderTerms, now_ns: Nanos) -> Moment:
    """Return what the engine knows that bears on these terms; the order itself must not be among its orders yet."""
    known = state.markets.get(terms.condition_id)
    position = state.positions.get(terms.position_id)
    free, awaited = 0, 0
    if terms.side is Side.SELL and position is not None:
        arrived = state.arrived_shares(terms.position_id)
        free = arrived - state.promised_shares(terms.position_id)
        awaited = position.shares - arrived
    taken = state.venue_takes(purpose=terms.purpose, post_only=terms.post_only)
    return Moment(
        venue_now_ns=now_ns + state.venue_offset_ns,
        own_now_ns=now_ns,
        market=None if known is None else known.market,
        book=None if known is None else known.books.get(terms.token_id),
        is_resolved=known is not None and known.resolution is not None,
        mode=VenueMode.NORMAL if taken else state.venue_mode,
        free_cash=state.ledger.cash - state.reserved_cash() if terms.side is Side.BUY and state.funded else None,
        allowance=state.allowance,
        free_shares=free,
        awaited_shares=awaited,
    )


def gtd_expiration_s(venue_now_s: int, life_s: int) -> int:
    """The expiration that lets an order live for `life_s` seconds; the shortest that is valid is 120."""
    return venue_now_s + GTD_EARLY_S + life_s


def _refusals(terms: OrderTerms, moment: Moment) -> Iterator[str]:
    market = moment.market
    if market is None:
        yield f"market is {terms.condition_id}, which is not watched: wait for its listing or check the id"
        return
    for rule in _RULES:
        words = rule(terms, market, moment)
        if words is not None:
            yield words


# --- the market and the venue ------------------------------------------------------------


def _open_market(terms: OrderTerms, market: Market, moment: Moment) -> str | None:
    if terms.token_id not in (market.up_token, market.down_token):
        return f"token_id is {terms.token_id}, expected a token of {market.slug}: read the market again"
    if moment.is_resolved:
        return f"market {market.slug} is resolved and trades no more: hold its shares to the payout"
    own_now_ns = moment.venue_now_ns if moment.own_now_ns is None else moment.own_now_ns
    if min(own_now_ns, moment.venue_now_ns) >= market.closes_at_s * NS_PER_S:
        return f"market {market.slug} ended at UTC second {market.closes_at_s}: choose one that is open"
    if not market.accepting_orders:
        return f"market {market.slug} accepts no orders (accepting_orders is false): wait until it does"
    return None


def _venue_mode(terms: OrderTerms, _market: Market, moment: Moment) -> str | None:
    mode = moment.mode
    if mode is VenueMode.NORMAL or (mode is VenueMode.CLOSED_ONLY and terms.side is Side.SELL):
        return None
    if mode is VenueMode.POST_ONLY and terms.post_only:
        return None
    return f"the venue is in mode {mode}: {_MODE_WORDS[mode]}"


# --- the figures of the order ------------------------------------------------------------


def _price(terms: OrderTerms, market: Market, _moment: Moment) -> str | None:
    tick, price = market.tick_size, terms.price
    if tick not in VENUE_TICKS:
        known = ", ".join(format_micros(size) for size in VENUE_TICKS)
        return f"tick size is {format_micros(tick)}, expected one of {known}: read the market again"
    if not tick <= price <= MICRO - tick:
        low, high = format_micros(tick), format_micros(MICRO - tick)
        return f"price is {format_micros(price)}, expected {low} to {high}: choose one in this range"
    if price % tick:
        low, high = format_micros(floor_to(price, tick)), format_micros(ceil_to(price, tick))
        grid = f"expected a multiple of the tick {format_micros(tick)}"
        return f"price is {format_micros(price)}, {grid}: use {low} or {high}"
    return None


def _kind(terms: OrderTerms, _market: Market, moment: Moment) -> str | None:
    kind = terms.time_in_force
    if terms.post_only and not kind.may_rest:
        return f"post_only is set on a {kind}, expected GTC or GTD: clear it or let the order rest"
    if terms.budget and (kind.may_rest or terms.side is Side.SELL):
        return (
            f"budget is {format_micros(terms.budget)} on a {kind} {terms.side}, expected only on a FOK or FAK buy: "
            "bound this order by its quantity"
        )
    if kind is not TimeInForce.GTD:
        if terms.expires_at_s:
            return f"expires_at_s is {terms.expires_at_s} on a {kind}, expected 0: set it only on a GTD order"
        return None
    least_ns = moment.venue_now_ns + GTD_LEAST_S * NS_PER_S
    if terms.expires_at_s * NS_PER_S < least_ns:
        return (
            f"expires_at_s is {terms.expires_at_s}, expected at least {-(-least_ns // NS_PER_S)} ({GTD_LEAST_S} s from "
            f"the venue's now): as the venue removes an order {GTD_EARLY_S} s early, one that shall live for N seconds "
            f"expires at now + {GTD_EARLY_S} + N, and the shortest life is {GTD_LEAST_S - GTD_EARLY_S} s"
        )
    return None


def _size(terms: OrderTerms, market: Market, _moment: Moment) -> str | None:
    if terms.budget:
        if terms.budget % DOLLAR_STEP:
            return (
                f"budget is {format_micros(terms.budget)} dollars, expected whole cents: "
                f"use {format_micros(dollars_down(terms.budget))}"
            )
        return None
    if terms.side is Side.BUY and not terms.time_in_force.may_rest:
        return f"budget is 0 on a {terms.time_in_force} buy, expected dollars: say how much to spend"
    quantity = terms.quantity
    if quantity < SIZE_STEP:
        return (
            f"quantity is {format_micros(quantity)} shares, below the venue's step of {format_micros(SIZE_STEP)}: "
            "such dust cannot be traded, hold it to the payout"
        )
    if quantity % SIZE_STEP:
        return (
            f"quantity is {format_micros(quantity)} shares, expected at most two decimals: "
            f"use {format_micros(size_down(quantity))}"
        )
    if terms.time_in_force.may_rest and quantity < market.minimum_size:
        return (
            f"quantity is {format_micros(quantity)} shares, expected at least {format_micros(market.minimum_size)} for "
            "an order that can rest: use more, or FOK or FAK"
        )
    return None


def _precision(terms: OrderTerms, market: Market, _moment: Moment) -> str | None:
    """Four decimals of the counter amount must not move the implied price by a tick."""
    if terms.time_in_force.may_rest:
        return None
    if terms.side is Side.BUY:
        field, given = "budget", terms.budget
        dollars, shares = given, shares_wanted_down(given, terms.price)
    else:
        field, given = "quantity", terms.quantity
        dollars, shares = dollars_wanted_down(given, terms.price), given
    if keeps_worst_price(terms.side, terms.price, dollars, shares, market.tick_size):
        return None
    return (
        f"{field} is {format_micros(given)}, too small for a {terms.time_in_force} {terms.side} at "
        f"{format_micros(terms.price)} with tick {format_micros(market.tick_size)}: cut to the four decimals that the "
        "venue allows, the price would be worse by a tick; use a larger size or a coarser price"
    )


def _marketable_minimum(terms: OrderTerms, _market: Market, moment: Moment) -> str | None:
    if terms.side is Side.SELL:
        return None
    worth = terms.budget or _worth_when_marketable(terms, moment.book)
    if worth is None or worth >= MINIMUM_MARKETABLE:
        return None
    return (
        f"the buy is worth {format_micros(worth)} dollars, expected at least {format_micros(MINIMUM_MARKETABLE)} for "
        "one that matches at once: buy more, or rest below the best ask"
    )


def _worth_when_marketable(terms: OrderTerms, book: OrderBook | None) -> MicroDollars | None:
    """What a limit buy would cost at the prices that it would get, None when it would rest whole or is unknown."""
    if terms.post_only or book is None or not book.in_sync or book.best_ask is None or book.best_ask > terms.price:
        return None
    left, cost = terms.quantity, 0
    for price in sorted(level for level in book.asks if level <= terms.price):
        taken = min(left, book.asks[price])
        cost += price * taken
        left -= taken
    return (cost + terms.price * left) // MICRO


# --- the account -------------------------------------------------------------------------


def _cash(terms: OrderTerms, market: Market, moment: Moment) -> str | None:
    if terms.side is Side.SELL:
        return None
    notional = terms.budget or notional_ceil(terms.price, terms.quantity)
    shares = terms.quantity or shares_wanted_down(terms.budget, terms.price)
    needed = notional if terms.post_only else notional + market.fees.taker_fee(terms.price, shares)
    if moment.free_cash is not None and needed > moment.free_cash:
        free = format_micros(max(0, moment.free_cash))
        return (
            f"the buy needs {format_micros(needed)} dollars with its fee, but {free} "
            "are free (balance less what live buys have reserved): buy less, cancel an order or add funds"
        )
    if moment.allowance is not None and needed > moment.allowance:
        return (
            f"the buy needs {format_micros(needed)} dollars, but the allowance of the venue's contracts is "
            f"{format_micros(moment.allowance)}: raise the allowance of the wallet"
        )
    return None


def _shares(terms: OrderTerms, _market: Market, moment: Moment) -> str | None:
    if terms.side is Side.BUY or terms.quantity <= moment.free_shares:
        return None
    free = format_micros(max(0, moment.free_shares))
    sellable = format_micros(size_down(max(0, moment.free_shares)))
    late = (
        f", {format_micros(moment.awaited_shares)} more have not arrived on chain yet"
        if moment.awaited_shares > 0
        else ""
    )
    return (
        f"quantity is {format_micros(terms.quantity)} shares, but {free} are held and not promised to another sell"
        f"{late}: sell at most {sellable}"
    )


_RULES: Final[tuple[_Rule, ...]] = (
    _open_market,
    _venue_mode,
    _price,
    _kind,
    _size,
    _precision,
    _marketable_minimum,
    _cash,
    _shares,
)
