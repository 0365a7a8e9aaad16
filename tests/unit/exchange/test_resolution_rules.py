"""What markets resolve on: prices, texts, and verdicts that are halved, reversed or late."""

import json
from typing import Any

import pytest

from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from polystra.exchange.assets import ASSETS
from polystra.exchange.builtin import BuiltInConfig
from polystra.exchange.market_terms import MarketTerms
from polystra.exchange.prices import CommonFactor, PricePath
from polystra.exchange.resolution_rules import RULES, average
from polystra.runtime.deterministic import run
from tests.unit.exchange.running import T0_S, Running, running

BTC = ASSETS["BTC"]


def path() -> PricePath:
    return PricePath.generated(BTC, seed=3, factor=CommonFactor(3), start_s=T0_S)


def test_each_rule_has_its_own_two_prices() -> None:
    prices = path()
    first, last = T0_S + 300, T0_S + 600
    held = [prices.held(second) for second in range(last - 29, last + 1)]
    assert RULES["average_60"].end(prices, last) == prices.average(last)
    assert abs(RULES["average_30"].end(prices, last) * 30 - sum(held)) <= 15
    assert average(prices, last, 60) == prices.average(last)
    assert RULES["last_price"].start(prices, first) == prices.held(first)
    assert RULES["candle"].start(prices, first) == prices.spot(first * NS_PER_S)
    assert RULES["candle"].end(prices, last) == prices.spot(last * NS_PER_S - NS_PER_S // 4)


@pytest.mark.parametrize(
    ("name", "words", "source", "config"),
    [
        ("average_60", "60-second time-weighted", "data.chain.link", {"twapEnabled": True, "twapLookbackSeconds": 60}),
        ("average_30", "30-second time-weighted", "data.chain.link", {"twapEnabled": True, "twapLookbackSeconds": 30}),
        ("last_price", "price at the end of the time range", "data.chain.link", {"twapEnabled": False}),
        ("candle", "BTC/USDT 1h candle", "binance.com/en/trade/BTC_USDT", None),
    ],
)
def test_each_rule_says_what_it_does(name: str, words: str, source: str, config: Any) -> None:
    rule = RULES[name]
    assert words in rule.describe(BTC, "1h")
    assert source in rule.source(BTC)
    assert rule.source(BTC) in rule.describe(BTC, "1h")
    assert rule.config == config


def act(scene: Any, **terms: Any) -> Any:
    """Play a scene in a world whose five-minute markets have these terms."""

    async def main() -> Any:
        config = BuiltInConfig(seed=5, symbols=("BTC",), windows=("5m",), speed=None, terms={"*": MarketTerms(**terms)})
        async with running(config) as stage:
            return await scene(stage)

    return run(main(), seed=5, start_ns=T0_S * NS_PER_S)


@pytest.mark.parametrize("rule", list(RULES))
def test_markets_resolve_by_their_rule(rule: str) -> None:
    async def scene(stage: Running) -> None:
        (market, *_) = stage.exchange.simulation.world.markets()
        await stage.until(330)
        core = stage.exchange.core.market(market.spec.condition_id)
        prices = path_of(stage, market)
        start, end = market.start_average, market.end_average
        assert (start, end) == (
            RULES[rule].start(prices, market.spec.opens_at_s),
            RULES[rule].end(prices, market.spec.closes_at_s),
        )
        assert start is not None
        assert end is not None
        assert core.up_payout == (1_000_000 if end >= start else 0)

    act(scene, rule=rule)


def path_of(stage: Running, market: Any) -> PricePath:
    return stage.exchange.simulation.world.path_of(market)


@pytest.mark.parametrize("verdict", ["half", "reverse"])
def test_a_verdict_is_changed_within_its_delay(verdict: str) -> None:
    async def scene(stage: Running) -> None:
        (market, *_) = stage.exchange.simulation.world.markets()
        control = f"{stage.urls.control_url}/verdict"
        early = await stage.post(control, {"slug": market.spec.slug, "verdict": "reverse"}, status=400)
        assert "no verdict to reverse" in early["error"]
        await stage.until(310)
        url = f"{stage.urls.gamma_url}/markets/slug/{market.spec.slug}"
        assert (await stage.get(url))["umaResolutionStatus"] == "proposed"
        first = market.proposed
        await stage.post(control, {"slug": market.spec.slug, "verdict": verdict})
        assert (await stage.get(url))["umaResolutionStatus"] == "disputed"
        await stage.until(400)
        body = await stage.get(url)
        assert json.loads(body["umaResolutionStatuses"]) == ["proposed", "disputed", "resolved"]
        payout = stage.exchange.core.market(market.spec.condition_id).up_payout
        assert first is not None
        assert payout == (500_000 if verdict == "half" else 1_000_000 - first)
        shown = ["0.5", "0.5"] if verdict == "half" else [str(payout // 1_000_000), str(1 - payout // 1_000_000)]
        assert json.loads(body["outcomePrices"]) == shown
        late = await stage.post(control, {"slug": market.spec.slug, "verdict": "up"}, status=400)
        assert "resolved already" in late["error"]

    act(scene, resolves_after_ms=(60_000, 60_000))


def test_a_resolution_is_put_off() -> None:
    async def scene(stage: Running) -> None:
        world = stage.exchange.simulation.world
        (market, *_) = world.markets()
        await stage.post(f"{stage.urls.control_url}/verdict", {"slug": market.spec.slug, "late_s": 900})
        await stage.until(890)
        assert market.resolved_at_ns is None
        await stage.until(905)
        resolved_ns = stage.exchange.core.market(market.spec.condition_id).resolved_ns
        assert resolved_ns is not None
        assert resolved_ns // NS_PER_S == T0_S + 900
        with pytest.raises(ConfigError, match="expected 0, 500000 or 1000000"):
            world.overrule(next(m.spec.slug for m in world.markets() if m.resolved_at_ns is None), 7)

    act(scene)


def test_the_operator_changes_modes_refusals_and_grids() -> None:
    async def scene(stage: Running) -> None:
        control = stage.urls.control_url
        assert await stage.get(f"{control}/mode") == {"mode": "normal", "seconds": None}
        assert await stage.post(f"{control}/mode", {"mode": "restarting", "seconds": 30}) == {
            "mode": "restarting",
            "seconds": 30,
        }
        await stage.until(31)
        assert (await stage.get(f"{control}/mode"))["mode"] == "post-only"
        await stage.post(f"{control}/mode", {"mode": "asleep"}, status=400)
        await stage.post(f"{control}/mode", {"mode": "disabled", "seconds": 0}, status=400)
        await stage.post(f"{control}/refusals", {"text": "Internal server error", "status": 500, "route": "GET /ok"})
        await stage.get(f"{stage.urls.clob_url}/ok", status=500)
        assert await stage.get(f"{stage.urls.clob_url}/ok") == "OK"
        await stage.post(f"{control}/refusals", {"text": "x", "count": 0}, status=400)
        (market, *_) = stage.exchange.simulation.world.markets()
        await stage.post(f"{control}/tick-size", {"market": market.spec.condition_id, "tick_size": 1_000})
        assert stage.exchange.core.market(market.spec.condition_id).tick_size == 1_000
        await stage.post(f"{control}/tick-size", {"market": market.spec.condition_id, "tick_size": 10_000}, status=400)

    act(scene)
