"""`polystra audit`: the latest requests that may have changed something at the venue, as a list.

What lives here: what a line of the list says. What must not: the life of one order (`order_life`),
statements (`adapters.store.audit_reading`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from polystra.adapters.store.audit_reading import StoredCall, client_ids, latest_calls
from polystra.adapters.store.queries import reading
from polystra.app.book_reading import database_url
from polystra.app.order_words import milliseconds, moment, request_words
from polystra.app.screen import grid, screen
from polystra.app.settings import Settings
from polystra.domain.ids import ClientOrderId, OrderId


def show_calls(settings: Settings, *, limit: int, failed: bool, routine: bool, as_json: bool) -> None:
    """Print the newest requests, newest first; without routine that went well unless it is asked for.

    Raises:
        StoreError: the database cannot be read.
    """
    with reading(database_url(settings)) as connection:
        calls = latest_calls(connection, limit=limit, failed=failed, routine=routine)
        ours = client_ids(connection, {order_id for stored in calls for order_id, _ in stored.call.orders})
    if as_json:
        typer.echo(json.dumps([call_object(stored, ours) for stored in calls], indent=2, ensure_ascii=False))
        return
    if not calls:
        typer.echo("No requests are kept that went wrong." if failed else "No such requests are kept yet.")
        return
    title = "Requests to the venue, newest first"
    if not (routine or failed):
        title += " (--routine shows heartbeats, read notices and refreshed balances too)"
    words = ("at (UTC)", "request", "status", "outcome", "orders")
    rows = [_row(stored, ours) for stored in calls]
    screen().print(grid(title, words=words, figures=("legs", "ms"), rows=rows))


def call_object(stored: StoredCall, ours: Mapping[OrderId, ClientOrderId]) -> dict[str, Any]:
    """A request as JSON; `legs` is how many orders it was about, `ours` maps the venue's ids to our own."""
    call = stored.call
    return {
        "sequence": stored.sequence,
        "at": moment(call.at_ns),
        "at_ns": call.at_ns,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "latency_ms": milliseconds(call.latency_ns),
        "outcome": call.outcome,
        "legs": len(call.orders),
        "orders": [
            {"client_order_id": ours.get(order_id), "order_id": order_id, "outcome": outcome}
            for order_id, outcome in call.orders
        ],
        "request": call.request,
        "reply": call.reply,
    }


def status_word(status: int | None) -> str:
    """The HTTP status, or that no answer was read."""
    return "no answer" if status is None else str(status)


def _row(stored: StoredCall, ours: Mapping[OrderId, ClientOrderId]) -> tuple[str, ...]:
    call = stored.call
    names = ", ".join(ours.get(order_id) or f"{order_id[:10]}…" for order_id, _ in call.orders)
    return (
        moment(call.at_ns),
        request_words(call.method, call.path),
        status_word(call.status),
        call.outcome,
        names or "-",
        str(len(call.orders) or "-"),
        milliseconds(call.latency_ns),
    )
