"""The discovery API: wire shapes, filters, paging and what becomes public when."""

import json
from typing import Any

from polystra.exchange.gamma import format_e8, number, price_number
from tests.unit.exchange.running import T0_S, Running, play

SLUG = f"btc-updown-5m-{T0_S}"


def test_numbers_are_written_digit_by_digit() -> None:
    assert bytes(number(10_000)) == b"0.01"
    assert bytes(number(5_000_000)) == b"5"
    assert bytes(price_number(6_405_803_000_000)) == b"64058.03"
    assert format_e8(100_000_000) == "1"
    assert format_e8(1) == "0.00000001"


def test_market_has_the_fields_and_types_of_the_venue() -> None:
    async def scene(stage: Running) -> Any:
        return await stage.get(f"{stage.urls.gamma_url}/markets/slug/{SLUG}")

    market = play(scene)
    assert market["slug"] == SLUG
    assert market["conditionId"].startswith("0x")
    assert json.loads(market["outcomes"]) == ["Up", "Down"]
    tokens = json.loads(market["clobTokenIds"])
    assert len(tokens) == 2
    assert all(token.isdigit() for token in tokens)
    assert len(json.loads(market["outcomePrices"])) == 2
    assert market["feeSchedule"] == {"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2}
    assert (market["orderPriceMinTickSize"], market["orderMinSize"]) == (0.01, 5)
    assert (market["version"], market["negRisk"], market["feesEnabled"]) == ("v1", False, True)
    assert (market["acceptingOrders"], market["enableOrderBook"], market["closed"]) == (True, True, False)
    assert market["eventStartTime"] == "2026-11-02T14:00:00Z"
    assert market["endDate"] == "2026-11-02T14:05:00Z"
    assert "60-second" in market["description"]
    assert market["resolutionSource"] == "https://data.chain.link/streams/btc-usd"
    assert market["cryptoMarketConfig"] == {"twapEnabled": True, "twapLookbackSeconds": 60}
    assert market["events"][0]["slug"] == SLUG
    assert market["events"][0]["series"][0]["recurrence"] == "5m"


def test_lists_filter_and_page() -> None:
    async def scene(stage: Running) -> None:
        gamma = stage.urls.gamma_url
        markets = await stage.get(f"{gamma}/markets")
        assert [market["slug"] for market in markets][:2] == [SLUG, f"btc-updown-5m-{T0_S + 300}"]
        both = f"{markets[0]['conditionId']},{markets[1]['conditionId']}"
        assert len(await stage.get(f"{gamma}/markets", condition_ids=both)) == 2
        assert len(await stage.get(f"{gamma}/events", slug=SLUG)) == 1
        assert await stage.get(f"{gamma}/markets", slug="nothing") == []
        token = json.loads(markets[1]["clobTokenIds"])[1]
        assert (await stage.get(f"{gamma}/markets", clob_token_ids=token))[0]["slug"] == markets[1]["slug"]
        first = await stage.get(f"{gamma}/events/keyset", limit="2")
        assert len(first["events"]) == 2
        rest = await stage.get(f"{gamma}/events/keyset", limit="500", after_cursor=first["next_cursor"])
        assert len(rest["events"]) == 1
        assert "next_cursor" not in rest
        found = await stage.get(f"{gamma}/markets/{markets[0]['id']}")
        assert found["slug"] == SLUG
        event = await stage.get(f"{gamma}/events/{found['events'][0]['id']}")
        assert event["markets"][0]["slug"] == SLUG

    play(scene)


def test_wrong_requests_get_the_venues_errors() -> None:
    async def scene(stage: Running) -> None:
        gamma = stage.urls.gamma_url
        await stage.get(f"{gamma}/markets/slug/nothing", status=404)
        await stage.get(f"{gamma}/events/77", status=404)
        refused = await stage.get(f"{gamma}/markets/keyset", status=422, limit="-1")
        assert refused["type"] == "validation error"
        await stage.get(f"{gamma}/markets", status=422, offset="x")

    play(scene)


def test_a_resolved_market_leaves_the_lists_and_shows_its_prices_later() -> None:
    async def scene(stage: Running) -> None:
        gamma = stage.urls.gamma_url
        await stage.until(320)
        assert await stage.get(f"{gamma}/markets", slug=SLUG) == []
        closed = (await stage.get(f"{gamma}/markets", slug=SLUG, closed="true"))[0]
        assert closed["closed"] is True
        assert closed["acceptingOrders"] is False
        assert sorted(json.loads(closed["outcomePrices"])) == ["0", "1"]
        assert "eventMetadata" not in await stage.get(f"{gamma}/events/slug/{SLUG}")
        await stage.until(375)
        metadata = (await stage.get(f"{gamma}/events/slug/{SLUG}"))["eventMetadata"]
        up_won = json.loads(closed["outcomePrices"])[0] == "1"
        assert (metadata["finalPrice"] >= metadata["priceToBeat"]) is up_won

    play(scene)
