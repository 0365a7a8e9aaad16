"""Recordings for tests: a short simulated session, and the same one moved to another day as if it were another's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import structlog

from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.recordings.writer import RecordingWriter
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    MarketResolved,
    MarketsListed,
    PriceTicked,
    StreamConnected,
    WorldEvent,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S


def record_session(folder: Path, *, seed: int = 3, markets: int = 2, symbols: str = "BTC") -> Path:
    """Run a simulated session as fast as it goes; returns the folder of its recording."""
    values = {"WINDOWS": "5m", "SYMBOLS": symbols, "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR"}
    run_session(load_settings(values, None), RunOptions(seed=seed, markets=markets, record=folder / "rec", speed=None))
    structlog.reset_defaults()
    return folder / "rec"


def moved(inputs: Iterable[Recorded], by_s: int) -> Iterator[Recorded]:
    """What the streams said, later by so much and of other markets; everything else is left out."""
    by_ns = by_s * NS_PER_S
    for now_ns, event in inputs:
        later = _moved(event, by_s)
        if later is not None:
            yield Recorded(now_ns + by_ns, later)


def write_recording(folder: Path, inputs: Iterable[Recorded], *, created_ns: int, mode: str = "sim") -> Path:
    """Write inputs as a recording of streams."""
    head = Head(origin="record", mode=mode, created_ns=created_ns, symbols=("BTC", "ETH"))
    with RecordingWriter(folder, head) as writer:
        for now_ns, event in inputs:
            writer.add(event, now_ns)
    return folder


def read_recording(folder: Path) -> list[Recorded]:
    """Everything that a recording holds."""
    return list(RecordingReader(recording_files([folder])))


def _moved(event: WorldEvent, by_s: int) -> WorldEvent | None:
    by_ns = by_s * NS_PER_S
    match event:
        case BookChanged():
            changes = tuple(each._replace(token_id=_token(each.token_id, by_s)) for each in event.changes)
            return event._replace(changes=changes, at_ns=event.at_ns + by_ns)
        case BookSnapshot():
            return replace(event, token_id=_token(event.token_id, by_s), at_ns=event.at_ns + by_ns)
        case PriceTicked():
            return replace(event, at_ns=event.at_ns + by_ns)
        case MarketsListed():
            return replace(event, markets=tuple(_market(each, by_s) for each in event.markets))
        case MarketResolved():
            return replace(event, condition_id=_condition(event.condition_id, by_s), at_ns=event.at_ns + by_ns)
        case StreamConnected():
            return event
        case _:
            return None


def _market(market: Market, by_s: int) -> Market:
    opens_at_s = market.opens_at_s + by_s
    return replace(
        market,
        condition_id=_condition(market.condition_id, by_s),
        slug=f"{market.slug.rpartition('-')[0]}-{opens_at_s}",
        opens_at_s=opens_at_s,
        closes_at_s=market.closes_at_s + by_s,
        up_token=_token(market.up_token, by_s),
        down_token=_token(market.down_token, by_s),
    )


def _token(token_id: TokenId, by_s: int) -> TokenId:
    return TokenId(f"{token_id}{by_s}") if by_s else token_id


def _condition(condition_id: ConditionId, by_s: int) -> ConditionId:
    return ConditionId(f"{condition_id}:{by_s}") if by_s else condition_id
