"""A storm of intents over a venue that loses and repeats: what was intended is what the exchange has.

    python -m tests.simulation.storm_of_intents --intents 2000 --seed 1

A user at the order desk places limit and market orders of every kind, in batches and alone, and
cancels some, while the built-in exchange drops 30 % of the replies to POSTs, loses or doubles 10 % of
its messages about our orders, and answers 5 % of all calls with 425, 429, 500 or 503. At the end
every order is known, each intent became at most one order, and the books agree to the micro-unit.
The same seed gives the same storm. It prints the counts and ends with code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from polystra.domain.events import OrderRequested
from polystra.domain.ids import OrderId, TokenId
from polystra.domain.market import Market
from polystra.domain.order_words import ABSENT, FieldStatus
from polystra.domain.orders import Order, OrderStatus, Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S, floor_to, format_micros
from polystra.domain.venue import VenueMode
from polystra.engine.order_view import OrderView
from polystra.exchange.faults.scenario import read_scenario
from tests.simulation.desk_world import Outcome, World, run_by_hand

FAULTS: Final = {
    "name": "storm",
    "faults": [
        {"fault": "reply_dropped", "probability": 0.3, "where": {"method": "POST", "path": "/order*"}},
        {"fault": "message_dropped", "probability": 0.05, "where": {"stream": "user"}},
        {"fault": "message_duplicated", "probability": 0.05, "where": {"stream": "user"}},
        *(
            {"fault": "http_error", "probability": 0.0125, "with": {"status": status}}
            for status in (425, 429, 500, 503)
        ),
    ],
}
TRADERS: Final = 3
"""How many batches may be under way at the same time."""


@dataclass
class Storm:
    """What the user meant and was told."""

    intents: int
    seed: int
    views: dict[str, OrderView] = field(default_factory=dict)
    wanted: dict[str, OrderRequested] = field(default_factory=dict)
    orders: dict[OrderId, Order] = field(default_factory=dict)
    """Our orders as the daemon knows them at the end, by the venue's id."""
    resent: int = 0
    doubted: int = 0

    @property
    def left(self) -> int:
        return self.intents - len(self.wanted)

    async def play(self, world: World) -> Storm:
        """Trade until every intent was told, then take everything back and wait for the last word."""
        await world.until_ready(4)
        await asyncio.gather(*(self._trade(world, Random(f"{self.seed}:{number}")) for number in range(TRADERS)))
        while world.daemon.desk.live_orders():
            await world.daemon.desk.cancel_all()
        await world.until_settled()
        self._remember(world)
        return self

    async def _trade(self, world: World, rng: Random) -> None:
        while self.left > 0:
            await _until_entries_may_leave(world)
            markets = world.markets
            size = min(self.left, rng.choice((1, 1, 3, 8, 20)))
            batch = [order for _ in range(size) if (order := self._draw(world, rng.choice(markets), rng)) is not None]
            for order in batch:
                self.wanted[order.request_id] = order
            for view in await world.daemon.desk.place_batch(batch):
                self.views[view.request_id] = view
            self._remember(world)
            live = [view for view in world.daemon.desk.live_orders() if rng.random() < 0.4]
            if live:
                await world.daemon.desk.cancel(*(str(view.client_order_id) for view in live))
            await world.clock.sleep(rng.uniform(0.2, 3))

    def _draw(self, world: World, market: Market, rng: Random) -> OrderRequested | None:
        token = rng.choice((market.up_token, market.down_token))
        book = world.daemon._engine.state.book(token)
        if book is None or book.best_ask is None or book.best_bid is None:
            return None
        tick = market.tick_size
        size = rng.randrange(500, 3_000) * 10_000
        kind = rng.choice(
            ("rests", "rests", "quiet", "dated", "crosses", "dollars", "dollars", "all or none", "sells", "wrong")
        )
        ask, bid = book.best_ask, book.best_bid
        held = self._held(world, token)
        if kind == "sells" and held >= 5 * MICRO:
            at_once = rng.random() < 0.7
            price = max(tick, bid - tick) if at_once else min(MICRO - tick, ask + 3 * tick)
            return self._order(
                token, Side.SELL, price, floor_to(held, 10_000), TimeInForce.FAK if at_once else TimeInForce.GTC
            )
        if kind == "dollars":
            return self._order(
                token, Side.BUY, min(MICRO - tick, ask + tick), budget=rng.randrange(200, 1_000) * 10_000
            )
        if kind == "all or none":
            budget = rng.randrange(200, 20_000) * 10_000
            return self._order(token, Side.BUY, ask, time_in_force=TimeInForce.FOK, budget=budget)
        if kind == "crosses":
            return self._order(token, Side.BUY, min(MICRO - tick, ask + tick), size)
        low = max(tick, floor_to(bid // 2, tick))
        if kind == "wrong":
            return self._order(token, Side.BUY, low + 1, size)
        if kind == "dated":
            return self._order(token, Side.BUY, low, size, TimeInForce.GTD)
        return self._order(token, Side.BUY, low, size, post_only=kind == "quiet")

    def _held(self, world: World, token: TokenId) -> int:
        state = world.daemon._engine.state
        free = [
            state.arrived_shares(position.position_id) - state.promised_shares(position.position_id)
            for position in state.positions.values()
            if position.token_id == token and position.shares > 0
        ]
        return max(free, default=0)

    def _order(
        self,
        token: TokenId,
        side: Side,
        price: int,
        quantity: int = 0,
        time_in_force: TimeInForce | None = None,
        *,
        budget: int = 0,
        post_only: bool = False,
    ) -> OrderRequested:
        kind = time_in_force or (TimeInForce.FAK if budget else TimeInForce.GTC)
        return OrderRequested(
            request_id=f"storm-{len(self.wanted)}-{token[:4]}-{price}-{quantity}-{budget}",
            token_id=token,
            side=side,
            price=price,
            quantity=quantity,
            budget=budget,
            time_in_force=kind,
            post_only=post_only,
            life_s=180 if kind is TimeInForce.GTD else 0,
        )

    def _remember(self, world: World) -> None:
        for track in world.daemon._engine.state.orders.values():
            if track.order.order_id is not None:
                self.orders[track.order.order_id] = track.order


async def _until_entries_may_leave(world: World) -> None:
    """A restart that the exchange pretended ends after its minutes; a new window needs its books."""
    state = world.daemon._engine.state
    while True:
        now_s = world.clock.now_ns() // NS_PER_S
        lively = [market for market in world.markets if market.closes_at_s - now_s > 5]
        calm = state.venue_mode is VenueMode.NORMAL and not state.blocks and len(state.streams_up) == 4
        if calm and len(lively) == len(world.markets) > 0:
            return
        await world.clock.sleep(1)


# --- the verdict -------------------------------------------------------------------------


def differences(storm: Storm, left: Outcome) -> list[str]:
    """Everything in which the exchange and the intents differ."""
    found = []
    accepted = {order_id: order for order_id, order in storm.orders.items() if order.status is not OrderStatus.REJECTED}
    missing, strange = accepted.keys() - left.venue_orders.keys(), left.venue_orders.keys() - accepted.keys()
    strange -= killed_unseen(storm, left)
    found += [f"{order_id} ({accepted[order_id].status}) is ours and not at the exchange" for order_id in missing]
    found += [_strange(storm, left, order_id) for order_id in strange]
    twice = [order_id for order_id, count in Counter(left.placed).items() if count > 1]
    found += [f"{order_id} came onto the book twice" for order_id in twice]
    by_request = Counter(order.terms.request_id for order in storm.orders.values())
    found += [f"request {name} made {count} orders" for name, count in by_request.items() if count > 1]
    for order_id in accepted.keys() & left.venue_orders.keys():
        ours, theirs = accepted[OrderId(order_id)], left.venue_orders[order_id]
        if not ours.terms.budget and ours.terms.quantity != theirs.original_size:
            found.append(f"{order_id}: {ours.terms.quantity} shares here, {theirs.original_size} there")
        if ours.filled != theirs.size_matched:
            found.append(f"{order_id}: filled {ours.filled} here, {theirs.size_matched} there")
        if theirs.status == "LIVE":
            found.append(f"{order_id} is still open at the exchange ({ours.status} here)")
    found += [f"report: {words}" for words in left.report.discrepancies]
    found += [f"adjustment: {words}" for words in left.report.adjustments]
    return sorted(found)


def killed_unseen(storm: Storm, left: Outcome) -> set[str]:
    """Orders that had to trade at once, found nothing and never rested, when both words of it were lost.

    For the daemon such an order is absent, as one that never arrived: neither moves a share or a dollar.
    """
    return {
        order_id
        for order_id, theirs in left.venue_orders.items()
        if theirs.order_type in {"FOK", "FAK"}
        and theirs.size_matched == 0
        and theirs.status == "CANCELED"
        and order_id not in left.placed
        and (ours := storm.orders.get(OrderId(order_id))) is not None
        and ours.status is OrderStatus.REJECTED
        and ours.detail == ABSENT
    }


def _strange(storm: Storm, left: Outcome, order_id: str) -> str:
    ours, theirs = storm.orders.get(OrderId(order_id)), left.venue_orders[order_id]
    here = "unknown" if ours is None else f"{ours.status} ({ours.detail})"
    there = f"{theirs.order_type} {theirs.status}, {theirs.size_matched} matched"
    return f"{order_id} is at the exchange ({there}) and {here} here"


def told(storm: Storm, left: Outcome) -> list[str]:
    """The counts, a line each."""
    words = Counter(view.status for view in storm.views.values())
    ends = Counter(order.status for order in storm.orders.values())
    refused = Counter(_gist(view.refusal) for view in storm.views.values() if view.status is FieldStatus.ERROR)
    shares = sum(order.filled for order in storm.orders.values())
    return [
        f"intents told              {len(storm.wanted)}",
        f"  signed and sent         {len(storm.orders)}",
        f"  refused before signing  {len(storm.wanted) - len(storm.orders)}",
        f"orders at the exchange    {len(left.venue_orders)}",
        f"killed, nobody heard      {len(killed_unseen(storm, left))}",
        f"POST requests             {len(left.posts)}",
        "faults injected           " + ", ".join(f"{name} {count}" for name, count in sorted(left.faults.items())),
        f"shares filled             {format_micros(shares)}",
        "ends                      " + ", ".join(f"{name.lower()} {count}" for name, count in sorted(ends.items())),
        "first words               " + ", ".join(f"{name} {count}" for name, count in sorted(words.items())),
        *(f"refused {count:5}             {name}" for name, count in refused.most_common(12)),
        f"facts hash                {left.summary.digest}",
    ]


def _gist(refusal: str) -> str:
    """A refusal without its figures, so that equal ones are counted together."""
    return re.sub(r"0x[0-9a-f]+|[0-9.]*[0-9]", "#", refusal)[:90]


def storm_of(intents: int, seed: int, folder: Path) -> tuple[Storm, Outcome]:
    """Run one storm in a folder of its own."""
    return run_by_hand(
        folder,
        Storm(intents, seed).play,
        seed=seed,
        faults=read_scenario(FAULTS, "storm"),
        initial_cash=1_000_000 * MICRO,
    )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="A storm of intents over a venue that loses and repeats.")
    parser.add_argument("--intents", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storm, left = storm_of(asked.intents, asked.seed, Path(folder))
    sys.stdout.write("\n".join(told(storm, left)) + "\n")
    found = differences(storm, left)
    sys.stdout.write("\n".join(found or ["every order is as intended; the books agree to the micro-unit"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
