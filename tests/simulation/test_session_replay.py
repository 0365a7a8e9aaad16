"""A recorded session replays to the same facts: nothing but its inputs decided."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.app.sessions import RunOptions, run_session, simulated_key
from polystra.app.settings import load_settings
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.session import SessionReplay, SessionResult
from polystra.domain.events import PriceSource, PriceTicked
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.runtime.daemon import RunSummary

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
