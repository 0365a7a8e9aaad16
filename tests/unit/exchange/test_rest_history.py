"""Price histories, candles, kept books and builder keys."""

from polystra.exchange.rest_history import candles
from tests.unit.exchange.conftest import CONDITION, DOWN, T0_S, UP
from tests.unit.exchange.http_desk import HttpDesk, http_desk

MINUTE = 60_000_000_000


async def traded(desk: HttpDesk) -> None:
    """Move the middle of the book from 0.45 to 0.41 and trade once."""
    desk.quote(DOWN, 50, 10)
    desk.quote(UP, 40, 100)
    await desk.call("POST", "/order", desk.submission(makerAmount="5000000"))
    desk.clock.now += MINUTE
    desk.quote(DOWN, 58, 100)


def test_candles_are_cut_by_length() -> None:
    rows = candles([(5, 500_000, 2_000_000), (59, 400_000, 1_000_000), (60, 450_000, 2_000_000)], 60)
    assert rows[0] == {"t": 0, "o": "0.5", "h": "0.5", "l": "0.4", "c": "0.4", "v": "1.4"}
    assert rows[1] == {"t": 60, "o": "0.45", "h": "0.45", "l": "0.45", "c": "0.45", "v": "0.9"}


async def test_the_history_of_both_tokens_mirrors() -> None:
    async with http_desk() as desk:
        await traded(desk)
        minute = T0_S // 60 * 60
        status, up = await desk.get(f"/prices-history?market={UP}&interval=max")
        assert (status, up) == (200, {"history": [{"t": minute, "p": 0.45}, {"t": minute + 60, "p": 0.41}]})
        _, down = await desk.get(f"/prices-history?market={DOWN}&startTs={minute + 60}")
        assert down == {"history": [{"t": minute + 60, "p": 0.59}]}
        _, coarse = await desk.get(f"/prices-history?market={UP}&fidelity=60")
        assert len(coarse["history"]) == 1
        assert await desk.get("/prices-history?market=5") == (200, {"history": []})
        _, batch = await desk.call("POST", "/batch-prices-history", {"markets": [UP, DOWN]})
        assert batch["history"][UP] == up["history"]
        assert await desk.call("POST", "/batch-prices-history", {"markets": [UP] * 21}) == (
            400,
            {"error": "Payload exceeds the limit"},
        )


async def test_candles_and_kept_books_over_http() -> None:
    async with http_desk() as desk:
        await traded(desk)
        _, rows = await desk.get(f"/ohlc?asset_id={UP}&startTs=0&fidelity=1m")
        assert [(row["o"], row["c"], row["v"]) for row in rows["data"]] == [("0.5", "0.5", "5")]
        _, books = await desk.get(f"/orderbook-history?market={CONDITION}&startTs=0")
        assert books["count"] == 2
        assert books["data"][0]["bids"] == [{"price": "0.4", "size": "100"}]
        _, by_token = await desk.get(f"/orderbook-history?asset_id={DOWN}&startTs=0&limit=1")
        assert len(by_token["data"]) == 1


async def test_builder_keys_come_and_go() -> None:
    async with http_desk() as desk:
        _, made = await desk.call("POST", "/auth/builder-api-key")
        assert await desk.call("GET", "/auth/builder-api-key") == (200, [{"key": made["key"]}])
        assert await desk.call("DELETE", "/auth/builder-api-key", {"key": made["key"]}) == (200, "OK")
        assert await desk.call("GET", "/auth/builder-api-key") == (200, [])
        assert (await desk.get("/builder/trades"))[1]["data"] == []
