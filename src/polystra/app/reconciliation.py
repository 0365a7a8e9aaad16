"""Our books against the built-in exchange's own: to the micro-unit, fill by fill.

What lives here: the comparison of two readings, each difference as one sentence. What must not:
how either side is read or shown.

The exchange may be a little ahead: it settles trades and redeems winners while our daemon is
on its way to hear of it, or stopped. That is no discrepancy as long as every share and dollar
is accounted for: a claim that was redeemed there is cash there, and a settlement status may be
behind for `NEWS_GRACE_NS` of our own activity after the match.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from polystra.app.own_books import OwnBooks, own_discrepancies
from polystra.domain.fills import Fill
from polystra.domain.ids import OrderId, TokenId
from polystra.domain.ledger import Ledger, PostingKind
from polystra.domain.orders import LIVE_STATUSES, OrderStatus
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, MicroPrice, format_micros
from polystra.exchange.books import AccountBooks, BookTrade, ExchangeBooks

NEWS_GRACE_NS: Final = 90 * NS_PER_S
"""The slow check that finds what a stream lost runs every 30 s; three of them must have found it."""

_SETTLEMENT_ORDER: Final = ("MATCHED", "RETRYING", "MINED", "CONFIRMED")


def discrepancies(own: OwnBooks, venue: ExchangeBooks | None) -> list[str]:
    """Return what does not agree, one sentence each; without the venue's books only inside our own."""
    found = own_discrepancies(own)
    if venue is None:
        return found
    account = venue.accounts.get(own.account.lower())
    if account is None:
        return [*found, f"The exchange has no account {own.account}."]
    ledger = own.ledger()
    redeemed = dict(_redeemed_there(ledger, account, venue))
    return [
        *found,
        *_cash(own, ledger, account, sum(redeemed.values())),
        *_shares(own, ledger, account, venue, redeemed),
        *_trades(own, account),
        *_open_orders(own, account),
        *_payouts(own, venue),
    ]


def payouts(venue: ExchangeBooks) -> dict[str, int]:
    """What each token of a resolved market pays, in micro-dollars per share."""
    paid: dict[str, int] = {}
    for market in venue.markets.values():
        if market.up_payout is not None:
            paid[market.spec.up_token] = market.up_payout
            paid[market.spec.down_token] = MICRO - market.up_payout
    return paid


def _held(account: AccountBooks, token_id: str) -> int:
    return account.tokens.get(token_id, 0) + account.pending_tokens.get(token_id, 0)


def _redeemed_there(
    ledger: Ledger, account: AccountBooks, venue: ExchangeBooks
) -> Iterator[tuple[TokenId, MicroDollars]]:
    """Dollars that the exchange has paid and our ledger does not show as cash yet, by token."""
    paid = payouts(venue)
    for token_id, balance in ledger.tokens.items():
        if paid.get(token_id) and _held(account, token_id) == 0:
            unbooked = balance.shares * paid[token_id] // MICRO
            if balance.claim + unbooked:
                yield token_id, balance.claim + unbooked


def _cash(own: OwnBooks, ledger: Ledger, account: AccountBooks, redeemed: MicroDollars) -> Iterator[str]:
    ours, theirs = ledger.cash + redeemed, account.cash + account.pending_cash
    if ours != theirs:
        awaited = f" ({format_micros(redeemed)} of it winnings paid there)" if redeemed else ""
        yield (
            f"Cash is {format_micros(ours)} dollars here{awaited} and {format_micros(theirs)} at the exchange, "
            f"which has {format_micros(theirs - ours)} more."
        )
    fees = sum(posting.fee for posting in own.postings)
    if fees != account.fees_paid:
        yield (
            f"Fees sum to {format_micros(fees)} dollars here and to {format_micros(account.fees_paid)} at the exchange."
        )


def _shares(
    own: OwnBooks, ledger: Ledger, account: AccountBooks, venue: ExchangeBooks, redeemed: dict[TokenId, MicroDollars]
) -> Iterator[str]:
    paid, resolved = payouts(venue), own.resolved_shares()
    tokens = dict.fromkeys([*ledger.tokens, *account.tokens, *account.pending_tokens, *resolved])
    for name in tokens:
        token_id = TokenId(name)
        expected = ledger.balance(token_id).shares
        each = paid.get(token_id)
        if each == 0:
            expected += resolved.get(token_id, 0)
        elif token_id in redeemed:
            expected = 0
        elif each:
            expected += ledger.balance(token_id).claim * MICRO // each
        if expected != _held(account, token_id):
            yield (
                f"Token {token_id} has {format_micros(expected)} shares here "
                f"and {format_micros(_held(account, token_id))} at the exchange."
            )


# --- trades ------------------------------------------------------------------------------


def _trades(own: OwnBooks, account: AccountBooks) -> Iterator[str]:
    """Each trade of the account is a fill here exactly once, and the reverse."""
    theirs: dict[str, list[BookTrade]] = defaultdict(list)
    for trade in account.trades:
        theirs[f"{trade.trade_id}:{trade.order_id}"].append(trade)
    ours: dict[str, list[Fill]] = defaultdict(list)
    for fill in own.fills:
        ours[fill.key].append(fill)
    intents = set(own.intents.values())
    for key, trades in theirs.items():
        if trades[0].order_id not in intents:
            yield f"Trade {trades[0].trade_id} is of order {trades[0].order_id}, which is no intent here."
        if len(trades) > 1 or len(ours[key]) > 1:
            yield f"Trade {key} stands {len(trades)} times at the exchange and {len(ours[key])} times here."
        elif not ours[key]:
            after = ", after our last entry" if trades[0].matched_ns > own.last_entry_ns else ""
            yield (
                f"Trade {key} ({trades[0].side} {format_micros(trades[0].size)} at "
                f"{format_micros(trades[0].price)}{after}) is at the exchange but not booked here."
            )
        else:
            yield from _trade(ours[key][0], trades[0], own)
    for key, fills in ours.items():
        if key not in theirs:
            yield f"Fill {key} ({fills[0].side} {format_micros(fills[0].quantity)}) is here but not at the exchange."


def _trade(fill: Fill, trade: BookTrade, own: OwnBooks) -> Iterator[str]:
    for name, ours, theirs in (
        ("side", fill.side, trade.side),
        ("token", fill.token_id, trade.token_id),
        ("quantity", format_micros(fill.quantity), format_micros(trade.size)),
        ("price", format_micros(_told_price(fill, trade)), format_micros(trade.price)),
        ("cash", format_micros(fill.cash), format_micros(trade.cash)),
        ("fee", format_micros(fill.fee), format_micros(trade.fee)),
        ("role", fill.liquidity, trade.role),
    ):
        if str(ours) != str(theirs):
            yield f"Trade {fill.key} has {name} {ours} here and {theirs} at the exchange."
    if fill.status != trade.status and not _is_news(fill, trade, own):
        yield f"Trade {fill.key} is {fill.status} here and {trade.status} at the exchange."


def _told_price(fill: Fill, trade: BookTrade) -> MicroPrice:
    """Our price, or the average when that is what the exchange tells of a trade with several makers.

    The dollars of each maker are rounded down, so that the average of equal prices can be a
    millionth below them; cash and quantity are compared exactly beside this.
    """
    average = fill.cash * MICRO // fill.quantity
    return average if average == trade.price else fill.price


def _is_news(fill: Fill, trade: BookTrade, own: OwnBooks) -> bool:
    """True when the exchange is merely ahead and we had not the time to hear of it."""
    if fill.status not in _SETTLEMENT_ORDER or trade.status not in _SETTLEMENT_ORDER:
        return False
    is_behind = _SETTLEMENT_ORDER.index(fill.status) < _SETTLEMENT_ORDER.index(trade.status)
    return is_behind and own.last_entry_ns - trade.matched_ns < NEWS_GRACE_NS


# --- orders and markets ------------------------------------------------------------------


def _open_orders(own: OwnBooks, account: AccountBooks) -> Iterator[str]:
    ours = {order.order_id: order for order in own.orders if order.order_id is not None}
    intents = set(own.intents.values())
    there = Counter(order.order_id for order in account.open_orders)
    for open_order in account.open_orders:
        order = ours.get(OrderId(open_order.order_id))
        if order is None or open_order.order_id not in intents:
            yield f"Order {open_order.order_id} is open at the exchange but is no intent here."
            continue
        name = order.terms.client_order_id
        if order.status not in LIVE_STATUSES:
            yield f"Order {name} ({open_order.order_id}) is open at the exchange and {order.status} here."
        matched = open_order.original_size - open_order.remaining
        if order.filled != matched:
            yield (
                f"Order {name} has {format_micros(order.filled)} shares filled here "
                f"and {format_micros(matched)} at the exchange."
            )
    for order_id, order in ours.items():
        if order.status in (OrderStatus.OPEN, OrderStatus.PENDING_CANCEL) and there[order_id] != 1:
            name = order.terms.client_order_id
            yield f"Order {name} ({order_id}) is {order.status} here but not open at the exchange."


def _payouts(own: OwnBooks, venue: ExchangeBooks) -> Iterator[str]:
    for settlement in own.settlements:
        market = venue.markets.get(settlement.condition_id)
        paid = None if market is None else market.up_payout
        if paid != settlement.up_payout:
            told = "nothing yet" if paid is None else format_micros(paid)
            yield (
                f"Market {settlement.slug} paid {format_micros(settlement.up_payout)} per Up share here "
                f"and {told} at the exchange."
            )
    redeemed = sum(posting.settled_cash for posting in own.postings if posting.kind is PostingKind.REDEEMED)
    account = venue.accounts[own.account.lower()]
    if redeemed > account.redeemed:
        yield (
            f"Winnings of {format_micros(redeemed)} dollars were booked as redeemed here, "
            f"the exchange paid {format_micros(account.redeemed)}."
        )
