"""Exits: the take-profit that rests or is watched, the stops that are armed here, and one owner for both.

`review` looks at a position as it is and asks for what is missing; it is called whenever
its shares, orders or book changed, and calling it again without a change asks for nothing.

GUARDING  `limit_orders`: the take-profit rests on the book for the shares that have arrived
          on chain; what is too small to rest, or whose placement was refused, is watched.
          `monitor`: all exits are watched. A watched part is sold by FAK at its target or
          better. Stops are judged on the best bid of a trusted book (`stops`).
SELLING   a stop, the clock or a person asked for a sale of everything (`exit_selling`).
DONE      nothing sellable is left (dust below the venue's size step is held to resolution).

The sum of live sells never exceeds the arrived shares: a sell is only made from what no
other live sell has reserved. A second take-profit waits until the first is answered; one that
no longer fits is cancelled, its fate learnt, and only then replaced (`exit_health`).
"""

from __future__ import annotations

from polystra.domain.events import ExitRequested, RefusalClass, StopMode, SubmitRefused, TokenBalanceRead
from polystra.domain.facts import NoticeKind
from polystra.domain.fills import FillStatus
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, Purpose, Side
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, Nanos, format_micros
from polystra.engine.config import DustPolicy, ExitConfig
from polystra.engine.exit_memory import mode_of
from polystra.engine.gateway import Gateway
from polystra.engine.positions import exit_health, second_look, stops
from polystra.engine.positions.calm import calm_after, is_calm
from polystra.engine.positions.exit_balance import ExitBalance
from polystra.engine.positions.exit_health import ExitHealth
from polystra.engine.positions.exit_orders import ExitOrders, Held
from polystra.engine.positions.exit_profit import TAKE_PROFIT_RULE, TakeProfit, pause_ns
from polystra.engine.positions.exit_selling import ExitSelling, oldest_book_ns
from polystra.engine.positions.winners import WinnerSales
from polystra.engine.state import EngineState, ExitPhase, ExitState, MarketState, OrderTrack, Turn

OVERSOLD_BLOCK = "oversold"
EXIT_TIMERS = ("exit", "exit-age", "exit-book", "exit-guard", "exit-time")
"""Kinds of the timers that only make a position be looked at."""
_ASK_BOOK_NS = 2 * NS_PER_S
_ASK_ODD_BOOK_NS = 10 * NS_PER_S
"""A one-sided or crossed book is fetched this seldom: near the end of a window it is the truth."""
_RETRY_NS = 2 * NS_PER_S
_TOLD_REFUSALS = 4
_MOST_REPLANS = 4
_NOT_HELD_AGAINST = (RefusalClass.MODE, RefusalClass.RETRY, RefusalClass.REPLAN)


class Exits:
    """The one owner of every sell."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway
        self._orders = ExitOrders(state, gateway)
        self._balance = ExitBalance(state)
        self._selling = ExitSelling(state, gateway, self._orders, self._balance)
        self._health = ExitHealth()
        self._winners = WinnerSales(state, self._orders)
        self._profit = TakeProfit(state, gateway, self._orders, self._health)

    @property
    def _config(self) -> ExitConfig:
        """As it holds now: settings may change while trading goes on."""
        return self._state.config.exits

    # --- what is told from outside ----------------------------------------------------

    def requested(self, event: ExitRequested, turn: Turn) -> None:
        """Close a position: what is sold follows from the shares held; already flat sends nothing."""
        position = self._state.positions.get(event.position_id)
        if position is None:
            turn.notice(NoticeKind.EXIT_SKIPPED, event.position_id, f"no such position; asked for by {event.source}")
            return
        market = self._state.markets.get(position.condition_id)
        working = [t for t in self._state.orders_of(event.position_id) if t.is_live and t.order.terms.side is Side.BUY]
        if market is None or market.resolution is not None or market.frozen:
            why = "its market is over" if market is None or market.resolution is not None else market.frozen
            turn.notice(NoticeKind.EXIT_SKIPPED, event.position_id, f"not closed for {event.source}: {why}")
        elif position.shares < SIZE_STEP and not working:
            turn.notice(NoticeKind.EXIT_SKIPPED, event.position_id, f"already flat: nothing sent for {event.source}")
        else:
            exits = self._exits_of(position)
            if exits.phase is not ExitPhase.SELLING:
                exits.dust = 0
                self._fire(position, exits, stops.MANUAL, f"asked for by {event.source}", turn)
            for track in working:
                self._gateway.cancel(track, turn, f"closed by {event.source}")
            turn.touch(event.position_id)

    def close(self, position: Position, rule: str, turn: Turn) -> None:
        """Another rule wants all of it sold; nothing happens while it is being sold already."""
        exits = self._exits_of(position)
        if exits.phase is not ExitPhase.SELLING:
            exits.dust = 0
            self._fire(position, exits, rule, "the position is sold for it", turn)

    def accepted(self, track: OrderTrack | None) -> None:
        """The venue took an order: a sell among them ends a shortage."""
        if track is not None and track.order.terms.side is Side.SELL:
            exits = self._state.exits.get(track.order.terms.position_id)
            if exits is not None:
                exits.shortages = exits.misses = 0

    def refused(self, event: SubmitRefused, turn: Turn) -> None:
        """A sell was refused: a lag, a mode and a crossed book are not held against it."""
        track = self._state.track_of(event.order_id)
        if track is None or track.order.terms.side is not Side.SELL:
            return
        position_id = track.order.terms.position_id
        exits = self._state.exits.get(position_id)
        if exits is not None and event.killed:
            exits.misses += 1
        if exits is None or event.killed or track.order.status is not OrderStatus.REJECTED:
            return
        position = self._state.positions[position_id]
        is_lag = event.code == "balance" and self._state.config.balance.enhanced
        if is_lag:
            self._balance.short(position, exits, track.order.terms.quantity, turn)
        elif event.code != "balance" and (event.mode is not None or event.kind in _NOT_HELD_AGAINST):
            # What a mode lets exits do follows from the mode, not from the pause that was named for everything else.
            wait_ns = self._wait_ns(exits, event.kind)
            wait_ns = wait_ns if event.mode is not None else max(wait_ns, event.retry_after_s * NS_PER_S)
            exits.next_attempt_ns = max(exits.next_attempt_ns, turn.now_ns + wait_ns)
            turn.timer(f"exit:{position_id}", exits.next_attempt_ns)
        else:
            exits.refusals += 1
            if exits.refusals == _TOLD_REFUSALS:
                words = f"refused {exits.refusals} times, tried on with pauses: {event.message}"
                turn.notice(NoticeKind.EXIT_FROZEN, position_id, words)
        turn.touch(position_id)

    @staticmethod
    def _wait_ns(exits: ExitState, kind: RefusalClass) -> Nanos:
        """Before the next sell; a plan that is refused again and again is a refusal, and waits longer each time."""
        if kind is not RefusalClass.REPLAN:
            return _RETRY_NS
        exits.misses += 1
        if exits.misses >= _MOST_REPLANS:
            exits.refusals += 1
        return _RETRY_NS if exits.phase is ExitPhase.SELLING else pause_ns(exits)

    def balance_read(self, event: TokenBalanceRead, turn: Turn) -> None:
        """The venue told the balance of a token."""
        self._balance.read(event, turn)

    def check_all(self, turn: Turn) -> None:
        """Look at every position that holds shares or has a working sell: at each reconciliation and lost stream."""
        for position in self._state.positions.values():
            resting = self._orders.resting(position)
            if position.shares > 0 or resting:
                turn.touch(position.position_id)
            exits = self._state.exits.get(position.position_id)
            if exits is not None:
                for ailment in exit_health.stuck(resting):
                    self._health.report_stuck(position, exits, ailment, turn)

    def reconfigured(self, turn: Turn) -> None:
        """The rules are others now: every position is looked at, and its clocks are set anew."""
        for exits in self._state.exits.values():
            exits.calm = None
            exits.clocks_set = False
            exits.time_stop_ns = 0
        self.check_all(turn)

    # --- one position -----------------------------------------------------------------

    def review(self, position: Position, turn: Turn) -> None:
        """Ask for whatever the exits of this position need now."""
        market = self._state.markets.get(position.condition_id)
        if market is None or market.resolution is not None:
            return
        known = self._state.exits.get(position.position_id)
        if known is not None and known.calm is not None and is_calm(self._state, position, market, known, turn.now_ns):
            return
        facts, effects = len(turn.facts), len(turn.effects)
        self._look(position, market, turn)
        exits = self._state.exits.get(position.position_id)
        if exits is None:
            return
        was_quiet = (facts, effects) == (len(turn.facts), len(turn.effects))
        if was_quiet and position.position_id not in turn.touched and self._is_guarded(position):
            exits.calm = calm_after(self._state, position, market, exits, turn.now_ns)
        else:
            exits.calm = None

    def _look(self, position: Position, market: MarketState, turn: Turn) -> None:
        if self._oversold(position, market, turn) or market.frozen:
            return
        known = self._state.exits.get(position.position_id)
        sells = known is not None and known.phase is ExitPhase.SELLING
        guarded = self._is_guarded(position)
        wins = self._winners.covers(position)
        if not guarded and not sells and not wins:
            return
        self._withdraw_excess(position, turn)
        if position.shares < SIZE_STEP or (position.bought <= 0 and not sells):
            self._nothing_held(position)
            return
        exits = self._exits_of(position)
        second_look.observe(exits, market.books[position.token_id], turn.now_ns)
        if exits.phase is ExitPhase.DONE and position.shares - exits.dust >= SIZE_STEP:
            exits.phase = ExitPhase.GUARDING
            exits.dust = exits.dust if self._config.dust is DustPolicy.HOLD else 0
        if guarded:
            self._plan(position, market, exits, turn)
        if wins and exits.phase is ExitPhase.GUARDING:
            self._winners.review(Held(position, market, exits, turn))
        if self._state.earlier_now_ns(turn.now_ns) >= market.market.closes_at_s * NS_PER_S:
            return
        if guarded and exits.phase is ExitPhase.GUARDING and self._state.stopping in (None, StopMode.KEEP_EXITS):
            self._guard(position, market, exits, turn)
        if exits.phase is ExitPhase.SELLING:
            self._selling.review(position, market, exits, turn)

    def _is_guarded(self, position: Position) -> bool:
        """True when the plan protects it: shares bought elsewhere only when the user says so."""
        return self._config.enabled and (not position.external or self._state.config.balance.protect_external)

    def _exits_of(self, position: Position) -> ExitState:
        found = self._state.exits.get(position.position_id)
        if found is None:
            mode = mode_of(self._config, self._state.config.salt_seed, position.position_id)
            found = self._state.exits[position.position_id] = ExitState(mode=mode)
        return found

    def _oversold(self, position: Position, market: MarketState, turn: Turn) -> bool:
        """More sold than was ever bought: both exits were filled, which only a race at the venue can do."""
        if position.shares > -SIZE_STEP:
            if self._state.blocks.get(OVERSOLD_BLOCK, "").startswith(f"{position.position_id} "):
                del self._state.blocks[OVERSOLD_BLOCK]
            return False
        bought = sold = 0
        for fill in self._state.fills.of_position(position.position_id):
            if fill.side is Side.BUY:
                bought += fill.quantity
            elif fill.status is not FillStatus.FAILED:
                sold += fill.quantity
        if sold < bought + position.adjusted + SIZE_STEP or OVERSOLD_BLOCK in self._state.blocks:
            return False
        words = (
            f"{position.position_id} sold {format_micros(sold)} of {format_micros(bought)} shares: both exits filled"
        )
        self._state.blocks[OVERSOLD_BLOCK] = words
        market.frozen = market.frozen or words
        market.may_thaw = True
        turn.notice(NoticeKind.MARKET_FROZEN, position.condition_id, words)
        turn.timer("reconcile:both exits filled", turn.now_ns + NS_PER_MS)
        return True

    def _withdraw_excess(self, position: Position, turn: Turn) -> None:
        """Cancel resting sells of shares that are not there any more (their purchase failed on chain), newest first."""
        arrived = max(0, self._state.arrived_shares(position.position_id))
        surplus = self._state.promised_shares(position.position_id) - arrived
        if surplus < SIZE_STEP:
            return
        for ailment in exit_health.excess(self._orders.resting(position), surplus, arrived):
            self._profit.take_back(position, ailment, turn)

    def _nothing_held(self, position: Position) -> None:
        exits = self._state.exits.get(position.position_id)
        if exits is None or position.bought <= 0 or exits.phase is ExitPhase.DONE:
            return
        if exits.phase is ExitPhase.GUARDING:
            exits.reason = Purpose.TAKE_PROFIT
            exits.rule = TAKE_PROFIT_RULE
        exits.phase = ExitPhase.DONE

    # --- guarding ---------------------------------------------------------------------

    def _plan(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        """The prices of the stop and of the next part of the take-profit, and the clocks of the time rules."""
        if exits.watched and position.bought > exits.watched_bought:
            exits.watched = ""
            exits.refusals = 0
        if exits.break_even and position.bought > (exits.break_even_bought or position.bought):
            exits.break_even = False  # the price paid is another one: at once it might lie above the bid
            exits.break_even_bought = 0
        plan = self._profit.plan(position, market, exits)
        exits.take_profit_price = next((target.price for target in plan if target.quantity >= SIZE_STEP), None)
        level = stops.stop_level(
            self._config,
            market.market,
            average=position.average_price,
            high_water=exits.high_water,
            break_even=self._break_even_price(position, market) if exits.break_even else None,
        )
        before = exits.stop_price
        exits.stop_price = None if level is None else level.price
        exits.stop_rule = "" if level is None else level.rule
        if not exits.armed and exits.stop_price is not None:
            exits.armed = True
            shown = "none: hold to resolution"
            if exits.take_profit_price is not None:
                shown = format_micros(exits.take_profit_price)
            turn.notice(
                NoticeKind.STOP_ARMED,
                position.position_id,
                f"{exits.stop_rule} {format_micros(exits.stop_price)} take-profit {shown}",
            )
        elif exits.stop_price != before:
            turn.touch(position.position_id)
        if not exits.clocks_set:
            exits.clocks_set = True
            self._set_clocks(position, market, exits, turn)

    def _set_clocks(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        config = self._config
        if config.time_stop:
            due_ns = position.opened_at_ns + config.time_stop_s * NS_PER_S
            exits.time_stop_ns = due_ns
            turn.timer(f"exit-time:{position.position_id}", max(turn.now_ns, due_ns))
        guard_ns = (market.market.closes_at_s - config.close_guard_s) * NS_PER_S
        turn.timer(f"exit-guard:{position.position_id}", max(turn.now_ns, guard_ns))

    def _break_even_price(self, position: Position, market: MarketState) -> int:
        fees = -(-position.fees * MICRO // position.bought) if position.bought else 0
        return stops.break_even_price(market.market, average=position.average_price, fees_per_share=fees)

    def _guard(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        """Fire what is due; else see to the take-profit."""
        if self._watch_stops(position, market, exits, turn):
            return
        closes_ns = market.market.closes_at_s * NS_PER_S
        now_ns = self._state.earlier_now_ns(turn.now_ns)
        rule = stops.clock_rule(self._config, opened_ns=position.opened_at_ns, closes_ns=closes_ns, now_ns=now_ns)
        guard = stops.in_guard(self._config, closes_ns=closes_ns, now_ns=now_ns)
        if not rule and not guard and self._is_too_old(exits, position, turn):
            rule = stops.MAX_AGE
        if rule:
            self._fire(position, exits, rule, "its time is up", turn)
            return
        self._profit.review(Held(position, market, exits, turn))

    def _watch_stops(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> bool:
        """Judge the stops on the best bid of a trusted book; True when one fired."""
        book = market.books[position.token_id]
        doubt = stops.distrust(book, now_ns=turn.now_ns, oldest_ns=oldest_book_ns(self._state))
        if doubt:
            blind = doubt in ("out of sync", "stale")
            self._orders.ask_book(position, market, turn, pause_ns=_ASK_BOOK_NS if blind else _ASK_ODD_BOOK_NS)
            if blind:
                turn.timer(f"exit-book:{position.position_id}", turn.now_ns + _ASK_BOOK_NS)
            return False
        best_bid = book.best_bid or 0
        is_new_high = best_bid > exits.high_water
        exits.high_water = max(exits.high_water, best_bid)
        if self._arm_break_even(position, market, exits, best_bid, turn) or is_new_high:
            self._plan(position, market, exits, turn)
        closes_ns = market.market.closes_at_s * NS_PER_S
        if exits.stop_price is None or best_bid > exits.stop_price:
            return False
        if stops.in_guard(self._config, closes_ns=closes_ns, now_ns=self._state.earlier_now_ns(turn.now_ns)):
            return False
        if self._orders.looks_again(position, market, exits, turn):
            return False
        why = f"{exits.stop_rule}: best bid {format_micros(best_bid)} <= {format_micros(exits.stop_price)}"
        self._fire(position, exits, exits.stop_rule, why, turn)
        return True

    def _arm_break_even(
        self, position: Position, market: MarketState, exits: ExitState, best_bid: int, turn: Turn
    ) -> bool:
        """Arm the break-even stop when its gain is reached; True when that happened now."""
        if exits.break_even or not self._config.break_even:
            return False
        average = position.average_price
        level = self._break_even_price(position, market)
        if not stops.arms_break_even(self._config, market.market, best_bid=best_bid, average=average, level=level):
            return False
        exits.break_even = True
        exits.break_even_bought = position.bought
        turn.touch(position.position_id)
        return True

    def _is_too_old(self, exits: ExitState, position: Position, turn: Turn) -> bool:
        if not self._config.max_age_s or not exits.resting_since_ns or not self._orders.resting(position):
            return False
        due_ns = exits.resting_since_ns + self._config.max_age_s * NS_PER_S
        if turn.now_ns < due_ns:
            turn.timer(f"exit-age:{position.position_id}", due_ns)
        return turn.now_ns >= due_ns

    def _fire(self, position: Position, exits: ExitState, rule: str, why: str, turn: Turn) -> None:
        reason = Purpose.STOP_LOSS if rule in stops.STOPS else Purpose.CLOSE
        exits.phase = ExitPhase.SELLING
        exits.reason = reason
        exits.rule = rule
        exits.attempts = 0
        exits.refusals = 0
        exits.fired_ns = exits.next_attempt_ns = turn.now_ns
        exits.sold_before = position.sold
        turn.touch(position.position_id)
        if reason is Purpose.CLOSE:
            self._balance.has_looked(position, exits, turn)
        if reason is Purpose.STOP_LOSS:
            self._state.markets[position.condition_id].stopped_out = True
        turn.notice(NoticeKind.STOP_FIRED, position.position_id, why if rule in why else f"{rule}: {why}")
