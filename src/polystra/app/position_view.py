"""`polystra position ID`: one position's exits, orders and fills; with --ledger every share explained.

What lives here: which position an ID means, and what is told of it. What must not: statements
(`adapters.store`), the list of all positions (`position_list`). Money is decimal text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import typer
from rich.console import Console

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.adapters.store.position_ledger import LedgerLine, PositionLedger, position_ledger
from polystra.adapters.store.position_reading import MOST_POSITIONS, position_candidates
from polystra.adapters.store.queries import reading
from polystra.app.book_reading import database_url
from polystra.app.order_words import average_price, moment, rule_word, slippage, status_words, traded
from polystra.app.position_list import PositionLine, build_positions, duration, resting_words, run_clock
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings
from polystra.domain.errors import ConfigError
from polystra.domain.fills import Fill
from polystra.domain.ids import PositionId
from polystra.domain.orders import Order
from polystra.domain.units import format_micros

_SHORTEST_PREFIX: Final = 2
_SHOWN: Final = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedShares:
    """The postings of a position added up, beside the size that it is recorded with."""

    lines: tuple[dict[str, Any], ...]
    sum: str
    size: str
    difference: str
    verdict: str


def show_position(settings: Settings, wanted: str, *, ledger: bool, as_json: bool) -> None:
    """Print the position that `wanted` means, or with `ledger` every posting of it.

    Raises:
        ConfigError: no position or several have such an id.
        StoreError: the database cannot be read.
    """
    url = database_url(settings)
    with reading(url) as connection:
        position_id = the_position(wanted.strip(), position_candidates(connection, wanted.strip()))
        told = position_ledger(connection, position_id)
    if told is None:
        raise ConfigError(f"position {position_id} is not in the database any more: `polystra positions` lists them")
    account = read_account(url)
    lines = build_positions(account, run_clock(account, settings))
    line = next(each for each in lines if each.position_id == position_id)
    if ledger:
        _show_ledger(line, explained(told), as_json=as_json)
        return
    orders = tuple(order for order in account.orders if order.terms.position_id == position_id)
    if as_json:
        typer.echo(json.dumps(_as_object(line, orders, account, told.fills), indent=2, ensure_ascii=False))
    else:
        _print(line, orders, told.fills, screen())


def the_position(wanted: str, found: Sequence[PositionId]) -> PositionId:
    """Return the only candidate; raises ConfigError when it is not the only one."""
    shown = repr(wanted[:_SHOWN])
    if len(wanted) < _SHORTEST_PREFIX:
        raise ConfigError(f"ID is {shown}, expected a position's id or how one begins: `polystra positions` lists them")
    if not found:
        raise ConfigError(f"ID is {shown}, but no position has such an id: `polystra positions` lists them")
    if len(found) > 1:
        more = ", ..." if len(found) == MOST_POSITIONS else ""
        raise ConfigError(
            f"ID is {shown}, which several positions begin with ({', '.join(found)}{more}): give more of the id"
        )
    return found[0]


def explained(told: PositionLedger) -> ExplainedShares:
    """Every posting with the size that it led to, and whether they end at the recorded size."""
    size, lines = 0, []
    for line in told.lines:
        size += line.posting.pending_shares + line.posting.settled_shares
        lines.append(_ledger_object(line, size))
    held = told.position.pending_shares + told.position.settled_shares
    if size == held:
        verdict = f"the {len(lines)} postings sum to {format_micros(size)} shares, which is the position's size"
    else:
        verdict = (
            f"the {len(lines)} postings sum to {format_micros(size)} shares, but the position is recorded with "
            f"{format_micros(held)}: {format_micros(held - size)} shares are not explained"
        )
    return ExplainedShares(
        lines=tuple(lines),
        sum=format_micros(size),
        size=format_micros(held),
        difference=format_micros(held - size),
        verdict=verdict,
    )


# --- inside ------------------------------------------------------------------------------


def _ledger_object(line: LedgerLine, size: int) -> dict[str, Any]:
    posting = line.posting
    return {
        "at": moment(posting.at_ns),
        "kind": posting.kind.value,
        "finality": line.finality.value,
        "reason": posting.reason,
        "evidence": posting.evidence,
        "source_id": posting.source_id,
        "pending_shares": format_micros(posting.pending_shares),
        "settled_shares": format_micros(posting.settled_shares),
        "size": format_micros(size),
        "cash": format_micros(posting.pending_cash + posting.settled_cash),
        "fee": format_micros(posting.fee),
        "claim": format_micros(posting.claim),
    }


def _show_ledger(line: PositionLine, shares: ExplainedShares, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"position": asdict(line), "ledger": asdict(shares)}, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            each["at"],
            each["kind"],
            each["finality"],
            each["reason"],
            each["evidence"] or "-",
            each["pending_shares"],
            each["settled_shares"],
            each["size"],
            each["cash"],
        )
        for each in shares.lines
    ]
    words = ("at (UTC)", "kind", "worth", "reason", "evidence")
    figures = ("pending shares", "settled shares", "size then", "cash $")
    console = screen()
    console.print(grid(f"Ledger of {line.position_id}", words=words, figures=figures, rows=rows))
    typer.echo(f"{shares.verdict[0].upper()}{shares.verdict[1:]}.")


def _as_object(
    line: PositionLine, orders: Sequence[Order], account: AccountReading, fills: Sequence[Fill]
) -> dict[str, Any]:
    return {
        **asdict(line),
        "account": account.account,
        "orders": [_order_object(order, fills) for order in orders],
        "fills": [_fill_object(fill) for fill in fills],
    }


def _order_object(order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    terms = order.terms
    shares, cash = traded(fill for fill in fills if fill.client_order_id == terms.client_order_id)
    average = average_price(shares, cash)
    difference = slippage(terms, average)
    return {
        "client_order_id": terms.client_order_id,
        "order_id": order.order_id,
        "created_at": moment(order.created_at_ns),
        "rule": rule_word(terms),
        "side": terms.side.value,
        "time_in_force": terms.time_in_force.value,
        "price": format_micros(terms.price),
        "quantity": format_micros(terms.quantity),
        "filled": format_micros(shares),
        "average_price": None if average is None else format_micros(average),
        "planned_price": None if terms.planned_price is None else format_micros(terms.planned_price),
        "slippage": None if difference is None else format_micros(difference),
        "status": status_words(order),
        "detail": order.detail,
    }


def _fill_object(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "at": moment(fill.matched_at_ns),
        "client_order_id": fill.client_order_id,
        "side": fill.side.value,
        "liquidity": fill.liquidity.value,
        "status": fill.status.value,
        "shares": format_micros(fill.quantity),
        "price": format_micros(fill.price),
        "cash": format_micros(fill.cash),
        "fee": format_micros(fill.fee),
    }


def _print(line: PositionLine, orders: Sequence[Order], fills: Sequence[Fill], console: Console) -> None:
    console.print(pairs(f"Position {line.position_id}", _summary(line).items()))
    rows = [
        (
            each["client_order_id"],
            each["created_at"],
            each["rule"],
            each["side"],
            each["time_in_force"],
            each["status"],
            each["quantity"],
            each["price"],
            each["filled"],
            each["average_price"] or "-",
            each["planned_price"] or "-",
        )
        for each in (_order_object(order, fills) for order in orders)
    ]
    words = ("order", "at (UTC)", "rule", "side", "type", "status")
    figures = ("quantity", "price $", "filled", "average $", "planned $")
    console.print(grid("Orders", words=words, figures=figures, rows=rows))
    if not fills:
        console.print("No fills.")
        return
    rows = [
        tuple(each[name] for name in ("at", "client_order_id", "side", "liquidity", "status", "trade_id"))
        + tuple(each[name] for name in ("shares", "price", "cash", "fee"))
        for each in map(_fill_object, fills)
    ]
    words = ("at (UTC)", "order", "side", "liquidity", "settlement", "trade")
    console.print(grid("Fills", words=words, figures=("shares", "price $", "cash $", "fee $"), rows=rows))


def _summary(line: PositionLine) -> dict[str, str]:
    left = "-"
    if line.resolves_in_s is not None:
        left = f"in {duration(line.resolves_in_s)}" if line.resolves_in_s > 0 else "over: the verdict is awaited"
    mark = (
        "none is known"
        if line.mark is None
        else f"{line.mark} ({line.mark_source}, {duration(line.mark_age_s or 0)} old)"
    )
    return {
        "market": f"{line.market} {line.outcome}",
        "status": f"{line.status} ({line.exit_reason})" if line.exit_reason else line.status,
        "held": f"{line.shares} shares, {line.settled_shares} settled, {line.reserved_shares} promised to live sells",
        "average price $": line.average_price,
        "mark $": mark,
        "unrealised PnL $": line.unrealised_pnl or "-",
        "realised PnL $": f"{line.realised_pnl} (net of fees of {line.fees})",
        "exit mode": line.exit_mode or "-",
        "exits armed here": "; ".join(line.armed) or "none",
        "exits resting": "; ".join(resting_words(each) for each in line.exits) or "none",
        "age": duration(line.age_s),
        "resolution": left,
        "available $": line.available,
    }
