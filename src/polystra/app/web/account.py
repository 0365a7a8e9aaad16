"""The account as it stands: status, positions and resting orders, from the last look alone.

What lives here: the answers' types and how a look becomes one; `snapshot` is what is streamed once a second. What
must not: the database, HTTP. Money, shares and prices are decimal text, times ISO 8601 in UTC, ages seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from polystra.adapters.store.queries import MarketRow
from polystra.app.limit_lines import Figures, LimitLine, limits
from polystra.app.order_words import rule_word, status_words
from polystra.app.position_list import PositionLine, position_line
from polystra.app.redeemable import runway
from polystra.app.status import SwitchLine, reserved_dollars
from polystra.app.web.site import Site, iso, maybe_iso
from polystra.domain.facts import DecisionRecorded, SwitchChanged
from polystra.domain.ids import ClientOrderId, ConditionId
from polystra.domain.market import Market
from polystra.domain.orders import Order, Side
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, MicroDollars, format_micros, parse_micros
from polystra.ports.viewing import HeldPosition, View


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLine:
    """One stream; `quiet_s` is real seconds since it last spoke."""

    name: str
    connected: bool
    quiet_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAnswer:
    """One look at the account. `at` is the run's clock (simulated in sim mode), `told_at` the machine's."""

    number: int
    mode: str
    account: str
    version: str
    running: bool
    at: str
    told_at: str
    entries_blocked: str
    """Why no entries are made; empty when they are."""
    blocks: tuple[str, ...]
    venue_mode: str
    """NORMAL, RESTARTING, POST_ONLY, CANCEL_ONLY, DISABLED or CLOSED_ONLY."""
    venue_words: str
    """What that means; empty when NORMAL."""
    venue_until: str | None
    switches: tuple[SwitchLine, ...]
    kill_switch: bool
    markets_settled: int
    open_positions: int
    open_orders: int
    orders_in_doubt: int
    oldest_doubt_s: int
    cash: str
    available: str
    """Cash less what live buys may still cost."""
    reserved: str
    claims: str
    positions_value: str
    """Shares held at their marks; at their average price where there is no mark."""
    equity: str
    """Cash, claims and the value of positions."""
    runway: str
    realised_pnl: str
    realised_pnl_today: str
    unrealised_pnl: str
    day_pnl: str
    """Today's result with what is open at its marks."""
    day_loss_limit: str | None
    limits: tuple[LimitLine, ...]
    last_reconcile: str
    reconciled_at: str | None
    streams: tuple[StreamLine, ...]
    loop_lag_ms: float
    waiting_inputs: int
    stopping: bool
    speed: float
    """Seconds of the run's clock in a real one: 1 but in simulations."""
    look_cost_ms: float
    """What the look before this one took of the trading loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The decision that opened a position: its edge and the probabilities behind it, of Up."""

    decision_id: int
    at: str
    edge: float
    p_up: float
    market_prior_p_up: float
    fair_value_up: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionAnswer(PositionLine):
    """A position as `polystra positions --json` tells it, with the book of this second and its place in time."""

    condition_id: str
    token_id: str
    bid: str | None
    ask: str | None
    fair_value: float | None
    """The strategy's chance that this outcome wins, of the latest decision about the market."""
    value: str
    """The shares at the mark, dollars."""
    opened_at: str
    resolves_at: str | None
    book_in_sync: bool
    why: Why | None
    """Of a position that this run opened; `positions/{id}` tells it of every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An order that may still trade."""

    client_order_id: str
    order_id: str | None
    position_id: str
    market: str
    outcome: str | None
    rule: str
    purpose: str
    side: str
    time_in_force: str
    price: str
    quantity: str
    filled: str
    remaining: str
    status: str
    state: str
    in_doubt: bool
    created_at: str
    age_s: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is streamed: everything that may change from one second to the next."""

    status: StatusAnswer
    positions: tuple[PositionAnswer, ...]
    orders: tuple[RestingOrder, ...]


def snapshot(site: Site, view: View) -> Snapshot:
    """The whole of a look."""
    return Snapshot(status=status(site, view), positions=positions(site, view), orders=resting(view))


def status(site: Site, view: View) -> StatusAnswer:
    """The account's figures and what stands against entries."""
    settings, board = site.settings, site.board
    reserved = sum(map(reserved_dollars, view.orders))
    value = sum(map(_value, view.positions))
    unrealised = sum(_unrealised(held) for held in view.positions)
    reconcile = board.reconcile
    figures = Figures(today=view.today, below_peak=view.peak - view.realised, losses_in_row=view.losses_in_row)
    recorded = [held.recorded for held in view.positions]
    lines = limits(recorded, view.orders, {line.condition_id: line.symbol for line in recorded}, figures, settings)
    limit = parse_micros(settings.daily_loss_limit_dollars, field="DAILY_LOSS_LIMIT_DOLLARS")
    health = view.health
    oldest = min((since_ns for _, since_ns in view.doubtful), default=view.at_ns)
    return StatusAnswer(
        number=view.number,
        mode=site.mode,
        account=site.account,
        version=site.version,
        running=True,
        at=iso(view.at_ns),
        told_at=iso(view.told_ns),
        entries_blocked=board.blocked,
        blocks=view.blocks,
        venue_mode=view.venue_mode.value,
        venue_words="" if view.venue_mode.takes_entries else f"the venue {view.venue_mode.words}",
        venue_until=maybe_iso(view.venue_mode_until_ns),
        switches=tuple(_switch(each) for each in view.switches if each.on),
        kill_switch=any(each.on and each.name == "kill" for each in view.switches),
        markets_settled=board.settled,
        open_positions=sum(held.booked.shares > 0 for held in view.positions),
        open_orders=len(view.orders),
        orders_in_doubt=len(view.doubtful),
        oldest_doubt_s=max(0, view.at_ns - oldest) // NS_PER_S,
        cash=format_micros(view.cash),
        available=format_micros(max(0, view.cash - reserved)),
        reserved=format_micros(reserved),
        claims=format_micros(view.claims),
        positions_value=format_micros(value),
        equity=format_micros(view.cash + view.claims + value),
        runway=runway(view.claims, parse_micros(settings.trade_size_dollars, field="TRADE_SIZE_DOLLARS")),
        realised_pnl=format_micros(view.realised),
        realised_pnl_today=format_micros(view.today),
        unrealised_pnl=format_micros(unrealised),
        day_pnl=format_micros(view.today + unrealised),
        day_loss_limit=format_micros(limit) if limit else None,
        limits=lines,
        last_reconcile=""
        if reconcile is None
        else f"{iso(reconcile.at_ns)} ({reconcile.trigger}): {'; '.join(reconcile.differences) or 'no differences'}",
        reconciled_at=maybe_iso(view.reconciled_at_ns),
        streams=()
        if health is None
        else tuple(
            StreamLine(name=each.name, connected=each.connected, quiet_s=round(each.quiet_ns / NS_PER_S, 1))
            for each in health.streams
        ),
        loop_lag_ms=round(view.loop_lag_ns / NS_PER_MS, 3),
        waiting_inputs=view.waiting_inputs,
        stopping=view.stopping,
        speed=site.speed,
        look_cost_ms=round(view.cost_ns / NS_PER_MS, 3),
    )


def positions(site: Site, view: View) -> tuple[PositionAnswer, ...]:
    """What is held now, the oldest first."""
    markets = {watched.market.condition_id: watched.market for watched in view.markets}
    available = format_micros(max(0, view.cash - sum(map(reserved_dollars, view.orders))))
    return tuple(_position(site, view, held, markets, available) for held in view.positions)


def why(decision: DecisionRecorded | None) -> Why | None:
    """A decision as far as it explains a position."""
    if decision is None:
        return None
    return Why(
        decision_id=decision.decision_id,
        at=iso(decision.at_ns),
        edge=decision.edge,
        p_up=decision.p_up,
        market_prior_p_up=decision.market_prior_p_up,
        fair_value_up=decision.fair_value_up,
        reason=decision.reason,
    )


def resting(view: View) -> tuple[RestingOrder, ...]:
    """Orders that may still trade, the oldest first."""
    markets = {watched.market.condition_id: watched.market for watched in view.markets}
    doubtful = {name for name, _ in view.doubtful}
    return tuple(_resting(order, view, markets.get(order.terms.condition_id), doubtful) for order in view.orders)


# --- inside ---------------------------------------------------------------------------


def _position(
    site: Site, view: View, held: HeldPosition, markets: Mapping[ConditionId, Market], available: str
) -> PositionAnswer:
    recorded, book, booked = held.recorded, held.book, held.booked
    market = markets.get(recorded.condition_id)
    decision = site.board.decision(recorded.condition_id)
    mark, mark_at_ns = recorded.mark, recorded.mark_at_ns
    if book is not None and book.mid is not None:
        mark, mark_at_ns = book.mid, max(book.updated_at_ns, mark_at_ns)
    current = replace(
        recorded,
        mark=mark,
        mark_at_ns=mark_at_ns,
        pending_shares=booked.pending_shares,
        settled_shares=booked.settled_shares,
        realised_pnl=booked.realised_pnl,
    )
    line = position_line(
        current,
        market=None if market is None else _market_row(market),
        sells=[
            order
            for order in view.orders
            if order.terms.position_id == recorded.position_id and order.terms.side is Side.SELL
        ],
        booked=booked,
        available=available,
        now_ns=view.at_ns,
    )
    fair = None
    if decision is not None:
        fair = decision.fair_value_up if recorded.outcome == "UP" else 1 - decision.fair_value_up
    return PositionAnswer(
        **{name: getattr(line, name) for name in PositionLine.__dataclass_fields__},
        condition_id=recorded.condition_id,
        token_id=recorded.token_id,
        bid=None if book is None or book.bid is None else format_micros(book.bid),
        ask=None if book is None or book.ask is None else format_micros(book.ask),
        fair_value=None if fair is None else round(fair, 6),
        value=format_micros(_value(held)),
        opened_at=iso(recorded.opened_at_ns),
        resolves_at=None if market is None else iso(market.closes_at_s * NS_PER_S),
        book_in_sync=book is not None and book.in_sync,
        why=why(site.board.entry(recorded.position_id)),
    )


def _resting(order: Order, view: View, market: Market | None, doubtful: set[ClientOrderId]) -> RestingOrder:
    terms = order.terms
    return RestingOrder(
        client_order_id=terms.client_order_id,
        order_id=order.order_id,
        position_id=terms.position_id,
        market=terms.condition_id if market is None else market.slug,
        outcome=None if market is None else str(market.outcome_of(terms.token_id)),
        rule=rule_word(terms),
        purpose=terms.purpose.value,
        side=terms.side.value,
        time_in_force=terms.time_in_force.value,
        price=format_micros(terms.price),
        quantity=format_micros(terms.quantity),
        filled=format_micros(order.filled),
        remaining=format_micros(order.remaining),
        status=status_words(order),
        state=order.status.value,
        in_doubt=terms.client_order_id in doubtful,
        created_at=iso(order.created_at_ns),
        age_s=max(0, view.at_ns - order.created_at_ns) // NS_PER_S,
        detail=order.detail,
    )


def _market_row(market: Market) -> MarketRow:
    """The market as the list of positions wants it; what was done in it is not shown there."""
    return MarketRow(
        condition_id=market.condition_id,
        slug=market.slug,
        symbol=market.symbol,
        opens_at_s=market.opens_at_s,
        closes_at_s=market.closes_at_s,
        settled=False,
        winner=None,
        decisions=0,
        entries=0,
        orders=0,
        fills=0,
        fees=0,
        realised_pnl=0,
    )


def _switch(switch: SwitchChanged) -> SwitchLine:
    return SwitchLine(
        name=switch.name.value,
        subject=switch.subject,
        reason=switch.reason,
        source=switch.source,
        since=iso(switch.at_ns),
        until=iso(switch.until_ns) if switch.until_ns else "",
    )


def _value(held: HeldPosition) -> MicroDollars:
    mid = None if held.book is None else held.book.mid
    price = mid if mid is not None else held.recorded.mark or held.booked.average_price
    return held.booked.shares * price // MICRO


def _unrealised(held: HeldPosition) -> MicroDollars:
    mid = None if held.book is None else held.book.mid
    mark = mid if mid is not None else held.recorded.mark
    return 0 if mark is None or not held.booked.shares else held.booked.unrealised_pnl(mark)
