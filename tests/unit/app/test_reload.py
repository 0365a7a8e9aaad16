"""Which changed settings a running daemon takes: those of the table, as a whole, or none."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polystra.app.config_view import shown_value
from polystra.app.engine_settings import engine_config
from polystra.app.reload import ReloadedSettings
from polystra.app.settings import Settings, load_settings
from polystra.app.settings_reload import RELOADED
from polystra.domain.errors import ConfigError
from polystra.engine.config import EngineConfig
from polystra.engine.config_change import unchangeable
from tests.fakes.calibration import written

OTHER: dict[str, str] = {
    "entry_style": "market",
    "fusion": "additive",
    "exit_mode": "monitor",
    "use_concurrent_orders": "NO",
    "take_profit_kind": "price",
    "take_profit_ladder": "50@20,50@40",
    "close_guard_action": "exit",
    "venue_post_only_exit": "wait",
    "dust_policy": "with_next_lot",
    "sell_winners_at": "0.97",
    "min_confidence_score": "0.7",
    "kelly_fraction": "0.5",
    "max_spread": "0.06",
    "take_profit_price": "0.8",
    "exit_mode_ab_share": "0.5",
    "live_max_dollars": "60",
}
"""Another value than the default; numbers and flags are changed by a rule."""
NO_PART_OF_THE_ENGINE = {"force_entry_enable", "live_max_dollars"}


def settings(**values: str) -> Settings:
    return load_settings({name.upper(): value for name, value in values.items()}, None)


def held(values: Settings) -> EngineConfig:
    return engine_config(values, symbols=values.symbols, salt_seed=b"s", markets_limit=3)


def other_value(field: str) -> str:
    default: Any = getattr(settings(), field)
    if field in OTHER:
        return OTHER[field]
    if isinstance(default, bool):
        return "NO" if default else "YES"
    assert isinstance(default, int | Decimal), field
    return str(default + 1)


def source(before: Settings, after: Callable[[], Settings]) -> ReloadedSettings:
    return ReloadedSettings(before, after)


@pytest.mark.parametrize("field", sorted(RELOADED))
def test_every_setting_of_the_table_reaches_the_engine_and_only_parts_that_may_change(field: str) -> None:
    before, after = settings(), settings(**{field: other_value(field)})
    asked = source(before, lambda: after)
    reading = asked.read(held(before))
    assert not reading.refusal
    assert reading.words == (f"{field.upper()} {shown_value(before, field) or '(empty)'} -> {other_value(field)}",)
    assert not unchangeable(reading.changes)
    assert bool(reading.changes) is (field not in NO_PART_OF_THE_ENGINE)
    asked.taken()
    assert asked.current == after
    assert not asked.read(held(after)).words


def test_one_setting_that_needs_a_restart_refuses_the_whole() -> None:
    before = settings()
    after = settings(min_edge_percent="4", symbols="BTC", log_level="DEBUG")
    asked = source(before, lambda: after)
    reading = asked.read(held(before))
    assert reading.changes == ()
    assert reading.refusal.startswith("nothing was changed: LOG_LEVEL, SYMBOLS need a restart")
    assert "MIN_EDGE_PERCENT 3.0 -> 4" in reading.words
    assert asked.current == before


def test_a_file_that_is_wrong_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("STOP_LOSS_PERCENT=200\n")
    before = settings()
    asked = source(before, lambda: load_settings({}, env))
    reading = asked.read(held(before))
    assert reading.refusal.startswith("nothing was changed: STOP_LOSS_PERCENT is '200', expected")
    env.write_text("STOP_LOSS_PERCNT=20\n")
    assert "did you mean STOP_LOSS_PERCENT?" in asked.read(held(before)).refusal
    env.unlink()
    with pytest.raises(ConfigError):
        load_settings({}, env)
    assert "cannot be read" in asked.read(held(before)).refusal


def test_another_calibration_under_the_same_name_is_not_taken_and_a_lost_one_is_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = settings(calibration_file=str(path))
    config = held(before)
    after = settings(calibration_file=str(path), min_edge_percent="9")
    asked = source(before, lambda: after)
    assert asked.read(config).changes
    written(tmp_path, strength=0.9)
    reading = asked.read(config)
    assert not reading.changes
    assert "another calibration now, which needs a restart" in reading.refusal
    path.unlink()
    assert asked.read(config).refusal.startswith(f"nothing was changed: CALIBRATION_FILE {path}: cannot be read")


def test_a_secret_that_changed_is_named_and_not_shown() -> None:
    secret, newer = "https://hook.example/first-secret-of-all", "https://hook.example/second-secret-of-all"
    before, after = settings(alert_webhook_url=secret), settings(alert_webhook_url=newer)
    reading = source(before, lambda: after).read(held(before))
    assert reading.words == ("ALERT_WEBHOOK_URL changed (not shown)",)
    assert "secret-of-all" not in f"{reading}"
    assert "ALERT_WEBHOOK_URL needs a restart" in reading.refusal
