"""What must hold after every commit of a bad day, as checks that answer in words beginning with the invariant.

What lives here: the invariants over the engine's memory, over what left the process and what the exchange
made of it. What must not: running worlds. Where each invariant of ARCHITECTURE.md is looked at:

I1  `left`: bytes of an order whose intent is not durable; `_lives` and `search_end`: an order at the venue
    that the journal does not know.
I2  `_intent`: an intent signed twice; a decision or a request that led to two orders.
I3  `_sums`: memory against the sum of the durable postings, positions against the ledger; `_posted`: each
    trade's postings as its state says; `search_end`: the journal against the exchange's books.
I4  `_fill`: a trade that is new twice; more booked of an order than the exchange has matched.
I5  `_sell`, `_sells`: more promised than is held; `search_protection`: a stop that does not fire, shares
    without exit.
I6  `_ends`, `_lives`: an order that is over here and alive there, or with trades that are not known here;
    `search_end`: an order that never came to its end.
I7  `_sell`: a sell in a market that is over, or of a position with nothing in it.
I8  `_intent`: an entry before the account was compared; `search_end`: an adjustment although nobody else traded.
I9  `durable`: money that is no integer on its way to a row.
I10 `_intent`, `left`, `_killed`: an entry made, sent or left resting under the kill switch, over restarts.
I11 `_intent`: an entry while one is forbidden; `search_protection`: an exit that waits although it could go.
I12 `search_deaths.DeathLog`: a secret in a log line; `search_end`: a secret in the database's bytes.
I13 `_bounds`: markets, orders, trades and tasks that pile up.
I14 not after a commit: `test_search` runs a plan twice and compares the digests of every leg.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from polystra.domain.events import SwitchName
from polystra.domain.facts import (
    Fact,
    FillRecorded,
    IntentRecorded,
    MarketRecorded,
    PostingRecorded,
    SettlementRecorded,
    SwitchChanged,
)
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, Purpose, Side
from polystra.domain.units import NS_PER_S
from polystra.engine.state import EngineState, OrderTrack
from polystra.exchange.model import OrderView
from polystra.ports.clock import Clock
from tests.simulation.search_protection import Protection
from tests.simulation.search_venue import VenueEye

_ON_THE_WIRE_NS = NS_PER_S
"""Bytes that were being written when the kill switch was set."""
_CANCELLED_NS = 5 * NS_PER_S
_NEVER = ("oversold", "stranger", "order-id")
"""Blocks that nothing in a plan may cause."""
_BOUNDS_EVERY = 64
_KEPT_S = 5_400
"""Markets may stay in memory so long after their beginning: a late verdict and a late payment included."""
_ORDERS_PER_MARKET = 400
_MOST_TASKS = 400
_TAKEN_BACK = (FillStatus.FAILED, FillStatus.RETRYING)
_LINES = ("matched", "settled", "reversed")
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
        self._postings: set[str] = set()
        self._cash = 0
        self._shares: Counter[str] = Counter()
        self._looks = 0
        self._markets: set[str] = set()
        self._settled: set[str] = set()
        self._over: set[str] = set()
        self._killed_ns = 0
        self._kills = False
        """The kill switch is on as of the fact that is looked at; one commit may hold entries from before it."""
        self._blocks: set[str] = set()
        if eye is not None:
            eye.on_lives = self._lives

    def begin_leg(self) -> None:
        """A daemon starts: it knows what its journal holds and nothing of the venue."""
        self.state = None
        self.facts = 0
        self._blocks = set()
        self._kills = bool(self._killed_ns)
        if self._protection is not None:
            self._protection.begin_leg()

    @property
    def unsettled(self) -> int:
        """Markets that the journal knows and that have no settlement in it."""
        return len(self._markets - self._settled)

    def in_flight(self) -> int:
        """Orders whose last request is not answered."""
        if self.state is None:
            return 0
        return sum(track.order.status in _UNANSWERED for track in self.state.orders.values())

    def durable(self, facts: Sequence[Fact]) -> None:
        """A transaction was written, whether or not the daemon lived to hear of it."""
        for fact in facts:
            match fact:
                case IntentRecorded():
                    self._intent_of[fact.signed.order_id] = fact.signed.client_order_id
                    self._salts[fact.signed.salt] = fact
                    self._whole((fact.order.terms.price, fact.order.terms.quantity, fact.order.terms.budget), "intent")
                case PostingRecorded():
                    self._book(fact.posting)
                case MarketRecorded():
                    self._markets.add(fact.market.condition_id)
                case SettlementRecorded():
                    self._settled.add(fact.condition_id)
                case SwitchChanged(name=SwitchName.KILL):
                    self._killed_ns = fact.at_ns if fact.on else 0

    def say(self, words: str) -> None:
        """Remember what does not hold."""
        self.broken.setdefault(words, None)

    def look(self, state: EngineState, facts: Sequence[Fact]) -> None:
        """After a commit, before its effects leave."""
        self.state = state
        self.facts += len(facts)
        if self._eye is None:
            self.durable(facts)
        self._facts(facts, state)
        self._sells(state)
        self._sums(state)
        self._bounds(state)
        self._killed(state)
        if self._eye is not None:
            self._ends(state, self._eye)
            for name in _NEVER:
                if name in state.blocks:
                    self.say(f"I3 entries are blocked: {name}: {state.blocks[name]}")
        if self._protection is not None:
            for words in self._protection.look(state):
                self.say(words)
        self._blocks = set(state.blocks)

    def _facts(self, facts: Sequence[Fact], state: EngineState) -> None:
        booked = any(isinstance(fact, FillRecorded) for fact in facts)
        for fact in facts:
            match fact:
                case IntentRecorded():
                    self._intent(fact, state, booked=booked)
                case FillRecorded():
                    self._fill(fact, state)
                case SwitchChanged(name=SwitchName.KILL):
                    self._kills = fact.on

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

    def _killed(self, state: EngineState) -> None:
        """Some seconds after the kill switch every entry is gone, or its cancel was asked for."""
        if not self._killed_ns or self._clock is None or self._clock.now_ns() - self._killed_ns < _CANCELLED_NS:
            return
        for track in state.live_orders():
            left_alone = not track.cancel_asked_ns and not track.cancel_held
            if left_alone and track.order.terms.purpose is Purpose.ENTRY and track.order.status is OrderStatus.OPEN:
                self.say(f"I10 entry {track.order.terms.client_order_id} rests under the kill switch")

    # --- an order's beginning and end ---------------------------------------------------

    def _intent(self, fact: IntentRecorded, state: EngineState, *, booked: bool) -> None:
        self.orders += 1
        intent, order_id, terms = fact.signed.client_order_id, fact.signed.order_id, fact.order.terms
        if self._ids.setdefault(intent, order_id) != order_id:
            self.say(f"I2 intent {intent} was signed twice: {self._ids[intent]} and {order_id}")
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
            if self._kills:
                self.say(f"I10 entry {intent} was made under the kill switch")
            for name in sorted(self._blocks & set(state.blocks)):
                self.say(f"I11 entry {intent} was made while blocked: {name}")
            if not state.reconciled_at_ns:
                self.say(f"I8 entry {intent} was made before the account was compared")
        if not booked and state.reserved_cash() > state.ledger.cash:
            self.say(f"I3 buys promise {state.reserved_cash()} of {state.ledger.cash} dollars (millionths)")

    def _sell(self, fact: IntentRecorded, state: EngineState) -> None:
        """A sell is made from shares that have arrived and that no other sell holds.

        Trades that failed, or went back to be tried again, may have been told after it was made, in the same commit.
        """
        terms = fact.order.terms
        if terms.position_id not in state.positions:
            return
        market = state.markets.get(terms.condition_id)
        if market is None or market.resolution is not None:
            self.say(f"I7 sell {terms.client_order_id} was made after its market was over")
        arrived, promised = self._arrived(state, terms.position_id), state.promised_shares(terms.position_id)
        fills = state.fills.values()
        failed = sum(f.quantity for f in fills if f.position_id == terms.position_id and f.status in _TAKEN_BACK)
        if promised > arrived + failed + SIZE_STEP:
            name = terms.client_order_id
            known = "I7" if arrived <= 0 else "I5"
            self.say(f"{known} sell {name}: sells promise {promised}, {max(0, arrived)} have arrived at the venue")

    @staticmethod
    def _arrived(state: EngineState, position_id: PositionId) -> int:
        """Shares on chain, summed here: bought ones that were seen there, less every sale that has not failed."""
        position = state.positions[position_id]
        arrived = position.adjusted - position.resolved
        for fill in state.fills.values():
            if fill.position_id == position_id and fill.status is not FillStatus.FAILED:
                if fill.side is Side.SELL:
                    arrived -= fill.quantity
                elif fill.status in (FillStatus.MINED, FillStatus.CONFIRMED):
                    arrived += fill.quantity
        return arrived

    def _fill(self, fact: FillRecorded, state: EngineState) -> None:
        fill = fact.fill
        if fact.is_new and fill.key in self._fills:
            self.say(f"I4 trade {fill.key} was booked as new twice")
        self._fills.add(fill.key)
        self._posted(state.fills.get(fill.key, fill))
        track = state.orders.get(fill.client_order_id)
        if self._eye is not None and track is not None and fill.order_id in self._intent_of:
            there = self._eye.matched(fill.order_id)
            if track.accounted >= there + SIZE_STEP:
                name = fill.client_order_id
                self.say(f"I4 order {name} has {track.accounted} traded here, the venue has matched {there}")

    def _posted(self, fill: Fill) -> None:
        """A trade's lines in the ledger are those of the state that it has come to.

        One that was told as failed before it was told as matched was never booked.
        """
        matched, settled, reversed_ = (f"{kind}:{fill.key}" in self._postings for kind in _LINES)
        expected = {FillStatus.CONFIRMED: (True, True, False), FillStatus.FAILED: (matched, False, matched)}
        if (matched, settled, reversed_) != expected.get(fill.status, (True, False, False)):
            lines = [kind for kind in _LINES if f"{kind}:{fill.key}" in self._postings]
            self.say(f"I3 trade {fill.key} is {fill.status}, its lines in the ledger are {', '.join(lines) or 'none'}")

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

        A resolved market's orders are dead, whether or not we have heard so. Nor is anything said of a venue that
        calls orders live before they are on its book: a sell that was nowhere to be found may trade after all.
        """
        if self.late:
            return
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

    def _book(self, posting: Posting) -> None:
        """Add a durable line to the sums, once."""
        if posting.source_id in self._postings:
            return
        self._postings.add(posting.source_id)
        cash, shares = posting.pending_cash + posting.settled_cash, posting.pending_shares + posting.settled_shares
        self._whole((cash, shares, posting.claim, posting.fee), f"posting {posting.source_id}")
        self._cash += cash
        if posting.token_id is not None:
            self._shares[posting.token_id] += shares

    def _whole(self, amounts: tuple[object, ...], name: str) -> None:
        if any(type(amount) is not int for amount in amounts):
            self.say(f"I9 {name} holds money that is no integer: {amounts}")

    def _sums(self, state: EngineState) -> None:
        """Memory is the sum of the durable postings, and positions of a token add up to its shares."""
        if self._eye is not None and state.ledger.cash != self._cash:
            self.say(f"I3 cash is {state.ledger.cash} in memory and {self._cash} by its postings")
        sums: dict[str, int] = {}
        for position in state.positions.values():
            sums[position.token_id] = sums.get(position.token_id, 0) + position.shares
        for token_id, shares in sums.items():
            known = state.ledger.balance(token_id).shares  # type: ignore[arg-type]
            if known != shares:
                self.say(f"I3 token {token_id[:8]}: positions hold {shares}, the ledger {known}")
            if self._eye is not None and self._shares[token_id] != known:
                self.say(f"I3 token {token_id[:8]}: memory holds {known}, its postings {self._shares[token_id]}")

    def _bounds(self, state: EngineState) -> None:
        """Nothing piles up: memory holds the markets of about an hour, and so many tasks at most."""
        self._looks += 1
        if self._looks % _BOUNDS_EVERY or self._clock is None:
            return
        config = state.config
        most = sum(_KEPT_S // window_s + 4 for window_s in config.windows_s) * len(config.symbols)
        sizes = {
            "markets": (len(state.markets), most),
            "orders": (len(state.orders), most * _ORDERS_PER_MARKET),
            "trades": (len(state.fills), most * _ORDERS_PER_MARKET * 4),
            "tasks": (len(asyncio.all_tasks()), _MOST_TASKS),
        }
        for name, (size, limit) in sizes.items():
            if size > limit:
                self.say(f"I13 there are more than {limit} {name}")
