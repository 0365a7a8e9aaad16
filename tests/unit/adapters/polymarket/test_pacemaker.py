"""The rhythm of a heart, in virtual time: one beat at a time, no beat for a dead loop, gaps told once."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from polystra.adapters.clock import LoopClock, SystemClock
from polystra.adapters.polymarket.pacemaker import LIFE_LIMIT_S, InlineHeart, Pacemaker, Rhythm, ThreadHeart
from polystra.domain.errors import RateLimited, VenueUnreachable
from polystra.domain.events import HeartbeatState, HeartbeatTold
from polystra.domain.units import NS_PER_S
from polystra.ports.heartbeat import LifeSign
from polystra.runtime.deterministic import run

BEATING, FAILING, SILENT = HeartbeatState.BEATING, HeartbeatState.FAILING, HeartbeatState.SILENT


class Chest:
    """A venue for beats by script: None accepts, True adopts another id, a number is slow, an error fails."""

    def __init__(self) -> None:
        self.clock = LoopClock(1_800_000_000 * NS_PER_S)
        self.life = LifeSign(self.clock)
        self.answers: deque[object] = deque()
        self.always: object = None
        self.beats: list[float] = []
        self.under_way = 0
        self.told: list[HeartbeatTold] = []

    def now_s(self) -> float:
        return self.clock.monotonic_ns() / NS_PER_S

    async def beat(self) -> bool:
        assert self.under_way == 0
        self.under_way += 1
        try:
            self.beats.append(self.now_s())
            answer = self.answers.popleft() if self.answers else self.always
            if isinstance(answer, float):
                await self.clock.sleep(answer)
            if isinstance(answer, Exception):
                raise answer
            return answer is True
        finally:
            self.under_way -= 1

    async def keep_alive(self) -> None:
        while True:
            self.life.mark()
            await self.clock.sleep(1)

    def states(self) -> list[HeartbeatState]:
        return [each.state for each in self.told if each.state is not HeartbeatState.FOLLOWED]


def play(scene: Callable[[Chest], Awaitable[None]], *, alive: bool = True) -> Chest:
    async def main() -> Chest:
        chest = Chest()
        maker = Pacemaker(clock=chest.clock, life=chest.life, tell=chest.told.append, rhythm=Rhythm())
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(maker.run(chest.beat))]
        if alive:
            tasks.append(loop.create_task(chest.keep_alive()))
        await scene(chest)
        for task in tasks:
            task.cancel()
        return chest

    return run(main(), seed=1)


def lasting(seconds: float) -> Callable[[Chest], Awaitable[None]]:
    async def scene(chest: Chest) -> None:
        await chest.clock.sleep(seconds)

    return scene


def test_a_heart_beats_every_five_seconds_and_tells_the_first_only() -> None:
    chest = play(lasting(21))
    assert chest.beats == [0, 5, 10, 15, 20]
    assert chest.states() == [BEATING]
    assert chest.told[0].gap_ns == 0


def test_a_slow_answer_does_not_shift_the_rhythm() -> None:
    async def scene(chest: Chest) -> None:
        chest.always = 1.5
        await chest.clock.sleep(12)

    assert play(scene).beats == [0, 5, 10]


def test_a_beat_without_an_answer_is_given_up_and_tried_again_soon() -> None:
    async def scene(chest: Chest) -> None:
        chest.answers.extend([None, 100.0, None])
        await chest.clock.sleep(9)

    chest = play(scene)
    assert chest.beats == [0, 5, 7.5]
    assert chest.states() == [BEATING]


def test_two_failures_in_a_row_are_one_alarm_and_a_gap_is_told_once_and_when_it_ends() -> None:
    async def scene(chest: Chest) -> None:
        await chest.clock.sleep(4)
        chest.always = VenueUnreachable("no route")
        await chest.clock.sleep(16)
        chest.always = None
        await chest.clock.sleep(3)

    chest = play(scene)
    assert chest.states() == [BEATING, FAILING, SILENT, BEATING]
    assert "no route" in chest.told[1].reason
    assert 8 * NS_PER_S < chest.told[2].gap_ns < 10 * NS_PER_S
    assert chest.told[3].gap_ns > 16 * NS_PER_S


def test_a_short_trouble_that_was_told_is_told_to_be_over() -> None:
    async def scene(chest: Chest) -> None:
        chest.answers.extend([None, VenueUnreachable("x"), VenueUnreachable("y"), None])
        await chest.clock.sleep(9)

    chest = play(scene)
    assert chest.states() == [BEATING, FAILING, BEATING]
    assert chest.told[2].gap_ns < 8 * NS_PER_S


def test_a_pause_that_the_venue_asks_for_is_kept_but_never_longer_than_a_beat() -> None:
    async def scene(chest: Chest) -> None:
        chest.answers.extend([RateLimited("slow", retry_after_s=3), RateLimited("slow", retry_after_s=600), None])
        await chest.clock.sleep(9)

    assert play(scene).beats == [0, 3, 8]


def test_a_dead_loop_is_not_kept_alive_and_one_that_comes_back_is() -> None:
    async def scene(chest: Chest) -> None:
        await chest.clock.sleep(40)
        assert max(chest.beats) <= LIFE_LIMIT_S
        assert chest.states() == [BEATING, SILENT]
        assert "stands still" in chest.told[-1].reason
        chest.life.mark()
        await chest.clock.sleep(1)

    chest = play(scene, alive=False)
    assert chest.states() == [BEATING, SILENT, BEATING]
    assert chest.told[-1].gap_ns > 30 * NS_PER_S


def test_another_sender_for_the_same_key_is_told_once_and_when_it_is_gone() -> None:
    async def scene(chest: Chest) -> None:
        chest.answers.extend([True, None, True, True, True, None])
        await chest.clock.sleep(31)

    assert play(scene).states() == [BEATING, HeartbeatState.CONTESTED, BEATING]


@pytest.mark.parametrize("answers", [[], [True], [None, True, True]])
def test_the_first_beat_that_follows_ours_is_told_once(answers: list[object]) -> None:

    async def scene(chest: Chest) -> None:
        chest.answers.extend(answers)
        await chest.clock.sleep(31)

    chest = play(scene)
    followed = [each for each in chest.told if each.state is HeartbeatState.FOLLOWED]
    assert [each.gap_ns for each in followed] == [5 * NS_PER_S]


def test_an_id_adopted_after_a_lost_reply_is_nobody_elses() -> None:
    async def scene(chest: Chest) -> None:
        chest.answers.extend([None, 100.0, True])
        await chest.clock.sleep(12)

    assert play(scene).states() == [BEATING]


def test_nothing_is_sent_before_the_start() -> None:
    async def main() -> tuple[int, int]:
        chest = Chest()

        @asynccontextmanager
        async def opened() -> AsyncIterator[Callable[[], Awaitable[bool]]]:
            yield chest.beat

        heart = InlineHeart(opened, clock=chest.clock, life=chest.life)
        task = asyncio.get_running_loop().create_task(heart.run(chest.told.append))
        await chest.clock.sleep(60)
        before = len(chest.beats)
        chest.life.mark()
        heart.start()
        await chest.clock.sleep(1)
        task.cancel()
        return before, len(chest.beats)

    assert run(main(), seed=1) == (0, 1)


class Thread:
    """A heart in a thread of real time, without a network; `fault` is what its connection breaks with."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.clock = SystemClock()
        self.fault = fault
        self.told: list[HeartbeatTold] = []
        self.heard = asyncio.Event()
        self.names: list[str] = []
        self.closed = False
        rhythm = Rhythm(every_s=0.01)
        self.heart = ThreadHeart(self.opened, clock=self.clock, life=LifeSign(self.clock), rhythm=rhythm)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        if self.fault is not None:
            raise self.fault
        try:
            yield self.beat
        finally:
            self.closed = True

    async def beat(self) -> bool:
        self.names.append(threading.current_thread().name)
        return False

    def hear(self, event: HeartbeatTold) -> None:
        self.told.append(event)
        self.heard.set()


async def test_a_thread_beats_tells_on_the_main_loop_and_ends_with_its_task() -> None:
    thread = Thread()
    thread.heart.start()
    task = asyncio.get_running_loop().create_task(thread.heart.run(thread.hear))
    async with asyncio.timeout(30):
        await thread.heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [each.state for each in thread.told] == [BEATING]
    assert thread.names[0].startswith("heartbeat")
    assert thread.closed


async def test_a_bug_in_the_thread_ends_the_run() -> None:
    thread = Thread(LookupError("a bug"))
    thread.heart.start()
    async with asyncio.timeout(30):
        with pytest.raises(LookupError, match="a bug"):
            await thread.heart.run(thread.hear)


async def test_a_thread_that_is_cancelled_at_once_ends() -> None:
    thread = Thread()
    thread.heart.start()
    task = asyncio.get_running_loop().create_task(thread.heart.run(thread.hear))
    await thread.clock.sleep(0)
    task.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await task
