"""Which calibration is in force, and what live does without evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from polystra.app.calibration_setting import (
    calibration_file,
    calibration_of,
    calibration_words,
    check_calibration,
    entries_are_closed,
    overlap_words,
    weights_of,
)
from polystra.app.checks import Verdict
from polystra.app.engine_settings import strategy_config
from polystra.app.settings import Settings, load_settings
from polystra.domain.errors import ConfigError
from polystra.engine.strategy.calibration import UNFITTED
from polystra.engine.strategy.fusion import FusionWeights
from tests.fakes.calibration import written

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
LIVE = {"MODE": "live", "POLY_PRIVATE_KEY": "0x" + "11" * 32, "LIVE_ARMED": ADDRESS}


def live(path: Path | None = None, **more: str) -> Settings:
    return load_settings({**LIVE, **({} if path is None else {"CALIBRATION_FILE": str(path)}), **more}, None)


def test_the_simulation_uses_the_file_that_comes_with_the_program():
    settings = load_settings({}, None)
    shipped = calibration_file(settings, simulated=True)
    assert shipped is not None
    assert shipped.origin == "simulation"
    strategy = strategy_config(settings)
    assert strategy.calibration == shipped.calibration()
    assert not strategy.is_closed
    fair_value = next(each for each in shipped.fitted.signals if each.name == "fair_value")
    assert fair_value.kept
    assert shipped.digest[:16] in calibration_words(settings)


def test_nothing_stands_in_for_a_file_where_markets_are_real():
    assert calibration_file(load_settings({}, None), simulated=False) is None
    assert calibration_of(live(), simulated=False) is UNFITTED
    assert calibration_words(live()).startswith("none: what signals are worth is unknown")


def test_a_file_of_the_simulation_is_refused_elsewhere(tmp_path: Path):
    path = written(tmp_path, origin="simulation")
    assert calibration_file(live(path), simulated=True) is not None
    with pytest.raises(ConfigError, match="fitted on the built-in exchange"):
        calibration_file(live(path), simulated=False)


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"{}", "is no calibration file")])
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, content: bytes | None, words: str):
    path = tmp_path / "c.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as refused:
        strategy_config(live(path))
    assert str(refused.value).startswith(f"CALIBRATION_FILE {path}")
    assert check_calibration(live(path)).verdict is Verdict.FAIL
    assert not check_calibration(live(path)).entries_only


def test_live_without_evidence_takes_no_entries_and_the_doctor_says_why(tmp_path: Path):
    for settings, why in (
        (live(), "CALIBRATION_FILE is empty"),
        (live(written(tmp_path, passed=False)), "not better than the market's own price"),
        (live(written(tmp_path / "w"), SIGNAL_MOMENTUM_WEIGHT="2"), "other weights"),
    ):
        assert entries_are_closed(settings)
        assert strategy_config(settings).is_closed
        check = check_calibration(settings)
        assert (check.verdict, check.entries_only) == (Verdict.FAIL, True)
        assert why in check.evidence
        assert "REQUIRE_CALIBRATION=NO" in check.remedy


def test_no_overrules_and_is_told_at_every_start(tmp_path: Path):
    settings = live(written(tmp_path, passed=False), REQUIRE_CALIBRATION="NO")
    assert not strategy_config(settings).is_closed
    check = check_calibration(settings)
    assert check.verdict is Verdict.WARN
    assert check.evidence.startswith("REQUIRE_CALIBRATION=NO overrules it; the gate of bayesian is closed")


def test_a_gate_that_was_passed_lets_live_trade(tmp_path: Path):
    settings = live(written(tmp_path))
    assert not strategy_config(settings).is_closed
    assert check_calibration(settings).verdict is Verdict.OK
    assert "gate passed" in calibration_words(settings)


@pytest.mark.parametrize(
    ("window", "slug"),
    [
        ("5m", "btc-updown-5m-1786665600"),
        ("15m", "btc-updown-15m-1786665600"),
        ("1h", "bitcoin-up-or-down-november-21-2026-3pm-et"),
        ("4h", "btc-updown-4h-1786665600"),
        ("1d", "bitcoin-up-or-down-on-november-21-2026"),
    ],
)
def test_a_gate_says_nothing_about_windows_of_a_length_that_was_not_tested(tmp_path: Path, window: str, slug: str):
    path = written(tmp_path, tested_on=(slug,))
    assert not entries_are_closed(live(path, WINDOWS=window))
    other = "4h" if window == "1d" else "1d"
    both = live(path, WINDOWS=f"{window},{other}")
    assert entries_are_closed(both)
    assert f"tested on windows of {window}, and WINDOWS has {other} too" in check_calibration(both).evidence


def test_elsewhere_no_gate_is_asked():
    assert not entries_are_closed(load_settings({"FUSION": "additive"}, None))
    assert check_calibration(load_settings({}, None)).verdict is Verdict.NOT_CHECKED


def test_a_backtest_over_windows_that_were_fitted_on_is_told(tmp_path: Path):
    path = written(tmp_path, fitted_on=("btc-1", "btc-2"))
    told = overlap_words(live(path), simulated=False, windows=["btc-2", "btc-3", "btc-3"])
    assert told.startswith("Not out of sample: 1 of 2 windows are among those that CALIBRATION_FILE was fitted on")
    assert overlap_words(live(path), simulated=False, windows=["btc-3"]) == ""
    assert overlap_words(live(), simulated=False, windows=["btc-2"]) == ""


def test_signals_are_switched_and_weighted_by_settings():
    assert weights_of(load_settings({}, None)) == FusionWeights()
    changed = {"ENABLE_SIGNAL_MOMENTUM": "NO", "SIGNAL_MOMENTUM_WEIGHT": "3", "SIGNAL_FAIR_VALUE_WEIGHT": "0.5"}
    assert weights_of(load_settings(changed, None)) == FusionWeights(fair_value=0.5, momentum=0.0)
