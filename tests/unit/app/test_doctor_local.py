"""The doctor's checks of this machine, each made to pass, to warn and to fail."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from polystra.adapters.store.migrations import upgrade
from polystra.app.checks import Verdict, redacted, warned
from polystra.app.doctor_local import (
    Place,
    check_bankroll,
    check_database,
    check_disk,
    check_files,
    check_restart,
    next_restart_s,
    smallest_edge_ppm,
)
from polystra.app.settings import Settings, load_settings
from polystra.domain.errors import ConfigError
from polystra.domain.market import FeeSchedule
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.strategy.sizing import SizingRules

KEY = "11" * 32
FEES = FeeSchedule(rate_ppm=70_000)
FIVE = 5 * MICRO


def settings_in(folder: Path, **given: str) -> Settings:
    return load_settings({"DATA_DIR": str(folder), **given}, None)


# --- money -------------------------------------------------------------------------------


def test_the_edge_told_is_the_one_from_which_the_sizing_makes_entries():
    rules = SizingRules()
    least = smallest_edge_ppm(rules, 100 * MICRO, FEES, FIVE)
    assert least is not None
    assert smallest_edge_ppm(rules, 1_000 * MICRO, FEES, FIVE) < least  # type: ignore[operator]
    check = check_bankroll(rules, 100 * MICRO, FEES, FIVE, told_by="the balance")
    assert check.verdict is Verdict.OK
    assert check.evidence.endswith(f"below 5 shares up to an edge of {least / 10_000:.1f} %")


def test_capital_that_never_reaches_the_minimum_is_a_warning():
    check = check_bankroll(SizingRules(), 2 * MICRO, FEES, FIVE, told_by="the balance")
    assert (check.verdict, "no entry will be made" in check.evidence) == (Verdict.WARN, True)


@pytest.mark.parametrize(("dollars", "verdict"), [(1, Verdict.WARN), (5, Verdict.OK)])
def test_a_fixed_size_is_held_against_the_minimum(dollars: int, verdict: Verdict):
    rules = SizingRules(use_kelly=False, trade_size=dollars * MICRO)
    assert check_bankroll(rules, 100 * MICRO, FEES, FIVE, told_by="the balance").verdict is verdict


# --- calendar ----------------------------------------------------------------------------


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("weekly", ["TUE 07:00", "SUN 01:30", "SAT 23:59"])
def test_the_next_restart_is_the_next_such_time_in_new_york(month: int, weekly: str):
    now_s = int(datetime(2026, month, 13, 11, 30, tzinfo=UTC).timestamp())
    local = datetime.fromtimestamp(next_restart_s(weekly, now_s), ZoneInfo("America/New_York"))
    assert f"{local:%a %H:%M}".upper() == weekly
    assert 0 < next_restart_s(weekly, now_s) - now_s <= 7 * 86_400 + 3_600


def test_a_restart_that_is_near_is_a_warning_and_one_that_is_off_is_not_checked():
    at_s = int(datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp())
    assert check_restart("TUE 07:00", (at_s - 600) * NS_PER_S).verdict is Verdict.WARN
    assert check_restart("TUE 07:00", (at_s - 7_200) * NS_PER_S).verdict is Verdict.OK
    assert check_restart("OFF", at_s * NS_PER_S).verdict is Verdict.NOT_CHECKED


@pytest.mark.parametrize("text", ["TUE", "TUE 24:00", "TUESDAY 07:00", "07:00", "TUE 7:00"])
def test_a_restart_that_is_no_time_of_the_week_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match="WEEKLY_RESTART"):
        settings_in(tmp_path, WEEKLY_RESTART=text)
    assert settings_in(tmp_path, WEEKLY_RESTART=" tue  07:00").weekly_restart == "TUE 07:00"


# --- files and disk ----------------------------------------------------------------------


def test_files_that_others_can_read_are_named(tmp_path: Path):
    env, key, data = tmp_path / ".env", tmp_path / "key", tmp_path / "data"
    env.write_text("MODE=sim\n")
    key.write_text(KEY)
    data.mkdir(mode=0o700)
    env.chmod(0o600)
    key.chmod(0o400)
    settings = settings_in(data)
    place = Place(environ={"POLY_PRIVATE_KEY_FILE": str(key)}, env_file=env)
    assert check_files(settings, place).verdict is Verdict.OK
    env.chmod(0o644)
    found = check_files(settings, place)
    assert (found.verdict, str(env) in found.evidence) == (Verdict.WARN, True)
    env.write_text(f"POLY_PRIVATE_KEY={KEY}\n")
    found = check_files(settings, place)
    assert found.verdict is Verdict.FAIL
    assert KEY not in found.evidence
    env.chmod(0o600)
    key.chmod(0o440)
    assert check_files(settings, place).verdict is Verdict.WARN
    key.chmod(0o444)
    assert check_files(settings, place).verdict is Verdict.FAIL
    key.chmod(0o400)
    data.chmod(0o755)
    assert check_files(settings, place).verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("free", "verdict"), [(50_000_000, Verdict.FAIL), (500_000_000, Verdict.WARN), (5_000_000_000, Verdict.OK)]
)
def test_a_disk_that_runs_full_is_told(tmp_path: Path, free: int, verdict: Verdict):
    assert check_disk(tmp_path / "not" / "there", lambda _path: free).verdict is verdict


def test_the_database_is_looked_at_and_not_made(tmp_path: Path):
    settings = settings_in(tmp_path)
    assert "the first start makes it" in check_database(settings).evidence
    assert list(tmp_path.iterdir()) == []
    upgrade(settings.resolved_database_url.get_secret_value())
    check = check_database(settings)
    assert (check.verdict, "writable and at head" in check.evidence) == (Verdict.OK, True)


def test_no_secret_and_no_second_line_is_shown():
    [check] = redacted([warned("x", f"a\nkey {KEY}", "write it")], [KEY])
    assert KEY not in check.evidence
    assert "\n" not in check.evidence
