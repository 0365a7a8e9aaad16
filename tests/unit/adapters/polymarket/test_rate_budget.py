from __future__ import annotations

import pytest

from polystra.adapters.polymarket.rate_budget import (
    STANDARD,
    TIERS,
    WINDOWS,
    RateHeaders,
    VenueBudget,
    rate_headers,
)
from polystra.domain.units import NS_PER_S
from polystra.exchange.edge import WINDOWS as VENUE_WINDOWS
from polystra.exchange.rate_buckets import TIERS as VENUE_TIERS
from polystra.ports.rate import Traffic
from tests.fakes.clock import ManualClock

CANCEL, EXIT, ENTRY = Traffic.CANCEL, Traffic.EXIT, Traffic.ENTRY


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def budget(clock: ManualClock) -> VenueBudget:
    return VenueBudget(clock)


def test_tiers_and_windows_are_those_that_the_exchange_was_written_from() -> None:
    theirs = {t.name.lower(): (t.order_rate, t.order_burst, t.cancel_rate, t.cancel_burst) for t in VENUE_TIERS}
    assert dict(TIERS) == theirs
    for route, limits in WINDOWS.items():
        name = "GET /data/order/{order_id}" if route == "GET /data/order" else route
        assert VENUE_WINDOWS.get(name, limits) == limits


def test_four_fifths_of_the_burst_and_of_the_rate_are_used(budget: VenueBudget, clock: ManualClock) -> None:
    assert (budget.room(EXIT, 1_000), budget.room(CANCEL, 1_000)) == (48, 96)
    budget.take(EXIT, 48)
    budget.take(CANCEL, 96)
    assert (budget.room(EXIT, 1), budget.room(CANCEL, 1)) == (0, 0)
    clock._now_ns += NS_PER_S
    assert (budget.room(EXIT, 1_000), budget.room(CANCEL, 1_000)) == (32, 64)


def test_entries_leave_the_last_part_to_exits(budget: VenueBudget, clock: ManualClock) -> None:
    assert budget.room(ENTRY, 1_000) == 33  # 48 less 30 %, whole ones
    budget.take(ENTRY, 33)
    assert budget.room(ENTRY, 1) == 0
    assert budget.room(EXIT, 1_000) == 15
    wait_s = budget.wait_s(ENTRY)
    assert 0 < wait_s < 1 / 32
    clock._now_ns += round(wait_s * NS_PER_S) + 1
    assert budget.room(ENTRY, 1_000) == 1
    assert budget.wait_s(EXIT) == 0


def test_the_venues_own_count_is_believed_when_it_is_lower(budget: VenueBudget) -> None:
    budget.take(EXIT, 5)
    budget.answered(EXIT, 5, RateHeaders(remaining=20))
    assert budget.room(EXIT, 100) == 8  # 20 less the fifth of 60 that is never used
    budget.answered(EXIT, 0, RateHeaders(remaining=60))
    assert budget.room(EXIT, 100) == 8
    assert budget.room(CANCEL, 100) == 96


def test_what_is_under_way_is_not_counted_twice_as_free(budget: VenueBudget) -> None:
    budget.take(EXIT, 10)
    budget.take(EXIT, 10)
    budget.answered(EXIT, 10, RateHeaders(remaining=50))  # before it saw the other ten
    assert budget.room(EXIT, 100) == 28
    budget.answered(EXIT, 10, None)
    assert budget.room(EXIT, 100) == 28


def test_a_negative_count_blocks_until_it_has_recovered(budget: VenueBudget, clock: ManualClock) -> None:
    budget.answered(CANCEL, 0, RateHeaders(remaining=-40))
    assert budget.room(CANCEL, 1) == 0
    assert budget.wait_s(CANCEL) == pytest.approx((40 + 24 + 1) / 64)
    clock._now_ns += 2 * NS_PER_S
    assert budget.room(CANCEL, 1) == 1


def test_the_tier_is_learnt(budget: VenueBudget) -> None:
    assert budget.left().tier == STANDARD
    budget.take(EXIT, 10)
    budget.answered(EXIT, 10, RateHeaders(remaining=290, tier="Silver"))
    assert budget.room(EXIT, 1_000) == 230
    assert (budget.left().tier, budget.left().orders_burst, budget.left().cancels_burst) == ("Silver", 240, 480)
    budget.answered(EXIT, 0, RateHeaders(tier="Unobtainium"))
    assert budget.left().tier == "Silver"


def test_a_refusal_pauses_everything_of_its_bucket(budget: VenueBudget, clock: ManualClock) -> None:
    budget.answered(ENTRY, 1, RateHeaders(), refused=True, retry_after_s=3)
    assert (budget.room(EXIT, 1), budget.room(ENTRY, 1), budget.room(CANCEL, 1)) == (0, 0, 1)
    assert budget.wait_s(EXIT) == pytest.approx(3)
    clock._now_ns += 3 * NS_PER_S
    assert budget.room(EXIT, 1) == 1
    assert budget.left().refusals == 1


@pytest.mark.parametrize(("reset_in_s", "pause_s"), [(None, 1), (-5, 1), (4, 4), (600, 10)])
def test_a_refusal_without_a_pause_takes_the_reset_within_bounds(
    budget: VenueBudget, clock: ManualClock, reset_in_s: int | None, pause_s: int
) -> None:
    reset_s = None if reset_in_s is None else clock.now_ns() // NS_PER_S + reset_in_s
    budget.answered(EXIT, 1, RateHeaders(reset_s=reset_s), refused=True)
    assert budget.wait_s(EXIT) == pytest.approx(pause_s)


def test_headers_are_read_and_nonsense_is_not() -> None:
    assert rate_headers(
        {
            "Poly-RateLimit-Remaining": "-3",
            "Poly-RateLimit-Reset": "1782753360",
            "Poly-RateLimit-Tier": "Gold",
            "Poly-RateLimit-Warning": "true",
        }
    ) == RateHeaders(remaining=-3, reset_s=1_782_753_360, tier="Gold", warned=True)
    assert rate_headers({"Poly-RateLimit-Remaining": "lots", "Poly-RateLimit-Reset": "9" * 99}) == RateHeaders()


def test_warnings_are_counted_and_slow_down(budget: VenueBudget) -> None:
    budget.answered(EXIT, 1, RateHeaders(remaining=0, warned=True))
    assert budget.left().warnings == 1
    assert budget.room(EXIT, 1) == 0
    assert budget.room(CANCEL, 1) == 1
    budget.answered(CANCEL, 1, RateHeaders(warned=True))
    assert budget.room(CANCEL, 1) == 0


def test_the_windows_of_our_address_hold_in_any_ten_seconds(budget: VenueBudget, clock: ManualClock) -> None:
    route, limit = "GET /balance-allowance/update", 40  # four fifths of 50
    sent: list[int] = []
    for _ in range(200):
        wait_s = budget.window_wait_s(route)
        clock._now_ns += round(wait_s * NS_PER_S)
        assert budget.window_wait_s(route) == 0
        budget.note_request(route)
        sent.append(clock.now_ns())
        clock._now_ns += NS_PER_S // 50
    for first, last in zip(sent, sent[limit:], strict=False):
        assert last - first >= 10 * NS_PER_S
    assert budget.window_wait_s("GET /data/trades") == 0


def test_every_request_counts_for_the_whole(budget: VenueBudget) -> None:
    for number in range(7_200):  # four fifths of 9 000
        budget.note_request(f"GET /thing{number % 3}")
    assert budget.window_wait_s("GET /another") > 0
