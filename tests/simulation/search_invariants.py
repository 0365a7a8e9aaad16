"""What must hold after every commit and at the end of a bad day, as checks that answer in words.

What lives here: the invariants over the engine's memory, over what left the process and what the exchange
made of it, and over both sides' books at the end. What must not: running worlds. Each answer begins with
the invariant's number in ARCHITECTURE.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from polystra.app.book_reading import Reading
from polystra.app.report import Report
from polystra.domain.events import SwitchName
from polystra.domain.facts import Fact, FillRecorded, IntentRecorded, SwitchChanged
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import LIVE_STATUSES, OrderStatus, Purpose, Side
from polystra.domain.units import NS_PER_S
from polystra.engine.state import EngineState, OrderTrack
from polystra.exchange.model import OrderView
from polystra.ports.clock import Clock
from tests.simulation.search_protection import Protection
from tests.simulation.search_venue import VenueEye

_ON_THE_WIRE_NS = NS_PER_S
"""Bytes that were being written when the kill switch was set."""
_NEVER = ("oversold", "stranger", "order-id")
"""Blocks that nothing in a plan may cause."""
_UNANSWERED = (OrderStatus.SUBMITTED, OrderStatus.IN_DOUBT, OrderStatus.PENDING_CANCEL)


class Watch:
    """Fulfils `Run.inspect`: collects what does not hold, each sentence once.

    Without a clock nothing is judged over time, without an eye nothing is compared with the venue.
    """

    def __init__(self, clock: Clock | None = None, eye: VenueEye | None = None) -> None:
        self.broken: dict[str, None] = {}
        self.orders = 0
        self.facts = 0
        """Facts seen since the leg began."""
        self.late = False
        """The venue says "live" of orders that reach its book later: an absence is believed too early there."""
        self.state: EngineState | None = None
        self._clock = clock
        self._eye = eye
        self._protection = None if clock is None else Protection(clock)
        self._ids: dict[str, str] = {}
        self._intent_of: dict[str, str] = {}
        self._salts: dict[int, IntentRecorded] = {}
        self._decisions: dict[int, str] = {}
        self._requests: dict[str, str] = {}
        self._fills: set[str] = set()
        self._over: set[str] = set()
        self._killed_ns = 0
        self._blocks: set[str] = set()
        if eye is not None:
            eye.on_lives = self._lives

    def begin_leg(self) -> None:
        """A daemon starts: it knows what its journal holds and nothing of the venue."""
        self.state = None
        self.facts = 0
        self._blocks = set()
        if self._protection is not None:
            self._protection.begin_leg()

    def in_flight(self) -> int:
        """Orders whose last request is not answered."""
        if self.state is None:
            return 0
        return sum(track.order.status in _UNANSWERED for track in self.state.orders.values())

    def say(self, words: str) -> None:
        """Remember what does not hold."""
        self.broken.setdefault(words, None)

    def look(self, state: EngineState, facts: Sequence[Fact]) -> None:
        """After a commit, before its effects leave."""
        self.state = state
        self.facts += len(facts)
        booked = any(isinstance(fact, FillRecorded) for fact in facts)
        for fact in facts:
            match fact:
                case IntentRecorded():
                    self._intent(fact, state, booked=booked)
                case FillRecorded(is_new=True):
                    self._fill(fact)
                case SwitchChanged(name=SwitchName.KILL):
                    self._killed_ns = fact.at_ns if fact.on else 0
        self._sells(state)
        self._sums(state)
        if self._eye is not None:
            self._ends(state, self._eye)
            for name in _NEVER:
                if name in state.blocks:
                    self.say(f"I3 entries are blocked: {name}: {state.blocks[name]}")
        if self._protection is not None:
            for words in self._protection.look(state):
                self.say(words)
        self._blocks = set(state.blocks)

    def left(self, salt: int) -> None:
        """The bytes of a signed order leave the process."""
        intent = self._salts.get(salt)
        if intent is None:
            self.say(f"I1 the order with salt {salt} left before its intent was committed")
        elif intent.order.terms.purpose is Purpose.ENTRY and self._killed_ns and self._clock is not None:
            late_ns = self._clock.now_ns() - self._killed_ns
            if late_ns > _ON_THE_WIRE_NS:
                name = intent.signed.client_order_id
                self.say(f"I10 entry {name} left {late_ns / NS_PER_S:.1f} s after the kill switch")

    # --- an order's beginning and end ---------------------------------------------------

    def _intent(self, fact: IntentRecorded, state: EngineState, *, booked: bool) -> None:
        self.orders += 1
        intent, order_id, terms = fact.signed.client_order_id, fact.signed.order_id, fact.order.terms
        if self._ids.setdefault(intent, order_id) != order_id:
            self.say(f"I2 intent {intent} was signed twice: {self._ids[intent]} and {order_id}")
        self._intent_of[order_id] = intent
        self._salts[fact.signed.salt] = fact
        if terms.request_id and self._requests.setdefault(terms.request_id, intent) != intent:
            self.say(
                f"I2 request {terms.request_id} led to two orders: {self._requests[terms.request_id]} and {intent}"
            )
        if terms.side is Side.SELL:
            self._sell(fact, state)
            return
        if fact.decision_id is not None and self._decisions.setdefault(fact.decision_id, intent) != intent:
            first = self._decisions[fact.decision_id]
            self.say(f"I2 decision {fact.decision_id} led to two orders: {first} and {intent}")
        if terms.purpose is Purpose.ENTRY:
            if self._killed_ns:
                self.say(f"I10 entry {intent} was made under the kill switch")
            for name in sorted(self._blocks & set(state.blocks)):
                self.say(f"I11 entry {intent} was made while blocked: {name}")
            if not state.reconciled_at_ns:
                self.say(f"I8 entry {intent} was made before the account was compared")
        if not booked and state.reserved_cash() > state.ledger.cash:
            self.say(f"I3 buys promise {state.reserved_cash()} of {state.ledger.cash} dollars (millionths)")

    def _sell(self, fact: IntentRecorded, state: EngineState) -> None:
        """A sell is made from shares that have arrived and that no other sell holds.

        Trades that failed may have been told after it was made.
        """
        terms = fact.order.terms
        if terms.position_id not in state.positions:
            return
        arrived, promised = state.arrived_shares(terms.position_id), state.promised_shares(terms.position_id)
        fills = state.fills.values()
        failed = sum(f.quantity for f in fills if f.position_id == terms.position_id and f.status == "FAILED")
        if promised > arrived + failed + SIZE_STEP:
            name = terms.client_order_id
            self.say(f"I5 sell {name}: sells promise {promised}, {max(0, arrived)} have arrived at the venue")

    def _fill(self, fact: FillRecorded) -> None:
        if fact.fill.key in self._fills:
            self.say(f"I4 trade {fact.fill.key} was booked as new twice")
        self._fills.add(fact.fill.key)

    def _ends(self, state: EngineState, eye: VenueEye) -> None:
        """An order that we call over is over there, and all that it traded there is known here."""
        for track in state.orders.values():
            order_id = track.order.order_id
            if order_id is not None and order_id not in self._over and track.is_settled:
                self._over.add(order_id)
                self._compare_end(track, order_id, eye)

    def _compare_end(self, track: OrderTrack, order_id: str, eye: VenueEye) -> None:
        name, status, there = track.order.terms.client_order_id, track.order.status, eye.matched(order_id)
        if eye.is_open(order_id):
            self.say(f"I6 order {name} is {status} here and open at the venue")
        if abs(there - track.accounted) >= SIZE_STEP:
            self.say(f"I6 order {name} is {status} here with {track.accounted} traded, the venue has {there}")

    def _lives(self, order: OrderView) -> None:
        """The exchange took or matched an order of ours: it is known and was not called over."""
        if order.order_id not in self._intent_of:
            self.say(f"I1 order {order.order_id} is at the venue and no intent of it was committed")
        elif order.order_id in self._over and order.status == "LIVE" and order.side == "BUY" and not self.late:
            self.say(f"I6 order {self._intent_of[order.order_id]} was called over and lives at the venue")

    # --- sums ---------------------------------------------------------------------------

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
                self.say(f"I5 token {token_id[:8]} has sells of {promised} against {shares} held")

    def _sums(self, state: EngineState) -> None:
        """Positions of a token add up to the ledger's shares of it."""
        sums: dict[str, int] = {}
        for position in state.positions.values():
            sums[position.token_id] = sums.get(position.token_id, 0) + position.shares
        for token_id, shares in sums.items():
            known = state.ledger.balance(token_id).shares  # type: ignore[arg-type]
            if known != shares:
                self.say(f"I3 token {token_id[:8]}: positions hold {shares}, the ledger {known}")


def at_the_end(report: Report, reading: Reading, left_open: tuple[str, ...], eye: VenueEye | None = None) -> list[str]:
    """What does not hold when everything has settled."""
    eye = eye or VenueEye()
    broken = [f"I3 {words}" for words in report.discrepancies]
    broken += [f"I3 adjusted without a cause outside: {each}" for each in report.adjustments]
    broken += [f"I6 left open: {words}" for words in left_open]
    broken += [
        f"I3 position {position.position_id} is frozen"
        for position in reading.account.positions
        if position.status == "FROZEN"
    ]
    ours = {order_id: intent for intent, order_id in reading.account.intents.items()}
    broken += [f"I1 order {each} is at the venue and not in the journal" for each in eye.orders if each not in ours]
    for order in reading.account.orders:
        name = order.terms.client_order_id
        if order.status in LIVE_STATUSES:
            broken.append(f"I6 order {name} ended as {order.status}")
        if order.status is OrderStatus.REJECTED and order.order_id and eye.matched(order.order_id):
            broken.append(f"I6 order {name} is REJECTED here and traded at the venue")
        if order.order_id and eye.is_open(order.order_id):
            broken.append(f"I6 order {name} is {order.status} here and open at the venue")
    return broken
