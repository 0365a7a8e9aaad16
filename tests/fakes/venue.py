"""A venue that answers by script and remembers every request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from polystra.domain.errors import VenueRefused, VenueUnreachable
from polystra.domain.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelAccepted,
    CancelOutcome,
    ClockDriftMeasured,
    MarketResolved,
    NoticesRead,
    OrderLookedUp,
    OrderReport,
    SubmitAccepted,
    SubmitOutcome,
    VenueOrderStatus,
)
from polystra.domain.fills import FillReport
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.market import Market
from polystra.domain.notices import VenueNotice
from polystra.domain.orders import SignedOrder
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos
from polystra.ports.clock import Clock
from polystra.ports.rate import BudgetLeft, Traffic
from polystra.ports.venue import OutcomeSink, SpendableBalance, Submission


class ScriptedVenue:
    """Fulfils `TradingVenue`. Accepts everything unless a test queued outcomes; `unreachable` breaks questions."""

    def __init__(self, clock: Clock, *, cash: MicroDollars = 0) -> None:
        self._clock = clock
        self._cash = cash
        self.budget = OpenBudget()
        self.submitted: list[tuple[SignedOrder, ...]] = []
        self.submissions: list[Submission] = []
        self.cancelled: list[tuple[OrderId, ...]] = []
        self.withdrawn: list[OrderId] = []
        self.looked_up: list[OrderId] = []
        self.calls: list[str] = []
        self.submit_outcomes: deque[SubmitOutcome] = deque()
        self.cancel_outcomes: deque[CancelOutcome] = deque()
        self.lookups: dict[OrderId, OrderLookedUp] = {}
        self.snapshots: deque[AccountSnapshot] = deque()
        self.books: dict[TokenId, BookSnapshot] = {}
        self.balances: dict[TokenId, MicroShares] = {}
        self.verdicts: dict[ConditionId, MarketResolved] = {}
        self.unread: dict[int, VenueNotice] = {}
        self.unreachable = False
        self.drift = ClockDriftMeasured(offset_ns=0, uncertainty_ns=0)

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[SubmitOutcome]:
        self.calls.append("submit")
        self.submitted.append(tuple(order.signed for order in orders))
        self.submissions.extend(orders)
        outcomes: list[SubmitOutcome] = [
            self.submit_outcomes.popleft()
            if self.submit_outcomes
            else SubmitAccepted(order_id=order.signed.order_id, status=VenueOrderStatus.LIVE)
            for order in orders
        ]
        if told is not None:
            for outcome in outcomes:
                told(outcome)
        return outcomes

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        self.calls.append("cancel")
        self.cancelled.append(tuple(order_ids))
        return [
            self.cancel_outcomes.popleft() if self.cancel_outcomes else CancelAccepted(order_id=order_id)
            for order_id in order_ids
        ]

    def withdraw(self, order_ids: Sequence[OrderId]) -> None:
        self.withdrawn.extend(order_ids)

    async def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: Nanos) -> OrderLookedUp:
        self.calls.append("lookup")
        self.looked_up.append(order_id)
        known = self.lookups.get(order_id)
        return known or OrderLookedUp(
            order_id=order_id, open_order=None, fills=(), asked_at_ns=self._clock.now_ns(), complete=True
        )

    async def account(self, *, since_ns: Nanos, tokens: Iterable[TokenId], refresh: bool = False) -> AccountSnapshot:
        self.calls.append("account")
        if self.snapshots:
            return self.snapshots.popleft()
        now_ns = self._clock.now_ns()
        return AccountSnapshot(
            asked_at_ns=now_ns,
            at_ns=now_ns,
            complete=True,
            cash=self._cash,
            open_orders=(),
            fills=(),
            tokens=tuple((token, self.balances.get(token, 0)) for token in tokens),
        )

    async def order(self, order_id: OrderId) -> OrderReport | None:
        self._question("order")
        known = self.lookups.get(order_id)
        return None if known is None else known.open_order

    async def open_orders(self) -> Sequence[OrderReport]:
        self._question("open orders")
        return [known.open_order for known in self.lookups.values() if known.open_order is not None]

    async def trades(self, since_ns: Nanos) -> Sequence[FillReport]:
        self._question("trades")
        return [fill for known in self.lookups.values() for fill in known.fills if fill.matched_at_ns >= since_ns]

    async def spendable(self, token_id: TokenId | None = None, *, refresh: bool = False) -> SpendableBalance:
        self._question("refreshed balance" if refresh else "balance")
        return SpendableBalance(balance=self._cash if token_id is None else self.balances.get(token_id, 0))

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        self._question("midpoint")
        return 500_000

    async def spread(self, token_id: TokenId) -> MicroPrice:
        self._question("spread")
        return 20_000

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        self._question("tick size")
        return 10_000

    async def cash(self) -> MicroDollars:
        return self._cash

    async def token_balance(self, token_id: TokenId) -> MicroShares:
        self._question("token balance")
        return self.balances.get(token_id, 0)

    async def book(self, token_id: TokenId) -> BookSnapshot:
        self._question("book")
        if token_id not in self.books:
            raise VenueRefused(f"no orderbook exists for {token_id}", status=404)
        return self.books[token_id]

    async def resolution(self, condition_id: ConditionId) -> MarketResolved | None:
        self._question("resolution")
        return self.verdicts.get(condition_id)

    async def server_time_ns(self) -> Nanos:
        return self._clock.now_ns()

    async def measure_clock(self) -> ClockDriftMeasured:
        self._question("clock")
        return self.drift

    async def notices(self) -> NoticesRead:
        self._question("notices")
        return NoticesRead(notices=tuple(self.unread.values()))

    async def dismiss(self, ids: Iterable[int]) -> None:
        self._question("dismiss")
        for number in ids:
            self.unread.pop(number, None)

    async def close(self) -> None:
        self.calls.append("close")

    def _question(self, name: str) -> None:
        self.calls.append(name)
        if self.unreachable:
            raise VenueUnreachable(f"{name}: the venue cannot be reached")


class ScriptedDiscovery:
    """Fulfils `MarketDiscovery` from a list of markets."""

    def __init__(self, markets: Iterable[Market] = ()) -> None:
        self.markets = {(m.symbol, m.window_s, m.opens_at_s): m for m in markets}
        self.asked: list[tuple[str, int, int]] = []

    async def find(self, symbol: str, window_s: int, opens_at_s: int) -> Market | None:
        self.asked.append((symbol, window_s, opens_at_s))
        return self.markets.get((symbol, window_s, opens_at_s))


def submissions(*orders: SignedOrder) -> list[Submission]:
    """Orders as the venue port takes them, without deadlines."""
    return [Submission(signed=order) for order in orders]


class OpenBudget:
    """Fulfils `RateBudget`: everything may leave, unless a test sets `free` (orders and cancels alike)."""

    def __init__(self, free: int = 1_000_000) -> None:
        self.free = free
        self.taken: dict[Traffic, int] = dict.fromkeys(Traffic, 0)

    def room(self, traffic: Traffic, wanted: int) -> int:
        return max(0, min(wanted, self.free))

    def wait_s(self, traffic: Traffic) -> float:
        return 0.0 if self.free > 0 else 1.0

    def take(self, traffic: Traffic, count: int) -> None:
        self.taken[traffic] += count
        self.free -= count

    def left(self) -> BudgetLeft:
        return BudgetLeft(
            tier="", orders=self.free, orders_burst=0, cancels=self.free, cancels_burst=0, warnings=0, refusals=0
        )
