"""`polystra profit` and `polystra daily`: what was won and lost, after fees, from the database.

What lives here: sums over postings and ended positions, and how they are shown. What must not: statements, another
definition of a result: `Position.realised_pnl` is the only one, so that these figures are `polystra report`'s to
the micro-dollar. The day is the UTC day of the posting, on the run's clock.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import typer

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.api_client import FROM_API, FROM_DATABASE, Items, asked, say_source
from polystra.app.book_reading import database_url
from polystra.app.order_words import moment
from polystra.app.position_list import duration, run_clock, summed
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings
from polystra.app.trade_list import Trade, ended_trades, percent_of
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros
from polystra.engine.results import DAY_NS

GROUPS: Final[Mapping[str, Callable[[Trade], str]]] = {
    "symbol": lambda trade: trade.symbol,
    "window": lambda trade: trade.window,
    "outcome": lambda trade: str(trade.outcome),
    "entry": lambda trade: trade.entry_rule,
    "exit": lambda trade: trade.exit_reason,
    "hour": lambda trade: f"{trade.opened_at_ns // (3_600 * NS_PER_S) % 24:02d}:00",
}
"""What trades may be grouped by: the coin, the market's length, the outcome, the rules, the hour (UTC) they began."""


_MOST_ASKED_DAYS: Final = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """The ended trades of one group."""

    name: str
    trades: int
    wins: int
    losses: int
    realised_pnl: str
    fees: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profit:
    """Results in dollars, net of fees. `in_open_positions` is the part of `realised_pnl` that open positions hold.

    `unrealised_pnl` values what is held at its last mark; `not_marked` counts positions without one.
    """

    as_of: str
    realised_pnl: str
    realised_today: str
    realised_7_days: str
    realised_30_days: str
    in_open_positions: str
    unrealised_pnl: str
    not_marked: int
    fees: str
    staked: str
    return_percent: str
    trades: int
    wins: int
    losses: int
    even: int
    win_percent: str
    average_win: str
    average_loss: str
    profit_factor: str
    best_trade: str
    worst_trade: str
    average_held: str
    first_trade: str
    last_trade: str
    groups: tuple[GroupLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLine:
    """One UTC day; `cumulative_pnl` is the result up to its end."""

    day: str
    realised_pnl: str
    fees: str
    fills: int
    trades: int
    wins: int
    losses: int
    cumulative_pnl: str


def show_profit(settings: Settings, *, by: str, as_json: bool) -> None:
    """Print the result of the account.

    Raises:
        StoreError: the database cannot be read.
    """
    profit = asked(settings, Profit, "/profit", by=by)
    source = FROM_API
    if profit is None:
        source = FROM_DATABASE
        account = read_account(database_url(settings))
        profit = build_profit(account, run_clock(account, settings), by=by)
    if as_json:
        typer.echo(json.dumps(asdict(profit), indent=2))
        return
    print_profit(profit, by=by)
    say_source(source, as_json=as_json)


def show_daily(settings: Settings, *, days: int, as_json: bool) -> None:
    """Print the results of the last days, today first.

    Raises:
        StoreError: the database cannot be read.
    """
    told = asked(settings, Items[DayLine], "/daily", days=days) if days <= _MOST_ASKED_DAYS else None
    if told is None:
        account = read_account(database_url(settings))
        lines = build_daily(account, run_clock(account, settings), days=days)
    else:
        lines = told.items
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    print_daily(lines)
    say_source(FROM_DATABASE if told is None else FROM_API, as_json=as_json)


def build_profit(account: AccountReading, now_ns: Nanos, *, by: str = "symbol") -> Profit:
    """Lay out what was won and lost until `now_ns`; `by` is one of `GROUPS`."""
    trades = ended_trades(account)
    gains = realised_by_day(account.postings)
    sums = summed(account.positions, account.postings)
    realised = sum(position.realised_pnl for position in sums.values())
    ended = {trade.position_id for trade in trades}
    results = [trade.realised for trade in trades]
    wins, losses = [each for each in results if each > 0], [each for each in results if each < 0]
    staked = sum(position.bought_cost for position in sums.values())
    unrealised, unmarked = _unrealised(account, sums)
    first_day = now_ns // DAY_NS
    return Profit(
        as_of=moment(now_ns),
        realised_pnl=format_micros(realised),
        realised_today=format_micros(gains.get(first_day, 0)),
        realised_7_days=format_micros(_since(gains, first_day - 6)),
        realised_30_days=format_micros(_since(gains, first_day - 29)),
        in_open_positions=format_micros(sum(each.realised_pnl for name, each in sums.items() if name not in ended)),
        unrealised_pnl=format_micros(unrealised),
        not_marked=unmarked,
        fees=format_micros(sum(position.fees for position in sums.values())),
        staked=format_micros(staked),
        return_percent=percent_of(realised, staked),
        trades=len(trades),
        wins=len(wins),
        losses=len(losses),
        even=len(results) - len(wins) - len(losses),
        win_percent=percent_of(len(wins), len(results)),
        average_win=_average(wins),
        average_loss=_average(losses),
        profit_factor=_ratio(sum(wins), -sum(losses)),
        best_trade=_named(trades, max),
        worst_trade=_named(trades, min),
        average_held=_held(trades),
        first_trade=moment(min(trade.opened_at_ns for trade in trades)) if trades else "",
        last_trade=moment(trades[0].closed_at_ns) if trades else "",
        groups=_groups(trades, GROUPS[by]),
    )


def build_daily(account: AccountReading, now_ns: Nanos, *, days: int) -> tuple[DayLine, ...]:
    """The last `days` UTC days, today first; a day without anything is there with zeroes."""
    gains = realised_by_day(account.postings)
    fees: dict[int, MicroDollars] = defaultdict(int)
    for posting in account.postings:
        fees[posting.at_ns // DAY_NS] += posting.fee
    fills: dict[int, int] = defaultdict(int)
    for fill in account.fills:
        fills[fill.matched_at_ns // DAY_NS] += fill.status != "FAILED"
    ended: dict[int, list[Trade]] = defaultdict(list)
    for trade in ended_trades(account):
        ended[trade.closed_at_ns // DAY_NS].append(trade)
    today = now_ns // DAY_NS
    first = today - days + 1
    total = sum(gain for day, gain in gains.items() if day < first)
    lines = []
    for day in range(first, today + 1):
        total += gains.get(day, 0)
        lines.append(
            DayLine(
                day=datetime.fromtimestamp(day * DAY_NS // NS_PER_S, UTC).date().isoformat(),
                realised_pnl=format_micros(gains.get(day, 0)),
                fees=format_micros(fees[day]),
                fills=fills[day],
                trades=len(ended[day]),
                wins=sum(trade.realised > 0 for trade in ended[day]),
                losses=sum(trade.realised < 0 for trade in ended[day]),
                cumulative_pnl=format_micros(total),
            )
        )
    return tuple(reversed(lines))


def realised_by_day(postings: Iterable[Posting]) -> dict[int, MicroDollars]:
    """What each UTC day (counted since the epoch) changed in the results of all positions; its sum is their sum."""
    positions: dict[PositionId, Position] = {}
    days: dict[int, MicroDollars] = defaultdict(int)
    for posting in postings:
        if posting.position_id is None or posting.condition_id is None or posting.token_id is None:
            continue
        position = positions.get(posting.position_id)
        if position is None:
            position = positions[posting.position_id] = Position(
                position_id=posting.position_id,
                condition_id=posting.condition_id,
                token_id=posting.token_id,
                opened_at_ns=posting.at_ns,
            )
        before = position.realised_pnl
        position.add(posting)
        days[posting.at_ns // DAY_NS] += position.realised_pnl - before
    return dict(days)


def print_profit(profit: Profit, *, by: str) -> None:
    """Write the result for people."""
    of_trades = f"{profit.trades} ended: {profit.wins} won, {profit.losses} lost, {profit.even} even"
    open_words = f"{profit.unrealised_pnl}" + (f" ({profit.not_marked} not marked)" if profit.not_marked else "")
    rows = [
        ("realised $, after fees", f"{profit.realised_pnl} ({profit.return_percent or '0.00'} % of what was staked)"),
        ("today, 7 days, 30 days $", f"{profit.realised_today}, {profit.realised_7_days}, {profit.realised_30_days}"),
        ("of it in open positions $", profit.in_open_positions),
        ("unrealised $", open_words),
        ("fees $", profit.fees),
        ("trades", of_trades),
        ("won %", profit.win_percent or "-"),
        ("average win, loss $", f"{profit.average_win or '-'}, {profit.average_loss or '-'}"),
        ("profit factor", profit.profit_factor or "-"),
        ("best", profit.best_trade or "-"),
        ("worst", profit.worst_trade or "-"),
        ("held on average", profit.average_held or "-"),
        ("first, last", f"{profit.first_trade or '-'}, {profit.last_trade or '-'}"),
        ("as of (UTC)", profit.as_of),
    ]
    console = screen()
    console.print(pairs("Profit", rows))
    if profit.groups:
        lines = [
            (line.name, str(line.trades), str(line.wins), str(line.losses), line.fees, line.realised_pnl)
            for line in profit.groups
        ]
        figures = ("trades", "won", "lost", "fees $", "realised $")
        console.print(grid(f"Ended trades by {by}", words=(by,), figures=figures, rows=lines))


def print_daily(lines: Sequence[DayLine]) -> None:
    """Write the days for people."""
    rows = [
        (
            line.day,
            line.realised_pnl,
            line.fees,
            str(line.fills),
            str(line.trades),
            str(line.wins),
            str(line.losses),
            line.cumulative_pnl,
        )
        for line in lines
    ]
    figures = ("realised $", "fees $", "fills", "trades", "won", "lost", "sum $")
    screen().print(grid("Days (UTC), after fees", words=("day",), figures=figures, rows=rows))


# --- inside ------------------------------------------------------------------------------


def _since(gains: Mapping[int, MicroDollars], first: int) -> MicroDollars:
    return sum(gain for day, gain in gains.items() if day >= first)


def _unrealised(account: AccountReading, sums: Mapping[PositionId, Position]) -> tuple[MicroDollars, int]:
    """The value of open positions over their cost, and how many have no mark."""
    total = unmarked = 0
    for line in account.positions:
        if not line.pending_shares and not line.settled_shares:
            continue
        if line.mark is None:
            unmarked += 1
        else:
            total += sums[line.position_id].unrealised_pnl(line.mark)
    return total, unmarked


def _average(results: Sequence[MicroDollars]) -> str:
    """To the micro-dollar, towards zero; empty without results."""
    if not results:
        return ""
    total = sum(results)
    size = abs(total) // len(results)
    return format_micros(size if total > 0 else -size)


def _ratio(gains: MicroDollars, losses: MicroDollars) -> str:
    """Dollars won for each dollar lost, two decimals; empty without a loss."""
    return f"{gains // losses}.{gains * 100 // losses % 100:02d}" if losses else ""


def _named(trades: Sequence[Trade], choose: Callable[..., Trade]) -> str:
    if not trades:
        return ""
    trade = choose(trades, key=lambda each: each.realised)
    return f"{format_micros(trade.realised)} ({trade.position_id})"


def _held(trades: Sequence[Trade]) -> str:
    if not trades:
        return ""
    total = sum(max(0, trade.closed_at_ns - trade.opened_at_ns) for trade in trades)
    return duration(total // len(trades) // NS_PER_S)


def _groups(trades: Iterable[Trade], name_of: Callable[[Trade], str]) -> tuple[GroupLine, ...]:
    groups: dict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        groups[name_of(trade) or "unknown"].append(trade)
    return tuple(
        GroupLine(
            name=name,
            trades=len(found),
            wins=sum(trade.realised > 0 for trade in found),
            losses=sum(trade.realised < 0 for trade in found),
            realised_pnl=format_micros(sum(trade.realised for trade in found)),
            fees=format_micros(sum(trade.sums.fees for trade in found)),
        )
        for name, found in sorted(groups.items())
    )
