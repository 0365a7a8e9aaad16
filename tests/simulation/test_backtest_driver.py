"""The backtest on what a simulated session saw: it trades, adds up with the paper account, and repeats itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.backtest.driver import Driver, DriverResult
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import BookChanged, BookSnapshot
from polystra.domain.facts import DecisionRecorded, Fact, IntentRecorded
from polystra.domain.units import NS_PER_S
from polystra.matching.paper_venue import PaperRules


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("session")
    settings = load_settings(
        {"WINDOWS": "5m", "SYMBOLS": "BTC,ETH", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR"}, None
    )
    run_session(settings, RunOptions(seed=7, markets=4, record=folder / "recordings", speed=None))
    structlog.reset_defaults()
    return recording_files([folder / "recordings"])


def backtest(inputs: RecordingReader | list[Recorded], paths: list[Path]) -> tuple[Driver, DriverResult, list[Fact]]:
    facts: list[Fact] = []
    config = RecordingReader(paths).heads[0].config
    assert config is not None
    driver = Driver(config, PaperRules(), lambda made, _: facts.extend(made))
    return driver, driver.run(inputs), facts


def test_it_trades_and_the_ledger_is_the_paper_account(recording: list[Path]):
    driver, result, facts = backtest(RecordingReader(recording), recording)
    assert result.left_open == ()
    assert result.inputs > 10_000
    assert sum(isinstance(fact, IntentRecorded) for fact in facts) >= 5
    assert driver.state.ledger.cash == driver.venue.cash != PaperRules().cash
    assert not any(driver.venue.tokens.values())
    assert driver.state.blocks == {}
    assert all(not position.shares for position in driver.state.positions.values())


def test_the_same_recording_gives_the_same_facts(recording: list[Path]):
    first = backtest(RecordingReader(recording), recording)[1]
    assert backtest(RecordingReader(recording), recording)[1] == first


def test_decisions_know_nothing_of_what_comes_later(recording: list[Path]):
    """Cut the recording off anywhere: what was decided before the cut is what the whole recording decided."""
    inputs = list(RecordingReader(recording))
    whole = [fact for fact in backtest(inputs, recording)[2] if isinstance(fact, DecisionRecorded)]
    cut_ns = inputs[len(inputs) * 2 // 3].now_ns
    early = [each for each in inputs if each.now_ns <= cut_ns]
    part = [fact for fact in backtest(early, recording)[2] if isinstance(fact, DecisionRecorded)]
    before = [fact for fact in whole if fact.at_ns <= cut_ns]
    assert len(before) > 50
    assert [fact for fact in part if fact.at_ns <= cut_ns] == before


def test_books_that_come_one_second_early_are_noticed(recording: list[Path]):
    """A look-ahead changes what is decided: the comparison above can fail."""
    inputs = list(RecordingReader(recording))
    shifted = [
        Recorded(each.now_ns - NS_PER_S, each.event) if isinstance(each.event, BookChanged | BookSnapshot) else each
        for each in inputs
    ]
    shifted.sort(key=lambda each: each.now_ns)
    assert backtest(shifted, recording)[1].digest != backtest(inputs, recording)[1].digest
