"""What must hold after every commit and at the end of a bad day, as checks that answer in words.

What lives here: the invariants over the engine's memory, and over both sides' books at the end. What must
not: running worlds. Each answer begins with the invariant's number in ARCHITECTURE.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from polystra.app.book_reading import Reading
from polystra.app.report import Report
from polystra.domain.facts import Fact, IntentRecorded, OrderChanged
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import LIVE_STATUSES, Side
from polystra.engine.state import EngineState


class Watch:
    """Fulfils `Run.inspect`: collects what does not hold, each kind once."""

    def __init__(self) -> None:
        self.broken: dict[str, None] = {}
        self._ids: dict[str, str] = {}
        self.orders = 0
        self.fills = 0

    def look(self, state: EngineState, facts: Sequence[Fact]) -> None:
        """After a commit, before its effects leave."""
        for fact in facts:
            if isinstance(fact, IntentRecorded):
                self._one_id(fact)
        if any(isinstance(fact, OrderChanged | IntentRecorded) for fact in facts):
            self._sells(state)
        self._sums(state)

    def _say(self, words: str) -> None:
        self.broken.setdefault(words, None)

    def _one_id(self, fact: IntentRecorded) -> None:
        self.orders += 1
        intent, order_id = fact.signed.client_order_id, fact.signed.order_id
        known = self._ids.setdefault(intent, order_id)
        if known != order_id:
            self._say(f"I2 intent {intent} was signed twice: {known} and {order_id}")

    def _sells(self, state: EngineState) -> None:
        """Live sells of a token never promise more than is held of it and could still arrive.

        A resolved market's orders are dead, whether or not we have heard so.
        """
        held: dict[str, int] = {}
        for track in state.live_orders():
            terms = track.order.terms
            market = state.markets.get(terms.condition_id)
            over = market is not None and market.resolution is not None
            if terms.side is Side.SELL and not over:
                held[terms.token_id] = held.get(terms.token_id, 0) + track.left
        for token_id, promised in held.items():
            shares = max(0, sum(p.shares for p in state.positions.values() if p.token_id == token_id))
            failed = sum(f.quantity for f in state.fills.values() if f.token_id == token_id and f.status == "FAILED")
            if promised > shares + failed + SIZE_STEP:
                self._say(f"I5 token {token_id[:8]} has sells of {promised} against {shares} held")

    def _sums(self, state: EngineState) -> None:
        """Positions of a token add up to the ledger's shares of it."""
        sums: dict[str, int] = {}
        for position in state.positions.values():
            sums[position.token_id] = sums.get(position.token_id, 0) + position.shares
        for token_id, shares in sums.items():
            known = state.ledger.balance(token_id).shares  # type: ignore[arg-type]
            if known != shares:
                self._say(f"I3 token {token_id[:8]}: positions hold {shares}, the ledger {known}")


def at_the_end(report: Report, reading: Reading, left_open: tuple[str, ...]) -> list[str]:
    """What does not hold when everything has settled."""
    broken = [f"I3 {words}" for words in report.discrepancies]
    broken += [f"I3 adjusted without a cause outside: {each}" for each in report.adjustments]
    broken += [f"I6 left open: {words}" for words in left_open]
    for order in reading.account.orders:
        if order.status in LIVE_STATUSES:
            broken.append(f"I6 order {order.terms.client_order_id} ended as {order.status}")
    broken += [
        f"I3 position {position.position_id} is frozen"
        for position in reading.account.positions
        if position.status == "FROZEN"
    ]
    if reading.venue is not None:
        ours = set(reading.account.intents.values())
        books = reading.venue.accounts.get(reading.account.account.lower())
        theirs = set() if books is None else {trade.order_id for trade in books.trades}
        broken += [f"I1 order {order_id} traded at the venue and is not in the journal" for order_id in theirs - ours]
    return broken
