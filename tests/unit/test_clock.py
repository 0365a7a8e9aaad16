"""The clocks keep the clock port's contract on real, scaled and virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from polystra.adapters.clock import LoopClock, ScaledClock, SystemClock
from polystra.ports.clock import Clock
from polystra.runtime.deterministic import DEFAULT_START_NS, DeterministicLoop, run

EPOCH_NS = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


class Hands:
    """Real time under the test's control, in nanoseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.utc = 1_800_000_000 * SECOND
        self.monotonic = 5_000 * SECOND
        monkeypatch.setattr(time, "time_ns", lambda: self.utc)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.monotonic)

    def move(self, ns: int) -> None:
        self.utc += ns
        self.monotonic += ns


@pytest.fixture
def hands(monkeypatch):
    return Hands(monkeypatch)


@pytest.mark.parametrize("make", [SystemClock, lambda: ScaledClock(EPOCH_NS, 1000.0), lambda: LoopClock(EPOCH_NS)])
async def test_contract_on_a_real_loop(make: Callable[[], Clock]):
    clock = make()
    before, utc = clock.monotonic_ns(), clock.now_ns()
    await clock.sleep(0.003)
    assert clock.monotonic_ns() - before >= 3_000_000
    assert clock.now_ns() - utc >= 2_900_000
    await clock.sleep(0)
    with pytest.raises(TimeoutError):
        async with clock.timeout(0.002):
            await asyncio.Event().wait()
    async with clock.timeout(1000):
        pass


async def test_sleep_of_zero_yields_once():
    for clock in (SystemClock(), ScaledClock(EPOCH_NS, 2), LoopClock(0)):
        seen: list[str] = []
        asyncio.get_running_loop().call_soon(seen.append, "others ran")
        await clock.sleep(0)
        assert seen == ["others ran"]


def test_system_clock_reads_the_system(hands):
    clock = SystemClock()
    assert (clock.now_ns(), clock.monotonic_ns()) == (hands.utc, hands.monotonic)


def test_scaled_clock_starts_at_its_epoch_and_runs_at_its_speed(hands):
    clock = ScaledClock(EPOCH_NS, 20)
    assert clock.now_ns() == EPOCH_NS
    hands.move(3 * SECOND + 1)
    assert clock.now_ns() == EPOCH_NS + 60 * SECOND + 20
    assert clock.monotonic_ns() == 60 * SECOND + 20


def test_two_scaled_clocks_share_epoch_speed_and_anchor(hands):
    first = ScaledClock(EPOCH_NS, 2.5)
    hands.move(7 * SECOND)
    second = ScaledClock(first.epoch_ns, first.speed, first.anchor_ns)
    assert second.now_ns() == first.now_ns() == EPOCH_NS + 17_500_000_000
    hands.move(SECOND)
    assert second.now_ns() == first.now_ns()


def test_scaled_clock_ignores_corrections_of_the_system_clock(hands):
    clock = ScaledClock(EPOCH_NS, 4)
    hands.move(SECOND)
    hands.utc -= 3600 * SECOND
    assert clock.now_ns() == EPOCH_NS + 4 * SECOND


def test_scaled_clock_is_exact_after_a_year(hands):
    clock = ScaledClock(EPOCH_NS, 20)
    hands.move(365 * 86_400 * SECOND + 1)
    assert clock.monotonic_ns() == 20 * (365 * 86_400 * SECOND + 1)


def test_scaled_clock_waits_at_its_speed(monkeypatch):
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "monotonic_ns", lambda: round(loop.time() * SECOND))
        clock = ScaledClock(EPOCH_NS, 20)
        await clock.sleep(60)
        slept = loop.time()
        with pytest.raises(TimeoutError):
            async with clock.timeout(10):
                await clock.sleep(1000)
        return slept, loop.time()

    slept, timed_out = run(main(), seed=1)
    assert slept == pytest.approx(3)
    assert timed_out == pytest.approx(3.5)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_scaled_clock_refuses_a_speed_that_is_none(speed):
    with pytest.raises(ValueError, match=r"speed is .* above zero"):
        ScaledClock(EPOCH_NS, speed)


def test_loop_clock_reads_virtual_time():
    async def main() -> tuple[list[int], list[int]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DeterministicLoop)
        clock = LoopClock(loop.start_ns)
        times, steps = [clock.now_ns()], [clock.monotonic_ns()]
        await clock.sleep(3600)
        times.append(clock.now_ns())
        with pytest.raises(TimeoutError):
            async with clock.timeout(0.25):
                await clock.sleep(1)
        times.append(clock.now_ns())
        steps.append(clock.monotonic_ns())
        return times, steps

    start = DEFAULT_START_NS
    assert run(main(), seed=1) == (
        [start, start + 3600 * SECOND, start + 3600 * SECOND + SECOND // 4],
        [0, 3600 * SECOND + SECOND // 4],
    )


def test_loop_clock_never_wakes_early_by_rounding():
    async def main() -> int:
        clock = LoopClock(0)
        shortest = SECOND
        for number in range(2000):
            before = clock.monotonic_ns()
            await clock.sleep(0.1 + number / 7e6)
            shortest = min(shortest, clock.monotonic_ns() - before - round((0.1 + number / 7e6) * SECOND))
        return shortest

    assert run(main(), seed=1) >= 0


def test_start_is_where_the_caller_put_it():
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DeterministicLoop)
        return LoopClock(loop.start_ns).now_ns()

    assert run(main(), seed=1, start_ns=EPOCH_NS + 5) == EPOCH_NS + 5
