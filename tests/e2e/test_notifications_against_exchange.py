"""The adapter's notices against the built-in exchange."""

from __future__ import annotations

import pytest

from polystra.adapters.polymarket.notifications import ORDER_CANCELLED
from polystra.domain.errors import VenueRefused
from polystra.domain.notices import NoticeTopic
from polystra.domain.orders import Side
from polystra.domain.units import MICRO
from tests.e2e.test_adapter_against_exchange import Stage, play
from tests.fakes.venue import submissions


def test_a_cancelled_order_is_told_and_dismissed() -> None:
    async def scene(on: Stage) -> None:
        order = on.sign(Side.BUY, 10_000, 20 * MICRO, post_only=True)
        await on.venue.submit(submissions(order))
        await on.venue.cancel([order.order_id])
        (told,) = [each for each in await on.venue.notifications() if each.kind == ORDER_CANCELLED]
        assert (told.order_id, told.side, told.price) == (order.order_id, Side.BUY, 10_000)
        assert (told.original_size, told.matched_size, told.remaining_size) == (20 * MICRO, 0, 20 * MICRO)
        assert (told.condition_id, told.token_id) == (on.market.condition_id, on.market.up_token)
        (hint,) = [each for each in (await on.venue.notices()).notices if each.order_id == order.order_id]
        assert hint.topic is NoticeTopic.ORDER_CANCELLED
        await on.venue.dismiss([])
        assert told in await on.venue.notifications()
        await on.venue.dismiss([told.notification_id])
        assert told.notification_id not in {each.notification_id for each in await on.venue.notifications()}
        with pytest.raises(VenueRefused, match="Invalid ids"):
            await on.venue.dismiss([-1])

    play(scene)
