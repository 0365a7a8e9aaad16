from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from polystra.app.logs import Redaction
from polystra.ports.notify import Alert, AlertNotDelivered, Severity
from polystra.runtime.alert_post import AlertPost
from polystra.runtime.dead_man import DeadMan
from tests.fakes.clock import ManualClock, settle

SECRET = "hooks-abcdef0123456789"


class Channel:
    """Fulfils `AlertChannel`; fails as told."""

    name = "fake"

    def __init__(self) -> None:
        self.sent: list[Alert] = []
        self.failures: list[AlertNotDelivered] = []
        self.tries = 0
        self.hang: asyncio.Event | None = None

    async def send(self, alert: Alert) -> None:
        self.tries += 1
        if self.hang is not None:
            await self.hang.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(alert)

    async def close(self) -> None:
        return


def alert(number: int = 1, severity: Severity = Severity.INFO, text: str = "") -> Alert:
    return Alert(kind="fill", subject=str(number), severity=severity, text=text or f"text {number}", at_ns=number)


class Bench:
    def __init__(self, *, per_minute: int = 60, capacity: int = 500) -> None:
        self.channel, self.clock, self.troubles = Channel(), ManualClock(), list[str]()
        self.post = AlertPost(
            self.channel,
            clock=self.clock,
            per_minute=per_minute,
            clean=Redaction([SECRET]).text,
            trouble=self.troubles.append,
            capacity=capacity,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bench]:
        task = asyncio.create_task(self.post.run())
        await settle()
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_an_alert_arrives():
    async with Bench().running() as bench:
        bench.post.notify(alert())
        assert not bench.post.is_idle
        await bench.clock.advance(1)
        assert [each.text for each in bench.channel.sent] == ["text 1"]
        assert bench.post.is_idle


async def test_what_the_rate_does_not_allow_comes_in_one_message():
    async with Bench(per_minute=2).running() as bench:
        for number in range(10):
            bench.post.notify(alert(number, Severity.CRITICAL if number == 9 else Severity.INFO))
        await bench.clock.advance(5)
        [digest] = bench.channel.sent
        assert digest.kind == "digest"
        assert digest.severity is Severity.CRITICAL
        assert digest.text.startswith("10 alerts at once (10 x fill)")
        assert digest.text.splitlines()[1] == "- fill: text 9"
        assert "and 2 more, in the log" in digest.text


async def test_no_more_than_the_rate_leaves():
    async with Bench(per_minute=6).running() as bench:
        for number in range(300):
            bench.post.notify(alert(number))
            await bench.clock.advance(1)
        assert 6 + 20 <= bench.post.delivered <= 6 + 30


async def test_without_room_the_oldest_goes_and_is_counted_and_told_once():
    bench = Bench(per_minute=1, capacity=5)
    for number in range(12):
        bench.post.notify(alert(number))
    assert bench.post.dropped == 7
    assert len(bench.troubles) == 1
    async with bench.running():
        await bench.clock.advance(1)
        [digest] = bench.channel.sent
        assert digest.text.startswith("5 alerts at once (5 x fill); 7 more were dropped")


async def test_a_failure_that_may_pass_is_tried_again_and_nothing_is_lost():
    async with Bench().running() as bench:
        bench.channel.failures = [AlertNotDelivered("HTTP 503", may_retry=True) for _ in range(4)]
        bench.post.notify(alert())
        await bench.clock.advance(10)
        assert bench.channel.tries == 3
        assert bench.troubles == ["HTTP 503; alerts to it wait or are dropped, trading goes on"]
        await bench.clock.advance(60)
        assert [each.text for each in bench.channel.sent] == ["text 1"]
        assert bench.post.dropped == 0


async def test_a_channel_that_asks_for_a_pause_gets_it():
    async with Bench().running() as bench:
        bench.channel.failures = [AlertNotDelivered("HTTP 429", may_retry=True, retry_after_s=20)]
        bench.post.notify(alert())
        await bench.clock.advance(15)
        assert bench.channel.tries == 1
        await bench.clock.advance(10)
        assert len(bench.channel.sent) == 1


async def test_a_definite_refusal_is_not_repeated():
    async with Bench().running() as bench:
        bench.channel.failures = [AlertNotDelivered("HTTP 404", may_retry=False)]
        bench.post.notify(alert())
        await bench.clock.advance(120)
        assert bench.channel.tries == 1
        assert bench.post.dropped == 1
        bench.post.notify(alert(2))
        await bench.clock.advance(1)
        assert "1 more were dropped" in bench.channel.sent[0].text


async def test_a_channel_that_hangs_holds_nobody_who_notifies():
    async with Bench(capacity=50).running() as bench:
        bench.channel.hang = asyncio.Event()
        for number in range(1_000):
            bench.post.notify(alert(number))
            if number == 0:
                await bench.clock.advance(1)
        assert bench.post.dropped == 1_000 - 1 - 50
        bench.channel.hang.set()
        await bench.clock.advance(1)
        assert len(bench.channel.sent) >= 1


async def test_no_message_holds_a_secret():
    async with Bench(per_minute=1).running() as bench:
        bench.post.notify(alert(text=f"posting to https://x/{SECRET} failed"))
        await bench.clock.advance(1)
        for number in range(3):
            bench.post.notify(alert(number, text=f"{number} {SECRET}"))
        await bench.clock.advance(120)
        assert len(bench.channel.sent) == 2
        assert SECRET not in repr(bench.channel.sent)


class Life:
    def __init__(self) -> None:
        self.age = 0

    def age_ns(self) -> int:
        return self.age


async def test_the_monitor_is_pinged_only_while_the_loop_lives():
    clock, life, troubles, pings = ManualClock(), Life(), list[str](), list[int]()

    async def ping() -> None:
        pings.append(clock.now_ns())

    man = DeadMan(ping, life=life, clock=clock, every_s=60, trouble=troubles.append)  # type: ignore[arg-type]
    task = asyncio.create_task(man.run())
    await clock.advance(121)
    assert len(pings) == 3
    life.age = 31_000_000_000
    await clock.advance(180)
    assert len(pings) == 3
    assert len(troubles) == 1
    life.age = 0
    await clock.advance(60)
    assert len(pings) == 4
    task.cancel()
