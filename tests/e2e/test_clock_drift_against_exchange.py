"""The adapter against an exchange whose clock is another: measured, and proofs accepted again."""

from __future__ import annotations

from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.faults.plan import read_plan
from tests.e2e.test_adapter_against_exchange import Stage, play
from tests.fakes.venue import submissions


def test_a_clock_that_is_a_hundred_seconds_off_is_measured_and_followed() -> None:
    async def scene(on: Stage) -> None:
        within = await on.venue.measure_clock()
        assert within.correction_ns == 0
        jump = read_plan({"fault": "clock_jump", "with": {"seconds": 100}}, "the test's fault")
        on.exchange.faults.injector.add(jump)
        order = on.sign(Side.BUY, 10_000, 20 * MICRO, post_only=True)
        (outcome,) = await on.venue.submit(submissions(order))
        assert type(outcome).__name__ == "SubmitRefused"
        drift = await on.venue.measure_clock()
        assert abs(drift.offset_ns - 100 * NS_PER_S) <= drift.uncertainty_ns < NS_PER_S // 5
        (outcome,) = await on.venue.submit(submissions(order))
        assert type(outcome).__name__ == "SubmitAccepted"

    play(scene)
