"""Where a paper account stood when its daemon ended: read off the daemon's own books.

What lives here: stored state in, the account that the simulated venue goes on with out. What must not: matching.

The ledger is the paper account's only memory. So a restart cannot make it differ from our books: what was not
committed has never happened there, an order that was under way has not arrived, and what would have traded while
nobody listened has not traded. Winnings that waited for their payment are paid.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Final

from polystra.domain.fills import Fill, FillReport, FillStatus
from polystra.domain.ids import TokenId
from polystra.domain.orders import Order, OrderStatus, SignedOrder
from polystra.matching.paper_account import CarriedOrder, PaperAccount
from polystra.ports.store import StoredOrder, StoredState

_RESTING: Final = (OrderStatus.OPEN, OrderStatus.PENDING_CANCEL)
_SHARED: Final = tuple(field.name for field in fields(FillReport) if field.name in {each.name for each in fields(Fill)})


def carried_account(stored: StoredState) -> PaperAccount:
    """The account by our books."""
    tokens: Counter[TokenId] = Counter()
    for posting in stored.postings:
        if posting.token_id is not None:
            tokens[posting.token_id] += posting.settled_shares
    fills: dict[str, list[Fill]] = {}
    for fill in stored.fills:
        if fill.status is not FillStatus.FAILED:
            fills.setdefault(fill.order_id, []).append(fill)
    return PaperAccount(
        cash=sum(posting.settled_cash + posting.claim for posting in stored.postings),
        tokens={token: shares for token, shares in tokens.items() if shares > 0},
        orders=tuple(
            _carried(each, each.order, fills.get(each.order.order_id, []))
            for each in stored.orders
            if each.order.order_id is not None
        ),
    )


def _carried(stored: StoredOrder, order: Order, fills: list[Fill]) -> CarriedOrder:
    terms = order.terms
    assert order.order_id is not None
    known = stored.signed or SignedOrder(
        client_order_id=terms.client_order_id,
        order_id=order.order_id,
        body=b"",
        salt=0,
        timestamp_ms=0,
        quantity=terms.quantity,
    )
    return CarriedOrder(
        signed=known,
        terms=terms,
        is_open=order.status in _RESTING and terms.time_in_force.may_rest and order.filled < known.quantity,
        fills=tuple((_report(fill), fill.fee) for fill in fills),
    )


def _report(fill: Fill) -> FillReport:
    return FillReport(**{name: getattr(fill, name) for name in _SHARED})
