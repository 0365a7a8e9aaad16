"""Opening the account: who may still hold it is waited for, who lives is not."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from polystra.app.account_lease import open_store
from polystra.app.settings import Settings, load_settings
from polystra.domain.errors import LeaseHeld
from polystra.domain.units import NS_PER_S
from polystra.ports.logbook import LogEvent
from tests.fakes.clock import ManualClock
from tests.unit.runtime.lines import Lines

T0 = 1_700_000_000 * NS_PER_S
ACCOUNT = "0x" + "ab" * 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"DATA_DIR": str(tmp_path / "data")}, None)


def _set_lease(settings: Settings, *, expires_ns: int, renewed_ns: int = T0) -> None:
    with sqlite3.connect(settings.data_dir / "polystra-sim.db") as connection:
        connection.execute(
            "UPDATE lease SET proof = 'another kernel', renewed_ns = ?, expires_ns = ?", (renewed_ns, expires_ns)
        )


async def _open(settings: Settings, clock: ManualClock, log: Lines) -> None:
    store = await open_store(settings, ACCOUNT, clock=clock, log=log)
    await store.close()


async def _until_asleep(clock: ManualClock) -> None:
    while not clock.sleepers:  # noqa: ASYNC110 - a thread of the store decides when
        await asyncio.sleep(0.001)


async def test_the_rest_of_a_term_is_waited_for_and_told(settings: Settings) -> None:
    clock, log = ManualClock(T0), Lines()
    await _open(settings, clock, log)
    _set_lease(settings, expires_ns=T0 + 12 * NS_PER_S)
    task = asyncio.get_running_loop().create_task(_open(settings, clock, log))
    await _until_asleep(clock)
    [held] = log.of(LogEvent.STORE_HELD)
    assert held["wait_s"] == 12
    assert not task.done()
    await clock.advance(12)
    await task


async def test_a_term_by_another_clock_is_waited_for_once_and_whole(settings: Settings) -> None:
    clock, log = ManualClock(T0), Lines()
    await _open(settings, clock, log)
    _set_lease(settings, expires_ns=T0 + 10**6 * NS_PER_S)
    task = asyncio.get_running_loop().create_task(_open(settings, clock, log))
    await _until_asleep(clock)
    await clock.advance(30)
    await task
    assert len(log.of(LogEvent.STORE_HELD)) == 1


async def test_a_holder_that_renews_lives_and_is_not_waited_for(settings: Settings) -> None:
    clock, log = ManualClock(T0), Lines()
    await _open(settings, clock, log)
    _set_lease(settings, expires_ns=T0 + 12 * NS_PER_S)
    task = asyncio.get_running_loop().create_task(_open(settings, clock, log))
    await _until_asleep(clock)
    _set_lease(settings, expires_ns=T0 + 42 * NS_PER_S, renewed_ns=T0 + 12 * NS_PER_S)
    await clock.advance(12)
    with pytest.raises(LeaseHeld, match="it may be alive elsewhere: stop it"):
        await task
