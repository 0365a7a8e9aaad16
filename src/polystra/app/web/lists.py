"""Lists and single things: status, positions, orders, fills, trades, decisions, markets, logs, requests.

What lives here: handlers that read, and the types of their answers. What must not: statements
(`adapters.store.pages`), what only a look knows (`account`). Every list is newest first and is
`{"items": [...], "next_before": "..."}`; the latter, given back as `before`, continues it, null ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeVar

import msgspec

from polystra.adapters.store import pages
from polystra.app.order_list import OrderLine, order_line
from polystra.app.web import account
from polystra.app.web.refusal import Refused
from polystra.app.web.route import Ask, Page
from polystra.app.web.site import Site, iso

T = TypeVar("T")
_MOST_DIGITS: Final = 19
_TOO_MUCH: Final = 2**63
"""A cursor is a key of the database, which has 64 bits."""


class OrdersQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which orders."""

    open: Annotated[bool, msgspec.Meta(description="true: only orders that may still trade")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersPage:
    """Orders, newest first; `created_at` is ISO 8601."""

    items: tuple[OrderLine, ...]
    next_before: str | None


async def get_status(site: Site, _ask: Ask) -> account.StatusAnswer:
    """How the account stands."""
    return account.status(site, site.view())


async def get_snapshot(site: Site, _ask: Ask) -> account.Snapshot:
    """The same object that is streamed."""
    return account.snapshot(site, site.view())


async def get_orders(site: Site, ask: Ask) -> OrdersPage:
    """Every order, or the open ones."""
    query: OrdersQuery = ask.query
    before = number_of(query.before)
    rows = await site.read(
        lambda connection: pages.orders_page(connection, limit=query.limit, before=before, only_open=query.open)
    )
    items = tuple(iso_order(order_line(row), row.order.created_at_ns) for row in rows)
    following = None
    if len(rows) == query.limit:
        last = rows[-1].order.terms.client_order_id
        following = await site.read(lambda connection: pages.order_number(connection, last))
    return OrdersPage(items=items, next_before=None if following is None else str(following))


def iso_order(line: OrderLine, created_at_ns: int) -> OrderLine:
    """The same with its time as every answer tells times."""
    return replace(line, created_at=iso(created_at_ns))


def number_of(before: str | None) -> int | None:
    """A cursor that is a number; raises Refused (400)."""
    if before is None:
        return None
    number = int(before) if before.isascii() and before.isdigit() and len(before) <= _MOST_DIGITS else _TOO_MUCH
    if number >= _TOO_MUCH:
        raise Refused(400, "before is not what a page gave as next_before: leave it out to begin with the newest")
    return number


def keys_of(before: str | None, names: int) -> tuple[int, list[str]] | None:
    """A cursor of a time and so many names; raises Refused (400)."""
    if before is None:
        return None
    first, *rest = before.split("~")
    if len(rest) != names or not first:
        raise Refused(400, "before is not what a page gave as next_before: leave it out to begin with the newest")
    return number_of(first) or 0, rest


def cursor(rows: Sequence[T], limit: int, key: Callable[[T], Sequence[object]]) -> str | None:
    """The cursor of the next page; None when this one was not full."""
    return "~".join(map(str, key(rows[-1]))) if rows and len(rows) == limit else None
