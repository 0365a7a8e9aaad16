"""What surrounds a run over recordings: the progress bar, Ctrl-C, and which settings are told."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from polystra.app.backtest_result import choose, interruptible, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_over_all_jobs(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("backtest", [10, 30]) as told:
        assert told is not None
        told([10, 20])
    assert "backtest" in terminal.getvalue()
    assert "75%" in terminal.getvalue()


def test_elsewhere_there_is_none(monkeypatch: pytest.MonkeyPatch):
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    with progress_bar("backtest", [10]) as told:
        assert told is None
    assert not elsewhere.getvalue()


def test_an_interruption_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        interruptible(interrupted)()
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "polystra: interrupted; nothing was written\n"


def test_settings_are_told_with_their_source(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIN_CONFIDENCE_SCORE", "0.7")
    chosen = choose(["min_edge_percent=2"])
    changed = {line.name: (line.value, line.source) for line in chosen.changed}
    assert changed["MIN_EDGE_PERCENT"] == ("2", "--set")
    assert changed["MIN_CONFIDENCE_SCORE"] == ("0.7", "environment")
    assert {line.section for line in chosen.lines} == {"What to trade", "Positions", "Risk and shutdown"}
    assert not any("KEY" in line.name or "TOKEN" in line.name for line in chosen.lines)
