"""A storm of signals: the daemon's outbox and adapter against the exchange's own token buckets, in virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.domain.events import CancelAccepted, SubmitAccepted, SubmitRefused
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.orders import Purpose, SignedOrder
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.exchange.rate_buckets import BucketName, RateBuckets, Volumes
from polystra.exchange.venue_rules import VenueRules
from polystra.runtime.inbox import Inbox
from polystra.runtime.outbox import Outbox
from tests.fakes.streams import FakeTokenStream
from tests.fakes.venue import ScriptedDiscovery
from tests.unit.adapters.polymarket.scripted import ACCOUNT, START_NS, play, served
from tests.unit.runtime.lines import Lines

SIGNALS: Final = 1_000
PATIENCE_S: Final = 5


@dataclass
class LimitedVenue:
    """Takes every order and cancel that the exchange's buckets let pass."""

    clock: LoopClock
    tier: str = "Standard"
    taken: list[tuple[int, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.buckets = RateBuckets(VenueRules(signer_tier=self.tier), Volumes())

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        names = [item if isinstance(item, str) else item["n"] for item in body] if isinstance(body, list) else None
        ids = names or [body.get("n") or body["orderID"]]
        bucket: BucketName = "order" if request.method == "POST" else "cancel"
        charge = self.buckets.charge("me", [], bucket, len(ids), self.clock.now_ns())
        await asyncio.sleep(0.02)
        if charge.refusal is not None:
            self.statuses.append(429)
            return web.json_response({"error": charge.refusal.text}, status=429, headers=charge.headers)
        self.statuses.append(200)
        self.taken += [(self.clock.now_ns(), order_id) for order_id in ids]
        if bucket == "cancel":
            return web.json_response({"canceled": ids, "not_canceled": {}}, headers=charge.headers)
        legs = [{"success": True, "errorMsg": "", "orderID": each, "status": "live"} for each in ids]
        return web.json_response(legs if names is not None else legs[0], headers=charge.headers)


def submit(n: int, purpose: Purpose, rank: int, deadline_ns: int) -> fx.SubmitOrder:
    order_id = OrderId(f"0x{n:064x}")
    signed = SignedOrder(
        client_order_id=ClientOrderId(f"o{n}"),
        order_id=order_id,
        body=json.dumps({"n": order_id}).encode(),
        salt=n,
        timestamp_ms=n,
        quantity=1,
    )
    return fx.SubmitOrder(signed=signed, purpose=purpose, rank=rank, deadline_ns=deadline_ns)


def storm(tier: str) -> tuple[LimitedVenue, list[object], dict[str, int]]:
    """All signals at once, two seconds later a stop and a hundred cancels; what came of them, and their ranks."""
    ranks = {f"0x{n:064x}": rank for n, rank in enumerate(random.Random(3).sample(range(10_000), SIGNALS), start=1)}

    async def main() -> tuple[LimitedVenue, list[object], dict[str, int]]:
        clock, inbox = LoopClock(START_NS), Inbox()
        server = LimitedVenue(clock, tier)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        async with served(app) as host:
            venue = PolymarketVenue(base_url=f"http://{host}", account=ACCOUNT, clock=clock, rng=random.Random(1))
            outbox = Outbox(
                venue=venue,
                discovery=ScriptedDiscovery(),
                market_stream=FakeTokenStream(),
                clock=clock,
                inbox=inbox,
                log=Lines(),
            )
            task = asyncio.get_running_loop().create_task(outbox.run())
            deadline_ns = START_NS + PATIENCE_S * NS_PER_S
            entries = [submit(n, Purpose.ENTRY, rank, deadline_ns) for n, rank in enumerate(ranks.values(), start=1)]
            for start in range(0, SIGNALS, 20):
                outbox.release(entries[start : start + 20])
            await clock.sleep(2)
            outbox.release([submit(9_999, Purpose.STOP_LOSS, 0, 0)])
            outbox.release([fx.CancelOrder(order_id=OrderId(f"0x{n:064x}")) for n in range(5_000, 5_100)])
            await clock.sleep(PATIENCE_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await venue.close()
        return server, list(await inbox.take(10_000)), ranks

    return play(main())


def test_a_storm_degrades_to_the_best_signals_and_never_to_a_429() -> None:
    server, outcomes, ranks = storm("Standard")
    assert set(server.statuses) == {200}
    accepted = [each.order_id for each in outcomes if isinstance(each, SubmitAccepted)]
    stale = [each for each in outcomes if isinstance(each, SubmitRefused)]
    entered = [order_id for order_id in accepted if order_id in ranks]
    assert len(entered) + len(stale) == SIGNALS
    assert {each.code for each in stale} == {"stale"}
    assert 150 <= len(entered) <= 33 + 32 * PATIENCE_S
    assert min(ranks[order_id] for order_id in entered) > max(ranks[each.order_id] for each in stale)


def test_exits_and_cancels_leave_at_once_in_the_middle_of_a_storm() -> None:
    server, outcomes, _ = storm("Standard")
    (stop_at_ns,) = [at_ns for at_ns, order_id in server.taken if order_id == f"0x{9_999:064x}"]
    assert (stop_at_ns - START_NS) / NS_PER_S < 2.1
    assert sum(isinstance(each, CancelAccepted) for each in outcomes) == 100


def test_a_higher_tier_is_learnt_from_the_answers_and_used() -> None:
    server, outcomes, ranks = storm("Gold")
    assert set(server.statuses) == {200}
    entered = [each for each in outcomes if isinstance(each, SubmitAccepted) and each.order_id in ranks]
    assert len(entered) == SIGNALS
