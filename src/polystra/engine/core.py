"""The engine: one function of its inputs, `step(event, now_ns) -> Turn`.

No await, no clock, no log, no database, no randomness. The same inputs at the same times
give the same facts, byte for byte. `step` dispatches an input to its decider, then reviews
the positions that it touched (their exits first, then their projection), then the end of a
run. Time is asked for with timers (`SetTimer`) and comes back as `TimerFired`.

Start-up is "load, reconcile, run", the same after a clean stop and a crash: `restore` takes
what the store holds; every order whose outcome is unknown becomes IN_DOUBT and is looked up;
no entry leaves before the first complete snapshot of the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from polystra.domain import events as ev
from polystra.domain.errors import InvariantViolation
from polystra.domain.facts import DoubtRecorded, NoticeKind, PositionRecorded, SwitchChanged
from polystra.domain.fills import Fill, FillReport, FillStatus
from polystra.domain.ids import ConditionId, OrderId, PositionId
from polystra.domain.ledger import Posting
from polystra.domain.market import Market
from polystra.domain.order_words import accepted_as
from polystra.domain.orders import LIVE_STATUSES, Order, OrderStatus, Purpose, SignedOrder
from polystra.domain.positions import Position, PositionStatus
from polystra.domain.units import NS_PER_S, Nanos, PriceE8
from polystra.domain.venue import VenueMode
from polystra.engine import exit_memory
from polystra.engine.bookkeeper import Bookkeeper
from polystra.engine.calendar import Calendar
from polystra.engine.config import EngineConfig
from polystra.engine.config_change import ConfigChange
from polystra.engine.effects import UnwatchTokens
from polystra.engine.entries import Entries
from polystra.engine.gateway import Gateway
from polystra.engine.heartbeat import HeartbeatWatch
from polystra.engine.market_data import MarketData
from polystra.engine.notices import VenueNotices
from polystra.engine.order_requests import REQUEST_RULE, OrderRequests
from polystra.engine.positions.exits import EXIT_TIMERS, Exits
from polystra.engine.positions.reconcile import RECONCILE_BLOCK, Reconciler
from polystra.engine.positions.reversal import Reversal
from polystra.engine.positions.scale_in import ScaleIn
from polystra.engine.positions.settlement import Settlement
from polystra.engine.positions.unfilled import Unfilled
from polystra.engine.repairs import Repairs
from polystra.engine.request_shape import answerable, misshapen
from polystra.engine.risk import Risk
from polystra.engine.shutdown import Shutdown
from polystra.engine.signals import Signals
from polystra.engine.standing import STANDING_TIMER, Standing
from polystra.engine.state import EngineState, MarketState, OrderTrack, Turn
from polystra.engine.strategy.advisor import Advisor
from polystra.engine.strategy.evaluate import Evaluation
from polystra.engine.switches import Switches
from polystra.engine.trader import Trader
from polystra.engine.venue_clock import VenueClock
from polystra.engine.venue_mode import MODE_TIMER, VenueModes

_CHECK: Final = "reconcile"
_MARKET_DATA: Final = (ev.BookChanged, ev.PriceTicked, ev.BookSnapshot, ev.PublicTrade)
_LINES_KEPT_NS: Final = 2 * 86_400 * NS_PER_S
"""How far behind what the venue may tell again the lines of finished markets stay in memory after a restart."""
_ACKNOWLEDGED: Final = (OrderStatus.OPEN, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.FILLED)


class Engine:
    """See the module docstring. One instance per account and run; `advisor` is the user's own strategy."""

    def __init__(self, config: EngineConfig, advisor: Advisor | None = None) -> None:
        self._state = EngineState(config=config)
        self._state.blocks[RECONCILE_BLOCK] = "not reconciled with the venue yet"
        state = self._state
        self._modes = VenueModes(state)
        self._gateway = Gateway(state, self._modes)
        self._bookkeeper = Bookkeeper(state, self._gateway)
        self._exits = Exits(state, self._gateway)
        self._settlement = Settlement(state, self._bookkeeper)
        self._reconciler = Reconciler(state, self._gateway, self._bookkeeper)
        self._risk = Risk(state)
        self._switches = Switches(state, self._gateway, self._risk)
        self._calendar = Calendar(state)
        self._market_data = MarketData(state)
        self._entries = Entries(state, self._gateway)
        self._unfilled = Unfilled(state, self._gateway, self._risk, self._entries)
        reversal = Reversal(state, self._risk, self._entries, self._exits.close)
        rules = (self._unfilled, reversal, ScaleIn(state, self._risk, self._entries))
        self._standing = Standing(state, self._switches, self._reconciler)
        self._trader = Trader(state, self._risk, self._entries, self._unfilled, rules, advisor=advisor)
        self._shutdown = Shutdown(state, self._gateway, self._exits.close)
        self._order_requests = OrderRequests(state, self._gateway, self._risk)
        self._signals = Signals(state, self._trader, self._exits)
        self._repairs = Repairs(
            state,
            self._gateway,
            bookkeeper=self._bookkeeper,
            reconciler=self._reconciler,
            entries=self._entries,
            requests=self._order_requests,
        )
        self._config_change = ConfigChange(state, self._exits)
        self._venue_clock = VenueClock(state)
        self._heartbeat = HeartbeatWatch(state, self._gateway, self._reconciler, self._standing)
        self._notices = VenueNotices(state, self._gateway, self._settlement)

    @property
    def state(self) -> EngineState:
        """The engine's memory, to be read by the shell and tests, never changed by them."""
        return self._state

    def opinion(self, condition_id: ConditionId, now_ns: Nanos) -> Evaluation | None:
        """What the strategy would say of a market now, changing nothing: for judging it, not for trading.

        None for a market that is not watched, or where the strategy fails.
        """
        market = self._state.markets.get(condition_id)
        return None if market is None else self._trader.opinion(market, now_ns)

    # --- life -------------------------------------------------------------------------

    def restore(
        self,
        *,
        markets: Iterable[tuple[Market, PriceE8 | None]] = (),
        orders: Iterable[tuple[Order, SignedOrder | None]] = (),
        fills: Iterable[Fill] = (),
        postings: Iterable[Posting] = (),
        positions: Iterable[PositionRecorded] = (),
        next_order_number: int = 1,
        next_decision_id: int = 1,
        last_fill_ns: Nanos = 0,
        switches: Iterable[SwitchChanged] = (),
        doubts: Iterable[DoubtRecorded] = (),
        signals: Iterable[tuple[str, Nanos]] = (),
        venue_mode: VenueMode = VenueMode.NORMAL,
    ) -> None:
        """Take the state of the last run, by default of none; called once, before the first step."""
        state = self._state
        state.signals.update(signals)
        state.next_order_number = next_order_number
        state.next_decision_id = next_decision_id
        state.last_fill_ns = last_fill_ns
        state.venue_mode = venue_mode
        known_switches = tuple(switches)
        state.switches = {(each.name, each.subject): each for each in known_switches if each.on}
        state.results.resume(known_switches)
        for market, price_to_beat in markets:
            state.markets[market.condition_id] = self._market_data.new_market(market, price_to_beat)
            state.accepted_markets += 1
        for record in positions:
            self._restore_position(record)
        newest_ns = 0
        for posting in postings:
            state.book_posting(posting)
            state.funded = True
            newest_ns = max(newest_ns, posting.at_ns)
        for fill in fills:
            state.fills[fill.key] = fill
            if not fill.status.is_final:
                newest_ns = min(newest_ns, fill.matched_at_ns)
        self._forget_lines(newest_ns - _LINES_KEPT_NS)
        for order, signed in orders:
            self._restore_order(order, signed)
        self._gateway.restored(doubts)

    def _forget_lines(self, before_ns: Nanos) -> None:
        """Drop old lines of markets whose business is done, as a run that goes on does: only their sums are needed.

        What the venue may tell again (trades from a little before the newest or provisional ones on) stays known.
        """
        self._state.ledger.forget_before(before_ns, self._state.markets)
        self._state.results.forget_before(before_ns, self._state.markets)

    def start(self, now_ns: Nanos) -> Turn:
        """The first turn: watch, ask for the account, set the clocks going."""
        turn = Turn(now_ns=now_ns)
        if not self._state.last_fill_ns:
            made = (track.order.created_at_ns for track in self._state.orders.values())
            self._state.last_fill_ns = min(made, default=now_ns)
        for market in list(self._state.markets.values()):
            self._calendar.restore(market.market, turn)
        self._calendar.tick(turn)
        self._modes.begin(turn)
        self._reconciler.ask("start", turn)
        turn.timer(_CHECK, now_ns + self._state.config.check_every_s * NS_PER_S)
        self._venue_clock.ask_later(turn)
        for track in list(self._state.orders.values()):
            self._resume(track, turn)
        self._switches.start(turn)
        self._standing.start(turn)
        for position in self._state.positions.values():
            if position.shares > 0:  # a stop may have been crossed meanwhile: look, whatever the streams do
                turn.timer(f"exit-book:{position.position_id}", now_ns + NS_PER_S)
        for token_id, balance in self._state.ledger.tokens.items():
            if balance.claim > 0:
                self._state.redeeming[token_id] = now_ns
                turn.timer(f"redeem:{token_id}", now_ns + NS_PER_S)
        return turn

    def step(self, event: ev.WorldEvent, now_ns: Nanos) -> Turn:
        """Take one input; what became true and what is asked is on the returned turn."""
        turn = Turn(now_ns=now_ns)
        if not isinstance(event, _MARKET_DATA):
            self._state.other_inputs += 1
        self._switches.expire(turn)
        self._dispatch(event, turn)
        self._close(turn)
        return turn

    # --- one turn ---------------------------------------------------------------------

    def _dispatch(self, event: ev.WorldEvent, turn: Turn) -> None:
        """Market data first: it is nearly all of the traffic."""
        match event:
            case ev.BookChanged():
                self._venue_clock.heard(event.at_ns, turn)
                for market in self._market_data.changed(event, turn):
                    self._market_moved(market, turn)
            case ev.PriceTicked():
                for market in self._market_data.price(event, turn):
                    self._trader.consider(market, turn)
            case ev.BookSnapshot():
                moved = self._market_data.snapshot(event, turn)
                if moved is not None:
                    self._market_moved(moved, turn)
            case ev.PublicTrade():
                self._market_data.traded(event, turn)
            case ev.MarketsListed():
                self._calendar.listed(event, turn)
            case ev.MarketResolved():
                self._settlement.resolved(event, turn)
            case _:
                self._dispatch_orders(event, turn)

    def _dispatch_orders(self, event: ev.WorldEvent, turn: Turn) -> None:
        gateway = self._gateway
        match event:
            case FillReport():
                self._bookkeeper.fill_reported(event, turn)
            case ev.OrderReport():
                gateway.report(event, turn)
                self._touch_ended(event.order_id, turn)
            case ev.OrderSigned():
                gateway.signed(event, turn)
            case ev.SubmitAccepted():
                gateway.submit_accepted(event, turn)
                self._standing.accepted(event)
                self._exits.accepted(self._state.track_of(event.order_id))
            case ev.SubmitRefused():
                self._submit_refused(event, turn)
            case ev.SubmitUnknown():
                gateway.submit_unknown(event, turn)
            case ev.CancelAccepted():
                gateway.cancel_accepted(event, turn)
            case ev.CancelRefused() | ev.CancelUnknown():
                gateway.cancel_failed(event, turn)
            case ev.OrderLookedUp():
                self._looked_up(event, turn)
            case _:
                self._dispatch_shell(event, turn)

    def _dispatch_shell(self, event: ev.WorldEvent, turn: Turn) -> None:
        match event:
            case ev.TimerFired():
                self._timer(event, turn)
            case ev.StreamConnected():
                self._stream_connected(event, turn)
            case ev.StreamLost():
                self._stream_lost(event, turn)
            case ev.SigningFailed():
                self._gateway.signing_failed(event, turn)
            case ev.TickSizeChanged():
                self._market_data.tick_size_changed(event, turn)
            case ev.IdMismatch():
                self._gateway.id_mismatch(event, turn)
            case _:
                self._dispatch_wishes(event, turn)

    def _dispatch_wishes(self, event: ev.WorldEvent, turn: Turn) -> None:
        """What a person, a tool or an outside signal asks for."""
        match event:
            case ev.EntryRequested() | ev.ExitRequested() | ev.OrderRequested() | ev.CancelRequested() if (
                words := misshapen(event)
            ):
                self._order_requests.refuse(answerable(event), words, turn)
            case ev.EntryRequested():
                self._trader.requested(event, turn)
            case ev.ExitRequested():
                self._exits.requested(event, turn)
            case ev.SwitchRequested():
                self._switches.requested(event, turn)
            case ev.SignalReceived():
                self._signals.received(event, turn)
            case ev.StopRequested():
                self._shutdown.requested(event, turn)
            case ev.OrderRequested():
                self._order_requests.order(event, turn)
            case ev.CancelRequested():
                self._order_requests.cancel(event, turn)
            case _:
                self._dispatch_answers(event, turn)

    def _dispatch_answers(self, event: ev.WorldEvent, turn: Turn) -> None:
        match event:
            case ev.AccountSnapshot():
                self._state.allowance = self._state.allowance if event.allowance is None else event.allowance
                self._reconciler.apply(event, turn)
                self._settlement.cash_seen(event, turn)
                self._heartbeat.snapshot(event, turn)
                self._standing.snapshot(event, turn)
                self._exits.check_all(turn)
                self._notices.begin(turn)
                self._repairs.snapshot(event, turn)
            case ev.TokenBalanceRead():
                self._settlement.balance_read(event, turn)
                self._exits.balance_read(event, turn)
            case ev.HoldingsRead():
                self._reconciler.holdings_read(event, turn)
            case ev.ClockDriftMeasured():
                self._venue_clock.measured(event, turn)
            case ev.NoticesRead():
                self._notices.read(event, turn)
            case ev.HeartbeatTold():
                self._heartbeat.told(event, turn)
            case ev.RepairRequested():
                self._repairs.requested(event, turn)
            case ev.ConfigChanged():
                self._config_change.requested(event, turn)
            case _:
                raise InvariantViolation(f"the engine does not know the input {type(event).__name__}")

    def _close(self, turn: Turn) -> None:
        """Review what the input touched, until nothing new is touched."""
        done: dict[PositionId, None] = {}
        while turn.touched:
            touched = list(turn.touched)
            turn.touched.clear()
            for position_id in touched:
                position = self._state.positions.get(position_id)
                if position is None:
                    continue
                market = self._state.markets.get(position.condition_id)
                if market is not None and market.resolution is not None:
                    self._settlement.review(market, turn)
                self._exits.review(position, turn)
                done[position_id] = None
        self._gateway.review_doubts(turn)
        for position_id in done:
            position = self._state.positions.get(position_id)
            if position is not None:
                self._bookkeeper.record_position(position, turn)
        self._switches.review(turn)
        self._shutdown.review(turn)

    def _submit_refused(self, event: ev.SubmitRefused, turn: Turn) -> None:
        self._gateway.submit_refused(event, turn)
        self._exits.refused(event, turn)
        self._switches.refused(event, turn)
        self._standing.refused(event, turn)
        self._reconciler.refused(event, turn)
        if event.kind is ev.RefusalClass.AUTH:
            self._venue_clock.ask(turn)

    def _touch_ended(self, order_id: OrderId, turn: Turn) -> None:
        """The fate of an order may be known now without a change of its state."""
        track = self._state.track_of(order_id)
        if track is not None and not track.is_live:
            turn.touch(track.order.terms.position_id)

    def _looked_up(self, event: ev.OrderLookedUp, turn: Turn) -> None:
        for report in event.fills:
            self._bookkeeper.fill_reported(report, turn)
        self._gateway.looked_up(event, turn)
        self._repairs.looked_up(event, turn)
        track = self._state.track_of(event.order_id)
        if track is not None:
            turn.touch(track.order.terms.position_id)

    def _market_moved(self, market: MarketState, turn: Turn) -> None:
        for position_id in market.positions:
            position = self._state.positions[position_id]
            if position.shares > 0:
                self._exits.review(position, turn)
        self._trader.consider(market, turn)

    def _stream_connected(self, event: ev.StreamConnected, turn: Turn) -> None:
        self._state.streams_up.add(event.stream)
        turn.notice(NoticeKind.STREAM_CONNECTED, event.stream, "connected and subscribed")
        if event.stream is ev.StreamName.USER and RECONCILE_BLOCK not in self._state.blocks:
            self._reconciler.ask("user stream connected", turn)
            self._venue_clock.ask(turn)
            self._notices.ask(turn)

    def _stream_lost(self, event: ev.StreamLost, turn: Turn) -> None:
        self._state.streams_up.discard(event.stream)
        turn.notice(NoticeKind.STREAM_LOST, event.stream, event.reason)
        if event.stream is ev.StreamName.MARKET:
            self._market_data.distrust_books()
            self._exits.check_all(turn)

    def _timer(self, event: ev.TimerFired, turn: Turn) -> None:
        kind, _, subject = event.key.partition(":")
        timers = {
            "calendar": lambda: self._calendar.tick(turn),
            _CHECK: lambda: self._check(subject, turn),
            "order": lambda: self._gateway.check(subject, turn),
            "unfilled": lambda: self._unfilled.due(subject, turn),
            **dict.fromkeys(EXIT_TIMERS, lambda: turn.touch(PositionId(subject))),
            "close": lambda: self._unfilled.window_closed(subject, turn),
            "resolve": lambda: self._settlement.ask(subject, turn),
            "settle": lambda: self._settle(subject, turn),
            "redeem": lambda: self._settlement.ask_redeemed(subject, turn),
            "clock": lambda: self._venue_clock.due(turn),
            "notices": lambda: self._notices.due(turn),
            STANDING_TIMER: lambda: self._standing.due(subject, turn),
            MODE_TIMER: lambda: self._modes.due(turn),
            "shutdown": lambda: None,
            "switch": lambda: None,
        }
        timers[kind]()

    def _check(self, subject: str, turn: Turn) -> None:
        self._reconciler.ask(subject or "periodic", turn)
        if not subject:
            turn.timer(_CHECK, turn.now_ns + self._state.config.check_every_s * NS_PER_S)
            self._market_data.resync_silent(turn)

    def _settle(self, condition_id: str, turn: Turn) -> None:
        market = self._state.markets.get(ConditionId(condition_id))
        if market is None:
            return
        for track in self._state.orders.of_market(market.condition_id):
            if track.order.order_id is not None and not track.is_settled:
                self._gateway.look_up(track, turn)
        market.settle_asks += 1
        self._settlement.review(market, turn)
        if market.settled:
            turn.effects.append(UnwatchTokens(token_ids=(market.market.up_token, market.market.down_token)))

    # --- restoring --------------------------------------------------------------------

    def _restore_position(self, record: PositionRecorded) -> None:
        market = self._state.markets.get(record.condition_id)
        if market is None:
            return
        self._state.positions[record.position_id] = Position(
            position_id=record.position_id,
            condition_id=record.condition_id,
            token_id=record.token_id,
            opened_at_ns=record.opened_at_ns,
            status=record.status,
        )
        self._state.recorded[record.position_id] = record
        market.positions.append(record.position_id)
        config = self._state.config
        self._state.exits[record.position_id] = exit_memory.restored(record, config.exits, config.salt_seed)
        if not self._state.positions[record.position_id].external:
            market.entries += 1
        if record.status is PositionStatus.FROZEN:
            market.may_thaw = True
            market.frozen = f"position {record.position_id} was frozen before the restart"
        market.stopped_out = market.stopped_out or record.exit_reason == Purpose.STOP_LOSS

    def _restore_order(self, order: Order, signed: SignedOrder | None) -> None:
        failed = sum(
            fill.quantity
            for fill in self._state.fills.values()
            if fill.order_id == order.order_id and fill.status is FillStatus.FAILED
        )
        track = OrderTrack(order=order, signed=signed, matched=order.filled + failed, failed=failed)
        track.fate_known = order.status not in LIVE_STATUSES
        if order.status in _ACKNOWLEDGED or order.filled > 0:
            track.acknowledged_ns = order.updated_at_ns
        track.delayed = order.is_live and order.detail == accepted_as(ev.VenueOrderStatus.DELAYED)
        self._state.orders[order.terms.client_order_id] = track
        if order.terms.request_id:
            self._state.requests[order.terms.request_id] = order.terms.client_order_id
        if order.order_id is not None:
            self._state.by_order_id[order.order_id] = order.terms.client_order_id

    def _resume(self, track: OrderTrack, turn: Turn) -> None:
        """Go on with an order of the last run."""
        self._gateway.resume(track, turn)
        terms = track.order.terms
        if track.is_live and terms.purpose is Purpose.ENTRY and terms.rule != REQUEST_RULE:
            self._unfilled.resume(track, turn)
