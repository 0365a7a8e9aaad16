"""How the daemon works: markets it watches, lines of its log, its settings, the requests that it and others made.

What lives here: handlers and the types of their answers. What must not: secrets. Lines are kept redacted, settings are
shown as `polystra show_config` shows them, and every other text passes the same redaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import Connection

from polystra.adapters.store import pages
from polystra.adapters.store.audit_reading import client_ids, latest_calls
from polystra.app.audit import call_object
from polystra.app.config_view import ConfigLine, config_lines
from polystra.app.web.lists import cursor, keys_of, number_of
from polystra.app.web.route import Ask, Page
from polystra.app.web.site import Site, iso, maybe_iso
from polystra.app.web.story import with_iso_times
from polystra.domain.units import E8, MICRO, NS_PER_S, format_micros
from polystra.ports.viewing import BookTop, WatchedMarket


class LogsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=2_000, description="a number of lines from 1 to 2000")] = 200
    before: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}$")] | None,
        msgspec.Meta(description="the next_before of the page before"),
    ] = None
    level: Annotated[
        Literal["debug", "info", "warning", "error"], msgspec.Meta(description="debug, info, warning or error")
    ] = "debug"
    event: Annotated[
        str, msgspec.Meta(max_length=60, description="how the event's name begins, at most 60 characters")
    ] = ""
    text: Annotated[
        str, msgspec.Meta(max_length=200, description="what stands anywhere in the line, at most 200 characters")
    ] = ""


class AuditQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests."""

    failed: Annotated[bool, msgspec.Meta(description="true: only what went wrong")] = False
    routine: Annotated[bool, msgspec.Meta(description="true: heartbeats and the like too")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopAnswer:
    """The best prices of one outcome's book."""

    bid: str | None
    ask: str | None
    mid: str | None
    updated_at: str | None
    in_sync: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLine:
    """A market; the books, prices and entries are of one that is watched now."""

    condition_id: str
    market: str
    symbol: str
    opens_at: str
    closes_at: str
    watched: bool
    resolves_in_s: int | None
    price_to_beat: str | None
    price: str | None
    up: TopAnswer | None
    down: TopAnswer | None
    fair_value_up: float | None
    entries: int | None
    last_reason: str
    frozen: str
    settled_at: str | None
    winner: str | None
    realised_pnl: str | None
    fees: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketsPage:
    """Markets, the one that opens last first."""

    items: tuple[MarketLine, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsPage:
    """Lines of the log, the oldest of the page first.

    Each is `number`, `timestamp`, `level`, `event`, and the fields of that event.
    """

    items: tuple[dict[str, Any], ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigAnswer:
    """Every setting of the running daemon. `source` is default or set; `polystra show_config` tells where."""

    mode: str
    account: str
    actions: bool
    """Whether a token is set, so that actions can be taken."""
    items: tuple[ConfigLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Requests that may have changed something, at the venue or here, newest first."""

    items: tuple[dict[str, Any], ...]
    next_before: str | None


async def get_markets(site: Site, ask: Ask) -> MarketsPage:
    """Markets with their books and verdicts."""
    query: Page = ask.query
    before = keys_of(query.before, 1)
    key = None if before is None else (before[0], before[1][0])
    view = site.view()
    watched: dict[str, WatchedMarket] = {each.market.condition_id: each for each in view.markets}
    rows = await site.read(lambda connection: pages.markets_page(connection, limit=query.limit, before=key))
    items = tuple(_market(site, row, watched.get(row.condition_id), view.at_ns) for row in rows)
    return MarketsPage(
        items=items, next_before=cursor(rows, query.limit, lambda row: (row.opens_at_ns, row.condition_id))
    )


async def get_logs(site: Site, ask: Ask) -> LogsPage:
    """The tail of the log."""
    query: LogsQuery = ask.query
    lines = site.lines.find(
        limit=query.limit, before=number_of(query.before), level=query.level, event=query.event, text=query.text
    )
    more = str(lines[-1].number) if len(lines) == query.limit else None
    return LogsPage(items=tuple(line.as_object() for line in reversed(lines)), next_before=more)


async def get_config(site: Site, _ask: Ask) -> ConfigAnswer:
    """The settings, mode first, no secret among them."""
    return ConfigAnswer(
        mode=site.mode,
        account=site.account,
        actions=bool(site.settings.api_token.get_secret_value()),
        items=config_lines(site.settings, {name.upper(): "set" for name in site.settings.model_fields_set}),
    )


async def get_audit(site: Site, ask: Ask) -> AuditPage:
    """What was asked of the venue, and of this daemon."""
    query: AuditQuery = ask.query
    before = number_of(query.before)

    def look(connection: Connection) -> AuditPage:
        calls = latest_calls(connection, limit=query.limit, failed=query.failed, routine=query.routine, before=before)
        ours = client_ids(connection, {order_id for stored in calls for order_id, _ in stored.call.orders})
        items = tuple(with_iso_times(call_object(stored, ours)) for stored in calls)
        return AuditPage(items=items, next_before=cursor(calls, query.limit, lambda stored: (stored.sequence,)))

    return await site.read(look)


# --- inside ---------------------------------------------------------------------------


def _market(site: Site, row: pages.MarketPageRow, watched: WatchedMarket | None, now_ns: int) -> MarketLine:
    decision = None if watched is None else site.board.decision(watched.market.condition_id)
    beat = row.price_to_beat_e8 if watched is None else watched.price_to_beat
    return MarketLine(
        condition_id=row.condition_id,
        market=row.slug,
        symbol=row.symbol,
        opens_at=iso(row.opens_at_ns),
        closes_at=iso(row.closes_at_ns),
        watched=watched is not None,
        resolves_in_s=None if watched is None else (row.closes_at_ns - now_ns) // NS_PER_S,
        price_to_beat=_spot(beat),
        price=None if watched is None else _spot(watched.price),
        up=None if watched is None else _top(watched.up),
        down=None if watched is None else _top(watched.down),
        fair_value_up=None if decision is None else decision.fair_value_up,
        entries=None if watched is None else watched.entries,
        last_reason="" if watched is None else watched.last_reason,
        frozen="" if watched is None else watched.frozen,
        settled_at=maybe_iso(row.settled_at_ns),
        winner=None if row.settled_at_ns is None else row.winner.value if row.winner else "50/50",
        realised_pnl=None if row.realised_pnl is None else format_micros(row.realised_pnl),
        fees=None if row.fees is None else format_micros(row.fees),
    )


def _top(book: BookTop | None) -> TopAnswer | None:
    if book is None:
        return None
    return TopAnswer(
        bid=_dollars(book.bid),
        ask=_dollars(book.ask),
        mid=_dollars(book.mid),
        updated_at=maybe_iso(book.updated_at_ns),
        in_sync=book.in_sync,
    )


def _dollars(micros: int | None) -> str | None:
    return None if micros is None else format_micros(micros)


def _spot(e8: int | None) -> str | None:
    """A spot price in dollars, to the micro-dollar."""
    return None if e8 is None else format_micros(e8 * MICRO // E8)
