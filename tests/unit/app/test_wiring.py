"""Settings arrive in the engine in its own units."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app import wiring
from polystra.app.engine_settings import engine_config, position_rules, strategy_config
from polystra.app.settings import load_settings
from polystra.app.wiring import Wallet
from polystra.domain.errors import ConfigError, VenueProtocolError
from polystra.domain.events import ClockDriftMeasured
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.config import (
    CloseAction,
    DustPolicy,
    EngineConfig,
    ExitConfig,
    ExitMode,
    PostOnlyExit,
    TakeProfitKind,
)
from polystra.ports.logbook import LogEvent
from tests.fakes.clock import ManualClock
from tests.fakes.venue import ScriptedVenue
from tests.unit.runtime.lines import Lines

FUNDER = "0x" + "cd" * 20


def config_with(**values: str) -> EngineConfig:
    return engine_config(load_settings(values, None), symbols=("BTC", "ETH"), salt_seed=b"salt")


def wallet(funder: str | None = None) -> Wallet:
    return Wallet(
        key=SigningKey("11" * 32),
        credentials=L2Credentials("key", "c2VjcmV0", "passphrase"),
        signature_type=3 if funder else 0,
        funder=funder,
    )


def test_the_account_is_the_one_that_holds_the_funds():
    assert wallet().account == SigningKey("11" * 32).address
    assert wallet(FUNDER).account == FUNDER


def test_a_wallet_does_not_show_its_secrets():
    shown = repr(wallet())
    assert "11" * 32 not in shown
    assert "c2VjcmV0" not in shown
    assert "passphrase'" not in shown.replace("passphrase='", "")


def test_amounts_arrive_in_micro_units():
    config = config_with(
        MAX_EXPOSURE_DOLLARS="120.5",
        MAX_EXPOSURE_PER_MARKET="20.25",
        CAPITAL_TOTAL="300",
        MAX_OPEN_POSITIONS="3",
        STALE_BOOK_SECONDS="2.5",
        WINDOWS="5m,15m",
    )
    assert config.symbols == ("BTC", "ETH")
    assert config.windows_s == (300, 900)
    assert config.risk.max_exposure == 120_500_000
    assert config.risk.max_exposure_per_market == 20_250_000
    assert config.risk.capital == 300 * MICRO
    assert config.risk.max_open_positions == 3
    assert config.risk.stale_book_ns == int(2.5 * NS_PER_S)


def test_live_mode_has_its_own_cap():
    key = SigningKey("11" * 32)
    live = {"MODE": "live", "POLY_PRIVATE_KEY": "11" * 32, "LIVE_ARMED": key.address, "MAX_EXPOSURE_DOLLARS": "100"}
    assert config_with(**live, LIVE_MAX_DOLLARS="40").risk.max_exposure == 40 * MICRO
    assert config_with(**live, LIVE_MAX_DOLLARS="4000").risk.max_exposure == 100 * MICRO
    assert config_with(LIVE_MAX_DOLLARS="40", MAX_EXPOSURE_DOLLARS="100").risk.max_exposure == 100 * MICRO


@pytest.mark.parametrize(("percent", "ppm"), [("3.0", 30_000), ("0.5", 5_000), ("12.34", 123_400)])
def test_an_edge_in_percent_arrives_in_millionths(percent: str, ppm: int):
    assert strategy_config(load_settings({"MIN_EDGE_PERCENT": percent}, None)).min_edge_ppm == ppm


def test_exits_arrive():
    exits = config_with(
        EXIT_MODE="monitor", TAKE_PROFIT_PERCENT="40", STOP_LOSS_PERCENT="25.5", ENABLE_STOP_LOSS="NO"
    ).exits
    assert (exits.mode, exits.take_profit_ppm, exits.stop_loss_ppm) == (ExitMode.MONITOR, 400_000, 255_000)
    assert (exits.enabled, exits.take_profit, exits.stop_loss) == (True, True, False)


def test_every_exit_rule_arrives_in_the_engines_units():
    assert config_with().exits == ExitConfig(close_guard_s=20, balance_cooldown_s=3)
    exits = config_with(
        USE_CONCURRENT_ORDERS="NO",
        EXIT_MODE_AB_SHARE="0.25",
        TAKE_PROFIT_LADDER="50@40, 25.5@80",
        ENABLE_TRAILING_STOP="YES",
        TRAILING_STOP_PERCENT="12.5",
        ENABLE_BREAK_EVEN_STOP="YES",
        BREAK_EVEN_AFTER_PERCENT="15",
        ENABLE_TIME_STOP="YES",
        TIME_STOP_SECONDS="90",
        CLOSE_GUARD_ACTION="exit",
        EXIT_MAX_AGE_SECONDS="45",
        EXIT_WORST_PRICE_PERCENT="10",
        VENUE_POST_ONLY_EXIT="wait",
        DUST_POLICY="with_next_lot",
    ).exits
    assert exits == ExitConfig(
        mode=ExitMode.MONITOR,
        ab_share_ppm=250_000,
        ladder=((500_000, 400_000), (255_000, 800_000)),
        trailing=True,
        trailing_ppm=125_000,
        break_even=True,
        break_even_after_ppm=150_000,
        time_stop=True,
        time_stop_s=90,
        close_guard_s=20,
        close_action=CloseAction.EXIT,
        max_age_s=45,
        balance_cooldown_s=3,
        worst_price_ppm=100_000,
        post_only_exit=PostOnlyExit.WAIT,
        dust=DustPolicy.WITH_NEXT_LOT,
    )
    price = config_with(TAKE_PROFIT_KIND="price", TAKE_PROFIT_PRICE="0.755").exits
    assert (price.take_profit_kind, price.take_profit_price) == (TakeProfitKind.PRICE, 755_000)
    risk = config_with(TAKE_PROFIT_KIND="risk", TAKE_PROFIT_RISK_MULTIPLE="1.5").exits
    assert (risk.take_profit_kind, risk.take_profit_risk_ppm) == (TakeProfitKind.RISK, 1_500_000)


def test_rules_that_are_on_and_off_are_named():
    on, off = position_rules(load_settings({}, None))
    assert "take-profit 80%" in on
    assert "stop-loss 50%" in on
    assert off == (
        "trailing stop 25%, break-even stop after 20%, time stop 600s, limit exits at market after a time, "
        "a share of the positions in the other exit mode, scale-in at 10%, reversal, blacklist of a coin after a stop"
    )
    on, off = position_rules(load_settings({"ENABLE_EXIT_PLAN": "NO"}, None))
    assert "take-profit" in off
    assert "stop-loss" in off
    assert "unfilled time-out" in on


class _Run:
    """What the first comparison of clocks needs of a run."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = Lines()
        self.endpoints = SimpleNamespace(clob_url="http://venue.test")


class _Unreadable(ScriptedVenue):
    def __init__(self, run: _Run, failures: int) -> None:
        super().__init__(run.clock)
        self.failures = failures

    async def measure_clock(self) -> ClockDriftMeasured:
        if self.failures:
            self.failures -= 1
            raise VenueProtocolError("time is 'soon', expected a number")
        return self.drift


async def test_one_unreadable_time_does_not_end_the_start():
    run = _Run()
    venue = _Unreadable(run, failures=2)
    task = asyncio.create_task(wiring._first_drift(run, venue))  # type: ignore[arg-type]
    await run.clock.advance(10)
    assert await task == venue.drift
    assert len(run.log.of(LogEvent.QUESTION_FAILED)) == 2


async def test_a_time_that_stays_unreadable_ends_it_with_a_sentence():
    run = _Run()
    task = asyncio.create_task(wiring._first_drift(run, _Unreadable(run, failures=1_000)))  # type: ignore[arg-type]
    await run.clock.advance(wiring.CLOCK_DEADLINE_S + 5)
    with pytest.raises(ConfigError, match=r"CLOB_URL: http://venue\.test has not told its time for 60 s"):
        await task


def test_the_limit_of_the_drift_arrives():
    assert config_with(MAX_CLOCK_DRIFT_SECONDS="1.5").risk.max_clock_drift_ns == 3 * NS_PER_S // 2
