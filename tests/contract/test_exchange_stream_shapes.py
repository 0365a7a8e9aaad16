"""The price streams and Gamma: documented frames, field for field, and the recorded market of the same kind."""

import json
from typing import Any

from tests.contract.test_exchange_fixture_shapes import differences, fixture
from tests.contract.test_exchange_payload_shapes import FORMS, Shape, misfits
from tests.unit.exchange.running import OWNER, Running, play

TICK: Shape = {"symbol": "text", "value": float, "full_accuracy_value": "text", "timestamp": int, "source": "text"}
EXCLUSIONS = {"window_seconds": "repeats the subscription's filter; not in the documented example of an average"}
"""Fields that the documentation does not show, with the reason."""

DATA: Shape = {"v": int, "channel": "text", "seq": int, "ts": int, "payload": TICK}
SPOT_TRADE: Shape = {
    "e": "text",
    "E": int,
    "s": "text",
    "t": int,
    "p": "text",
    "q": "text",
    "T": int,
    "m": bool,
    "M": bool,
}

USED = (
    "id slug question conditionId questionID version outcomes outcomePrices clobTokenIds startDate eventStartTime "
    "endDate acceptingOrders acceptingOrdersTimestamp enableOrderBook active closed archived restricted "
    "orderPriceMinTickSize orderMinSize negRisk feesEnabled feeType feeSchedule resolutionSource bestBid bestAsk "
    "spread lastTradePrice makerBaseFee takerBaseFee description"
)
"""What the documentation of Gamma lists as fields that matter; figures and pictures of web pages are not compared."""


async def frames(stage: Running, url: str, count: int, *messages: object) -> list[Any]:
    async with stage.session.ws_connect(url) as socket:
        for message in messages:
            await socket.send_json(message)
        found: list[Any] = []
        while len(found) < count:
            text = await socket.receive_str()
            if text.startswith("{"):
                found.append(json.loads(text))
        return found


def test_price_socket() -> None:
    async def scene(stage: Running) -> list[Any]:
        key = stage.exchange.open_account(OWNER)
        await stage.until(130)
        return await frames(
            stage,
            stage.urls.price_ws_url,
            5,
            {
                "op": "auth",
                "rid": "a1",
                "auth": {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase},
            },
            {
                "op": "subscribe",
                "rid": "s1",
                "subscriptions": [
                    {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}}
                ],
            },
        )

    authed, subscribed, snapshot, *data = play(scene)
    assert authed == {"op": "authed", "rid": "a1"}
    assert (subscribed["op"], subscribed["channel"], subscribed["rid"]) == ("subscribed", "price.crypto.twap", "s1")
    assert snapshot["snapshot"] is True
    assert snapshot["payload"]["data"]
    assert [frame["seq"] for frame in (snapshot, *data)] == [1, 2, 3]
    for frame in data:
        payload = {name: value for name, value in frame["payload"].items() if name not in EXCLUSIONS}
        payload["value"] = float(payload["value"])
        assert misfits({**frame, "payload": payload}, DATA) == []
        assert frame["payload"]["source"] == "chainlink"
        assert frame["ts"] % 1_000 == 0


def test_spot_stream() -> None:
    async def scene(stage: Running) -> list[Any]:
        return await frames(stage, f"{stage.urls.spot_ws_url}/btcusdt@trade", 3)

    for frame in play(scene):
        assert misfits(frame, SPOT_TRADE) == []
        assert float(frame["p"]) > 0
        assert (frame["e"], frame["s"]) == ("trade", "BTCUSDT")


def test_gamma_market() -> None:
    theirs = fixture("nautilus_unit/gamma_market.json")
    wanted = {name: theirs[name] for name in USED.split() if name in theirs}

    async def scene(stage: Running) -> Any:
        await stage.until(60)
        return await stage.get(f"{stage.urls.gamma_url}/markets", limit="1")

    (market,) = play(scene)
    assert differences(market, wanted) == []
    assert market["events"][0]["slug"] == market["slug"]
    assert market["events"][0]["series"][0].keys() >= {"slug", "recurrence"}
    for name in ("outcomes", "outcomePrices", "clobTokenIds"):
        assert len(json.loads(market[name])) == 2
    for name in ("startDate", "eventStartTime", "endDate"):
        assert FORMS["iso"].fullmatch(market[name]), market[name]
