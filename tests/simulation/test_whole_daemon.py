"""The whole daemon with the built-in exchange on the deterministic loop: it ends, it adds up, it repeats itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog

from polystra.app.book_reading import read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import Settings, load_settings
from polystra.runtime.daemon import RunSummary

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
SERIES = (
    "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz",
    "settlement_feed/chainlink_btc_eth_sol_1hz_20260428_29.csv.gz",
    "spot/BTCUSDT_1m_202503.csv.gz",
    "spot/ETHUSDT_1m_202503.csv.gz",
)


def settings_for(folder: Path) -> Settings:
    return load_settings({"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING"}, None)


def trade(folder: Path, *, seed: int, markets: int, prices: Path | None = None) -> tuple[RunSummary, Report]:
    settings = settings_for(folder)
    summary = run_session(settings, RunOptions(seed=seed, markets=markets, prices=prices, speed=None))
    structlog.reset_defaults()
    return summary, build_report(read_both(settings))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSummary, Report]:
    return trade(tmp_path_factory.mktemp("generated"), seed=7, markets=4)


def test_a_run_on_generated_prices_trades_settles_and_adds_up(generated: tuple[RunSummary, Report]):
    summary, report = generated
    assert summary.left_open == ()
    assert summary.settled_markets == report.markets_settled == 4
    assert report.discrepancies == ()
    assert report.adjustments == ()
    assert report.orders > 0
    assert report.fills > 0
    assert report.claims == "0"


def test_the_same_command_gives_the_same_facts(generated: tuple[RunSummary, Report], tmp_path: Path):
    summary, report = trade(tmp_path, seed=7, markets=4)
    first_summary, first_report = generated
    assert summary == first_summary
    assert report.markets == first_report.markets


def test_another_seed_gives_other_facts(generated: tuple[RunSummary, Report], tmp_path: Path):
    summary, report = trade(tmp_path, seed=8, markets=4)
    assert summary.digest != generated[0].digest
    assert report.discrepancies == ()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Reports of the runs on recordings, made by the tests below as they go."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("name", SERIES)
def test_a_run_on_recorded_prices_ends_by_itself_and_adds_up(name: str, recorded: dict[str, Report], tmp_path: Path):
    prices = SHARED / "data" / name
    if not prices.exists():
        pytest.skip(f"the recording {prices} is not there")
    summary, report = trade(tmp_path, seed=7, markets=8, prices=prices)
    recorded[name] = report
    assert summary.reason == "8 markets settled"
    assert summary.left_open == ()
    assert report.markets_settled == 8
    assert report.discrepancies == ()
    assert report.adjustments == ()


@pytest.mark.slow
def test_the_recordings_show_every_way_out_of_a_position(recorded: dict[str, Report]):
    if len(recorded) < len(SERIES):
        pytest.skip("needs the runs on all recordings")
    assert sum(report.take_profits for report in recorded.values()) > 0
    assert sum(report.stop_losses for report in recorded.values()) > 0
    assert sum(report.held_to_resolution for report in recorded.values()) > 0
