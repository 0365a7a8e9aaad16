"""An engine on a desk: inputs by hand, intents signed at once, facts and effects laid out to look at.

`Desk` steps the engine directly, without a loop, a store or a venue. It answers `SignIntent`
with the fake signer as the shell does, keeps the timers and fires them as time advances.
Prices are in cents, quantities in whole shares, both may be fractions that are exact in micro-units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from polystra.domain import events as ev
from polystra.domain.events import VenueOrderStatus
from polystra.domain.facts import Fact, IntentRecorded, Notice, NoticeKind
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.market import FeeSchedule, Market, Outcome, ResolutionKind, ResolutionRule
from polystra.domain.orders import Order, Purpose, Side
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig
from polystra.engine.core import Engine
from polystra.engine.state import EngineState, ExitState, OrderTrack, Turn
from polystra.engine.strategy.config import StrategyConfig
from polystra.engine.strategy.evaluate import Action, Evaluation
from polystra.engine.strategy.fusion import Fused
from tests.fakes.signer import FakeSigner
from tests.unit.engine.indexes import check_indexes, look_at_calm_exits

OPENS = 1_800_000_000
CLOSES = OPENS + 900
START_NS = (OPENS + 300) * NS_PER_S
CASH = 1_000 * MICRO
CENT = 10_000
UP, DOWN = TokenId("1"), TokenId("2")
CONDITION = ConditionId("0x" + "c" * 64)
FEES = FeeSchedule(70_000)
MARKET = Market(
    condition_id=CONDITION,
    slug="btc-updown-15m-1800000000",
    symbol="BTC",
    window_s=900,
    opens_at_s=OPENS,
    closes_at_s=CLOSES,
    up_token=UP,
    down_token=DOWN,
    tick_size=CENT,
    minimum_size=5 * MICRO,
    fees=FEES,
    rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
)
FUSED = Fused(
    additive_bias=0.2,
    additive_confidence=0.9,
    bayesian_bias=0.2,
    bayesian_confidence=0.9,
    market_prior_p_up=0.5,
    p_up=0.6,
    confidence=0.9,
)
F = TypeVar("F", bound=Fact)
X = TypeVar("X", bound=fx.Effect)


def config(**changes: object) -> EngineConfig:
    values: dict[str, object] = {
        "symbols": ("BTC",),
        "windows_s": (900,),
        "strategy": StrategyConfig(),
        "salt_seed": b"desk",
    }
    return EngineConfig(**{**values, **changes})  # type: ignore[arg-type]


def micros(amount: float) -> int:
    return round(amount * MICRO)


def enter(quantity: float = 10, cents: float = 50, *, outcome: Outcome = Outcome.UP, budget: float = 0) -> Evaluation:
    """A decision to enter."""
    return Evaluation(
        action=Action.ENTER,
        reason="edge",
        fair_value_up=0.6,
        fused=FUSED,
        inputs=(),
        outcome=outcome,
        edge=0.1,
        price=round(cents * CENT),
        quantity=micros(quantity),
        budget=micros(budget),
    )


class Desk:
    """See the module docstring. `facts` and `effects` collect until `clear`."""

    def __init__(
        self, settings: EngineConfig | None = None, *, engine: Engine | None = None, now_ns: Nanos = START_NS
    ) -> None:
        self.engine = engine or Engine(settings or config())
        look_at_calm_exits(self.engine)
        self.signer = FakeSigner()
        self.now_ns = now_ns
        self.facts: list[Fact] = []
        self.effects: list[fx.Effect] = []
        self.timers: dict[str, Nanos] = {}
        self.trades = 0

    @property
    def state(self) -> EngineState:
        return self.engine.state

    # --- driving ----------------------------------------------------------------------

    def start(self) -> Desk:
        self._absorb(self.engine.start(self.now_ns))
        return self

    def ready(self, market: Market = MARKET, *, cash: int = CASH) -> Desk:
        """Started, reconciled, all streams up, one market with a book of 49 to 51 cents."""
        self.start()
        for stream in ev.StreamName:
            self.step(ev.StreamConnected(stream=stream))
        self.step(ev.MarketsListed(markets=(market,)))
        self.snapshot(cash=cash)
        self.books(49, 51)
        self.clear()
        return self

    def step(self, *inputs: ev.WorldEvent) -> Desk:
        """Take inputs, a nanosecond apart."""
        for event in inputs:
            self.now_ns += 1
            self._absorb(self.engine.step(event, self.now_ns))
        check_indexes(self.state, self.engine._risk)
        return self

    def advance(self, seconds: float) -> Desk:
        """Let time pass and fire what becomes due, in order."""
        target = self.now_ns + round(seconds * NS_PER_S)
        while True:
            due = [(at, key) for key, at in self.timers.items() if at <= target]
            if not due:
                break
            at_ns, key = min(due)
            del self.timers[key]
            self.now_ns = max(self.now_ns, at_ns)
            self._absorb(self.engine.step(ev.TimerFired(key=key), self.now_ns))
        self.now_ns = target
        return self

    def clear(self) -> Desk:
        self.facts.clear()
        self.effects.clear()
        return self

    def forget_records(self) -> Desk:
        """Have the next look at each position recorded, whether or not it is news: it shows that there was one."""
        self.state.recorded.clear()
        return self

    def enter(self, evaluation: Evaluation | None = None) -> OrderTrack:
        """Make the trader enter the market, as if the strategy had said so."""
        turn = Turn(now_ns=self.now_ns)
        market = self.state.markets[CONDITION]
        self.engine._trader._enter(market, evaluation or enter(), turn)
        self.engine._close(turn)
        self._absorb(turn)
        return self.last_order()

    def hold(self, quantity: float = 10, cents: float = 50, *, status: str = "CONFIRMED") -> Position:
        """Enter, fill it all at once, and let the shares settle as far as `status`."""
        track = self.enter(enter(quantity, cents))
        self.accept(track)
        self.fill(track, quantity, cents, status="MATCHED")
        if status != "MATCHED":
            self.fill(track, quantity, cents, status=status, trade=self.trades)
        return self.position()

    # --- the venue's words ------------------------------------------------------------

    def accept(self, track: OrderTrack, **words: object) -> Desk:
        words.setdefault("status", VenueOrderStatus.LIVE)
        return self.step(ev.SubmitAccepted(order_id=track.order_id, **words))  # type: ignore[arg-type]

    def refuse(self, track: OrderTrack, *, killed: bool = False, message: str = "no") -> Desk:
        return self.step(ev.SubmitRefused(order_id=track.order_id, message=message, killed=killed))

    def unknown(self, track: OrderTrack) -> Desk:
        return self.step(ev.SubmitUnknown(order_id=track.order_id, message="timed out"))

    def cancelled(self, track: OrderTrack) -> Desk:
        return self.step(ev.CancelAccepted(order_id=track.order_id))

    def cancel_refused(self, track: OrderTrack) -> Desk:
        return self.step(ev.CancelRefused(order_id=track.order_id, message="already canceled or matched"))

    def cancel_unknown(self, track: OrderTrack) -> Desk:
        return self.step(ev.CancelUnknown(order_id=track.order_id, message="timed out"))

    def leg(
        self,
        track: OrderTrack,
        quantity: float,
        cents: float | None = None,
        *,
        status: str = "MATCHED",
        trade: int | None = None,
        maker: bool = True,
    ) -> FillReport:
        """A report of one of our legs; a new trade unless `trade` names one."""
        if trade is None:
            self.trades += 1
            trade = self.trades
        terms = track.order.terms
        return FillReport(
            trade_id=TradeId(f"t{trade}"),
            order_id=track.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=terms.price if cents is None else round(cents * CENT),
            quantity=micros(quantity),
            liquidity=Liquidity.MAKER if maker else Liquidity.TAKER,
            status=FillStatus(status),
            matched_at_ns=self.now_ns,
        )

    def fill(self, track: OrderTrack, quantity: float, cents: float | None = None, **words: object) -> FillReport:
        report = self.leg(track, quantity, cents, **words)  # type: ignore[arg-type]
        self.step(report)
        return report

    def settle(self, report: FillReport, status: str) -> Desk:
        return self.step(replace(report, status=FillStatus(status)))

    def word(self, track: OrderTrack, status: str, matched: float = 0) -> ev.OrderReport:
        """What the venue says of an order."""
        terms = track.order.terms
        return ev.OrderReport(
            order_id=track.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=terms.price,
            quantity=terms.quantity,
            matched=micros(matched),
            status=VenueOrderStatus(status),
            at_ns=self.now_ns,
        )

    def report(self, track: OrderTrack, status: str, matched: float = 0) -> Desk:
        return self.step(self.word(track, status, matched))

    def answer(
        self,
        track: OrderTrack,
        *fills: FillReport,
        open_as: float | None = None,
        complete: bool = True,
    ) -> Desk:
        """The answer to a look-up: open with so much matched, or not open; and the trades found."""
        found = None if open_as is None else self.word(track, "LIVE", open_as)
        return self.step(
            ev.OrderLookedUp(
                order_id=track.order_id, open_order=found, fills=fills, asked_at_ns=self.now_ns, complete=complete
            )
        )

    def snapshot(
        self,
        *,
        cash: int | None = None,
        fills: Iterable[FillReport] = (),
        open_orders: Iterable[ev.OrderReport] = (),
        tokens: Iterable[tuple[TokenId, int]] = (),
        complete: bool = True,
        asked_at_ns: Nanos | None = None,
    ) -> Desk:
        """An account snapshot, asked just now; the ledger's own cash unless told otherwise."""
        self.now_ns += 1_000
        asked = self.now_ns if asked_at_ns is None else asked_at_ns
        return self.step(
            ev.AccountSnapshot(
                asked_at_ns=asked,
                at_ns=self.now_ns,
                complete=complete,
                cash=self.state.ledger.cash if cash is None else cash,
                open_orders=tuple(open_orders),
                fills=tuple(fills),
                tokens=tuple(tokens),
            )
        )

    def book(self, bid: float | None, ask: float | None, token: TokenId = UP, *, size: float = 1_000) -> Desk:
        """One level a side."""
        return self.step(
            ev.BookSnapshot(
                token_id=token,
                bids=() if bid is None else ((round(bid * CENT), micros(size)),),
                asks=() if ask is None else ((round(ask * CENT), micros(size)),),
                at_ns=self.now_ns,
            )
        )

    def books(self, bid: float, ask: float) -> Desk:
        """Both books, complementary."""
        return self.book(bid, ask).book(100 - ask, 100 - bid, DOWN)

    def resolve(self, up_cents: float = 100) -> Desk:
        return self.step(ev.MarketResolved(condition_id=CONDITION, up_payout=round(up_cents * CENT), at_ns=self.now_ns))

    def redeemed(self, token: TokenId = UP) -> Desk:
        """The shares of a claim are gone from the wallet and its cash has come."""
        claim = self.state.ledger.balance(token).claim
        self.step(ev.TokenBalanceRead(token_id=token, shares=0, at_ns=self.now_ns))
        return self.snapshot(cash=self.state.ledger.cash + claim)

    def holdings(self, *held: tuple[TokenId, float], complete: bool = True, cents: float = 0) -> Desk:
        """The second source's answer, asked just now: (token, whole shares)."""
        self.now_ns += 1_000
        return self.step(
            ev.HoldingsRead(
                asked_at_ns=self.now_ns,
                at_ns=self.now_ns,
                complete=complete,
                holdings=tuple(
                    ev.Holding(
                        token_id=token,
                        condition_id=CONDITION,
                        shares=micros(shares),
                        average_price=round(cents * CENT),
                    )
                    for token, shares in held
                ),
            )
        )

    # --- looking ----------------------------------------------------------------------

    def found(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def asked(self, kind: type[X]) -> list[X]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def notices(self, kind: NoticeKind) -> list[Notice]:
        return [notice for notice in self.found(Notice) if notice.kind is kind]

    def cancels(self) -> list[OrderId]:
        return [effect.order_id for effect in self.asked(fx.CancelOrder)]

    def lookups(self) -> list[OrderId]:
        return [effect.order_id for effect in self.asked(fx.LookupOrder)]

    def sent(self) -> list[Order]:
        """Orders whose intents were recorded since the last `clear`."""
        return [fact.order for fact in self.found(IntentRecorded)]

    def last_order(self) -> OrderTrack:
        return list(self.state.orders.values())[-1]

    def orders(self, purpose: Purpose) -> list[OrderTrack]:
        return [track for track in self.state.orders.values() if track.order.terms.purpose is purpose]

    def position(self) -> Position:
        return list(self.state.positions.values())[-1]

    def exits(self) -> ExitState:
        return self.state.exits[self.position().position_id]

    # --- inside -----------------------------------------------------------------------

    def _absorb(self, turn: Turn) -> None:
        self.facts += turn.facts
        for effect in turn.effects:
            if isinstance(effect, fx.SignIntent):
                self._absorb(self.engine.step(self._sign(effect), turn.now_ns))
            elif isinstance(effect, fx.SetTimer):
                self.timers[effect.key] = effect.due_ns
            else:
                self.effects.append(effect)

    def _sign(self, effect: fx.SignIntent) -> ev.OrderSigned | ev.SigningFailed:
        try:
            signed = self.signer.sign(effect.terms, salt=effect.salt, timestamp_ms=effect.timestamp_ms)
        except ValueError as error:
            return ev.SigningFailed(client_order_id=effect.terms.client_order_id, reason=str(error))
        return ev.OrderSigned(signed=signed)


def live_sells(desk: Desk, position_id: PositionId) -> int:
    """Micro-shares promised to sells that may still trade; a match that failed does not come back to the book."""
    return sum(
        track.left
        for track in desk.state.orders_of(position_id)
        if track.is_live and track.order.terms.side is Side.SELL
    )


def ledger_sums(desk: Desk) -> tuple[object, ...]:
    """Every sum of the ledger."""
    ledger = desk.state.ledger
    tokens = {
        token: (balance.pending_shares, balance.settled_shares, balance.claim)
        for token, balance in ledger.tokens.items()
        if balance.shares or balance.claim or balance.pending_shares
    }
    return ledger.pending_cash, ledger.settled_cash, ledger.claims, tokens
