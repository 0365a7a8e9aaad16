"""`polystra trades`: positions that have ended, one line each, newest first, from the database.

What lives here: which positions count as ended, the columns. What must not: statements, sums over trades (`profit`).
Money is decimal text; times are UTC of the run's clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import typer

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.api_client import FROM_API, FROM_DATABASE, Items, asked, say_source
from polystra.app.book_reading import database_url
from polystra.app.order_words import moment, rule_word
from polystra.app.position_list import duration, summed
from polystra.app.screen import grid, screen
from polystra.app.settings import Settings
from polystra.domain.facts import PositionRecorded
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import Side
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros

_MOST_ASKED: Final = 500
SHOWN: Final = 30
"""How many trades a screen lists unless it is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One position that has ended. Money in micro-dollars; `closed_at_ns` is when its last share left."""

    position_id: PositionId
    market: str
    symbol: str
    window: str
    outcome: str
    opened_at_ns: Nanos
    closed_at_ns: Nanos
    entry_rule: str
    exit_reason: str
    sums: Position

    @property
    def realised(self) -> MicroDollars:
        """Net of fees."""
        return self.sums.realised_pnl


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLine:
    """A trade as it is told; `return_percent` is the result on the price paid, fees included."""

    position_id: str
    market: str
    symbol: str
    outcome: str
    opened_at: str
    closed_at: str
    held_s: int
    entry_rule: str
    exit_reason: str
    shares: str
    average_price: str
    cost: str
    proceeds: str
    fees: str
    realised_pnl: str
    return_percent: str


def show_trades(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Print the newest trades.

    Raises:
        StoreError: the database cannot be read.
    """
    told = asked(settings, Items[TradeLine], "/trades", limit=limit) if 0 < limit <= _MOST_ASKED else None
    lines = trade_lines(ended_trades(read_account(database_url(settings))), limit) if told is None else told.items
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    print_trades(lines)
    say_source(FROM_DATABASE if told is None else FROM_API, as_json=as_json)


def print_trades(lines: Sequence[TradeLine]) -> None:
    """Write trades for people."""
    if not lines:
        typer.echo("No position has ended yet; polystra positions shows what is open.")
        return
    words = ("position", "opened (UTC)", "held", "entry", "exit")
    figures = ("shares", "average $", "cost $", "proceeds $", "fees $", "realised $", "%")
    rows = [
        (
            line.position_id,
            line.opened_at[:19],
            duration(line.held_s),
            line.entry_rule,
            line.exit_reason,
            line.shares,
            line.average_price,
            line.cost,
            line.proceeds,
            line.fees,
            line.realised_pnl,
            line.return_percent,
        )
        for line in lines
    ]
    screen().print(grid("Trades, newest first", words=words, figures=figures, rows=rows))


def trade_lines(trades: Sequence[Trade], limit: int = 0) -> tuple[TradeLine, ...]:
    """Trades in words and decimals; `limit` 0 means all."""
    return tuple(_line(trade) for trade in (trades[:limit] if limit else trades))


def ended_trades(account: AccountReading) -> tuple[Trade, ...]:
    """The positions that were bought and of which no share is left, the one that ended last first."""
    sums = summed(account.positions, account.postings)
    last = _last_moves(account.postings)
    markets = {market.condition_id: market for market in account.markets}
    rules = _entry_rules(account)
    found = []
    for line in account.positions:
        position = sums[line.position_id]
        if position.bought <= 0 or position.shares >= SIZE_STEP:
            continue
        market = markets.get(line.condition_id)
        found.append(
            Trade(
                position_id=line.position_id,
                market=line.condition_id if market is None else market.slug,
                symbol=line.symbol,
                window="" if market is None else _window(market.closes_at_s - market.opens_at_s),
                outcome=line.outcome,
                opened_at_ns=line.opened_at_ns,
                closed_at_ns=last.get(line.position_id, line.at_ns),
                entry_rule=rules.get(line.position_id, ""),
                exit_reason=_exit_reason(line, position),
                sums=position,
            )
        )
    return tuple(sorted(found, key=lambda trade: (-trade.closed_at_ns, trade.position_id)))


def _last_moves(postings: Iterable[Posting]) -> dict[PositionId, Nanos]:
    """When each position last gave shares away: settling a fill later moves nothing."""
    last: dict[PositionId, Nanos] = {}
    for posting in postings:
        if posting.position_id is not None and (posting.sold or posting.resolved or posting.kind == "ADJUSTMENT"):
            last[posting.position_id] = posting.at_ns
    return last


def _entry_rules(account: AccountReading) -> dict[PositionId, str]:
    """The rule of each position's first buy."""
    rules: dict[PositionId, str] = {}
    for order in account.orders:
        if order.terms.side is Side.BUY:
            rules.setdefault(order.terms.position_id, rule_word(order.terms))
    return rules


def _exit_reason(line: PositionRecorded, position: Position) -> str:
    if line.exit_reason:
        return line.exit_reason.lower().replace("_", "-")
    return "resolution" if position.resolved else "sold"


def _window(seconds: int) -> str:
    hours, rest = divmod(seconds, 3_600)
    return f"{hours}h" if hours and not rest else f"{seconds // 60}m"


def _line(trade: Trade) -> TradeLine:
    sums = trade.sums
    cost = sums.bought_cost
    return TradeLine(
        position_id=trade.position_id,
        market=trade.market,
        symbol=trade.symbol,
        outcome=trade.outcome,
        opened_at=moment(trade.opened_at_ns),
        closed_at=moment(trade.closed_at_ns),
        held_s=max(0, trade.closed_at_ns - trade.opened_at_ns) // NS_PER_S,
        entry_rule=trade.entry_rule,
        exit_reason=trade.exit_reason,
        shares=format_micros(sums.bought),
        average_price=format_micros(sums.average_price),
        cost=format_micros(cost),
        proceeds=format_micros(sums.sold_proceeds + sums.payout),
        fees=format_micros(sums.fees),
        realised_pnl=format_micros(sums.realised_pnl),
        return_percent=percent_of(sums.realised_pnl, cost),
    )


def percent_of(part: MicroDollars, whole: MicroDollars) -> str:
    """A share of a sum in percent with two decimals, rounded towards zero; empty without a sum."""
    if not whole:
        return ""
    hundredths = abs(part) * 10_000 // abs(whole)
    sign = "-" if (part < 0) is not (whole < 0) and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"
