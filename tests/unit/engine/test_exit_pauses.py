"""Nothing is tried in a loop: what the venue goes on refusing is tried with growing pauses, or watched instead."""

from __future__ import annotations

from dataclasses import replace

from polystra.domain.events import RefusalClass, SubmitRefused, TokenBalanceRead
from polystra.domain.facts import NoticeKind
from polystra.engine import effects as fx
from polystra.engine.config import ExitConfig, ExitMode
from tests.unit.engine.desk import MARKET, OPENS, UP, Desk, config

LONG_MARKET = replace(MARKET, closes_at_s=OPENS + 90_000)


def refused_for(desk: Desk, seconds: int, prices: tuple[int, int], **refusal: object) -> int:
    """Quote these prices and refuse every order for so long; returns how many orders came."""
    sent = 0
    for _ in range(seconds // 2):
        desk.books(*prices).advance(2)
        effects, desk.effects = desk.effects, []
        for effect in effects:
            if isinstance(effect, fx.SubmitOrder) and effect.purpose.is_exit:
                sent += 1
                desk.step(SubmitRefused(order_id=effect.signed.order_id, message="no", **refusal))  # type: ignore[arg-type]
            elif isinstance(effect, fx.ReadTokenBalance):
                desk.step(TokenBalanceRead(token_id=UP, shares=0, at_ns=desk.now_ns))
            elif isinstance(effect, fx.ReadAccount):
                desk.snapshot(tokens=[(UP, desk.position().shares)])
    return sent


def held(**exits: object) -> Desk:
    desk = Desk(config(exits=ExitConfig(**exits))).ready(LONG_MARKET)  # type: ignore[arg-type]
    desk.hold(10, 50)
    return desk


def test_a_take_profit_that_is_to_be_planned_anew_again_and_again_is_watched_instead():
    desk = held()
    assert refused_for(desk, 600, (49, 51), kind=RefusalClass.REPLAN) <= 6
    assert desk.exits().watched
    assert len(desk.notices(NoticeKind.EXIT_SKIPPED)) == 1
    assert refused_for(desk, 10, (20, 22)) >= 2, "the stop needs no take-profit"


def test_one_plan_refused_is_made_again_soon():
    desk = held()
    assert refused_for(desk, 2, (49, 51), kind=RefusalClass.REPLAN) == 1
    desk.advance(2.1)
    assert len(desk.asked(fx.SubmitOrder)) == 1


def test_a_watched_take_profit_that_finds_no_buyer_is_tried_ever_more_seldom():
    desk = held(mode=ExitMode.MONITOR)
    assert 5 <= refused_for(desk, 600, (91, 93), killed=True, kind=RefusalClass.KILLED) <= 25


def test_a_take_profit_without_balance_is_tried_ever_more_seldom_but_a_stop_is_not():
    desk = held()
    assert refused_for(desk, 600, (49, 51), code="balance", kind=RefusalClass.REPLAN) <= 18
    assert refused_for(desk, 600, (20, 22), code="balance", kind=RefusalClass.REPLAN) >= 60
