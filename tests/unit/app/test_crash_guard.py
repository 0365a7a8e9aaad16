"""The crash-loop guard: what counts as a crash, when entries stop, and that `polystra start` begins a new count."""

from __future__ import annotations

from pathlib import Path

import pytest

from polystra.adapters.store.writer import SqlStore
from polystra.app import crash_guard
from polystra.app.account_lease import open_store
from polystra.app.crash_guard import CrashGuard
from polystra.app.settings import Settings, load_settings
from polystra.domain.controls import ControlCommand, ControlWord, changes, wishes
from polystra.domain.events import SwitchName
from polystra.domain.facts import SwitchChanged
from polystra.domain.units import NS_PER_S
from tests.fakes.clock import ManualClock
from tests.unit.runtime.lines import Lines

ACCOUNT = "0x" + "ab" * 20
CRASH_LOOP = (SwitchName.CRASH_LOOP, "")


class Scene:
    """Runs of one account, one after another, on one clock that stands for the real one."""

    def __init__(self, folder: Path, **words: str) -> None:
        self.clock = ManualClock()
        self.settings: Settings = load_settings({"DATA_DIR": str(folder), **words}, None)

    async def store(self) -> SqlStore:
        return await open_store(self.settings, ACCOUNT, clock=self.clock, log=Lines())

    async def run(self, *, ends: str = "") -> SwitchChanged | None:
        """One run; without a reason for its end it crashes."""
        store = await self.store()
        guard = CrashGuard(store, self.settings, self.clock)
        switch = await guard.begin()
        if ends:
            await guard.end(ends)
        await store.close()
        return switch

    async def is_on(self) -> bool:
        store = await self.store()
        stored = {(each.name, each.subject): each.on for each in (await store.load()).switches}
        await store.close()
        return stored.get(CRASH_LOOP, False)

    async def start_command(self) -> None:
        store = await self.store()
        known = {(each.name, each.subject): each for each in (await store.load()).switches}
        command = ControlCommand(command_id="1", word=ControlWord.START)
        await store.commit(changes(wishes(command, self.clock.now_ns()), known, self.clock.now_ns()))
        await store.close()


@pytest.fixture(autouse=True)
def real_clock(monkeypatch: pytest.MonkeyPatch) -> list[ManualClock]:
    clocks: list[ManualClock] = []
    monkeypatch.setattr(crash_guard, "SystemClock", lambda: clocks[0])
    return clocks


@pytest.fixture
def scene(tmp_path: Path, real_clock: list[ManualClock]) -> Scene:
    made = Scene(tmp_path)
    real_clock.append(made.clock)
    return made


async def test_the_start_after_the_third_crash_makes_no_entries_and_says_so(scene: Scene) -> None:
    assert [await scene.run() for _ in range(3)] == [None, None, None]
    switch = await scene.run()
    assert switch is not None
    assert switch.on
    assert switch.reason.startswith("3 runs crashed within 900 s: only exits are made until polystra start")
    assert await scene.is_on()


async def test_orderly_ends_are_no_crashes(scene: Scene) -> None:
    for _ in range(10):
        assert await scene.run(ends="signal SIGTERM") is None


async def test_crashes_long_ago_are_not_counted(scene: Scene) -> None:
    for _ in range(10):
        assert await scene.run() is None
        await scene.clock.advance(301)


async def test_the_switch_stays_over_orderly_runs_until_start(scene: Scene) -> None:
    for _ in range(4):
        await scene.run()
    await scene.run(ends="signal SIGTERM")
    await scene.clock.advance(10_000)
    assert await scene.is_on()
    await scene.start_command()
    assert not await scene.is_on()


async def test_after_start_only_new_crashes_count(scene: Scene) -> None:
    for _ in range(3):
        await scene.run()
    assert await scene.run(ends="signal SIGTERM") is not None
    await scene.start_command()
    assert [await scene.run() for _ in range(3)] == [None, None, None]
    assert await scene.run() is not None


async def test_crashes_while_it_stands_do_not_set_it_again_after_start(scene: Scene) -> None:
    for _ in range(12):
        await scene.run()
    await scene.start_command()
    assert await scene.run() is None
    assert not await scene.is_on()


async def test_a_crash_between_switch_and_count_keeps_it_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await scene.run()

    async def dies(_store: SqlStore) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "count_crashes", dies)
        store = await scene.store()
        with pytest.raises(KeyboardInterrupt):
            await CrashGuard(store, scene.settings, scene.clock).begin()
        await store.close()
    await scene.run()
    assert await scene.is_on()


async def test_zero_turns_it_off(tmp_path: Path, real_clock: list[ManualClock]) -> None:
    scene = Scene(tmp_path, MAX_CRASHES="0")
    real_clock.append(scene.clock)
    for _ in range(8):
        assert await scene.run() is None
    assert scene.clock.now_ns() > NS_PER_S
