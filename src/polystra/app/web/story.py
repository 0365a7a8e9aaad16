"""Single things and what led to them: positions with their ledger and path, orders with their life, fills, decisions.

What lives here: handlers and the types of their answers. What must not: statements (`adapters.store.pages`), words of
an order's life (`app.order_life`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from sqlalchemy import Connection

from polystra.adapters.store import pages
from polystra.adapters.store.audit_reading import candidates, order_life
from polystra.adapters.store.position_ledger import PositionLedger, position_ledger
from polystra.adapters.store.position_reading import position_candidates
from polystra.app.decision_gates import Gate, gates_of
from polystra.app.engine_settings import strategy_config
from polystra.app.order_life import as_object, the_one
from polystra.app.order_list import OrderLine, order_line
from polystra.app.position_list import PositionLine, position_line
from polystra.app.position_view import explained, the_position
from polystra.app.web import account
from polystra.app.web.lists import cursor, iso_order, keys_of, number_of
from polystra.app.web.refusal import Refused
from polystra.app.web.route import Ask, Page
from polystra.app.web.site import Site, iso, iso_words, maybe_iso
from polystra.domain.errors import ConfigError
from polystra.domain.facts import DecisionRecorded
from polystra.domain.fills import Fill
from polystra.domain.ids import PositionId
from polystra.domain.market import Outcome
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, Nanos, format_micros
from polystra.ports.viewing import View

_MOST_ORDERS: Final = 500
_MOST_POINTS: Final = 1_200
_TIMES: Final = ("at", "since", "signed_at", "created_at")


class PositionsQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which positions."""

    state: Annotated[
        Literal["open", "ended", "all"], msgspec.Meta(description="open, ended or all (open ones first)")
    ] = "all"


class DecisionsQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions."""

    action: Annotated[
        Literal["ENTER", "SKIP"] | None, msgspec.Meta(description="ENTER or SKIP; all when it is left out")
    ] = None
    market: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,200}$")] | None,
        msgspec.Meta(description="a market's slug or condition id"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsPage:
    """Positions: those that are open, the oldest first, then those that have ended, newest first."""

    items: tuple[account.PositionAnswer, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One moment of a position: the midpoint, the best bid, the chance that this outcome wins; null: not known."""

    at: str
    mid: float | None
    bid: float | None
    fair: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLine:
    """One fill; `status` is where its settlement stands: MATCHED, MINED, RETRYING, CONFIRMED or FAILED."""

    trade_id: str
    order_id: str
    client_order_id: str
    position_id: str
    market: str
    at: str
    updated_at: str
    side: str
    liquidity: str
    status: str
    shares: str
    price: str
    cash: str
    fee: str
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingLine:
    """One line of a position's ledger. `size` is what the position held after it."""

    at: str
    kind: str
    finality: str
    reason: str
    evidence: str
    source_id: str
    pending_shares: str
    settled_shares: str
    size: str
    cash: str
    fee: str
    claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAnswer:
    """Whether the postings add up to the position's size, in words."""

    sum: str
    size: str
    difference: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionStory(account.PositionAnswer):
    """One position with everything that explains it."""

    decision: account.Why | None
    path: tuple[PathStep, ...]
    postings: tuple[PostingLine, ...]
    ledger: LedgerAnswer
    orders: tuple[OrderLine, ...]
    fills: tuple[FillLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillsPage:
    """Fills, newest first."""

    items: tuple[FillLine, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """One decision with both fusions and every gate; probabilities are of Up."""

    decision_id: int
    at: str
    market: str
    condition_id: str
    symbol: str
    action: str
    reason: str
    outcome: str | None
    fair_value_up: float
    market_prior_p_up: float
    additive_bias: float
    additive_confidence: float
    bayesian_bias: float
    bayesian_confidence: float
    p_up: float
    edge: float
    price: str | None
    quantity: str | None
    winner: str | None
    gates: tuple[Gate, ...]
    inputs: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsPage:
    """Decisions, newest first."""

    items: tuple[DecisionLine, ...]
    next_before: str | None


async def get_positions(site: Site, ask: Ask) -> PositionsPage:
    """What is held, and what was."""
    query: PositionsQuery = ask.query
    held: tuple[account.PositionAnswer, ...] = ()
    if query.state != "ended" and query.before is None:
        held = account.positions(site, site.view())
    if query.state == "open":
        return PositionsPage(items=held, next_before=None)
    before = keys_of(query.before, 1)
    key = None if before is None else (before[0], before[1][0])
    rows = await site.read(lambda connection: pages.trades_page(connection, limit=query.limit, before=key, ended=True))
    shown = {line.position_id for line in held}
    items = tuple(_ended(site, row) for row in rows if row.position.position_id not in shown)
    following = cursor(rows, query.limit, lambda row: (row.position.opened_at_ns, row.position.position_id))
    return PositionsPage(items=(*held, *items), next_before=following)


async def get_position(site: Site, ask: Ask) -> PositionStory:
    """One position whole; the id may be shortened."""
    wanted = ask.place.id
    view = site.view()
    return await site.read(lambda connection: _story(site, connection, wanted, view))


async def get_order(site: Site, ask: Ask) -> dict[str, Any]:
    """The life of one order, from the decision to the ledger; the id may be ours or the venue's, and shortened."""
    wanted = ask.place.id

    def look(connection: Connection) -> dict[str, Any]:
        try:
            name = the_one(wanted, candidates(connection, wanted))
        except ConfigError as error:
            raise Refused(404, _named(error, "--order")) from error
        told: dict[str, Any] = with_iso_times(as_object(order_life(connection, name)))
        return told

    return await site.read(look)


async def get_fills(site: Site, ask: Ask) -> FillsPage:
    """Fills with where their settlement stands."""
    query: Page = ask.query
    before = keys_of(query.before, 2)
    key = None if before is None else (before[0], before[1][0], before[1][1])
    rows = await site.read(lambda connection: pages.fills_page(connection, limit=query.limit, before=key))
    following = cursor(rows, query.limit, lambda row: (row.fill.matched_at_ns, row.fill.trade_id, row.fill.order_id))
    return FillsPage(items=tuple(fill_line(row.fill, row.market) for row in rows), next_before=following)


async def get_decisions(site: Site, ask: Ask) -> DecisionsPage:
    """Why entries were made, and why not."""
    query: DecisionsQuery = ask.query
    before = number_of(query.before)
    config = strategy_config(site.settings)

    def look(connection: Connection) -> DecisionsPage:
        condition_id = ""
        if query.market is not None:
            condition_id = pages.market_of_slug(connection, query.market) or ""
            if not condition_id:
                raise Refused(404, "market is none that is known: /api/v1/markets lists them")
        rows = pages.decisions_page(
            connection, limit=query.limit, before=before, action=query.action or "", condition_id=condition_id
        )
        items = tuple(decision_line(row, gates_of(row.decision, config)) for row in rows)
        return DecisionsPage(items=items, next_before=cursor(rows, query.limit, lambda r: (r.decision.decision_id,)))

    return await site.read(look)


def fill_line(fill: Fill, market: str) -> FillLine:
    """A fill as it is told."""
    return FillLine(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        client_order_id=fill.client_order_id,
        position_id=fill.position_id,
        market=market,
        at=iso(fill.matched_at_ns),
        updated_at=iso(fill.updated_at_ns),
        side=fill.side.value,
        liquidity=fill.liquidity.value,
        status=fill.status.value,
        shares=format_micros(fill.quantity),
        price=format_micros(fill.price),
        cash=format_micros(fill.cash),
        fee=format_micros(fill.fee),
        transaction_hash=fill.transaction_hash,
    )


def decision_line(row: pages.DecisionRow, gates: tuple[Gate, ...]) -> DecisionLine:
    """A decision as it is told."""
    decision = row.decision
    return DecisionLine(
        decision_id=decision.decision_id,
        at=iso(decision.at_ns),
        market=row.market,
        condition_id=decision.condition_id,
        symbol=decision.symbol,
        action=decision.action,
        reason=decision.reason,
        outcome=decision.outcome,
        fair_value_up=decision.fair_value_up,
        market_prior_p_up=decision.market_prior_p_up,
        additive_bias=decision.additive_bias,
        additive_confidence=decision.additive_confidence,
        bayesian_bias=decision.bayesian_bias,
        bayesian_confidence=decision.bayesian_confidence,
        p_up=decision.p_up,
        edge=decision.edge,
        price=None if decision.price is None else format_micros(decision.price),
        quantity=None if decision.quantity is None else format_micros(decision.quantity),
        winner=None if row.winner is None else row.winner.value,
        gates=gates,
        inputs=json.loads(decision.inputs or "{}"),
    )


def with_iso_times(told: Any) -> Any:  # noqa: ANN401 -- JSON of any shape
    """The same JSON with the times of a command as every answer of the server tells them."""
    if isinstance(told, list):
        return [with_iso_times(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {
        name: iso_words(value) if name in _TIMES and isinstance(value, str) else with_iso_times(value)
        for name, value in told.items()
    }


# --- inside ---------------------------------------------------------------------------


def _ended(site: Site, row: pages.TradeRow) -> account.PositionAnswer:
    """A position that is over, as far as its row and the sums of its postings tell."""
    recorded = row.position
    booked = Position(
        position_id=recorded.position_id,
        condition_id=recorded.condition_id,
        token_id=recorded.token_id,
        opened_at_ns=recorded.opened_at_ns,
        status=recorded.status,
        pending_shares=recorded.pending_shares,
        settled_shares=recorded.settled_shares,
        bought=row.bought,
        bought_cost=row.bought_cost,
        sold=row.sold,
        sold_proceeds=row.sold_proceeds,
        fees=row.fees,
        resolved=row.resolved,
        payout=row.payout,
    )
    view = site.board.view
    now_ns = recorded.at_ns if view is None else view.at_ns
    line = position_line(recorded, market=None, sells=(), booked=booked, available="", now_ns=now_ns)
    told = {name: getattr(line, name) for name in PositionLine.__dataclass_fields__} | {"market": row.market}
    held = recorded.pending_shares + recorded.settled_shares
    return account.PositionAnswer(
        **told,
        condition_id=recorded.condition_id,
        token_id=recorded.token_id,
        bid=None,
        ask=None,
        fair_value=None,
        value=format_micros(held * (recorded.mark or recorded.average_price) // MICRO),
        opened_at=iso(recorded.opened_at_ns),
        resolves_at=maybe_iso(row.closes_at_ns),
        book_in_sync=False,
        why=account.why(site.board.entry(recorded.position_id)),
    )


def _story(site: Site, connection: Connection, wanted: str, view: View) -> PositionStory:
    known = position_candidates(connection, wanted)
    held = next((each for each in account.positions(site, view) if each.position_id == wanted), None)
    if not known and held is not None:
        return _uncommitted(held)
    try:
        position_id = the_position(wanted, known)
    except ConfigError as error:
        raise Refused(404, _named(error, "ID")) from error
    told = position_ledger(connection, position_id)
    rows = pages.trades_page(connection, limit=1, position_id=position_id)
    if told is None or not rows:
        raise Refused(404, "the position is not in the database any more: /api/v1/positions lists them")
    live = next((each for each in account.positions(site, view) if each.position_id == position_id), None)
    line = _ended(site, rows[0]) if live is None else live
    decision = pages.entry_decision(connection, position_id)
    ledger = explained(told)
    orders = pages.orders_page(connection, limit=_MOST_ORDERS, position_id=position_id)
    return PositionStory(
        **{name: getattr(line, name) for name in account.PositionAnswer.__dataclass_fields__ if name != "why"},
        why=account.why(decision),
        decision=account.why(decision),
        path=_path(site, connection, told, live=live is not None, now_ns=view.at_ns),
        postings=tuple(PostingLine(**with_iso_times(posting)) for posting in ledger.lines),
        ledger=LedgerAnswer(sum=ledger.sum, size=ledger.size, difference=ledger.difference, verdict=ledger.verdict),
        orders=tuple(iso_order(order_line(row), row.order.created_at_ns) for row in reversed(orders)),
        fills=tuple(fill_line(fill, line.market) for fill in told.fills),
    )


def _uncommitted(held: account.PositionAnswer) -> PositionStory:
    """A position that the engine opened just now: its first facts are on their way to the database."""
    return PositionStory(
        **{name: getattr(held, name) for name in account.PositionAnswer.__dataclass_fields__},
        decision=held.why,
        path=(),
        postings=(),
        ledger=LedgerAnswer(sum="0", size="0", difference="0", verdict="its first postings are being committed"),
        orders=(),
        fills=(),
    )


def _path(
    site: Site, connection: Connection, told: PositionLedger, *, live: bool, now_ns: Nanos
) -> tuple[PathStep, ...]:
    """What this run saw each second, and what was thought of the market meanwhile (which a restart keeps)."""
    position = told.position
    until_ns = now_ns if live else max((line.posting.at_ns for line in told.lines), default=position.at_ns)
    since_ns = position.opened_at_ns - NS_PER_S
    thoughts = pages.decisions_of(connection, position.condition_id, since_ns=since_ns, until_ns=until_ns)
    steps: list[tuple[Nanos, float | None, float | None, float | None]] = [
        (each.at_ns, _mid(each, position.outcome), None, _side(each.fair_value_up, position.outcome))
        for each in thoughts
    ]
    fair = None
    at = 0
    for point in site.board.path(PositionId(position.position_id)):
        while at < len(thoughts) and thoughts[at].at_ns <= point.at_ns:
            fair = _side(thoughts[at].fair_value_up, position.outcome)
            at += 1
        if point.at_ns <= until_ns:
            steps.append((point.at_ns, _price(point.mark), _price(point.bid), fair))
    steps.sort(key=lambda step: step[0])
    stride = -(-len(steps) // _MOST_POINTS) or 1
    return tuple(PathStep(at=iso(step[0]), mid=step[1], bid=step[2], fair=step[3]) for step in steps[::stride])


def _side(p_up: float, outcome: Outcome) -> float:
    return round(p_up if outcome is Outcome.UP else 1 - p_up, 6)


def _mid(decision: DecisionRecorded, outcome: Outcome) -> float | None:
    """The midpoint of the outcome's book when the decision was made."""
    try:
        inputs = json.loads(decision.inputs or "{}")
    except ValueError:
        return None
    name = outcome.value.lower()
    bid, ask = inputs.get(f"{name}_bid"), inputs.get(f"{name}_ask")
    return (bid + ask) / 2 / MICRO if isinstance(bid, int) and isinstance(ask, int) else None


def _price(micros: int | None) -> float | None:
    return None if micros is None else micros / MICRO


def _named(error: ConfigError, word: str) -> str:
    """The sentence of a command in the words of a request."""
    return str(error).replace(f"{word} is", "id is").replace("`polystra ", "`/api/v1/").split(" such as ")[0]
