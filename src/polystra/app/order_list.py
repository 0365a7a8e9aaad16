"""`polystra orders`: every order with the field's status words.

What lives here: the columns. What must not: statements, figures (`order_words`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import typer

from polystra.adapters.store.audit_reading import OrderRow, order_rows
from polystra.adapters.store.queries import reading
from polystra.app.book_reading import database_url
from polystra.app.order_words import average_price, moment, rule_word, slippage, status_words
from polystra.app.screen import grid, screen
from polystra.app.settings import Settings
from polystra.domain.units import format_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One order; amounts are decimal text, None where nothing is known."""

    client_order_id: str
    order_id: str | None
    created_at: str
    market: str
    rule: str
    side: str
    time_in_force: str
    status: str
    state: str
    quantity: str
    price: str
    filled: str
    average_price: str | None
    planned_price: str | None
    slippage: str | None
    detail: str


def show_orders(settings: Settings, *, only_open: bool, as_json: bool) -> None:
    """Print the orders, newest first.

    Raises:
        StoreError: the database cannot be read.
    """
    with reading(database_url(settings)) as connection:
        lines = [order_line(row) for row in order_rows(connection, only_open=only_open)]
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2, ensure_ascii=False))
        return
    if not lines:
        typer.echo("No open orders." if only_open else "No orders yet.")
        return
    words = ("order", "at (UTC)", "market", "rule", "side", "type", "status")
    figures = ("quantity", "price $", "filled", "average $", "planned $")
    screen().print(grid("Orders, newest first", words=words, figures=figures, rows=[_row(line) for line in lines]))


def order_line(row: OrderRow) -> OrderLine:
    """What is told of one order."""
    order, terms = row.order, row.order.terms
    average = average_price(row.traded, row.cash)
    difference = slippage(terms, average)
    return OrderLine(
        client_order_id=terms.client_order_id,
        order_id=order.order_id,
        created_at=moment(order.created_at_ns),
        market=row.market,
        rule=rule_word(terms),
        side=terms.side,
        time_in_force=terms.time_in_force,
        status=status_words(order),
        state=order.status,
        quantity=format_micros(terms.quantity),
        price=format_micros(terms.price),
        filled=format_micros(row.traded),
        average_price=None if average is None else format_micros(average),
        planned_price=None if terms.planned_price is None else format_micros(terms.planned_price),
        slippage=None if difference is None else format_micros(difference),
        detail=order.detail,
    )


def _row(line: OrderLine) -> tuple[str, ...]:
    return (
        line.client_order_id,
        line.created_at,
        line.market,
        line.rule,
        line.side,
        line.time_in_force,
        line.status,
        line.quantity,
        line.price,
        line.filled,
        line.average_price or "-",
        line.planned_price or "-",
    )
