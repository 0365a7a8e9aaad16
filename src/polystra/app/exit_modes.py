"""`polystra report --by exit_mode`: what exits that rest cost and bring beside exits that are watched.

What lives here: the sums of each mode and their words. What must not: statements. Positions that
never held a share are left out. Rates are rounded down to three decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import typer

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.adapters.store.position_reading import Requests, requests_by_mode
from polystra.adapters.store.queries import reading
from polystra.app.book_reading import database_url
from polystra.app.order_words import traded
from polystra.app.position_list import run_clock
from polystra.app.screen import grid, screen
from polystra.app.settings import Settings
from polystra.app.status import is_open
from polystra.domain.facts import PositionRecorded
from polystra.domain.fills import Fill
from polystra.domain.ids import ClientOrderId, PositionId
from polystra.domain.orders import Order, OrderStatus
from polystra.domain.units import MICRO, NS_PER_S, Nanos, format_micros

NO_MODE: Final = "none"
_HOUR_NS: Final = 3_600 * NS_PER_S
_THOUSANDTH: Final = MICRO // 1_000
_FIGURES: Final = (
    "positions",
    "hours",
    "requests",
    "per hour",
    "exits",
    "filled",
    "fill rate",
    "sold",
    "price against plan $",
    "refusals",
    "errors",
    "realised PnL $",
)
_REFUSED: Final = (OrderStatus.REJECTED, OrderStatus.DENIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeLine:
    """One exit mode.

    `requests` are those about orders of its positions that the audit keeps, entries included;
    `price_against_plan` is dollars per share sold, above zero when the exits sold for more than planned.
    """

    exit_mode: str
    positions: int
    hours: str
    requests: int
    requests_per_hour: str | None
    exits: int
    exits_filled: int
    fill_rate: str | None
    shares_sold: str
    price_against_plan: str | None
    refusals: int
    errors: dict[str, int]
    realised_pnl: str


def show_exit_modes(settings: Settings, *, as_json: bool) -> int:
    """Print a line for each mode; returns 0, because nothing is checked against the exchange here.

    Raises:
        StoreError: the database cannot be read.
    """
    url = database_url(settings)
    account = read_account(url)
    with reading(url) as connection:
        requests = requests_by_mode(connection)
    lines = mode_lines(account, requests, run_clock(account, settings))
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return 0
    if not lines:
        typer.echo("No position has held a share yet.")
        return 0
    rows = [_row(line) for line in lines]
    screen().print(grid("Exit modes compared", words=("exit mode",), figures=_FIGURES, rows=rows))
    typer.echo("Requests are those about the positions' orders, as far back as API_AUDIT_KEEP_DAYS keeps them.")
    return 0


def mode_lines(account: AccountReading, requests: Mapping[str, Requests], now_ns: Nanos) -> tuple[ModeLine, ...]:
    """The modes by name."""
    held: dict[str, list[PositionRecorded]] = {}
    for line in account.positions:
        if line.average_price:
            held.setdefault(line.exit_mode, []).append(line)
    fills: dict[ClientOrderId, list[Fill]] = {}
    for fill in account.fills:
        fills.setdefault(fill.client_order_id, []).append(fill)
    return tuple(
        _mode_line(
            mode,
            positions,
            orders=account.orders,
            fills=fills,
            requests=requests.get(mode, Requests()),
            now_ns=now_ns,
        )
        for mode, positions in sorted(held.items())
    )


def _mode_line(
    mode: str,
    positions: Iterable[PositionRecorded],
    *,
    orders: Iterable[Order],
    fills: Mapping[ClientOrderId, list[Fill]],
    requests: Requests,
    now_ns: Nanos,
) -> ModeLine:
    known: dict[PositionId, PositionRecorded] = {line.position_id: line for line in positions}
    exits = [order for order in orders if order.terms.position_id in known and order.terms.purpose.is_exit]
    filled = sold = planned_shares = against = 0
    for order in exits:
        shares, cash = traded(fills.get(order.terms.client_order_id, ()))
        filled += shares > 0
        sold += shares
        if order.terms.planned_price is not None:
            planned_shares += shares
            against += cash * MICRO - order.terms.planned_price * shares
    lived_ns = sum((now_ns if is_open(line) else line.at_ns) - line.opened_at_ns for line in known.values())
    placed = [order for order in exits if order.status is not OrderStatus.DENIED]
    return ModeLine(
        exit_mode=mode or NO_MODE,
        positions=len(known),
        hours=_ratio(lived_ns, _HOUR_NS) or "0",
        requests=requests.sent,
        requests_per_hour=_ratio(requests.sent * _HOUR_NS, lived_ns),
        exits=len(placed),
        exits_filled=filled,
        fill_rate=_ratio(filled, len(placed)),
        shares_sold=format_micros(sold),
        price_against_plan=_nearest(against, planned_shares) if planned_shares else None,
        refusals=sum(order.status in _REFUSED for order in exits),
        errors=dict(sorted(requests.failed.items())),
        realised_pnl=format_micros(sum(line.realised_pnl for line in known.values())),
    )


def _ratio(above: int, below: int) -> str | None:
    """Three decimals, rounded down; None when there is nothing to divide by."""
    return format_micros(above * 1_000 // below * _THOUSANDTH) if below > 0 else None


def _nearest(above: int, below: int) -> str:
    return format_micros((above + below // 2) // below)


def _row(line: ModeLine) -> tuple[str, ...]:
    return (
        line.exit_mode,
        str(line.positions),
        line.hours,
        str(line.requests),
        line.requests_per_hour or "-",
        str(line.exits),
        str(line.exits_filled),
        line.fill_rate or "-",
        line.shares_sold,
        line.price_against_plan or "-",
        str(line.refusals),
        ", ".join(f"{word} {count}" for word, count in line.errors.items()) or "0",
        line.realised_pnl,
    )
