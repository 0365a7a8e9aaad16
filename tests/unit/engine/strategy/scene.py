"""A market, a price window and books for the strategy's tests."""

from __future__ import annotations

from polystra.domain.book import OrderBook
from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.units import E8, NS_PER_S
from polystra.engine.strategy.calibration import Calibration, Strength
from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.signal import Reading
from polystra.engine.strategy.view import MarketView

OPENS = 1_800_000_000
CLOSES = OPENS + 900
RULE = ResolutionRule(ResolutionKind.AVERAGE, 60)
FEES = FeeSchedule(72_000)
FITTED = Calibration(
    digest="f" * 16,
    strengths=(
        Strength(name="fair_value", by_bucket=(0.7,)),
        Strength(name="book_imbalance", by_bucket=(0.0,)),
        Strength(name="momentum", by_bucket=(0.1,)),
    ),
    covariances=((((0.0,) * 3,) * 3),),
)
MARKET = Market(
    condition_id=ConditionId("0x" + "c" * 64),
    slug="btc-updown-15m-1800000000",
    symbol="BTC",
    window_s=900,
    opens_at_s=OPENS,
    closes_at_s=CLOSES,
    up_token=TokenId("1"),
    down_token=TokenId("2"),
    tick_size=10_000,
    minimum_size=5_000_000,
    fees=FEES,
    rule=RULE,
)


def settlement(second: int, dollars: float, symbol: str = "BTC") -> PriceTicked:
    return PriceTicked(symbol=symbol, source=PriceSource.SETTLEMENT, price=round(dollars * E8), at_ns=second * NS_PER_S)


def spot(second: float, dollars: float) -> PriceTicked:
    return PriceTicked(symbol="BTC", source=PriceSource.SPOT, price=round(dollars * E8), at_ns=round(second * NS_PER_S))


def average(second: int, dollars: float) -> PriceTicked:
    return PriceTicked(symbol="BTC", source=PriceSource.AVERAGE, price=round(dollars * E8), at_ns=second * NS_PER_S)


def filled_window(until_s: int, seconds: int = 300, dollars: float = 60_000.0) -> PriceWindow:
    """A window with a zigzag of +-2 dollars every five seconds."""
    window = PriceWindow("BTC")
    for second in range(until_s - seconds, until_s + 1):
        window.observe(settlement(second, dollars + (2.0 if second // 5 % 2 else -2.0)))
    return window


def book(bid: int | None, ask: int | None, size: int = 100_000_000) -> OrderBook:
    """A book with one level a side; prices in cents, size in micro-shares."""
    made = OrderBook()
    made.replace([] if bid is None else [(bid * 10_000, size)], [] if ask is None else [(ask * 10_000, size)], at_ns=0)
    return made


def view(**changes: object) -> MarketView:
    """A calm market ten minutes before the end: fair value 0.60, books around 0.50."""
    values: dict[str, object] = {
        "market": MARKET,
        "now_ns": (OPENS + 300) * NS_PER_S,
        "up_book": book(49, 50),
        "down_book": book(50, 51),
        "price_to_beat": 60_000 * E8,
        "settlement_price": 60_010 * E8,
        "price": 60_012 * E8,
        "price_age_s": 1.0,
        "sigma": 5e-5,
        "average": None,
        "deviations_up": 0.2533,
        "fair_value_up": 0.60,
        "fair_value_confidence": 1.0,
        "momentum": Reading("momentum", 0.0, 0.0, 1.0),
        "bankroll": 1_000_000_000,
        "exposure_left": 1_000_000_000,
    }
    values.update(changes)
    return MarketView(**values)  # type: ignore[arg-type]
