"""A recorded session replays to the same facts: nothing but its inputs decided."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.app import sessions
from polystra.app.sessions import RunOptions, run_session, simulated_key
from polystra.app.settings import load_settings
from polystra.app.wiring import Run, run_daemon
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.session import SessionReplay, SessionResult
from polystra.domain.controls import ManualAct, ManualCommand, RepairAnswer
from polystra.domain.events import ConfigChanged, PriceSource, PriceTicked
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.runtime.daemon import Daemon, RunSummary

SEED = 7


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSummary, list[Path]]:
    folder = tmp_path_factory.mktemp("session")
    settings = load_settings({"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR"}, None)
    summary = run_session(settings, RunOptions(seed=SEED, markets=3, record=folder / "recordings", speed=None))
    structlog.reset_defaults()
    return summary, recording_files([folder / "recordings"])


def signer() -> OrderTermsSigner:
    """Signs as the session did: its key and the name of its API key follow from the seed."""
    key = SigningKey(simulated_key(SEED))
    config = BuiltInConfig(seed=SEED, symbols=("BTC",), windows=("5m",), speed=None)
    owner = BuiltInExchange(config, LoopClock(planned_start_ns(config))).open_account(key.address).key
    return OrderTermsSigner(OrderSigner(key, signature_type=0, funder=None, chain_id=137, owner=owner))


def replayed(paths: list[Path], *, leave_out: int | None = None) -> SessionResult:
    reader = RecordingReader(paths)
    head = reader.heads[0]
    assert head.config is not None
    inputs = iter(reader)
    if leave_out is not None:
        inputs = (each for place, each in enumerate(reader) if place != leave_out)
    return SessionReplay(head.config, signer()).run(head.created_ns, inputs)


def test_the_replay_comes_to_the_same_facts(session: tuple[RunSummary, list[Path]]):
    summary, paths = session
    result = replayed(paths)
    assert result.finished
    assert (result.inputs, result.facts, result.digest) == (summary.steps, summary.facts, summary.digest)
    assert summary.facts > 200


def test_a_session_without_one_price_comes_to_other_facts(session: tuple[RunSummary, list[Path]]):
    summary, paths = session
    place = next(
        place
        for place, each in islice(enumerate(RecordingReader(paths)), 2_000, None)
        if isinstance(each.event, PriceTicked) and each.event.source is PriceSource.SETTLEMENT
    )
    assert replayed(paths, leave_out=place).digest != summary.digest


def test_nothing_that_is_signed_is_in_a_recording(session: tuple[RunSummary, list[Path]]):
    _, paths = session
    kinds = {type(each.event).__name__ for each in RecordingReader(paths)}
    assert {"BookChanged", "PriceTicked", "SubmitAccepted", "FillReport", "TimerFired"} <= kinds
    assert "OrderSigned" not in kinds


def test_new_settings_in_the_middle_of_a_session_are_replayed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = load_settings({"WINDOWS": "5m", "DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR"}, None)
    newer = settings.model_copy(update={"stop_loss_percent": Decimal(20), "take_profit_percent": Decimal(30)})
    answers: list[RepairAnswer] = []

    async def reload(daemon: Daemon) -> None:
        await asyncio.sleep(200)
        command = ManualCommand(command_id="new", act=ManualAct.RELOAD, confirmed=True)
        answers.append(await daemon.manual.carry_out(command))
        await asyncio.Event().wait()

    def changing(run: Run) -> Coroutine[Any, Any, RunSummary]:
        return run_daemon(replace(run, reread=lambda: newer, users={"operator": reload}))

    monkeypatch.setattr(sessions, "run_daemon", changing)
    summary = run_session(settings, RunOptions(seed=SEED, markets=3, record=tmp_path / "recordings", speed=None))
    structlog.reset_defaults()
    assert answers[0].ours == ("TAKE_PROFIT_PERCENT 80 -> 30", "STOP_LOSS_PERCENT 50 -> 20")
    assert answers[0].outcome == "2 settings changed"
    paths = recording_files([tmp_path / "recordings"])
    result = replayed(paths)
    assert (result.inputs, result.facts, result.digest) == (summary.steps, summary.facts, summary.digest)
    place = next(n for n, each in enumerate(RecordingReader(paths)) if isinstance(each.event, ConfigChanged))
    assert replayed(paths, leave_out=place).digest != summary.digest
