"""The store port: facts in, one transaction; the state of the last run out.

Contract:
1. `commit` returns after the facts are durable, all or none; facts of concurrent calls may
   share a transaction (group commit) but keep their order.
2. Writing a fact again is harmless (same key, same content); another content under the same
   key raises `StoreConflict`.
3. `load` gives what the engine needs to go on: it is the same after a clean stop and a crash.
4. `prune` drops decisions that led to nothing and are older than asked, and notices, observed balances and
   reconciliations of more than a month ago, the newest of each kind excepted; the journal of money stays.
5. The signed bytes of an order that has ended are erased with the fact of its end, for good: whoever has them
   could send it. `load` gives such an order without them.
6. Errors: `StoreBusy` (try again), `StoreCorrupt` (stop), `StoreConflict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from polystra.domain.facts import DoubtRecorded, Fact, PositionRecorded, SwitchChanged
from polystra.domain.fills import Fill
from polystra.domain.ledger import Posting
from polystra.domain.market import Market
from polystra.domain.orders import Order, SignedOrder
from polystra.domain.units import Nanos, PriceE8
from polystra.domain.venue import VenueMode


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMarket:
    """A market with the price to beat that was recorded for it."""

    market: Market
    price_to_beat: PriceE8 | None
    resolved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    """An order and the bytes that were signed for it; None when they are erased or were never known here."""

    order: Order
    signed: SignedOrder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """What a run starts from. Markets unresolved or with open business; all postings of the ledger.

    `orders` holds every live order and every order of an unresolved market; `fills` likewise
    plus every fill whose settlement is not final. `last_fill_ns` is the newest match time.
    `switches` holds the last value of each, on or off, `doubts` those that are not over, `signals` the ids of
    outside signals that were answered within `SIGNALS_KEPT_S` of the newest, oldest first, with their times.
    """

    markets: tuple[StoredMarket, ...] = ()
    orders: tuple[StoredOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    postings: tuple[Posting, ...] = ()
    positions: tuple[PositionRecorded, ...] = ()
    next_order_number: int = 1
    next_decision_id: int = 1
    settled_markets: int = 0
    last_fill_ns: Nanos = 0
    switches: tuple[SwitchChanged, ...] = ()
    doubts: tuple[DoubtRecorded, ...] = ()
    signals: tuple[tuple[str, Nanos], ...] = ()
    venue_mode: VenueMode = VenueMode.NORMAL
    """What the last run saw last; the venue shows it anew."""


class Store(Protocol):
    """The journal and its projections."""

    async def commit(self, facts: Sequence[Fact]) -> None:
        """Make facts durable."""
        ...

    async def load(self) -> StoredState:
        """Read the state of the last run."""
        ...

    async def prune(self, now_ns: Nanos, keep_ns: Nanos) -> int:
        """Drop skipped decisions older than `keep_ns` before `now_ns`; returns how many."""
        ...

    async def close(self) -> None:
        """Flush and release."""
        ...
