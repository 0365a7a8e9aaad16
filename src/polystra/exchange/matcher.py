"""What happens to one order: the checks in their order, the match, the fills, the events.

What lives here: the life of an order between `ExchangeCore.place` and its rest, kill or fill, and
its withdrawal. What must not: markets' life, time, sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from polystra.exchange.accounts import Account, Order, outcome_name
from polystra.exchange.balances import Balances
from polystra.exchange.chain import Agenda, ExpireOrder
from polystra.exchange.listeners import Listeners
from polystra.exchange.model import (
    NS_PER_S,
    BookTraded,
    CoreConfig,
    CoreEvent,
    LevelChange,
    LevelsChanged,
    MakerLeg,
    OrderEvent,
    OrderNews,
    Placement,
    PlaceRequest,
    Refusal,
    TradeEvent,
    TradeView,
)
from polystra.exchange.settlement import Settlement
from polystra.exchange.state import Market, State
from polystra.exchange.validation import (
    FAK_KILLED,
    FOK_KILLED,
    NO_BOOK,
    NOT_READY,
    POST_ONLY_CROSSES,
    check_minimum_notional,
    check_request,
    duplicated,
    snapped_price,
)
from polystra.matching.book import NO_MATCH, ONE, Leg, MatchPlan, RestingOrder, Taker, accepts
from polystra.matching.fees import fee_numerator, round_fee


class Matcher:
    """Carries orders to the book on behalf of the core; writes nothing to disk itself."""

    def __init__(
        self,
        state: State,
        agenda: Agenda,
        config: CoreConfig,
        emit: Callable[[CoreEvent], None],
        *,
        listeners: Listeners,
        settlement: Settlement,
        balances: Balances,
    ) -> None:
        self._state = state
        self._agenda = agenda
        self._config = config
        self._emit = emit
        self._listeners = listeners
        self._settlement = settlement
        self._balances = balances
        self._held: dict[str, Market] | None = None

    def check(self, account: Account, request: PlaceRequest, order_id: str, now_ns: int) -> Refusal | None:
        """Check market, grid, size, expiry and plain funds, in the venue's order."""
        market = self._state.by_token.get(request.token_id)
        standing = self._balances.check_standing(account, request)
        if standing is not None:
            return standing
        if market is None or not market.accepting_orders:
            return NO_BOOK
        if now_ns < market.spec.hydrated_at_s * NS_PER_S:
            return NO_BOOK
        if now_ns < max(market.spec.listed_at_s, market.spec.accepts_from_s) * NS_PER_S:
            return NOT_READY
        refusal = check_request(
            request,
            order_id,
            tick=market.tick_size,
            min_size=market.spec.min_size,
            now_ns=now_ns,
            config=self._config,
            house=account.house,
        )
        if refusal is not None or (account.house and request.side == "BUY"):
            return refusal
        return self._balances.check_order(account, request, market.spec, request.maker_amount, now_ns)

    def plan(self, market: Market, request: PlaceRequest) -> MatchPlan:
        """Return what an order would exchange now."""
        outcome = market.outcome_of(request.token_id)
        best = market.book.facing(outcome, request.side)
        if best is None or not accepts(request.side, request.maker_amount, request.taker_amount, best):
            return NO_MATCH
        return market.book.plan(_taker(outcome, request))

    def place(self, account: Account, request: PlaceRequest, now_ns: int) -> Placement:
        """Take, match or refuse one order."""
        order_id = request.order_id or self._state.next_order_id()
        if order_id in self._state.known:
            return Placement(order_id=order_id, refusal=duplicated(order_id))
        refusal = self.check(account, request, order_id, now_ns)
        if refusal is not None:
            return Placement(order_id=order_id, refusal=refusal)
        market = self._state.by_token[request.token_id]
        plan = self.plan(market, request)
        fee = self._fee(market, plan)
        refusal = self._check_plan(account, request, market, plan, fee=fee, now_ns=now_ns)
        if refusal is not None:
            return Placement(order_id=order_id, refusal=refusal)
        if request.order_id is not None:
            self._state.know(order_id)
        if request.post_only and plan.legs:
            return Placement(order_id=order_id, refusal=POST_ONLY_CROSSES)
        order = _new_order(account, request, market, order_id, now_ns)
        if request.order_type == "FOK" and not plan.complete:
            return self._kill(order, FOK_KILLED, now_ns)
        if request.order_type == "FAK" and not plan.legs:
            return self._kill(order, FAK_KILLED, now_ns)
        return self._carry_out(market, order, plan, fee, now_ns)

    def withdraw(self, market: Market, order: Order, status: str, now_ns: int) -> None:
        """Take an order off the book and announce it; the caller publishes the levels."""
        market.book.remove(order.order_id)
        self._close(order)
        order.status = "CANCELED"
        self._tell("CANCELLATION", order, status, now_ns)

    def hold_levels(self) -> None:
        """Announce what orders change on a book from now on at `release_levels`, as one event; trades at once.

        One request with several orders or cancels thus sends one message with several levels, which takes a
        third of the messages off a market maker's requotes.
        """
        self._held = {}

    def release_levels(self, now_ns: int) -> None:
        """Announce what was held back."""
        held, self._held = self._held, None
        for market in (held or {}).values():
            self.publish_levels(market, now_ns, traded=False)

    def publish_levels(self, market: Market, now_ns: int, *, traded: bool) -> None:
        """Announce what changed on the book since the last call."""
        if self._held is not None and not traded:
            self._held[market.spec.condition_id] = market
            return
        changes = market.book.drain_changes()
        if not changes:
            return
        top = (market.book.best_bid, market.book.best_ask)
        self._emit(
            LevelsChanged(
                condition_id=market.spec.condition_id,
                changes=tuple(LevelChange("BUY" if bid else "SELL", price, size) for bid, price, size in changes),
                best_bid=top[0],
                best_ask=top[1],
                top_changed=top != market.last_top,
                traded=traded,
                at_ns=now_ns,
            )
        )
        market.last_top = top

    def announce_refused(self, account: Account, request: PlaceRequest, status: str, now_ns: int) -> None:
        """Announce that an order which had been answered already never reached the book."""
        order = _new_order(account, request, self._state.by_token[request.token_id], request.order_id or "", now_ns)
        order.status = "CANCELED"
        self._tell("CANCELLATION", order, status, now_ns, killed=True)

    def _tell(self, kind: OrderNews, order: Order, status: str, now_ns: int, *, killed: bool = False) -> None:
        """Announce an order as it stands, unless it is the house's and nobody listens to those."""
        if self._listeners.hear_house_orders or not self._state.is_house(order.account):
            self._emit(OrderEvent(type=kind, order=order.view(), status=status, at_ns=now_ns, killed=killed))

    def _kill(self, order: Order, text: str, now_ns: int) -> Placement:
        order.status = "CANCELED"
        self._tell("CANCELLATION", order, f"CANCELED_{text}", now_ns, killed=True)
        return Placement(order_id=order.order_id, refusal=Refusal(text))

    def _check_plan(
        self, account: Account, request: PlaceRequest, market: Market, plan: MatchPlan, *, fee: int, now_ns: int
    ) -> Refusal | None:
        """Check what depends on the match itself: the $1 minimum and cash for the fee of a BUY."""
        if request.side == "SELL" or not plan.legs:
            return None
        price = snapped_price(request, market.tick_size)
        if request.order_type in {"FOK", "FAK"}:
            worth, rest = request.maker_amount, 0
        else:
            rest = price * (request.taker_amount - plan.size) // ONE
            worth = plan.cash + rest
        refusal = check_minimum_notional(worth)
        if refusal is not None or account.house:
            return refusal
        return self._balances.check_order(account, request, market.spec, plan.cash + fee + rest, now_ns)

    def _carry_out(self, market: Market, order: Order, plan: MatchPlan, fee: int, now_ns: int) -> Placement:
        rests = order.order_type in {"GTC", "GTD"} and not plan.complete
        if rests:
            self._tell("PLACEMENT", order, "LIVE", now_ns)
        makers = [self._state.orders[leg.maker.order_id] for leg in plan.legs]
        trade = self._execute(market, order, makers, plan, fee=fee, now_ns=now_ns) if plan.legs else None
        if rests:
            self._rest(market, order, order.original_size - plan.size)
        else:
            order.status = "MATCHED"
        if trade is not None:
            if self._config.venue.trade_before_order:
                self._announce(market, trade, plan, now_ns)
            for filled in (*makers, order):
                self._tell("UPDATE", filled, filled.status, now_ns)
            if not self._config.venue.trade_before_order:
                self._announce(market, trade, plan, now_ns)
        if order.order_type == "FAK" and not plan.complete:
            order.status = "CANCELED"
            self._tell("CANCELLATION", order, "CANCELED", now_ns)
        self.publish_levels(market, now_ns, traded=trade is not None)
        cash, size = plan.cash, plan.size
        return Placement(
            order_id=order.order_id,
            status="live" if rests else "matched",
            making_amount=cash if order.side == "BUY" else size,
            taking_amount=size if order.side == "BUY" else cash,
            trade_ids=(trade.trade_id,) if trade else (),
        )

    def _rest(self, market: Market, order: Order, remaining: int) -> None:
        order.resting = RestingOrder(
            order_id=order.order_id,
            outcome=order.outcome_index,
            side=order.side,
            price=order.price,
            size=remaining,
        )
        market.book.rest(order.resting)
        account = self._state.ledger.accounts[order.account]
        account.orders[order.order_id] = order
        self._state.orders[order.order_id] = order
        if not account.house:
            self._state.dirty_orders[order.order_id] = None
        if order.order_type == "GTD":
            due_ns = (order.expiration_s - self._config.gtd_removed_early_s) * NS_PER_S
            self._agenda.add(due_ns, ExpireOrder(order.order_id))

    def _close(self, order: Order) -> None:
        account = self._state.ledger.accounts[order.account]
        del account.orders[order.order_id]
        del self._state.orders[order.order_id]
        order.resting = None
        if not account.house:
            self._state.dirty_orders[order.order_id] = None

    def _execute(
        self, market: Market, order: Order, makers: Sequence[Order], plan: MatchPlan, *, fee: int, now_ns: int
    ) -> TradeView:
        trade_id = self._state.next_uuid()
        legs: list[MakerLeg] = []
        for maker, leg in zip(makers, plan.legs, strict=True):
            self._state.ledger.exchange(market.spec, order, maker, leg)
            legs.append(_maker_leg(maker, leg))
        market.book.apply(plan)
        for maker, leg in zip(makers, plan.legs, strict=True):
            self._fill_maker(maker, leg, trade_id)
        self._state.ledger.charge_fee(order, fee)
        order.size_matched += plan.size
        order.trade_ids.append(trade_id)
        trade = TradeView(
            trade_id=trade_id,
            condition_id=market.spec.condition_id,
            token_id=order.token_id,
            outcome=outcome_name(order.outcome_index),
            outcome_index=order.outcome_index,
            side=order.side,
            size=plan.size,
            price=plan.legs[0].price if len(plan.legs) == 1 else plan.cash * ONE // plan.size,
            cash=plan.cash,
            fee=fee,
            taker_order_id=order.order_id,
            taker_account=order.account,
            taker_owner=order.owner,
            legs=tuple(legs),
            status="MATCHED",
            matched_ns=now_ns,
            updated_ns=now_ns,
            transaction_hash=None,
        )
        self._enter(market, trade, now_ns)
        return trade

    def _enter(self, market: Market, trade: TradeView, now_ns: int) -> None:
        self._state.trades[trade.trade_id] = trade
        if self._state.house_only(trade):
            self._state.quiet_markets[market.spec.condition_id] = None
        else:
            self._state.dirty_trades[trade.trade_id] = None
            self._state.dirty_markets[market.spec.condition_id] = None
        self._settlement.enter(trade, now_ns)

    def _fill_maker(self, maker: Order, leg: Leg, trade_id: str) -> None:
        maker.size_matched += leg.size
        maker.trade_ids.append(trade_id)
        if leg.maker.remaining == 0:
            self._close(maker)
            maker.status = "MATCHED"
        elif not self._state.is_house(maker.account):
            self._state.dirty_orders[maker.order_id] = None

    def _announce(self, market: Market, trade: TradeView, plan: MatchPlan, now_ns: int) -> None:
        self._emit(TradeEvent(trade=trade, at_ns=now_ns))
        for price, legs in groupby(plan.legs, key=lambda leg: leg.price):
            market.note_trade(trade.outcome_index, trade.side, price)
            self._emit(
                BookTraded(
                    condition_id=market.spec.condition_id,
                    token_id=trade.token_id,
                    side=trade.side,
                    price=price,
                    size=sum(leg.size for leg in legs),
                    at_ns=now_ns,
                )
            )

    def _fee(self, market: Market, plan: MatchPlan) -> int:
        if not plan.legs:
            return 0
        charged, rounding = self._config.fee_charged_ppm, self._config.fee_rounding
        rate = market.spec.fee_rate_ppm if charged is None else charged
        parts = [fee_numerator(leg.size, leg.price, rate) for leg in plan.legs]
        if self._config.fee_per_leg:
            return sum(round_fee(part, rounding) for part in parts)
        return round_fee(sum(parts), rounding)


def _taker(outcome: int, request: PlaceRequest) -> Taker:
    return Taker(
        outcome=outcome,
        side=request.side,
        maker_amount=request.maker_amount,
        taker_amount=request.taker_amount,
        by_collateral=request.side == "BUY" and request.order_type in {"FOK", "FAK"},
    )


def _new_order(account: Account, request: PlaceRequest, market: Market, order_id: str, now_ns: int) -> Order:
    size = request.taker_amount if request.side == "BUY" else request.maker_amount
    return Order(
        order_id=order_id,
        account=account.address,
        owner=request.owner,
        condition_id=market.spec.condition_id,
        token_id=request.token_id,
        outcome_index=market.outcome_of(request.token_id),
        side=request.side,
        order_type=request.order_type,
        price=snapped_price(request, market.tick_size),
        original_size=size,
        created_ns=now_ns,
        expiration_s=request.expiration_s,
    )


def _maker_leg(maker: Order, leg: Leg) -> MakerLeg:
    return MakerLeg(
        order_id=maker.order_id,
        account=maker.account,
        owner=maker.owner,
        token_id=maker.token_id,
        outcome=outcome_name(maker.outcome_index),
        outcome_index=maker.outcome_index,
        side=maker.side,
        size=leg.size,
        price=maker.price,
        cash=leg.maker_cash,
    )
