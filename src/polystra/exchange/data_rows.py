"""The rows of the Data API: positions, trades, activity and resolutions in its words.

What lives here: turning books into rows, with the field names of the docs. What must not: HTTP,
parameters, paging (`data_api`).

Fields: Polymarket docs, Data API v2. Only what is on chain shows: trades that were mined and did not
fail. Numbers are written from integers digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from polystra.domain.units import format_micros
from polystra.exchange.core import ExchangeCore
from polystra.exchange.model import DOLLAR, NS_PER_S, TradeView
from polystra.exchange.positions import Position
from polystra.exchange.schedule import iso
from polystra.exchange.state import Market
from polystra.matching.book import ONE

STATUSES: Final = ("OPEN", "REDEEMABLE", "REDEEMABLE_LOST", "MERGEABLE", "CLOSED")
ACTIVITY_TYPES: Final = (
    "TRADE",
    "SPLIT",
    "MERGE",
    "REDEEM",
    "REWARD",
    "CONVERSION",
    "MAKER_REBATE",
    "TAKER_REBATE",
    "DEPOSIT",
    "WITHDRAWAL",
    "YIELD",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row with its instant, by which lists are ordered and cut."""

    at_ns: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Part:
    """One party's part of a trade."""

    address: str
    token_id: str
    side: str
    size: int
    price: int


def position_rows(
    core: ExchangeCore,
    user: str | None,
    conditions: Sequence[str],
    statuses: Sequence[str],
    *,
    in_cash: bool,
    least: int,
) -> list[Row]:
    """Return positions, the latest first, of a wallet or of markets; `least` leaves out dust."""
    positions = core.desk.positions
    if user is not None:
        found = [each for each in positions.of(user) if not conditions or each.condition_id in conditions]
    else:
        found = [each for condition_id in conditions for each in positions.of_condition(condition_id)]
    wanted = set(statuses) or set(STATUSES) - {"CLOSED"}
    rows: list[Row] = []
    for position in found:
        market = core.market(position.condition_id)
        price = token_price(core, market, position.token_id)
        amount = position.size * price // ONE if in_cash else position.size
        if _words(core, position, market, price) & wanted and (amount >= least or position.size == 0):
            rows.append(Row(position.last_event_ns, _position(core, position, market, price)))
    return sorted(rows, key=lambda row: -row.at_ns)


def _words(core: ExchangeCore, position: Position, market: Market, price: int) -> set[str]:
    """Return the filter words under which a position is found."""
    if position.size == 0:
        return {"CLOSED"}
    if market.closed:
        return {"REDEEMABLE"} if price else {"REDEEMABLE_LOST"}
    return {"OPEN", "MERGEABLE"} if _mergeable(core, position, market) else {"OPEN"}


def _mergeable(core: ExchangeCore, position: Position, market: Market) -> bool:
    other = _other_token(market, position.token_id)
    return not market.closed and any(
        each.token_id == other and each.size > 0 and position.size > 0
        for each in core.desk.positions.of(position.address)
    )


def _position(core: ExchangeCore, position: Position, market: Market, price: int) -> dict[str, Any]:
    spec, index = market.spec, market.outcome_of(position.token_id)
    value = position.size * price // ONE
    unrealized = value - position.cost
    total = position.realized + unrealized
    return {
        "proxy_wallet": position.address,
        "token_id": position.token_id,
        "condition_id": spec.condition_id,
        "current_size": number(position.size),
        "total_size": number(position.bought),
        "avg_price": number(position.average_price),
        "entry_cost_usdc": number(position.spent),
        "entry_fees_usdc": number(position.entry_fees),
        "total_cost_usdc": number(position.spent + position.entry_fees),
        "current_price": number(price),
        "current_value": number(value),
        "realized_pnl": number(position.realized),
        "unrealized_pnl": number(unrealized),
        "total_pnl": number(total),
        "percent_pnl": number(total * 100 * ONE // position.spent if position.spent else 0),
        "status": "CLOSED" if position.size == 0 else "REDEEMABLE" if market.closed else "OPEN",
        "redeemable": market.closed and position.size > 0,
        "mergeable": _mergeable(core, position, market),
        "negative_risk": spec.neg_risk,
        "archived": False,
        "verified": True,
        "title": spec.question,
        "slug": spec.slug,
        "event_slug": spec.slug,
        "outcome": _outcome(index),
        "outcome_index": index,
        "opposite_outcome": _outcome(1 - index),
        "opposite_token_id": _other_token(market, position.token_id),
        "end_date": iso(spec.closes_at_s),
        "last_event_at": iso(position.last_event_ns // NS_PER_S),
        "first_entry_at": iso(position.first_entry_ns // NS_PER_S),
    }


def trade_rows(
    core: ExchangeCore, user: str | None, conditions: Sequence[str], side: str, *, taker_only: bool
) -> list[Row]:
    """Return trades, the latest first; without `taker_only` the makers' parts as well."""
    rows: list[Row] = []
    wallets = [user] if user is not None else core.client_addresses()
    for trade in core.trades(wallets):
        if not trade.settled or trade.status == "FAILED" or (conditions and trade.condition_id not in conditions):
            continue
        rows += [
            Row(trade.matched_ns, _trade(core.market(trade.condition_id), trade, part))
            for part in _parts(trade, taker_only=taker_only)
            if (user is None or part.address == user) and side in {"", part.side}
        ]
    return rows


def _parts(trade: TradeView, *, taker_only: bool) -> Iterator[_Part]:
    yield _Part(trade.taker_account, trade.token_id, trade.side, trade.size, trade.price)
    if not taker_only:
        for leg in trade.legs:
            yield _Part(leg.account, leg.token_id, leg.side, leg.size, leg.price)


def _trade(market: Market, trade: TradeView, part: _Part) -> dict[str, Any]:
    spec, index = market.spec, market.outcome_of(part.token_id)
    return {
        "proxy_wallet": part.address,
        "token_id": part.token_id,
        "condition_id": spec.condition_id,
        "side": part.side,
        "size": number(part.size),
        "price": number(part.price),
        "timestamp": trade.matched_ns // NS_PER_S,
        "transaction_hash": trade.transaction_hash,
        "title": spec.question,
        "slug": spec.slug,
        "icon": "",
        "event_slug": spec.slug,
        "outcome": _outcome(index),
        "outcome_index": index,
        "name": "",
        "pseudonym": "",
        "bio": "",
        "profile_image": "",
    }


def activity_rows(core: ExchangeCore, user: str, kinds: Sequence[str]) -> list[Row]:
    """Return what a wallet did, the latest first: its trades in either role and its redemptions."""
    rows: list[Row] = []
    if not kinds or "TRADE" in kinds:
        trades = trade_rows(core, user, (), "", taker_only=False)
        rows += [Row(row.at_ns, {"type": "TRADE", **row.body}) for row in trades]
    if not kinds or "REDEEM" in kinds:
        for redemption in core.desk.positions.redemptions(user):
            market = core.market(redemption.condition_id)
            body = {
                "type": "REDEEM",
                "proxy_wallet": user,
                "token_id": redemption.token_id,
                "condition_id": redemption.condition_id,
                "size": number(redemption.size),
                "usdc_size": number(redemption.cash),
                "timestamp": redemption.at_ns // NS_PER_S,
                "title": market.spec.question,
                "slug": market.spec.slug,
                "event_slug": market.spec.slug,
            }
            rows.append(Row(redemption.at_ns, body))
    return sorted(rows, key=lambda row: -row.at_ns)


def resolution_row(market: Market) -> dict[str, Any]:
    """Return a market's resolution; payouts only once it is resolved."""
    payout = market.up_payout
    body: dict[str, Any] = {
        "condition_id": market.spec.condition_id,
        "question_id": market.spec.condition_id,
        "status": "active" if payout is None else "resolved",
        "price": None if payout is None else number(payout),
        "proposed_price": None if payout is None else number(payout),
        "was_disputed": False,
        "extended_review": False,
        "transaction_hash": None,
    }
    if payout is not None and market.resolved_ns is not None:
        body |= {
            "payouts": [number(payout), number(ONE - payout)],
            "resolved_at": iso(market.resolved_ns // NS_PER_S),
            "resolved_block": market.resolved_ns // (2 * NS_PER_S),
            "resolution_source": "chainlink",
            "reporter": "automatic",
            "market_type": "crypto_up_down",
        }
    return body


def value_row(core: ExchangeCore, user: str) -> dict[str, Any]:
    """Return what a wallet's shares are worth at present prices."""
    worth = 0
    for position in core.desk.positions.of(user):
        price = token_price(core, core.market(position.condition_id), position.token_id)
        worth += position.size * price // ONE
    return {"user": user, "value": number(worth)}


def token_price(core: ExchangeCore, market: Market, token_id: str) -> int:
    """Return a token's payout once resolved, else the middle of its book, its last price, or a half."""
    if market.up_payout is not None:
        return ONE - market.up_payout if market.outcome_of(token_id) else market.up_payout
    bid, ask = core.best(token_id)
    if bid is not None and ask is not None:
        return (bid + ask) // 2
    last, _ = market.last_price_of(token_id)
    return DOLLAR // 2 if last is None else last


def number(micros: int) -> msgspec.Raw:
    """Return millionths as a JSON number."""
    sign = "-" if micros < 0 else ""
    return msgspec.Raw(f"{sign}{format_micros(abs(micros))}".encode())


def _outcome(index: int) -> str:
    return "Down" if index else "Up"


def _other_token(market: Market, token_id: str) -> str:
    return market.spec.up_token if market.outcome_of(token_id) else market.spec.down_token
