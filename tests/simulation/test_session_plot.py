"""The picture at the end of a simulated session: drawn from what is committed, and never in the way of the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.session_picture import bars_of, results, session_chart
from polystra.app.session_plot import draw_session, picture_file
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import Settings, load_settings
from polystra.runtime.log import Log


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A session as fast as it goes, of which a picture was asked for."""
    folder = tmp_path_factory.mktemp("session")
    settings = load_settings({"WINDOWS": "5m", "SYMBOLS": "BTC", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR"}, None)
    run_session(settings, RunOptions(seed=3, markets=2, speed=None, plot=True))
    structlog.reset_defaults()
    return settings


@pytest.fixture
def account(session: Settings) -> AccountReading:
    return read_account(session.resolved_database_url.get_secret_value())


def log() -> Log:
    made: Log = structlog.get_logger()
    return made


def test_a_session_that_is_asked_to_ends_with_its_picture(session: Settings):
    assert picture_file(session).name == "session-sim.png"
    assert picture_file(session).read_bytes().startswith(b"\x89PNG")


def test_the_line_ends_at_the_result_of_the_report(account: AccountReading):
    assert account.totals.realised_pnl != 0
    assert results(account.postings)[-1][1] == account.totals.realised_pnl


def test_there_is_a_bar_for_every_position_that_held_shares(account: AccountReading):
    bars = bars_of(account)
    assert len(bars) == len({fill.position_id for fill in account.fills}) > 0
    assert sum(bar.realised_pnl for bar in bars) == account.totals.realised_pnl
    for bar in bars:
        assert account.fills[0].matched_at_ns <= bar.from_ns < bar.until_ns <= account.last_entry_ns


def test_the_picture_says_that_it_is_simulated(account: AccountReading):
    title = session_chart(account, bars_of(account), name="session-sim").title
    assert title.startswith("Simulated session")
    assert "means nothing about real markets" in title


def test_a_session_without_a_position_has_a_picture_too(account: AccountReading):
    quiet = replace(account, postings=(), positions=())
    assert bars_of(quiet) == []
    chart = session_chart(quiet, [], name="session-sim")
    assert chart.title.startswith("Simulated session, 0 positions")
    assert "no position was opened" in chart.svg()


def test_the_file_is_named_in_one_line(session: Settings):
    picture_file(session).unlink()
    with capture_logs() as lines:
        draw_session(session, log())
    (line,) = lines
    assert (line["event"], line["log_level"], line["file"]) == ("session.drawn", "info", picture_file(session))
    assert "means nothing" in line["note"]
    assert picture_file(session).exists()


def test_what_goes_wrong_is_one_warning(tmp_path: Path, session: Settings):
    nothing = load_settings({"DATA_DIR": str(tmp_path)}, None)
    slow, broken = session.model_copy(), nothing
    with capture_logs() as lines:
        draw_session(broken, log())
        draw_session(slow, log(), most_s=0.001)
    assert [(line["event"], line["log_level"]) for line in lines] == [("session.not_drawn", "warning")] * 2
    assert lines[0]["error"]
    assert "Traceback" not in lines[0]["error"]
    assert not picture_file(nothing).exists()


@pytest.mark.parametrize(
    ("options", "draws"),
    [
        (RunOptions(), True),
        (RunOptions(speed=None), False),
        (RunOptions(speed=None, plot=True), True),
        (RunOptions(plot=False), False),
    ],
)
def test_a_picture_is_drawn_at_a_pace_and_otherwise_when_asked_for(options: RunOptions, draws: bool):
    assert options.draws is draws
