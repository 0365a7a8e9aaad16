"""The heart's own thread over real sockets: a stalled main loop loses no order, a dead one loses all."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from polystra.adapters.clock import ScaledClock
from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.pacemaker import Rhythm, ThreadHeart
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.signing import L2Credentials, OrderSigner, OrderTermsSigner
from polystra.adapters.polymarket.transport import default_session
from polystra.domain.events import HeartbeatState, HeartbeatTold, SubmitAccepted
from polystra.domain.ids import ClientOrderId, OrderId, PositionId
from polystra.domain.orders import OrderTerms, Purpose, Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.auth import ApiKey
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, ExchangeUrls, planned_start_ns
from polystra.ports.heartbeat import LifeSign
from polystra.ports.venue import Submission

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SPEED = 5.0
"""Simulated seconds in a real one: the venue's 10 to 15 s pass in 2 to 3."""
CONFIG = BuiltInConfig(seed=5, symbols=("BTC",), windows=("5m",), speed=SPEED)
WINDOW_S = 300
STALL_S = 4.0
"""Real seconds, 20 simulated ones: longer than the venue waits for a beat."""


@dataclass
class Scene:
    """A venue adapter, its account and an order at rest at an exchange in another thread."""

    clock: ScaledClock
    venue: PolymarketVenue
    life: LifeSign
    order_id: OrderId
    told: list[HeartbeatTold] = field(default_factory=list)

    async def is_open(self) -> bool:
        snapshot = await self.venue.account(since_ns=self.clock.now_ns(), tokens=[])
        assert snapshot.complete, snapshot.detail
        return self.order_id in {report.order_id for report in snapshot.open_orders}

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(60):
            while not await holds():
                await self.clock.sleep(0.5)

    async def heard(self, state: HeartbeatState, times: int = 1) -> None:
        async def told() -> bool:
            return [each.state for each in self.told].count(state) >= times

        await self.until(told)


@dataclass
class Served:
    """A running exchange: where it is, and the account's key."""

    urls: ExchangeUrls
    key: ApiKey


@contextmanager
def exchange(clock: ScaledClock) -> Iterator[Served]:
    """Run an exchange in a thread of its own, so that a test may block its own loop."""
    ready, ended = threading.Event(), threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None] | None]] = []
    served: list[Served] = []

    async def main() -> None:
        running = BuiltInExchange(CONFIG, clock)
        urls = await running.start()
        served.append(Served(urls, running.open_account(OrderSigner(KEY, 0, None, 137, "probe").address)))
        loops.append((asyncio.get_running_loop(), asyncio.current_task()))
        ready.set()
        try:
            await running.run()
        except asyncio.CancelledError:
            await running.close()

    def work() -> None:
        try:
            asyncio.run(main())
        finally:
            ended.set()

    threading.Thread(target=work, daemon=True).start()
    assert ready.wait(30)
    try:
        yield served[0]
    finally:
        loop, task = loops[0]
        assert task is not None
        loop.call_soon_threadsafe(task.cancel)
        assert ended.wait(30)


def play(act: Callable[[Scene], Awaitable[None]], rhythm: Rhythm) -> None:
    """Rest an order, start the heart, act."""
    clock = ScaledClock(planned_start_ns(CONFIG), SPEED)

    async def main(at: Served) -> None:
        scene = await _rest_an_order(at, clock)
        heart = ThreadHeart(
            lambda: scene.venue.own_heartbeat(random.Random(3), default_session),
            clock=clock,
            life=scene.life,
            rhythm=rhythm,
        )
        heart.start()
        beating = asyncio.get_running_loop().create_task(heart.run(scene.told.append))
        try:
            await scene.heard(HeartbeatState.BEATING)
            await act(scene)
        finally:
            beating.cancel()
            with pytest.raises(asyncio.CancelledError):
                await beating
            await scene.venue.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("heartbeat")]

    with exchange(clock) as at:
        asyncio.run(main(at))


async def _rest_an_order(at: Served, clock: ScaledClock) -> Scene:
    key = at.key
    own = OrderSigner(KEY, 0, None, 137, key.key)
    credentials = L2Credentials(key.key, key.secret, key.passphrase)
    account = VenueAccount(credentials=credentials, signer=own.address, wallet=own.address, signature_type=0)
    venue = PolymarketVenue(base_url=at.urls.clob_url, account=account, clock=clock, rng=random.Random(1))
    discovery = GammaDiscovery(base_url=at.urls.gamma_url, clock=clock, rng=random.Random(1))
    market = await discovery.find("BTC", WINDOW_S, (clock.now_ns() // NS_PER_S // WINDOW_S + 1) * WINDOW_S)
    await discovery.close()
    assert market is not None
    terms = OrderTerms(
        client_order_id=ClientOrderId("c1"),
        condition_id=market.condition_id,
        token_id=market.up_token,
        position_id=PositionId("p"),
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        price=10_000,
        quantity=20 * MICRO,
        post_only=True,
        tick_size=market.tick_size,
        negative_risk=market.negative_risk,
        version=market.version,
    )
    order = OrderTermsSigner(own).sign(terms, salt=1, timestamp_ms=clock.now_ns() // 1_000_000)
    (outcome,) = await venue.submit([Submission(signed=order)])
    assert isinstance(outcome, SubmitAccepted), outcome
    return Scene(clock=clock, venue=venue, life=LifeSign(clock), order_id=order.order_id)


def test_orders_outlive_a_stall_of_the_main_loop() -> None:
    async def act(scene: Scene) -> None:
        scene.life.mark()
        time.sleep(STALL_S)  # noqa: ASYNC251 - the loop is blocked on purpose
        assert await scene.is_open()

    play(act, Rhythm(life_limit_s=60.0))


def test_beats_stop_when_the_sign_of_life_is_old_and_the_venue_cancels() -> None:
    async def act(scene: Scene) -> None:
        async def is_gone() -> bool:
            return not await scene.is_open()

        await scene.until(is_gone)
        await scene.heard(HeartbeatState.SILENT)
        assert "stands still" in scene.told[-1].reason
        scene.life.mark()
        await scene.heard(HeartbeatState.BEATING, times=2)
        assert scene.told[-1].gap_ns > 8 * NS_PER_S

    play(act, Rhythm())
