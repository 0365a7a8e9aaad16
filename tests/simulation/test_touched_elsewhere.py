"""The owner moves shares of the same wallet by another tool: the daemon's books follow, with evidence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog

from polystra.app import sessions
from polystra.app.book_reading import Reading, read_both
from polystra.app.report import build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.domain.positions import PositionStatus
from polystra.domain.units import format_micros
from polystra.exchange.accounts import Account
from polystra.exchange.builtin import BuiltInExchange

OWNER = "0x00000000000000000000000000000000000000aa"


class Meddler(BuiltInExchange):
    """An exchange on which the wallet's owner acts too; `moved` says what was done, in micro-shares."""

    moved: list[tuple[str, int]]

    def open_account(self, address: str) -> Any:
        """The trader's account, and another one of the same owner."""
        super().open_account(OWNER)
        self.trader = address.lower()
        return super().open_account(address)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._meddle())

    async def _meddle(self) -> None:
        """Take half of the first position of ten shares away, and bring it back some minutes later."""
        while not await self._take():
            await self._clock.sleep(20)
        await self._clock.sleep(300)
        [(token, amount)] = type(self).moved
        self.core.desk.move_funds(OWNER, self.trader, token, amount, now_ns=self._clock.now_ns())
        type(self).moved.append((token, amount))

    async def _take(self) -> bool:
        account: Account = self.core.desk._state.ledger.accounts[self.trader]
        for token, shares in account.tokens.items():
            if shares >= 10_000_000:
                self.core.desk.move_funds(self.trader, OWNER, token, shares // 2, now_ns=self._clock.now_ns())
                type(self).moved.append((token, shares // 2))
                return True
        return False


def trade(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Reading:
    Meddler.moved = []
    monkeypatch.setattr(sessions, "BuiltInExchange", Meddler)
    told = {
        "WINDOWS": "15m",
        "SYMBOLS": "BTC",
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "json",
        "ENABLE_EXIT_PLAN": "NO",
        "FUSION": "additive",
        "KELLY_FRACTION": "1",
    }
    settings = load_settings(told, None)
    run_session(settings, RunOptions(seed=seed, markets=1, speed=None))
    structlog.reset_defaults()
    return read_both(settings)


def test_shares_that_the_owner_takes_away_and_brings_back_are_followed_with_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = trade(tmp_path, monkeypatch, seed=7)
    report = build_report(reading)
    (token, amount), _ = Meddler.moved
    assert report.discrepancies == ()
    shares = format_micros(amount)
    assert [(each.token_id, each.shares) for each in report.adjustments] == [(token, f"-{shares}"), (token, shares)]
    assert "second source" in report.adjustments[0].evidence
    own, external = sorted(reading.own.positions, key=lambda each: each.position_id.startswith("external:"))
    assert external.position_id.startswith("external:")
    assert {own.status, external.status} == {PositionStatus.RESOLVED}
