"""A recording of two windows of one coin: a price that walks, books that follow it, and the verdicts."""

from __future__ import annotations

import math
from random import Random

from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import (
    BookSnapshot,
    MarketResolved,
    MarketsListed,
    PriceSource,
    PriceTicked,
    StreamConnected,
    StreamName,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.units import E8, MICRO, NS_PER_S

FIRST_S = 1_784_851_200
WINDOWS = 2


def market(number: int) -> Market:
    opens_s = FIRST_S + 300 * number
    return Market(
        condition_id=ConditionId(f"condition-{number}"),
        slug=f"btc-updown-5m-{opens_s}",
        symbol="BTC",
        window_s=300,
        opens_at_s=opens_s,
        closes_at_s=opens_s + 300,
        up_token=TokenId(f"up-{number}"),
        down_token=TokenId(f"down-{number}"),
        tick_size=10_000,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(72_000),
        rule=ResolutionRule(ResolutionKind.LAST, 0),
    )


def recording(windows: int = WINDOWS, seed: int = 1) -> list[Recorded]:
    """In order of time; every second one price and one book of each outcome, half a second apart."""
    chance = Random(seed)
    begins_s = FIRST_S - 200
    made = [
        Recorded(begins_s * NS_PER_S, StreamConnected(stream=each)) for each in (StreamName.MARKET, StreamName.PRICES)
    ]
    markets = [market(number) for number in range(windows)]
    log_price = math.log(60_000)
    prices: dict[int, int] = {}
    for second in range(begins_s, FIRST_S + 300 * windows + 90):
        log_price += chance.gauss(0.0, 5e-5)
        prices[second] = round(math.exp(log_price) * E8)
        for each in markets:
            if second == each.opens_at_s - 30:
                made.append(Recorded(second * NS_PER_S, MarketsListed(markets=(each,))))
            if each.opens_at_s - 20 <= second < each.closes_at_s:
                made += _books(each, second, chance)
            if second == each.closes_at_s + 30:
                up = prices[each.closes_at_s] >= prices[each.opens_at_s]
                verdict = MarketResolved(
                    condition_id=each.condition_id, up_payout=MICRO if up else 0, at_ns=second * NS_PER_S
                )
                made.append(Recorded(second * NS_PER_S, verdict))
        tick = PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=prices[second], at_ns=second * NS_PER_S)
        made.append(Recorded(second * NS_PER_S + NS_PER_S // 2, tick))
    return made


def _books(each: Market, second: int, chance: Random) -> list[Recorded]:
    bid = 10_000 * chance.randrange(40, 60)
    bids, asks = ((bid, chance.randrange(1, 100) * MICRO),), ((bid + 10_000, chance.randrange(1, 100) * MICRO),)
    mirrored = [tuple((MICRO - price, size) for price, size in side) for side in (asks, bids)]
    at_ns = second * NS_PER_S
    return [
        Recorded(at_ns, BookSnapshot(token_id=each.up_token, bids=bids, asks=asks, at_ns=at_ns)),
        Recorded(at_ns, BookSnapshot(token_id=each.down_token, bids=mirrored[0], asks=mirrored[1], at_ns=at_ns)),
    ]
