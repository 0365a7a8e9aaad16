"""One real order, placed and cancelled, with every step timed.

What lives here: the steps and what each must show. What must not: the choice of market and price, the
question to the user (`livetest`).

The order is post-only and GTD: it cannot take, and the venue removes it by itself after `LIFE_S` seconds
even if this process dies in between. Whatever happens after the request may have left, it is cancelled
by its id, and the account's open orders are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.adapters.polymarket.signing import OrderTermsSigner
from polystra.app.checks import Check, failed, passed, unchecked
from polystra.domain.errors import VenueError
from polystra.domain.events import (
    CancelAccepted,
    IdMismatch,
    OrderReport,
    StreamConnected,
    SubmitAccepted,
    SubmitOutcome,
    SubmitRefused,
    VenueOrderStatus,
    WorldEvent,
)
from polystra.domain.ids import OrderId
from polystra.domain.orders import OrderTerms, SignedOrder
from polystra.domain.units import NS_PER_MS, NS_PER_S, Nanos, format_micros
from polystra.ports.clock import Clock
from polystra.ports.venue import EventStream, Submission

LIFE_S: Final = 150
"""How long the order could live if nobody cancelled it."""

EVENT_DEADLINE_S: Final = 15.0
LATE_S: Final = 60.0
"""Requests without an answer have arrived more than 40 s later (reports on the venue's clients)."""

_GONE_TRIES: Final = 5
_GONE_PAUSE_S: Final = 1.0
_FIREWALL: Final = "check USER_WS_URL, the API key and the firewall; without this stream fills are learnt late"
_BY_HAND: Final = "cancel it on the venue's website; it expires by itself after a few minutes"


@dataclass(slots=True)
class Heard:
    """The user stream's events with the monotonic times of their arrival."""

    clock: Clock
    events: list[tuple[WorldEvent, Nanos]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: WorldEvent) -> None:
        """Remember one."""
        self.events.append((event, self.clock.monotonic_ns()))
        self._news.set()

    async def until(self, wanted: Callable[[WorldEvent], bool]) -> tuple[WorldEvent, Nanos] | None:
        """The first event that fits and when it came; None when none comes in time."""
        try:
            async with self.clock.timeout(EVENT_DEADLINE_S):
                while True:
                    for event, at_ns in self.events:
                        if wanted(event):
                            return event, at_ns
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOrder:
    """What the test works with. `beats`: the heartbeat of the key is in use and may be tried."""

    venue: PolymarketVenue
    signer: OrderTermsSigner
    stream: EventStream
    clock: Clock
    terms: OrderTerms
    salt: int
    venue_now_ms: int
    beats: bool

    def since_ms(self, begun_ns: Nanos) -> int:
        """Milliseconds since a monotonic instant."""
        return (self.clock.monotonic_ns() - begun_ns) // NS_PER_MS

    async def run(self) -> tuple[Check, ...]:
        """Place, watch, cancel, verify. Nothing is sent unless the user stream listens first."""
        heard = Heard(self.clock)
        found: list[Check] = []
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(self.stream.run(heard))
            try:
                await self._steps(heard, found)
            finally:
                reader.cancel()
        return tuple(found)

    async def _steps(self, heard: Heard, found: list[Check]) -> None:
        begun_ns = self.clock.monotonic_ns()
        connected = await heard.until(lambda event: isinstance(event, StreamConnected))
        if connected is None:
            found.append(failed("user stream", f"no connection within {EVENT_DEADLINE_S:g} s", _FIREWALL))
            return
        found.append(passed("user stream", "connected", latency_ms=(connected[1] - begun_ns) // NS_PER_MS))
        begun_ns = self.clock.monotonic_ns()
        signed = self.signer.sign(self.terms, salt=self.salt, timestamp_ms=self.venue_now_ms)
        found.append(passed("sign", f"order {signed.order_id}", latency_ms=self.since_ms(begun_ns)))
        known = [signed.order_id]
        watch_s = LATE_S
        try:
            outcome = await self._place(signed, known, heard, found)
            if isinstance(outcome, SubmitAccepted):
                await self._cancel(signed.order_id, heard, found)
            if isinstance(outcome, SubmitAccepted | SubmitRefused):
                watch_s = 0.0
        finally:
            found.append(await self._nothing_left(known, watch_s))
        if self.beats:
            found.append(await self._beat())

    async def _place(
        self, signed: SignedOrder, known: list[OrderId], heard: Heard, found: list[Check]
    ) -> SubmitOutcome:
        """Send it; an id that the venue named instead of ours becomes known too."""
        begun_ns = self.clock.monotonic_ns()
        (outcome,) = await self.venue.submit([Submission(signed=signed)])
        check = _posted(outcome, self.since_ms(begun_ns))
        found.append(check)
        if isinstance(outcome, IdMismatch):
            known.append(OrderId(outcome.received))
        if isinstance(outcome, SubmitAccepted):
            told = await self._event(heard, signed.order_id, VenueOrderStatus.LIVE, "placement event", begun_ns)
            found.append(told)
        return outcome

    async def _cancel(self, order_id: OrderId, heard: Heard, found: list[Check]) -> None:
        begun_ns = self.clock.monotonic_ns()
        (outcome,) = await self.venue.cancel([order_id])
        took_ms = self.since_ms(begun_ns)
        if isinstance(outcome, CancelAccepted):
            found.append(passed("cancel", "the venue removed it", latency_ms=took_ms))
        else:
            found.append(failed("cancel", f"not confirmed: {outcome.message}", "see the last line", latency_ms=took_ms))
        found.append(await self._event(heard, order_id, VenueOrderStatus.CANCELED, "cancellation event", begun_ns))

    async def _event(
        self, heard: Heard, order_id: OrderId, status: VenueOrderStatus, name: str, begun_ns: Nanos
    ) -> Check:
        """What the user stream says of the order, from the moment of the request."""
        told = await heard.until(
            lambda event: isinstance(event, OrderReport) and event.order_id == order_id and event.status is status
        )
        if told is None:
            return failed(name, f"the user stream did not tell it within {EVENT_DEADLINE_S:g} s", _FIREWALL)
        return passed(name, "the user stream told it under our id", latency_ms=(told[1] - begun_ns) // NS_PER_MS)

    async def _nothing_left(self, known: Sequence[OrderId], watch_s: float) -> Check:
        """Read the open orders until none of these is among them, cancelling again; then look for fills.

        Without a clear answer the order may still arrive, so that the account is watched for `watch_s` seconds.
        """
        end_ns = self.clock.monotonic_ns() + int(watch_s * NS_PER_S)
        problem, tries = "", 0
        while tries < _GONE_TRIES:
            try:
                left = [order for order in await self.venue.open_orders() if order.order_id in known]
                if not left and self.clock.monotonic_ns() >= end_ns:
                    return await self._no_fill(known)
                if left:
                    tries += 1
                    problem = f"order {left[0].order_id} is still open"
                    await self.venue.cancel([order.order_id for order in left])
            except VenueError as error:
                tries += 1
                problem = f"the open orders cannot be read ({error})"
            await self.clock.sleep(_GONE_PAUSE_S)
        return failed("nothing left", problem, _BY_HAND)

    async def _no_fill(self, known: Sequence[OrderId]) -> Check:
        since_ns = self.clock.now_ns() - LIFE_S * NS_PER_S
        fills = [fill for fill in await self.venue.trades(since_ns) if fill.order_id in known]
        if fills:
            shares = format_micros(sum(fill.quantity for fill in fills))
            return failed("nothing left", f"{shares} shares were bought", "sell them, or hold them to the verdict")
        return passed("nothing left", "no order is open and no share was bought")

    async def _beat(self) -> Check:
        """One heartbeat. It arms the switch of the key: without a further beat its open orders are cancelled."""
        begun_ns = self.clock.monotonic_ns()
        try:
            if await self.venue.open_orders():
                return unchecked("heartbeat", "the account has open orders, which would be cancelled 10 s later")
            begun_ns = self.clock.monotonic_ns()
            await self.venue.heartbeat.beat()
        except VenueError as error:
            return failed("heartbeat", str(error), "set ENABLE_VENUE_HEARTBEAT=NO, or try again later")
        return passed("heartbeat", "the venue took a beat", latency_ms=self.since_ms(begun_ns))


def _posted(outcome: SubmitOutcome, took_ms: int) -> Check:
    if isinstance(outcome, SubmitAccepted):
        if outcome.making or outcome.taking:
            return failed("post", "the order matched at once", "see the last line", latency_ms=took_ms)
        return passed("post", f"accepted under our id, status {outcome.status}", latency_ms=took_ms)
    if isinstance(outcome, IdMismatch):
        return failed(
            "post",
            f"the venue named another id, {outcome.received}",
            "do not trade: the venue hashes orders otherwise than this version does; update polystra",
            latency_ms=took_ms,
        )
    if isinstance(outcome, SubmitRefused):
        return failed(
            "post", f"refused: {outcome.message}", "docs/venue-errors.md tells what to do", latency_ms=took_ms
        )
    return failed(
        "post", f"no clear answer: {outcome.message}", "try again; the last line tells what is open", latency_ms=took_ms
    )
