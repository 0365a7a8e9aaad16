"""The viewing port: what the trading loop shows to those who watch it, as plain data that nobody changes.

Contract of `Viewer`, whose methods are called on the trading loop:
1. Both return at once: they store a reference and never format, wait, write or wake anybody.
2. What is handed over is never changed afterwards by either side.
3. A viewer that does not look loses old news, never trading time.

Money, shares and prices are micro-units, spot prices 10^-8 dollars; `at_ns` is the run's clock, `told_ns` the system's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from polystra.domain.facts import Fact, PositionRecorded, SwitchChanged
from polystra.domain.ids import ClientOrderId
from polystra.domain.market import Market
from polystra.domain.orders import Order
from polystra.domain.positions import Position
from polystra.domain.units import MicroDollars, MicroPrice, Nanos, PriceE8
from polystra.domain.venue import VenueMode
from polystra.ports.health import HealthReading
from polystra.ports.rate import BudgetLeft


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTop:
    """The best prices of one token's local book; `mid` is None when a side is missing."""

    bid: MicroPrice | None
    ask: MicroPrice | None
    mid: MicroPrice | None
    updated_at_ns: Nanos
    in_sync: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """One position that holds shares or is being worked: as recorded, a copy of its sums, and its token's book."""

    recorded: PositionRecorded
    booked: Position
    book: BookTop | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedMarket:
    """One market in which entries or exits may be made now."""

    market: Market
    price_to_beat: PriceE8 | None
    price: PriceE8 | None
    """The last price by which the market settles, as far as it is known."""
    up: BookTop | None
    down: BookTop | None
    entries: int
    last_reason: str
    """Why the last evaluation made no entry; empty after one that did."""
    frozen: str
    strategy_failed: str
    resolved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workings:
    """How the machine runs: sums since the start, and what waits now."""

    sends_waiting: int
    commits: int
    committing_ns: Nanos
    """What the commits took together."""
    budget: BudgetLeft


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at the account. `number` counts the looks of this run."""

    number: int
    at_ns: Nanos
    told_ns: Nanos
    positions: tuple[HeldPosition, ...]
    orders: tuple[Order, ...]
    """Those that may still trade."""
    doubtful: tuple[tuple[ClientOrderId, Nanos], ...]
    """Orders of unknown fate, and since when."""
    markets: tuple[WatchedMarket, ...]
    switches: tuple[SwitchChanged, ...]
    blocks: tuple[str, ...]
    """Conditions that hold entries back besides switches, in words."""
    venue_mode: VenueMode
    venue_mode_until_ns: Nanos
    cash: MicroDollars
    claims: MicroDollars
    realised: MicroDollars
    today: MicroDollars
    peak: MicroDollars
    losses_in_row: int
    reconciled_at_ns: Nanos
    stopping: bool
    waiting_inputs: int
    loop_lag_ns: Nanos
    """How late the loop came to this look."""
    cost_ns: Nanos
    """What the look before this one took of the loop."""
    commit_age_ns: Nanos
    """For how long a commit has been under way; 0 while none is."""
    health: HealthReading | None
    workings: Workings | None = None


class Viewer(Protocol):
    """See the module docstring."""

    def show(self, view: View) -> None:
        """Replace the last look."""
        ...

    def heard(self, facts: Sequence[Fact]) -> None:
        """Take committed facts, in the order of their commits."""
        ...
