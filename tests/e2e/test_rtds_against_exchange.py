"""The older price stream against the built-in exchange with all its quirks: the same prices as the feed's."""

from __future__ import annotations

import asyncio
from random import Random

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.rtds_stream import RtdsStream
from polystra.domain.events import PriceSource, PriceTicked, StreamConnected, StreamLost, WorldEvent
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.simulation import DEFAULT_EPOCH_S
from polystra.runtime.deterministic import run


def test_backfill_and_updates_are_the_exchanges_prices_for_minutes():
    heard: list[WorldEvent] = []

    async def main() -> BuiltInExchange:
        config = BuiltInConfig(seed=7, symbols=("BTC", "ETH"), windows=("5m",), speed=None)
        clock = LoopClock(DEFAULT_EPOCH_S * NS_PER_S)
        exchange = BuiltInExchange(config, clock)
        urls = await exchange.start()
        stream = RtdsStream(url=urls.rtds_url, symbols=("BTC", "ETH"), clock=clock, rng=Random(1))
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(exchange.run()), loop.create_task(stream.run(heard.append))]
        await clock.sleep(120)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await exchange.close()
        assert stream.unreadable == 0
        return exchange

    exchange = run(main(), seed=7, start_ns=DEFAULT_EPOCH_S * NS_PER_S)
    assert sum(isinstance(event, StreamConnected) for event in heard) == 1
    assert not [event for event in heard if isinstance(event, StreamLost)]
    ticks = [event for event in heard if isinstance(event, PriceTicked)]
    for symbol in ("BTC", "ETH"):
        path = exchange.simulation.paths[symbol]
        for source, least in ((PriceSource.SETTLEMENT, 110), (PriceSource.AVERAGE, 110)):
            found = [tick for tick in ticks if (tick.symbol, tick.source) == (symbol, source)]
            assert len(found) >= least
            for tick in found:
                second = tick.at_ns // NS_PER_S
                expected = path.feed(second) if source is PriceSource.SETTLEMENT else path.average(second)
                assert tick.price == expected
