"""Markets by version and readiness: ids, contracts, refused domains, what Gamma and the book show."""

import asyncio
import json
from typing import Any

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.builtin import BuiltInConfig
from polystra.exchange.market_terms import MarketTerms, condition_id_of, terms_for, token_id_of
from polystra.exchange.typed_data import domain_separator
from polystra.runtime.deterministic import run
from tests.unit.exchange.conftest import CONDITION, DOWN, T0_S, UP
from tests.unit.exchange.http_desk import http_desk
from tests.unit.exchange.running import Running, running

SLUG = "btc-updown-5m-1793628000"
POSITIONS = MarketTerms(version="v2")
DOMAINS = [("v1", False), ("v1", True), ("v2", False), ("v2", True)]


@pytest.mark.parametrize("neg_risk", [False, True])
def test_position_ids_have_their_documented_form(neg_risk: bool) -> None:
    terms = MarketTerms(version="v2", neg_risk=neg_risk)
    up, down = (int(token_id_of(SLUG, outcome, terms)) for outcome in ("Up", "Down"))
    for number in (up, down):
        assert number & (((1 << 64) - 1) << 40) == 0
        assert number >> 248 == (2 if neg_risk else 1)
    assert (up & 255, down & 255) == (0, 1)
    assert up >> 8 == down >> 8 == int(condition_id_of(SLUG, terms), 16) >> 8


def test_the_closest_terms_apply() -> None:
    terms = {"*": MarketTerms(), "5m": MarketTerms(min_size=1), "BTC": MarketTerms(min_size=2)}
    assert terms_for(terms, "BTC", "5m").min_size == 2
    assert terms_for(terms, "ETH", "5m").min_size == 1
    assert terms_for({**terms, "BTC/5m": POSITIONS}, "BTC", "5m") is POSITIONS
    assert terms_for({}, "BTC", "5m") == MarketTerms()
    with pytest.raises(ConfigError, match="tick_size is 20000"):
        MarketTerms(tick_size=20_000)
    with pytest.raises(ConfigError, match="rule is 'coin toss'"):
        MarketTerms(rule="coin toss")


@pytest.mark.parametrize(("version", "neg_risk"), DOMAINS)
async def test_every_kind_of_market_trades_under_its_own_domain_only(version: str, neg_risk: bool) -> None:
    async with http_desk(version=version, neg_risk=neg_risk) as desk:
        desk.quote(DOWN, 50, 100)
        own = domain_separator(version, neg_risk=neg_risk)
        for other_version, other_risk in DOMAINS:
            desk.domain = domain_separator(other_version, neg_risk=other_risk)
            status, reply = await desk.call("POST", "/order", desk.submission(makerAmount="5000000"))
            if desk.domain == own:
                assert (status, reply["status"], reply["orderID"]) == (200, "matched", desk.order_id)
            else:
                assert (status, reply) == (400, {"error": "invalid signature"})
        assert (await desk.get(f"/neg-risk?token_id={UP}"))[1] == {"neg_risk": neg_risk}


async def test_a_listed_market_takes_orders_later() -> None:
    async with http_desk(accepts_from_s=T0_S + 60) as desk:
        text = "the market is not yet ready to process new orders"
        assert await desk.call("POST", "/order", desk.submission()) == (400, {"error": text})
        assert (await desk.get(f"/book?token_id={UP}"))[0] == 200
        desk.clock.now += 60_000_000_000
        assert (await desk.call("POST", "/order", desk.submission()))[1]["status"] == "live"


async def test_the_order_book_learns_of_a_market_late() -> None:
    async with http_desk(listed_at_s=T0_S, hydrated_at_s=T0_S + 60) as desk:

        async def seen() -> list[Any]:
            book, market = await desk.get(f"/book?token_id={UP}"), await desk.get(f"/markets/{CONDITION}")
            tokens = [token["token_id"] for token in market[1].get("tokens", [])]
            return [book[0], market[0], tokens, (await desk.get(f"/clob-markets/{CONDITION}"))[0]]

        assert await seen() == [404, 404, [], 404]
        assert (await desk.call("POST", "/order", desk.submission()))[0] == 404
        desk.clock.now += 40_000_000_000
        assert await seen() == [404, 200, ["", ""], 404]
        desk.clock.now += 20_000_000_000
        assert await seen() == [200, 200, [UP, DOWN], 200]


def shown(terms: MarketTerms, **changes: Any) -> dict[str, Any]:
    """Return the Gamma object of the first market listed under terms."""

    async def main() -> dict[str, Any]:
        config = BuiltInConfig(symbols=("BTC",), windows=("5m",), speed=None, terms={"*": terms}, **changes)
        async with running(config) as stage:
            return await first_market(stage)

    return run(main(), seed=1, start_ns=1_793_628_000 * 1_000_000_000)


async def first_market(stage: Running) -> dict[str, Any]:
    await asyncio.sleep(0)
    markets = await stage.get(f"{stage.urls.gamma_url}/markets")
    return dict(markets[0])


def test_gamma_shows_position_ids_for_the_second_version_only() -> None:
    body = shown(MarketTerms(version="v2", tick_size=1_000, seconds_delay=3, accepts_after_s=120))
    assert (body["version"], body["clobTokenIds"], len(body["positionIds"])) == ("v2", None, 2)
    assert body["orderPriceMinTickSize"] == 0.001
    assert (body["secondsDelay"], body["acceptingOrders"], body["resolutionStatus"]) == (3, False, "active")
    plain = shown(MarketTerms(neg_risk=True))
    assert (plain["version"], len(json.loads(plain["clobTokenIds"])), "positionIds" in plain) == ("v1", 2, False)
    assert (plain["negRisk"], plain["negRiskMarketID"][:2], plain["acceptingOrders"]) == (True, "0x", True)
