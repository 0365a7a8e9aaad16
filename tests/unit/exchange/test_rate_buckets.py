"""Per-signer buckets and per-IP windows."""

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.core import CoreConfig
from polystra.exchange.edge import SlidingWindow
from polystra.exchange.model import DOLLAR, NS_PER_S
from polystra.exchange.rate_buckets import RateBuckets, Volumes
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.conftest import ALICE, BOB, DOWN, T0, UP, Desk
from tests.unit.exchange.http_desk import http_desk


def buckets(**rules: object) -> RateBuckets:
    return RateBuckets(VenueRules(**rules), Volumes())  # type: ignore[arg-type]


def test_tokens_flow_back_continuously() -> None:
    signer = buckets()
    assert signer.charge("a", [], "order", 60, T0).headers["Poly-RateLimit-Remaining"] == "0"
    refused = signer.charge("a", [], "order", 1, T0)
    assert refused.refusal is not None
    assert (refused.refusal.status, refused.refusal.text, refused.refusal.retry_after_s) == (
        429,
        "Too Many Requests",
        1,
    )
    assert signer.charge("a", [], "order", 1, T0 + NS_PER_S // 40).refusal is None
    assert signer.charge("a", [], "order", 1, T0 + NS_PER_S // 40).refusal is not None
    assert signer.charge("b", [], "order", 60, T0).refusal is None
    assert signer.charge("a", [], "cancel", 120, T0 + NS_PER_S).refusal is None


def test_a_batch_takes_all_its_tokens_or_none() -> None:
    signer = buckets()
    signer.charge("a", [], "order", 50, T0)
    assert signer.charge("a", [], "order", 15, T0).refusal is not None
    charge = signer.charge("a", [], "order", 10, T0)
    assert charge.refusal is None
    assert charge.headers == {
        "Poly-RateLimit-Remaining": "0",
        "Poly-RateLimit-Reset": str(T0 // NS_PER_S + 2),
        "Poly-RateLimit-Tier": "Standard",
    }
    assert signer.charge("a", [], "order", 61, T0 + 100 * NS_PER_S).refusal is not None


@pytest.mark.parametrize(("tier", "left"), [("Standard", -380), ("Platinum", 0)])
def test_cancel_all_may_go_below_zero_on_lower_tiers(tier: str, left: int) -> None:
    signer = buckets(signer_tier=tier)
    cancelled = 500 if tier == "Standard" else 2_000
    headers = signer.charge_cancelled("a", [], cancelled, T0).headers
    assert headers["Poly-RateLimit-Remaining"] == str(left)
    if left < 0:
        assert signer.charge("a", [], "cancel", 1, T0 + 4 * NS_PER_S).refusal is not None
        assert signer.charge("a", [], "cancel", 1, T0 + 5 * NS_PER_S).refusal is None


def test_warning_mode_only_tells_and_off_says_nothing() -> None:
    signer = buckets(signer_buckets="warning")
    assert "Poly-RateLimit-Warning" not in signer.charge("a", [], "order", 60, T0).headers
    charge = signer.charge("a", [], "order", 1, T0)
    assert (charge.refusal, charge.headers["Poly-RateLimit-Warning"]) == (None, "true")
    off = buckets(signer_buckets="off").charge("a", [], "order", 10_000, T0)
    assert (off.refusal, dict(off.headers)) == (None, {})


def test_volume_lifts_the_tier_three_hours_later(desk: Desk) -> None:
    volumes = Volumes()
    desk.core.add_listener(volumes.note)
    desk.limit(BOB, DOWN, "BUY", "0.50", "100")
    desk.limit(ALICE, UP, "BUY", "0.50", "100")
    assert volumes.of([ALICE], T0) == volumes.of([BOB], T0) == 50 * DOLLAR
    desk.settle()
    assert volumes.of([ALICE, BOB], desk.now) == 100 * DOLLAR
    assert volumes.of([ALICE], T0 + 31 * 86_400 * NS_PER_S) == 0
    signer = RateBuckets(VenueRules(), volumes)
    assert signer.tier("a", [ALICE], T0).name == "Standard"
    volumes._add(ALICE, 30_000 * DOLLAR, T0)
    assert signer.tier("a", [ALICE], T0 + 10_799 * NS_PER_S).name == "Standard"
    assert signer.tier("a", [ALICE], T0 + 10_800 * NS_PER_S).name == "Copper"


async def test_the_limit_over_http() -> None:
    async with http_desk(config=CoreConfig(initial_cash=10**12)) as desk:
        for _ in range(4):
            assert (await desk.call("POST", "/orders", [desk.submission() for _ in range(15)]))[0] == 200
        assert desk.headers["Poly-RateLimit-Remaining"] == "0"
        assert await desk.call("POST", "/order", desk.submission()) == (429, {"error": "Too Many Requests"})
        assert desk.headers["Retry-After"] == "1"
        assert desk.headers["Poly-RateLimit-Tier"] == "Standard"
        report = await desk.call("DELETE", "/cancel-all")
        assert len(report[1]["canceled"]) == 60
        assert desk.headers["Poly-RateLimit-Remaining"] == "59"
        assert (await desk.call("DELETE", "/orders", ["0x1"] * 121))[0] == 429
        assert (await desk.call("GET", "/v1/user/rate-limit-tier"))[1]["tier"] == "Standard"


def test_a_sliding_window_frees_places_one_by_one() -> None:
    window = SlidingWindow(2, 10)
    for at in (0, 4):
        assert window.wait_ns(at * NS_PER_S) == 0
        window.take(at * NS_PER_S)
    assert window.wait_ns(5 * NS_PER_S) == 5 * NS_PER_S
    window.take(10 * NS_PER_S)
    assert window.wait_ns(10 * NS_PER_S) == 4 * NS_PER_S


async def test_an_address_is_queued_and_then_refused() -> None:
    async with http_desk(config=CoreConfig(venue=VenueRules(ip_limits=True))) as desk:
        for _ in range(100):
            assert (await desk.get("/ok"))[0] == 200
        assert await desk.get("/ok") == (429, {"error": "Too Many Requests"})
        start = desk.clock.now = desk.clock.now + 9_500_000_000
        assert (await desk.get("/ok"))[0] == 200
        assert desk.clock.now == start + 500_000_000
        assert (await desk.get("/time"))[0] == 200


def test_switches_are_checked() -> None:
    with pytest.raises(ConfigError, match="signer_tier is 'Wood'"):
        VenueRules(signer_tier="Wood")
    with pytest.raises(ConfigError, match="reply_lag_ms is -1"):
        VenueRules(reply_lag_ms=-1)
