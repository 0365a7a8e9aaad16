from __future__ import annotations

import json
import random
from typing import Any

import pytest
from aiohttp import web

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.discovery import AVERAGE_SINCE_S, GammaDiscovery, read_market, slug_of
from polystra.adapters.polymarket.wire import as_object, decode_json
from polystra.domain.errors import VenueProtocolError, VenueRefused
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.windows import WINDOW_SECONDS
from polystra.exchange.assets import ASSETS
from polystra.exchange.schedule import next_open
from polystra.exchange.schedule import slug_of as exchange_slug
from tests.unit.adapters.polymarket.scripted import START_NS, Script, play, says, served

OPENS = 1_790_000_100
CHAINLINK = (
    'This market will resolve to "Up" if the price of Bitcoin at the end of the range is greater than or equal to the '
    "price at the beginning. The resolution source is Chainlink, https://data.chain.link/streams/btc-usd."
)
NO_SOURCE = {"resolutionSource": ""}


def gamma(**changes: object) -> dict[str, Any]:
    body: dict[str, Any] = {
        "slug": f"btc-updown-5m-{OPENS}",
        "conditionId": "0xcond",
        "version": "v1",
        "eventStartTime": "2026-09-21T14:15:00Z",
        "endDate": "2026-09-21T14:20:00Z",
        "description": CHAINLINK,
        "resolutionSource": "https://data.chain.link/streams/btc-usd",
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": '["111", "222"]',
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "negRisk": False,
        "feesEnabled": True,
        "feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2},
        "acceptingOrders": True,
        "enableOrderBook": True,
        "closed": False,
    }
    body.update(changes)
    return {name: value for name, value in body.items() if value != "absent"}


def read(**changes: object) -> Market:
    message = json.dumps(gamma(**changes))
    return read_market(as_object(decode_json(message), "market"), symbol="BTC", window_s=300)


def test_a_market_is_read_exactly() -> None:
    market = read()
    assert market == Market(
        condition_id="0xcond",  # type: ignore[arg-type]
        slug=f"btc-updown-5m-{OPENS}",
        symbol="BTC",
        window_s=300,
        opens_at_s=OPENS,
        closes_at_s=OPENS + 300,
        up_token="111",  # type: ignore[arg-type]
        down_token="222",  # type: ignore[arg-type]
        tick_size=10_000,
        minimum_size=5_000_000,
        fees=FeeSchedule(rate_ppm=70_000),
        rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
    )


def test_outcomes_are_paired_by_index_and_lists_may_be_arrays() -> None:
    market = read(outcomes='["Down", "Up"]')
    assert (market.up_token, market.down_token) == ("222", "111")
    market = read(outcomes=["Down", "Up"], clobTokenIds=["1", "2"])
    assert (market.up_token, market.down_token) == ("2", "1")


def test_the_version_chooses_the_tokens() -> None:
    market = read(version="v2", positionIds=["5", "6"], clobTokenIds=None)
    assert (market.up_token, market.down_token, market.version) == ("5", "6", "v2")
    assert read(positionIds=["5", "6"]).up_token == "111"
    with pytest.raises(VenueRefused, match="v3"):
        read(version="v3")


@pytest.mark.parametrize("change", [{"acceptingOrders": False}, {"closed": True}, {"enableOrderBook": None}])
def test_a_market_may_be_known_and_not_accept_orders(change: dict[str, object]) -> None:
    assert read().accepting_orders
    assert not read(**change).accepting_orders


@pytest.mark.parametrize(
    "change",
    [
        {"cryptoMarketConfig": {"twapEnabled": True, "twapLookbackSeconds": 60}, "description": "", **NO_SOURCE},
        {"resolutionSource": "https://data.chain.link/streams/btc-usd-twap-60s-streams", "description": ""},
        {"description": "resolves by the 60-second time-weighted average price (TWAP) of Bitcoin", **NO_SOURCE},
        {**NO_SOURCE, "description": "compares the average of the last 60 seconds before each boundary"},
        {},
    ],
)  # fmt: skip
def test_the_rule_is_recognised(change: dict[str, object]) -> None:
    assert read(**change).rule == ResolutionRule(ResolutionKind.AVERAGE, 60)


@pytest.mark.parametrize(
    "change",
    [
        {"description": "resolves by the Binance 1 minute candle", "resolutionSource": ""},
        {"description": "", "resolutionSource": ""},
        {"cryptoMarketConfig": {"twapEnabled": False, "twapLookbackSeconds": 60}},
        {"cryptoMarketConfig": {"twapEnabled": True, "twapLookbackSeconds": 30}},
        {"resolutionSource": "https://data.chain.link/streams/btc-usd-twap-30s-streams"},
        {"description": "the 30-second average of Chainlink data.chain.link/streams/btc-usd"},
    ],
)
def test_an_unknown_rule_is_refused_with_its_text(change: dict[str, object]) -> None:
    with pytest.raises(VenueRefused) as caught:
        read(**change)
    assert f"btc-updown-5m-{OPENS}" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_documented_rule_holds_from_its_date() -> None:
    def at(opens_at_s: int) -> Market:
        return read_market(
            gamma(eventStartTime=str(opens_at_s), endDate=str(opens_at_s + 300), orderPriceMinTickSize="0.01",
                  feeSchedule={"rate": "0.07"}), symbol="BTC", window_s=300,
        )  # fmt: skip

    assert at(AVERAGE_SINCE_S).rule.lookback_s == 60
    with pytest.raises(VenueRefused, match="resolution rule"):
        at(AVERAGE_SINCE_S - 300)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"feeSchedule": "absent"}, "feeSchedule"),
        ({"feeSchedule": None}, "feeSchedule"),
        ({"feeSchedule": {"rate": 0.07, "takerOnly": False}}, "makers"),
        ({"outcomes": '["Yes", "No"]'}, "Up and Down"),
        ({"clobTokenIds": '["111", "111"]'}, "2 tokens"),
        ({"clobTokenIds": None}, "0 tokens"),
        ({"orderPriceMinTickSize": 0.03}, "tick size"),
        ({"endDate": "2026-09-21T14:30:00Z"}, "300 seconds"),
    ],
)
def test_markets_that_are_not_traded(change: dict[str, object], match: str) -> None:
    with pytest.raises(VenueRefused, match=match):
        read(**change)


@pytest.mark.parametrize(
    "change", [{"clobTokenIds": '["0x1", "2"]'}, {"orderMinSize": None}, {"conditionId": ""}, {"outcomes": "Up"}]
)
def test_markets_that_cannot_be_read(change: dict[str, object]) -> None:
    with pytest.raises(VenueProtocolError):
        read(**change)


def test_fees_may_be_off() -> None:
    assert read(feesEnabled=False, feeSchedule="absent").fees == FeeSchedule(rate_ppm=0)
    assert read(feesEnabled=False).fees == FeeSchedule(rate_ppm=0)


def test_slugs() -> None:
    assert slug_of("BTC", 300, 1_773_307_200) == "btc-updown-5m-1773307200"
    assert slug_of("ETH", 900, 1_773_307_800) == "eth-updown-15m-1773307800"
    with pytest.raises(ValueError, match="600"):
        slug_of("BTC", 600, 0)


@pytest.mark.parametrize("symbol", ["BTC", "ETH", "SOL", "XRP"])
@pytest.mark.parametrize("window", ["5m", "15m", "1h", "4h", "1d"])
def test_slugs_are_those_of_the_exchange_in_summer_in_winter_and_when_the_clocks_change(
    symbol: str, window: str
) -> None:
    """The exchange's were written apart from ours, after the same documentation."""
    for second in (1_773_307_200, 1_782_900_000, 1_772_952_000, 1_793_505_600, 1_793_512_800, 1_798_000_000):
        opens_at_s = next_open(window, second)
        ours = slug_of(symbol, WINDOW_SECONDS[window], opens_at_s)
        assert ours == exchange_slug(ASSETS[symbol], window, opens_at_s)


def test_slugs_of_an_hour_and_a_day_are_in_words() -> None:
    assert slug_of("BTC", 3_600, 1_786_032_000) == "bitcoin-up-or-down-august-6-2026-12pm-et"
    assert slug_of("ETH", 86_400, 1_786_032_000) == "ethereum-up-or-down-on-august-7-2026"
    assert slug_of("HYPE", 3_600, 1_786_032_000).startswith("hyperliquid-")


def test_the_other_hour_of_one_label_is_not_taken_for_this_one() -> None:
    """On the first Sunday of November one o'clock comes twice, and both hours have one slug."""
    first, second = 1_793_509_200, 1_793_512_800
    slug = slug_of("BTC", 3_600, first)
    assert slug == slug_of("BTC", 3_600, second)
    hour = gamma(slug=slug, eventStartTime="2026-11-01T05:00:00Z", endDate="2026-11-01T06:00:00Z")

    async def main() -> None:
        script = Script()
        script.on(f"/gamma/markets/slug/{slug}", says(json.dumps(hour)))
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", script.handle)
        async with served(app) as host:
            discovery = GammaDiscovery(base_url=f"http://{host}/gamma", clock=LoopClock(START_NS), rng=random.Random(1))
            assert await discovery.find("BTC", 3_600, second) is None
            found = await discovery.find("BTC", 3_600, first)
            assert found is not None
            assert found.opens_at_s == first
            await discovery.close()

    play(main())


def test_finding() -> None:
    async def main() -> None:
        script = Script()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", script.handle)
        async with served(app) as host:
            discovery = GammaDiscovery(base_url=f"http://{host}/gamma", clock=LoopClock(START_NS), rng=random.Random(1))
            assert await discovery.find("BTC", 300, OPENS) is None
            path = f"/gamma/markets/slug/btc-updown-5m-{OPENS}"
            script.on(path, says("", 503), says(json.dumps(gamma())))
            market = await discovery.find("BTC", 300, OPENS)
            assert market is not None
            assert market.opens_at_s == OPENS
            script.on(path, says(json.dumps(gamma(slug="btc-updown-5m-1"))))
            with pytest.raises(VenueProtocolError, match="was answered with"):
                await discovery.find("BTC", 300, OPENS)
            await discovery.close()

    play(main())
