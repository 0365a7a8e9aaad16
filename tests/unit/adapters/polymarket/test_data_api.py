"""Data API v2: all pages, exact numbers, payouts only when resolved, refusals by type."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.data_api import DataApiQueries, DataResolution, WalletHoldings
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.domain.errors import RateLimited, VenueProtocolError, VenueRefused, VenueUnreachable
from tests.unit.adapters.polymarket.scripted import Script, says, with_venue

ROW = (
    '{"token_id":"7","condition_id":"0xc","current_size":8.196721,"avg_price":0.6100009,'
    '"current_price":0.64,"status":"OPEN","redeemable":false,"outcome":"Up"}'
)


def page(cursor: str, more: str = "true") -> str:
    return f'{{"data":[{ROW}],"pagination":{{"has_more":{more},"next_cursor":{cursor}}}}}'


def ask(scene: Callable[[DataApiQueries, Script], Awaitable[None]]) -> None:
    async def play(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        queries = DataApiQueries(base_url=venue._transport.base_url, clock=clock, rng=random.Random(1))
        await scene(queries, script)
        await queries.close()

    with_venue(play)


def test_all_pages_are_read_exactly() -> None:
    async def scene(queries: DataApiQueries, script: Script) -> None:
        script.on("/v2/positions", says(page('"a"')), says("", 503), says(page("null", "false")))
        first, second = await queries.positions("0xw", status="OPEN", filter_amount=10_000)
        assert first == second
        assert (first.size, first.average_price, first.current_price) == (8_196_721, 610_000, 640_000)
        assert script.asked[0].query["filter_amount"] == "0.01"
        assert script.asked[-1].query["cursor"] == "a"

    ask(scene)


def test_a_cursor_that_comes_again_is_an_error() -> None:
    async def scene(queries: DataApiQueries, script: Script) -> None:
        script.on("/v2/positions", says(page('"a"')))
        with pytest.raises(VenueProtocolError, match="twice"):
            await queries.positions("0xw")

    ask(scene)


def test_payouts_count_only_when_resolved() -> None:
    async def scene(queries: DataApiQueries, script: Script) -> None:
        body = '{"data":{"condition_id":"0xc","status":"%s","payouts":[1,0]}}'
        script.on("/v2/resolutions", says(body % "proposed"), says(body % "resolved"), says('{"data":null}'))
        assert await queries.resolution("0xc") == DataResolution(condition_id="0xc", status="proposed", payouts=None)
        resolved = await queries.resolution("0xc")
        assert resolved is not None
        assert resolved.payouts == (1_000_000, 0)
        assert await queries.resolution("0xc") is None

    ask(scene)


@pytest.mark.parametrize(("status", "kind"), [(400, VenueRefused), (429, RateLimited), (503, VenueUnreachable)])
def test_errors_have_their_type(status: int, kind: type[Exception]) -> None:
    async def scene(queries: DataApiQueries, script: Script) -> None:
        script.on("/v2/value", says('{"error":"no","code":"x","retryable":false}', status))
        with pytest.raises(kind, match="no"):
            await queries.value("0xw")

    ask(scene)


def test_holdings_are_every_row_with_shares_and_a_failed_page_makes_them_incomplete() -> None:
    async def scene(queries: DataApiQueries, script: Script) -> None:
        empty = ROW.replace("8.196721", "0")
        whole = f'{{"data":[{ROW},{empty}],"pagination":{{"has_more":false,"next_cursor":null}}}}'
        script.on("/v2/positions", says(whole), says(page('"a"')), says("no", 400))
        source = WalletHoldings(queries, wallet="0xw", clock=LoopClock(5))
        read = await source.holdings()
        assert read.complete
        assert [(held.token_id, held.shares, held.average_price) for held in read.holdings] == [
            ("7", 8_196_721, 610_000)
        ]
        assert script.asked[0].query["filter_amount"] == "0"
        failed = await source.holdings()
        assert not failed.complete
        assert failed.holdings == ()
        assert failed.detail

    ask(scene)


def test_a_size_finer_than_a_share_can_be_is_cut_and_not_refused() -> None:
    async def scene(queries: DataApiQueries, script: Script) -> None:
        script.on("/v2/positions", says(page("null", "false").replace("8.196721", "8.19672100001")))
        (held,) = await queries.positions("0xw")
        assert held.size == 8_196_721

    ask(scene)
