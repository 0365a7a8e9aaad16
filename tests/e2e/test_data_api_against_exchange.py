"""The adapter's Data API questions against the built-in exchange."""

from __future__ import annotations

import random

from polystra.adapters.polymarket.data_api import DataApiQueries
from tests.e2e.test_adapter_against_exchange import Stage, play


def test_a_bought_position_is_listed_and_worth_something() -> None:
    async def scene(on: Stage) -> None:
        queries = DataApiQueries(base_url=on.urls.data_api_url, clock=on.clock, rng=random.Random(1))
        _, accepted = await on.buy_now()
        await on.clock.sleep(60)
        (held,) = await queries.positions(on.account.wallet, status="OPEN")
        assert (held.token_id, held.size) == (on.market.up_token, accepted.taking)
        assert await queries.value(on.account.wallet) > 0
        open_market = await queries.resolution(on.market.condition_id)
        assert open_market is not None
        assert open_market.payouts is None
        await queries.close()

    play(scene)
