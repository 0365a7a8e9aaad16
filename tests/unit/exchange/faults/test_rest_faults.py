"""Every HTTP fault fires where it should and does what it says, before or after the order was taken."""

import json

import aiohttp
import pytest

from tests.unit.exchange.faults.stage import AT_ONCE, Trader, trade

ORDER = {"method": "POST", "path": "/order"}


def test_a_dropped_request_places_nothing_and_a_dropped_reply_hides_a_placed_order() -> None:
    async def scene(trader: Trader) -> None:
        trader.add("request_dropped", count=1, where=ORDER)
        trader.add("reply_dropped", count=1, where=ORDER)
        with pytest.raises(aiohttp.ClientError):
            await trader.post()
        assert trader.open_orders() == 0
        body = trader.order()
        with pytest.raises(aiohttp.ClientError):
            await trader.call("POST", "/order", body)
        assert trader.open_orders() == 1
        status, told = await trader.call("POST", "/order", body)
        assert status == 400
        assert "Duplicated" in told["error"]
        assert trader.struck == ["request_dropped", "reply_dropped"]

    trade(scene)


@pytest.mark.parametrize(("kind", "resting_meanwhile"), [("request_delayed", 0), ("reply_delayed", 1)])
def test_delays_lie_before_or_after_the_order_is_taken(kind: str, resting_meanwhile: int) -> None:
    async def scene(trader: Trader) -> tuple[int, float]:
        trader.add(kind, params={"seconds": 7}, where=ORDER)
        seen: list[int] = []
        trader.stage.exchange.simulation.agenda.add(
            trader.clock.now + 3_000_000_000, lambda _now: seen.append(trader.open_orders())
        )
        began = trader.clock.now
        status, _ = await trader.post()
        assert seen == [resting_meanwhile]
        return status, (trader.clock.now - began) / 1e9

    status, seconds = trade(scene)
    assert status == 200
    assert 7 <= seconds < 8


@pytest.mark.parametrize(("when", "resting"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "could not run the execution"),
        (425, "service not ready"),
        (429, "Too Many Requests"),
        (400, "context canceled"),
    ],
)
def test_error_statuses_come_before_or_after_the_order_is_taken(
    when: str, resting: int, status: int, text: str
) -> None:
    async def scene(trader: Trader) -> None:
        trader.add("http_error", params={"status": status, "when": when}, where=ORDER)
        assert await trader.post() == (status, {"error": text})
        assert trader.open_orders() == resting

    trade(scene)


@pytest.mark.parametrize("status", [403, 502])
def test_a_web_page_comes_instead_of_json(status: int) -> None:
    async def scene(trader: Trader) -> tuple[int, str, str]:
        trader.add("html_page", params={"status": status}, where={"path": "/time"})
        return await trader.raw("GET", "/time")

    told, content_type, page = trade(scene)
    assert (told, content_type) == (status, "text/html")
    assert f"<title>{status} " in page


def test_replies_break_off_or_are_empty_though_the_order_was_taken() -> None:
    async def scene(trader: Trader) -> None:
        trader.add("truncated_json", count=1, where=ORDER)
        with pytest.raises(json.JSONDecodeError):
            await trader.post()
        assert trader.open_orders() == 1
        trader.add("empty_body", count=1, where=ORDER)
        assert await trader.post() == (200, None)
        assert trader.open_orders() == 2

    trade(scene)


def test_a_reply_names_another_order_id() -> None:
    async def scene(trader: Trader) -> None:
        trader.add("wrong_order_id", count=1)
        _, told = await trader.post()
        (order,) = trader.core.open_orders([trader.signer.address])
        assert told["orderID"] != order.order_id
        assert told["orderID"][:-1] == order.order_id[:-1]

    trade(scene)


def test_places_are_exact() -> None:
    async def scene(trader: Trader) -> None:
        spec = trader.market.spec
        places: list[dict[str, str]] = [
            {"token": spec.down_token},
            {"market": "eth-updown-5m"},
            {"side": "SELL"},
            {"account": "0x" + "00" * 20},
            {"method": "DELETE"},
            {"path": "/orders"},
            {"order_id": "0x12"},
        ]
        for where in places:
            trader.add("http_error", where=where)
        status, told = await trader.post()
        assert status == 200
        assert trader.struck == []
        for where in (
            {"token": spec.up_token, "side": "BUY", "account": trader.signer.address},
            {"market": "btc-updown-5m", "path": "/ord*"},
        ):
            fault = trader.add("http_error", where=where, count=1)
            assert (await trader.post())[0] == 500
            assert trader.injected[-1].id == f"{fault}.1"
        trader.add("http_error", where={"order_id": told["orderID"]}, params={"status": 503})
        assert (await trader.call("GET", f"/data/order/{told['orderID']}"))[0] == 503

    trade(scene)


def test_a_jump_of_the_servers_clock_shows_in_time_and_in_proofs() -> None:
    async def scene(trader: Trader) -> None:
        trader.add("clock_jump", params={"seconds": 100}, until=60)
        now_s = trader.clock.now // 1_000_000_000
        assert int((await trader.raw("GET", "/time"))[2]) - now_s == 100
        assert (await trader.post())[0] == 401
        await trader.stage.until(61)
        assert (await trader.post())[0] == 200
        assert trader.struck == ["clock_jump"]

    trade(scene)


def test_a_drifting_clock_runs_away() -> None:
    async def scene(trader: Trader) -> list[int]:
        trader.add("clock_drift", params={"ms_per_second": 100})
        offsets = []
        for second in (10, 110, 210):
            await trader.stage.until(second)
            offsets.append(int((await trader.raw("GET", "/time"))[2]) - trader.clock.now // 1_000_000_000)
        return offsets

    first, second, third = trade(scene)
    assert first == 0
    assert second == pytest.approx(10, abs=1)
    assert third == pytest.approx(20, abs=1)


@pytest.mark.parametrize("answer", ["delayed", "live"])
def test_a_late_fill_is_accepted_now_and_matched_later(answer: str) -> None:
    async def scene(trader: Trader) -> None:
        trader.add("late_fill", params={"seconds": 40, "answer": answer}, count=1)
        status, told = await trader.post(**AT_ONCE)
        assert (status, told["status"], told["success"]) == (200, answer, True)
        address = [trader.signer.address]
        await trader.stage.until(40)
        assert list(trader.core.trades(address)) == []
        await trader.stage.until(47)
        (made,) = trader.core.trades(address)
        assert made.taker_order_id == told["orderID"]

    trade(scene)


def test_bytes_that_are_known_are_refused_although_their_fill_would_come_late() -> None:
    async def scene(trader: Trader) -> None:
        body = trader.order(**AT_ONCE)
        _, told = await trader.call("POST", "/order", body)
        trader.add("late_fill", params={"seconds": 40, "answer": "live"})
        again = await trader.call("POST", "/order", body)
        assert again == (400, {"error": f"order {told['orderID']} is invalid. Duplicated."})

    trade(scene)


@pytest.mark.parametrize(
    ("kind", "params", "after_s", "status"),
    [
        ("trade_failed", {"seconds": 1}, 3, "FAILED"),
        ("trade_failed", {"seconds": 30}, 33, "FAILED"),
        ("trade_retried", {"seconds": 1}, 1.5, "RETRYING"),
        ("trade_late", {"seconds": 60}, 58, "MATCHED"),
    ],
)
def test_trades_fail_are_retried_or_come_late(kind: str, params: dict[str, float], after_s: float, status: str) -> None:
    async def scene(trader: Trader) -> None:
        trader.add(kind, params=params, count=1, where={"side": "BUY", "account": trader.signer.address})
        assert (await trader.post(**AT_ONCE))[1]["status"] == "matched"
        await trader.stage.clock.sleep(after_s)
        (made,) = trader.core.trades([trader.signer.address])
        assert made.status == status
        assert trader.struck == [kind]

    trade(scene)


@pytest.mark.parametrize("kind", ["resolution_late", "resolution_reversed"])
def test_verdicts_come_late_and_are_first_announced_wrong(kind: str) -> None:
    async def scene(trader: Trader) -> None:
        trader.add(kind, params={"seconds": 90}, count=1)
        spec = trader.market.spec
        verdicts: list[str] = []
        await trader.stage.until(285)
        async with trader.stage.session.ws_connect(trader.stage.urls.market_ws_url) as socket:
            await socket.send_json({"assets_ids": [spec.up_token], "custom_feature_enabled": True, "type": "market"})
            for second in range(290, 420, 8):
                await trader.stage.until(second)
                await socket.send_str("PING")
                while (text := await socket.receive_str()) != "PONG":
                    if '"market_resolved"' in text:
                        verdicts.append(text)
        market = trader.core.markets[spec.condition_id]
        assert market.resolved_ns is not None
        assert 390 <= market.resolved_ns // 10**9 - spec.opens_at_s <= 405
        right = f'"winning_outcome":"{market.winner}"'
        said = [right in text for text in verdicts]
        assert said == ([True] if kind == "resolution_late" else [False, True])

    trade(scene)
