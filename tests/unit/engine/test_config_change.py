"""New settings while trading goes on: all of them or none, at once, for what is held too."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from polystra.domain.events import ConfigChanged
from polystra.domain.facts import NoticeKind, RequestAnswered
from polystra.domain.orders import Purpose
from polystra.domain.units import NS_PER_S
from polystra.engine.config import EngineConfig
from polystra.engine.config_change import CHANGEABLE, changed, differences, unchangeable
from polystra.engine.effects import CancelOrder
from tests.unit.engine.desk import CENT, Desk, config

FIXED = {
    "symbols",
    "windows_s",
    "salt_seed",
    "order_prefix",
    "evaluate_every_ns",
    "discover_ahead_s",
    "clock_check_every_s",
    "venue_heartbeat",
    "notices_every_s",
    "absence_horizon_s",
    "entry_deadline_s",
    "markets_limit",
}


def ask(desk: Desk, *changes: tuple[str, str], words: str = "STOP_LOSS_PERCENT 50 -> 20") -> RequestAnswered:
    desk.clear()
    desk.step(ConfigChanged(request_id="r1", changes=changes, words=(words,), source="a test"))
    [answer] = [fact for fact in desk.facts if isinstance(fact, RequestAnswered)]
    return answer


def test_what_differs_is_what_changes() -> None:
    old = config()
    new = replace(old, exits=replace(old.exits, stop_loss_ppm=200_000, ladder=((500_000, 300_000),)), check_every_s=7)
    changes = differences(old, new)
    assert [path for path, _ in changes] == ["check_every_s", "exits.ladder", "exits.stop_loss_ppm"]
    assert changed(old, changes) == new
    assert differences(old, old) == ()


def test_every_part_of_the_configuration_is_either_fixed_or_changeable() -> None:
    parts = {each.name for each in fields(EngineConfig)}
    assert not FIXED & set(CHANGEABLE)
    assert parts - FIXED >= set(CHANGEABLE)
    assert unchangeable([(name, "1") for name in sorted(parts - set(CHANGEABLE))]) == sorted(parts - set(CHANGEABLE))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("symbols", '["ETH"]', "symbols may not change"),
        ("venue_heartbeat", "true", "restart the daemon"),
        ("exits.moon", "1", "no part of the configuration"),
        ("moon.exits", "1", "moon.exits may not change"),
        ("exits.stop_loss_ppm", "{", "not JSON"),
        ("exits.stop_loss_ppm", '"much"', "does not fit"),
        ("exits.mode", '"sideways"', "does not fit"),
    ],
)
def test_one_wrong_change_and_nothing_changes(path: str, value: str, words: str) -> None:
    desk = Desk().ready()
    before = desk.state.config
    answer = ask(desk, ("exits.take_profit_ppm", "300000"), (path, value))
    assert words in answer.refusal
    assert desk.state.config == before
    assert not desk.notices(NoticeKind.CONFIG_CHANGED)


def test_the_stop_of_what_is_held_moves_and_the_difference_is_told() -> None:
    desk = Desk().ready()
    position = desk.hold()
    assert desk.state.exits[position.position_id].stop_price == 25 * CENT
    answer = ask(desk, ("exits.stop_loss_ppm", "200000"))
    assert not answer.refusal
    assert desk.state.exits[position.position_id].stop_price == 40 * CENT
    [told] = desk.notices(NoticeKind.CONFIG_CHANGED)
    assert told.message == "STOP_LOSS_PERCENT 50 -> 20 (asked for by a test)"
    desk.clear().books(40, 42)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_a_resting_take_profit_is_replaced_by_one_at_the_new_target() -> None:
    desk = Desk().ready()
    desk.hold()
    desk.advance(10)
    resting = desk.last_order()
    assert resting.order.terms.purpose is Purpose.TAKE_PROFIT
    desk.accept(resting)
    assert resting.order.terms.price == 90 * CENT
    ask(desk, ("exits.take_profit_ppm", "300000"))
    assert [effect.order_id for effect in desk.effects if isinstance(effect, CancelOrder)] == [resting.order_id]


def test_a_time_stop_that_is_switched_on_fires_for_what_is_held() -> None:
    desk = Desk().ready()
    position = desk.hold()
    ask(desk, ("exits.time_stop", "true"), ("exits.time_stop_s", "60"))
    assert desk.state.exits[position.position_id].time_stop_ns == position.opened_at_ns + 60 * NS_PER_S
    desk.advance(30).books(49, 51)
    assert not desk.notices(NoticeKind.STOP_FIRED)
    desk.advance(35)
    assert desk.notices(NoticeKind.STOP_FIRED)
