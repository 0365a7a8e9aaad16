"""`polystra positions`: what is held, what it is worth, and the exits that wait for it, from the database.

What lives here: the lines of the list and their words. What must not: statements, one position's
whole story (`position_view`). Money is decimal text; times and ages are counted on the run's clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import typer
from rich.console import Console

from polystra.adapters.clock import SystemClock
from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.adapters.store.queries import MarketRow
from polystra.app.book_reading import database_url
from polystra.app.order_words import moment, rule_word, status_words
from polystra.app.screen import grid, screen
from polystra.app.settings import Settings
from polystra.app.status import available_dollars, is_open
from polystra.domain.facts import PositionRecorded
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting
from polystra.domain.orders import Order, Side
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, Nanos, format_micros

MARK_SOURCE: Final = "midpoint of the token's book"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingExit:
    """A sell of the position that may still trade."""

    order: str
    rule: str
    price: str
    shares: str
    age_s: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLine:
    """One position; None where nothing is known or nothing is held.

    `mark` is the price by which shares are valued, taken `mark_age_s` ago: a running daemon takes it anew at
    most once a minute, and only when it moved. `armed` are exits that the daemon watches itself, `exits`
    those that rest at the venue. `available` is the account's, the same in each line.
    """

    position_id: str
    market: str
    symbol: str
    outcome: str
    status: str
    shares: str
    settled_shares: str
    reserved_shares: str
    average_price: str
    mark: str | None
    mark_source: str | None
    mark_age_s: int | None
    take_profit: str | None
    take_profit_watched: bool
    stop: str | None
    stop_rule: str | None
    break_even_armed: bool
    high_water: str | None
    time_stop_in_s: int | None
    armed: tuple[str, ...]
    exits: tuple[RestingExit, ...]
    exit_mode: str | None
    exit_reason: str | None
    age_s: int
    resolves_in_s: int | None
    realised_pnl: str
    unrealised_pnl: str | None
    fees: str
    available: str


def show_positions(settings: Settings, *, as_json: bool) -> None:
    """Print the positions, open ones first.

    Raises:
        StoreError: the database cannot be read.
    """
    account = read_account(database_url(settings))
    now_ns = run_clock(account, settings)
    lines = build_positions(account, now_ns)
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    if lines:
        _print(lines, screen())
    else:
        typer.echo("No positions yet.")
    typer.echo(f"Available: ${available_dollars(account)} (cash of the ledger less what live buys have promised).")
    if any(line.mark for line in lines):
        typer.echo(f"Marks are the {MARK_SOURCE}, taken when it moved, at most once a minute; their age is shown.")
    typer.echo(f"As of {moment(now_ns)} UTC.")


def run_clock(account: AccountReading, settings: Settings) -> Nanos:
    """Now on the run's clock: real time on the venue, the newest entry of a simulated run."""
    if settings.listens_to_venue:
        return max(account.last_entry_ns, SystemClock().now_ns())
    return account.last_entry_ns


def build_positions(account: AccountReading, now_ns: Nanos) -> tuple[PositionLine, ...]:
    """The positions, open ones first, each group newest first."""
    markets = {market.condition_id: market for market in account.markets}
    sells: dict[PositionId, list[Order]] = {}
    for order in account.orders:
        if order.is_live and order.terms.side is Side.SELL:
            sells.setdefault(order.terms.position_id, []).append(order)
    sums = summed(account.positions, account.postings)
    available = available_dollars(account)
    ordered = sorted(account.positions, key=lambda line: (not is_open(line), -line.opened_at_ns, line.position_id))
    return tuple(
        position_line(
            line,
            market=markets.get(line.condition_id),
            sells=sells.get(line.position_id, []),
            booked=sums[line.position_id],
            available=available,
            now_ns=now_ns,
        )
        for line in ordered
    )


def summed(positions: Sequence[PositionRecorded], postings: Sequence[Posting]) -> dict[PositionId, Position]:
    """Each position as the sum of its postings."""
    sums = {
        line.position_id: Position(
            position_id=line.position_id,
            condition_id=line.condition_id,
            token_id=line.token_id,
            opened_at_ns=line.opened_at_ns,
            status=line.status,
        )
        for line in positions
    }
    for posting in postings:
        if posting.position_id is not None and posting.position_id in sums:
            sums[posting.position_id].add(posting)
    return sums


def position_line(
    line: PositionRecorded,
    *,
    market: MarketRow | None,
    sells: Sequence[Order],
    booked: Position,
    available: str,
    now_ns: Nanos,
) -> PositionLine:
    """What is told of one position; `sells` are its live ones, `booked` the sum of its postings."""
    held = line.pending_shares + line.settled_shares
    open_now = is_open(line)
    memory = exits_memory(line)
    mark = line.mark if open_now else None
    unrealised = None if held else "0"
    if mark is not None:
        unrealised = format_micros(booked.unrealised_pnl(mark))
    armed = _armed(line, memory, sells, now_ns) if open_now else ()
    time_stop_ns = _whole(memory, "time_stop_ns")
    return PositionLine(
        position_id=line.position_id,
        market=line.condition_id if market is None else market.slug,
        symbol=line.symbol,
        outcome=line.outcome,
        status=line.status,
        shares=format_micros(held),
        settled_shares=format_micros(line.settled_shares),
        reserved_shares=format_micros(sum(order.remaining for order in sells)),
        average_price=format_micros(line.average_price),
        mark=None if mark is None else format_micros(mark),
        mark_source=None if mark is None else MARK_SOURCE,
        mark_age_s=None if mark is None else max(0, now_ns - line.mark_at_ns) // NS_PER_S,
        take_profit=None if line.take_profit_price is None else format_micros(line.take_profit_price),
        take_profit_watched=open_now and _is_watched(line, sells),
        stop=None if line.stop_price is None else format_micros(line.stop_price),
        stop_rule=str(memory["stop_rule"]) if memory.get("stop_rule") else None,
        break_even_armed=memory.get("break_even") is True,
        high_water=format_micros(line.high_water) if line.high_water else None,
        time_stop_in_s=(time_stop_ns - now_ns) // NS_PER_S if open_now and time_stop_ns else None,
        armed=armed,
        exits=tuple(_resting(order, now_ns) for order in sells),
        exit_mode=line.exit_mode or None,
        exit_reason=line.exit_reason or None,
        age_s=max(0, (now_ns if open_now else line.at_ns) - line.opened_at_ns) // NS_PER_S,
        resolves_in_s=None if market is None or not open_now else market.closes_at_s - now_ns // NS_PER_S,
        realised_pnl=format_micros(line.realised_pnl),
        unrealised_pnl=unrealised,
        fees=format_micros(line.fees),
        available=available,
    )


def exits_memory(line: PositionRecorded) -> Mapping[str, Any]:
    """What the exits remember (`engine.exit_memory`); empty when there is nothing or it cannot be read."""
    try:
        memory = json.loads(line.exits or "{}")
    except ValueError:
        return {}
    return memory if isinstance(memory, dict) else {}


def duration(seconds: int) -> str:
    """A length of time in two units."""
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    if hours:
        return f"{sign}{hours} h {minutes_left} min"
    return f"{sign}{minutes} min {rest} s" if minutes else f"{sign}{rest} s"


# --- inside ------------------------------------------------------------------------------


def _is_watched(line: PositionRecorded, sells: Sequence[Order]) -> bool:
    """True when a take-profit is planned and none rests: the daemon sells when its price is reached."""
    resting = any(order.terms.side is Side.SELL and order.terms.purpose == "TAKE_PROFIT" for order in sells)
    return line.take_profit_price is not None and not resting


def _armed(line: PositionRecorded, memory: Mapping[str, Any], sells: Sequence[Order], now_ns: Nanos) -> tuple[str, ...]:
    words = []
    if memory.get("phase") == "SELLING":
        words.append(f"selling now: {memory.get('rule') or line.exit_reason}")
    if line.stop_price is not None:
        rule = str(memory.get("stop_rule") or "stop-loss")
        high = f", highest bid {format_micros(line.high_water)}" if rule == "trailing-stop" else ""
        words.append(f"{rule} at {format_micros(line.stop_price)}{high}")
    if memory.get("break_even") is True and memory.get("stop_rule") != "break-even":
        words.append("break-even armed below it")
    if time_stop_ns := _whole(memory, "time_stop_ns"):
        words.append(f"time-stop in {duration((time_stop_ns - now_ns) // NS_PER_S)}")
    if _is_watched(line, sells):
        why = f" ({memory['watched']})" if memory.get("watched") else ""
        words.append(f"take-profit watched at {format_micros(line.take_profit_price or 0)}{why}")
    return tuple(words)


def _resting(order: Order, now_ns: Nanos) -> RestingExit:
    return RestingExit(
        order=order.terms.client_order_id,
        rule=rule_word(order.terms),
        price=format_micros(order.terms.price),
        shares=format_micros(order.remaining),
        age_s=max(0, now_ns - order.created_at_ns) // NS_PER_S,
        status=status_words(order),
    )


def _whole(memory: Mapping[str, Any], name: str) -> int:
    value = memory.get(name, 0)
    return value if isinstance(value, int) else 0


def resting_words(each: RestingExit) -> str:
    """A resting exit in one line."""
    return f"{each.rule} {each.shares} at {each.price}, {duration(each.age_s)} old, {each.status}"


def _print(lines: Sequence[PositionLine], console: Console) -> None:
    figures = ("held", "settled", "reserved", "average $", "mark $", "unrealised $", "realised $", "age", "resolves in")
    rows = [_row(line) for line in lines]
    console.print(grid("Positions", words=("position", "status"), figures=figures, rows=rows))
    exits = [
        (
            line.position_id,
            line.exit_mode or "-",
            "\n".join(line.armed) or "-",
            "\n".join(resting_words(each) for each in line.exits) or "-",
        )
        for line in lines
        if line.armed or line.exits or line.resolves_in_s is not None
    ]
    if exits:
        words = ("position", "exit mode", "armed here", "resting at the venue")
        console.print(grid("Exits", words=words, figures=(), rows=exits))


def _row(line: PositionLine) -> tuple[str, ...]:
    mark = "-" if line.mark is None else f"{line.mark} ({duration(line.mark_age_s or 0)})"
    left = "-"
    if line.resolves_in_s is not None:
        left = duration(line.resolves_in_s) if line.resolves_in_s > 0 else "verdict awaited"
    return (
        line.position_id,
        line.status,
        line.shares,
        line.settled_shares,
        line.reserved_shares,
        line.average_price,
        mark,
        line.unrealised_pnl or "-",
        line.realised_pnl,
        duration(line.age_s),
        left,
    )
