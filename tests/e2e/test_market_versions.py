"""The venue adapter trades markets of every version and grid, and refuses rules that it does not know."""

from __future__ import annotations

import pytest

from polystra.domain.errors import VenueRefused
from polystra.domain.orders import Side
from polystra.domain.units import MICRO
from tests.e2e.test_adapter_against_exchange import Stage, play
from tests.fakes.venue import submissions


@pytest.mark.parametrize(
    ("version", "neg_risk", "tick"),
    [("v1", False, 2_500), ("v1", True, 10_000), ("v2", False, 1_000), ("v2", True, 10_000)],
)
def test_a_purchase_settles_and_is_offered_again(version: str, neg_risk: bool, tick: int) -> None:
    async def scene(on: Stage) -> None:
        assert (on.market.version, on.market.negative_risk, on.market.tick_size) == (version, neg_risk, tick)
        order, accepted = await on.buy_now()
        assert accepted.order_id == order.order_id
        await on.clock.sleep(10)
        snapshot = await on.venue.account(since_ns=0, tokens=[on.market.up_token])
        assert snapshot.complete, snapshot.detail
        ((_, held),) = snapshot.tokens
        assert held > 5 * MICRO
        price = on.market.price_at_or_below(990_000)
        sale = on.sign(Side.SELL, price, held // 10_000 * 10_000, post_only=True)
        (outcome,) = await on.venue.submit(submissions(sale))
        assert getattr(outcome, "order_id", None) == sale.order_id, outcome

    play(scene, version=version, neg_risk=neg_risk, tick_size=tick)


@pytest.mark.parametrize("rule", ["average_30", "last_price", "candle"])
def test_a_market_with_another_rule_is_not_traded(rule: str) -> None:
    async def scene(on: Stage) -> None:
        pytest.fail(f"{on.market.slug} was offered")

    with pytest.raises(ExceptionGroup) as caught:
        play(scene, rule=rule)
    assert caught.group_contains(VenueRefused, match="resolution rule that is not known")
