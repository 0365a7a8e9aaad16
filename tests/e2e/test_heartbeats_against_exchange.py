"""The adapter's heartbeats against the built-in exchange's dead man's switch."""

from __future__ import annotations

import random

from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.domain.orders import Side
from polystra.domain.units import MICRO
from tests.e2e.test_adapter_against_exchange import Stage, play
from tests.fakes.venue import submissions


async def _is_open(on: Stage, order_id: str) -> bool:
    snapshot = await on.venue.account(since_ns=on.clock.now_ns(), tokens=[])
    assert snapshot.complete, snapshot.detail
    return order_id in {report.order_id for report in snapshot.open_orders}


def test_orders_live_while_the_heart_beats_and_not_longer() -> None:
    async def scene(on: Stage) -> None:
        order = on.sign(Side.BUY, 10_000, 20 * MICRO, post_only=True)
        await on.venue.submit(submissions(order))
        for _ in range(6):
            await on.venue.heartbeat.beat()
            await on.clock.sleep(5)
        assert await _is_open(on, order.order_id)
        await on.clock.sleep(16)
        assert not await _is_open(on, order.order_id)

    play(scene)


def test_a_second_process_takes_the_chain_over() -> None:
    async def scene(on: Stage) -> None:
        await on.venue.heartbeat.beat()
        other = PolymarketVenue(base_url=on.urls.clob_url, account=on.account, clock=on.clock, rng=random.Random(4))
        await other.heartbeat.beat()
        await other.heartbeat.beat()
        await on.venue.heartbeat.beat()
        order = on.sign(Side.BUY, 10_000, 20 * MICRO, post_only=True)
        await on.venue.submit(submissions(order))
        await on.clock.sleep(5)
        assert await _is_open(on, order.order_id)
        await other.close()

    play(scene)
