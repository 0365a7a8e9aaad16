"""The gateway against a venue that accepts, refuses, delays, forgets, repeats and restarts, and engine restarts.

Hypothesis chooses what happens next, in any interleaving. After each step: no intent is signed twice,
no two entries of a market may live at once, nothing that is open at the venue is forgotten or has its
cash or shares free, nothing is sold that is not held. At the end the wire falls quiet, and then every
order has ended or rests at the venue, every trade is booked, and the books are the venue's.

200 examples with the quick profile, 10 000 with HYPOTHESIS_PROFILE=nightly.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from polystra.domain import events as ev
from polystra.domain.fills import FillStatus
from polystra.domain.ids import OrderId
from polystra.domain.orders import OrderStatus, Purpose, Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig, UnfilledConfig
from polystra.engine.core import Engine
from polystra.engine.state import OrderTrack, Turn
from polystra.runtime.daemon import restore
from tests.fakes.memory_store import MemoryStore
from tests.property.gateway_model import REFUSALS, Fate, Parcel, Venue
from tests.unit.engine.desk import CONDITION, UP, Desk, config, enter

pytestmark = pytest.mark.timeout(3_600)
"""The nightly profile takes its time."""

T = TypeVar("T")
PICK = st.integers(0, 30)
PART = st.sampled_from([0, 0, 34, 100])
QUIET_ROUNDS = 90
ENGINE = config(unfilled=UnfilledConfig(timeout_s=20))


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("the memory store waits for nothing")


class StoredDesk(Desk):
    """A desk whose facts are committed before its effects are looked at."""

    def __init__(self, store: MemoryStore, **words: Any) -> None:
        super().__init__(**words)
        self.store = store

    def _absorb(self, turn: Turn) -> None:
        if turn.facts:
            at_once(self.store.commit(turn.facts))
        super()._absorb(turn)


class GatewayMachine(RuleBasedStateMachine):
    """See the module docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.signed: set[str] = set()
        self.refusal: Fate | None = None
        self.set_up(ENGINE)
        self.venue = Venue(now_ns=self.desk.now_ns)
        self.tell()

    def set_up(self, rules: EngineConfig) -> None:
        """An engine with these rules, ready to trade."""
        self.settings_in_force = rules
        self.desk = StoredDesk(MemoryStore(), settings=rules)
        self.desk.ready()

    # --- wishes and the market --------------------------------------------------------

    @initialize(held=st.sampled_from([0, 40, 100, 100]), falls=st.booleans())
    def begin(self, held: int, falls: bool) -> None:
        """An entry is on its way, or filled in part or wholly; the stop may have been reached."""
        self.wish_an_entry(10, 0)
        if held:
            self.all_is_delivered(0)
            self.venue.match(self.venue.open_orders()[0], held)
            self.chain_settles()
            self.all_is_delivered(0)
        if falls:
            self.move_the_book((20, 22))

    @rule(quantity=st.sampled_from([6, 10]), budget=st.sampled_from([0, 0, 5]))
    def wish_an_entry(self, quantity: int, budget: int) -> None:
        market = self.desk.state.markets[CONDITION]
        trader = self.desk.engine._trader
        if trader._busy(market) or trader._risk.entry_block() or market.frozen:
            return
        self.desk.enter(enter(quantity, budget=budget))
        self.tell()

    @rule(prices=st.sampled_from([(49, 51), (24, 26), (20, 22), (91, 93)]))
    def move_the_book(self, prices: tuple[int, int]) -> None:
        self.desk.books(*prices)
        self.tell()

    @rule(seconds=st.sampled_from([0.2, 1, 1, 3, 3, 6, 10, 31]))
    def pass_time(self, seconds: float) -> None:
        self.desk.advance(seconds)
        self.tell()
        self.venue.lose_the_old()

    @rule(seconds=st.sampled_from([6, 20, 40]))
    def all_is_calm_for_a_while(self, seconds: int) -> None:
        """Every question is answered at once; only what timed out is still under way, and arrives later or never."""
        for _ in range(seconds // 2):
            self.desk.advance(2)
            self.tell()
            self.deliver(0, late=False)
            self.venue.lose_the_old()

    @precondition(lambda self: any(not each.is_awaited for each in self.venue.parcels))
    @rule(part=PART)
    def what_timed_out_arrives(self, part: int) -> None:
        late = [each for each in self.venue.parcels if not each.is_awaited]
        for parcel in late:
            self.venue.parcels.remove(parcel)
            self.venue.carry_out(parcel, Fate.CARRIED_OUT, part, complete=True)

    # --- the wire ---------------------------------------------------------------------

    @precondition(lambda self: self.venue.parcels)
    @rule(pick=PICK, fate=st.sampled_from([Fate.CARRIED_OUT, *Fate]), part=PART, complete=st.booleans())
    def a_request_arrives(self, pick: int, fate: Fate, part: int, complete: bool) -> None:
        parcel = self.venue.parcels.pop(pick % len(self.venue.parcels))
        self.venue.carry_out(parcel, fate, part, complete=complete or fate is Fate.CARRIED_OUT)

    @precondition(lambda self: self.venue.parcels)
    @rule(pick=PICK, arrives=st.booleans())
    def a_request_times_out(self, pick: int, arrives: bool) -> None:
        parcel = self.venue.parcels[pick % len(self.venue.parcels)]
        self.venue.unknown(parcel)
        if not arrives:
            self.venue.parcels.remove(parcel)

    @rule(part=PART)
    def all_is_delivered(self, part: int) -> None:
        """A calm moment: what is under way arrives, and what comes of it too; only what timed out stays late."""
        self.deliver(part, late=False)

    def deliver(self, part: int, *, late: bool) -> None:
        venue = self.venue
        while (due := [each for each in venue.parcels if late or each.is_awaited]) or venue.replies or venue.streams:
            for parcel in due:
                venue.parcels.remove(parcel)
                venue.carry_out(parcel, self.fate_of(parcel), part, complete=True)
            for queue in (venue.replies, venue.streams):
                while queue:
                    self.hear(queue.pop(0))

    def fate_of(self, parcel: Parcel) -> Fate:
        """Carried out, unless a refusal waits for the next order."""
        if self.refusal is None or not isinstance(parcel.request, fx.SubmitOrder):
            return Fate.CARRIED_OUT
        fate, self.refusal = self.refusal, None
        return fate

    @rule(fate=st.sampled_from(list(REFUSALS)))
    def the_next_order_will_be_refused(self, fate: Fate) -> None:
        self.refusal = fate

    @precondition(lambda self: self.venue.replies)
    @rule(pick=PICK)
    def a_reply_arrives(self, pick: int) -> None:
        self.hear(self.venue.replies.pop(pick % len(self.venue.replies)))

    @precondition(lambda self: self.venue.streams)
    @rule(pick=PICK, repeated=st.booleans())
    def the_stream_tells(self, pick: int, repeated: bool) -> None:
        number = pick % len(self.venue.streams)
        self.hear(self.venue.streams[number] if repeated else self.venue.streams.pop(number))

    @precondition(lambda self: self.venue.streams)
    @rule()
    def the_stream_breaks(self) -> None:
        self.venue.streams.clear()
        self.hear(ev.StreamLost(stream=ev.StreamName.USER, reason="test"))
        self.hear(ev.StreamConnected(stream=ev.StreamName.USER))

    # --- the venue --------------------------------------------------------------------

    @precondition(lambda self: self.venue.open_orders())
    @rule(pick=PICK, part=PART)
    def a_resting_order_trades(self, pick: int, part: int) -> None:
        orders = self.venue.open_orders()
        self.venue.match(orders[pick % len(orders)], part)

    @precondition(lambda self: self.venue.unsettled())
    @rule(pick=PICK, fails=st.sampled_from([False, False, False, True]))
    def a_trade_settles(self, pick: int, fails: bool) -> None:
        trades = self.venue.unsettled()
        self.venue.settle(trades[pick % len(trades)], fails=fails)

    @rule()
    def chain_settles(self) -> None:
        for trade in self.venue.unsettled():
            self.venue.settle(self.venue.trades[trade.trade_id], fails=False)
            self.venue.settle(self.venue.trades[trade.trade_id], fails=False)

    @rule(mode=st.sampled_from([VenueMode.NORMAL, *VenueMode]), wiped=st.booleans(), lasts_s=st.integers(1, 130))
    def the_venue_changes_its_mode(self, mode: VenueMode, wiped: bool, lasts_s: int) -> None:
        self.venue.mode_ends_ns = self.desk.now_ns + lasts_s * NS_PER_S
        if mode is VenueMode.RESTARTING and wiped:
            self.venue.forget_orders()
        self.venue.mode = mode

    # --- the engine -------------------------------------------------------------------

    @rule(after_s=st.sampled_from([0, 2, 40]), lost=st.booleans())
    def the_engine_restarts(self, after_s: int, lost: bool) -> None:
        """What it had sent may still arrive; nobody hears the answer."""
        self.the_table_of_doubts_is_the_engines()
        old, venue = self.desk, self.venue
        self.signed |= {each.client_order_id for each in old.signer.asked}
        commands = [each for each in venue.parcels if isinstance(each.request, fx.SubmitOrder | fx.CancelOrder)]
        venue.parcels = [] if lost else [replace(each, is_awaited=False) for each in commands]
        venue.replies.clear()
        venue.streams.clear()
        engine = Engine(self.settings_in_force)
        store = old.store.reopened()
        restore(engine, at_once(store.load()))
        self.desk = StoredDesk(store, engine=engine, now_ns=old.now_ns + after_s * NS_PER_S)
        self.desk.start()
        for stream in ev.StreamName:
            self.desk.step(ev.StreamConnected(stream=stream))
        self.show_the_books()
        self.tell()
        venue.lose_the_old()

    def show_the_books(self) -> None:
        """What the market stream tells after it has connected."""
        self.desk.books(49, 51)

    # --- what must hold ---------------------------------------------------------------

    @invariant()
    def no_intent_is_signed_twice(self) -> None:
        asked = [each.client_order_id for each in self.desk.signer.asked]
        assert len(set(asked)) == len(asked)
        assert not self.signed & set(asked)

    @invariant()
    def nothing_that_lives_at_the_venue_is_forgotten(self) -> None:
        for order in self.venue.open_orders():
            track = self.desk.state.track_of(order.order_id)
            assert track is not None, order.order_id
            assert track.is_live, (track.order.status, track.order.detail)

    @invariant()
    def no_two_entries_live(self) -> None:
        living = {o.order_id for o in self.venue.open_orders() if o.terms.purpose is Purpose.ENTRY}
        living |= {
            OrderId(each.request.signed.order_id)
            for each in self.venue.parcels
            if isinstance(each.request, fx.SubmitOrder)
            and each.request.purpose is Purpose.ENTRY
            and each.request.signed.order_id not in self.venue.orders
        }
        assert len(living) <= 1, living

    @invariant()
    def what_may_trade_is_reserved(self) -> None:
        orders = self.venue.open_orders()
        spent = sum(o.terms.price * o.left // MICRO for o in orders if o.terms.side is Side.BUY)
        assert self.desk.state.reserved_cash() >= spent
        sold = sum(o.left for o in orders if o.terms.side is Side.SELL)
        assert self.desk.state.reserved_shares(UP) >= sold

    @invariant()
    def no_dollar_is_free_that_the_venue_has_spent(self) -> None:
        """What a cancelled buy may have matched is not free before its trades are known."""
        failed = any(t.side is Side.SELL and t.status is FillStatus.FAILED for t in self.venue.trades.values())
        orders = self.venue.open_orders()
        spent = sum(o.terms.price * o.left // MICRO for o in orders if o.terms.side is Side.BUY)
        state = self.desk.state
        assert failed or state.ledger.cash - state.reserved_cash() <= self.venue.cash - spent

    @invariant()
    def nothing_is_sold_that_is_not_held(self) -> None:
        assert not self.venue.oversold
        assert not self.desk.state.markets[CONDITION].frozen

    def the_table_of_doubts_is_the_engines(self) -> None:
        stored = {each.client_order_id: each for each in at_once(self.desk.store.load()).doubts}
        assert stored == self.desk.state.doubts

    def teardown(self) -> None:
        """The wire falls quiet: everything ends, and the books are the venue's."""
        venue = self.venue
        venue.mode = VenueMode.NORMAL
        self.refusal = None
        for _ in range(QUIET_ROUNDS):
            self.desk.advance(4)
            self.tell()
            self.deliver(100, late=True)
            self.chain_settles()
            self.deliver(100, late=True)
            if self.is_quiet():
                break
        self.the_table_of_doubts_is_the_engines()
        self.nothing_that_lives_at_the_venue_is_forgotten()
        self.nothing_is_sold_that_is_not_held()
        state = self.desk.state
        for track in state.orders.values():
            assert track.is_settled or self.rests(track), (track.order.status, track.order.detail)
        confirmed = {trade.trade_id for trade in venue.trades.values() if trade.status is FillStatus.CONFIRMED}
        booked = {fill.trade_id for fill in state.fills.values() if fill.status is FillStatus.CONFIRMED}
        assert confirmed == booked
        assert (state.ledger.cash, state.ledger.balance(UP).shares) == (venue.cash, venue.shares[UP])
        assert state.ledger.pending_cash == 0
        assert not [each for each in state.ledger._seen.values() if each.kind == "ADJUSTMENT"]
        assert not state.doubts

    # --- inside -----------------------------------------------------------------------

    def is_quiet(self) -> bool:
        """Nothing is sought any more and the account was compared: more time would change nothing."""
        state = self.desk.state
        waits = any(not (track.is_settled or self.rests(track)) for track in state.orders.values())
        differs = (state.ledger.cash, state.ledger.balance(UP).shares) != (self.venue.cash, self.venue.shares[UP])
        return not (waits or differs or state.doubts or state.ledger.pending_cash or state.blocks)

    def rests(self, track: OrderTrack) -> bool:
        order = self.venue.orders.get(track.order_id)
        return track.order.status is OrderStatus.OPEN and order is not None and order.is_open

    def hear(self, event: ev.WorldEvent) -> None:
        self.desk.step(event)
        self.tell()

    def tell(self) -> None:
        """Put the engine's new requests on the wire."""
        effects, self.desk.effects = self.desk.effects, []
        self.desk.facts.clear()
        self.venue.move_clock(self.desk.now_ns)
        for effect in effects:
            match effect:
                case fx.SubmitOrder():
                    terms = self.desk.state.orders[effect.signed.client_order_id].order.terms
                    self.venue.parcels.append(Parcel(effect, self.desk.now_ns, terms))
                case fx.CancelOrder() | fx.LookupOrder() | fx.ReadAccount():
                    self.venue.parcels.append(Parcel(effect, self.desk.now_ns))
                case _:
                    continue


TestGateway = GatewayMachine.TestCase
TestGateway.settings = settings(max_examples=max(200, settings.default.max_examples), stateful_step_count=40)  # type: ignore[union-attr]
