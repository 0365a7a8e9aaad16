"""An engine without its shell: markets, positions, prices and the venue's words by hand, intents signed at once.

What lives here: building an engine of any size for the benchmarks. What must not: measuring.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from benchmarks.sign import CREDENTIALS, KEY
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.domain import events as ev
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ConditionId, TokenId, TradeId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.orders import Order, OrderTerms, Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig, RiskConfig
from polystra.engine.core import Engine
from polystra.engine.state import Turn
from polystra.engine.strategy.calibration import Calibration, Strength
from polystra.engine.strategy.config import EntryStyle, StrategyConfig
from polystra.engine.strategy.sizing import SizingRules
from polystra.ports.signing import answer_of

WINDOW_S = 14_400
START_S = 1_800_000_000
START_E8 = 60_000 * 10**8
NOW_E8 = 66_000 * 10**8
CENT = 10_000


STRATEGY = StrategyConfig(
    entry_style=EntryStyle.MARKET,
    max_spread=MICRO,
    sizing=SizingRules(use_kelly=False, trade_size=8 * MICRO),
    calibration=Calibration(
        digest="f" * 16,
        strengths=(
            Strength(name="fair_value", by_bucket=(0.7,)),
            Strength(name="book_imbalance", by_bucket=(0.0,)),
            Strength(name="momentum", by_bucket=(0.1,)),
        ),
        covariances=((((0.0,) * 3,) * 3),),
    ),
)
"""Small dollar entries that take at once, by signals of a made-up strength."""


def symbol(number: int) -> str:
    """A symbol for each market, so that a price concerns one."""
    return f"S{number:03d}"


def market(number: int, tokens: tuple[str, str], now_s: int) -> Market:
    """A market in the middle of its window."""
    opens = now_s - WINDOW_S // 2
    return Market(
        condition_id=ConditionId(f"0x{number + 1:064x}"),
        slug=f"s{number:03d}-updown-4h-{opens}",
        symbol=symbol(number),
        window_s=WINDOW_S,
        opens_at_s=opens,
        closes_at_s=opens + WINDOW_S,
        up_token=TokenId(tokens[0]),
        down_token=TokenId(tokens[1]),
        tick_size=CENT,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(70_000),
        rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
    )


def config(markets: int) -> EngineConfig:
    """Small dollar entries that take at once, and no limit that a benchmark would meet."""
    return EngineConfig(
        symbols=tuple(symbol(number) for number in range(markets)),
        windows_s=(WINDOW_S,),
        strategy=STRATEGY,
        risk=RiskConfig(
            max_entries_per_market=10**6,
            stale_book_ns=3_600 * NS_PER_S,
            max_exposure=10**15,
            max_exposure_per_market=10**15,
            max_exposure_per_symbol=10**15,
            max_open_positions=10**6,
        ),
        salt_seed=b"benchmark",
        notices_every_s=0,
    )


class EngineDesk:
    """An engine that is reconciled, connected and has books and prices of `markets` markets."""

    def __init__(self, markets: int) -> None:
        rng = Random(5)
        self.now_ns = START_S * NS_PER_S
        self.rng = rng
        self.tokens = [(str(rng.getrandbits(250)), str(rng.getrandbits(250))) for _ in range(markets)]
        self.engine = Engine(config(markets))
        self.signer = OrderTermsSigner(OrderSigner(SigningKey(KEY), 0, None, 137, CREDENTIALS.api_key))
        self.effects: list[fx.Effect] = []
        self.trades = 0
        listed = [market(number, pair, START_S) for number, pair in enumerate(self.tokens)]
        self.engine.restore(markets=[(each, START_E8) for each in listed])
        self.absorb(self.engine.start(self.now_ns))
        for stream in ev.StreamName:
            self.step(ev.StreamConnected(stream=stream))
        self.step(account(self.now_ns))
        for number in range(markets):
            self.prices(number)
            self.books(number)

    def step(self, event: ev.WorldEvent, after_ns: int = 1) -> Turn:
        """Take an input, sign what it asks for."""
        self.now_ns += after_ns
        turn = self.engine.step(event, self.now_ns)
        self.absorb(turn)
        return turn

    def absorb(self, turn: Turn) -> None:
        """Sign intents, keep the other effects that matter."""
        for effect in turn.effects:
            if isinstance(effect, fx.SignIntent):
                answer = answer_of(self.signer, effect.terms, salt=effect.salt, timestamp_ms=effect.timestamp_ms)
                self.absorb(self.engine.step(answer, turn.now_ns))
            elif isinstance(effect, fx.SubmitOrder):
                self.effects.append(effect)

    def prices(self, number: int) -> None:
        """Two minutes of prices."""
        second = self.now_ns // NS_PER_S
        for back in range(120, 0, -1):
            self.price(number, (second - back) * NS_PER_S)

    def price(self, number: int, at_ns: int) -> None:
        """One price."""
        price = NOW_E8 + self.rng.randint(-3 * 10**8, 3 * 10**8)
        self.step(
            ev.PriceTicked(symbol=symbol(number), source=ev.PriceSource.SETTLEMENT, price=price, at_ns=at_ns),
        )

    def books(self, number: int, bid: int = 50, ask: int = 97) -> None:
        """Both books, in cents of Up."""
        up, down = self.tokens[number]
        for token, best_bid, best_ask in ((up, bid, ask), (down, 100 - ask, 100 - bid)):
            self.step(
                ev.BookSnapshot(
                    token_id=TokenId(token),
                    bids=tuple((price * CENT, 500 * MICRO) for price in range(max(1, best_bid - 40), best_bid + 1)),
                    asks=tuple((price * CENT, 500 * MICRO) for price in range(best_ask, min(99, best_ask + 40) + 1)),
                    at_ns=self.now_ns,
                )
            )

    def offer(self, number: int, size: int) -> ev.BookChanged:
        """Up offered at 60 cents, or not any more (size 0)."""
        ask = 60 if size else 97
        return self.change(number, Side.SELL, 60, size, (50, ask))

    def change(self, number: int, side: Side, cents: int, size: int, top: tuple[int, int]) -> ev.BookChanged:
        """A change of a level of Up and its mirror."""
        up, down = self.tokens[number]
        bid, ask = top[0] * CENT, top[1] * CENT
        other = Side.BUY if side is Side.SELL else Side.SELL
        return ev.BookChanged(
            changes=(
                ev.LevelChange(TokenId(up), side, cents * CENT, size * MICRO, bid, ask),
                ev.LevelChange(TokenId(down), other, MICRO - cents * CENT, size * MICRO, MICRO - ask, MICRO - bid),
            ),
            at_ns=self.now_ns,
        )

    def take_order(self) -> Order | None:
        """The order that was submitted since the last call, None when there is none."""
        if not self.effects:
            return None
        effect = self.effects.pop()
        self.effects.clear()
        assert isinstance(effect, fx.SubmitOrder)
        return self.engine.state.orders[effect.signed.client_order_id].order

    def kill(self, order: Order) -> None:
        """The venue killed a FAK order."""
        assert order.order_id is not None
        self.step(ev.SubmitRefused(order_id=order.order_id, message="killed", killed=True))

    def fill(self, order: Order) -> None:
        """The venue filled it, and the shares have arrived."""
        assert order.order_id is not None
        terms: OrderTerms = order.terms
        self.step(
            ev.SubmitAccepted(
                order_id=order.order_id,
                status=ev.VenueOrderStatus.MATCHED,
                making=terms.budget,
                taking=terms.quantity,
            )
        )
        self.trades += 1
        for status in (FillStatus.MATCHED, FillStatus.CONFIRMED):
            self.step(
                FillReport(
                    trade_id=TradeId(f"t{self.trades}"),
                    order_id=order.order_id,
                    condition_id=terms.condition_id,
                    token_id=terms.token_id,
                    side=terms.side,
                    price=terms.price,
                    quantity=terms.quantity,
                    liquidity=Liquidity.TAKER,
                    status=status,
                    matched_at_ns=self.now_ns,
                )
            )


def account(now_ns: int, cash: int = 10**12, orders: Sequence[ev.OrderReport] = ()) -> ev.AccountSnapshot:
    """A complete reading of the account."""
    return ev.AccountSnapshot(
        asked_at_ns=now_ns, at_ns=now_ns, open_orders=tuple(orders), fills=(), cash=cash, complete=True
    )
