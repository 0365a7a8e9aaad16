"""The recordings that others made, where they are there: every line is used, and nothing is out of order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from polystra.app.import_command import Sources, import_sources
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.recordings.reader import RecordingReader, recording_files

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[5] / "shared")) / "data"
SESSION = SHARED / "market_ws/multi_feed_15m_sessions/m9-rtds-natural-20260429T021025Z-fresh.raw_messages.jsonl.gz"


@pytest.mark.parametrize(
    ("needs", "sources", "counts"),
    [
        ("tob", Sources(ladders=SHARED / "tob/btc5m_ladder_T120_T10_202607.jsonl.gz"), (135, 0, 3_239)),
        ("outcomes", Sources(mids=SHARED / "outcomes/btc5m_winners_with_mid_202607.jsonl"), (370, 0, 1_481)),
        ("market_ws", Sources(sessions=(SESSION,)), (1_633, 317, 6_929)),
        (
            "tob",
            Sources(
                windows=SHARED / "market_ws/btc5m_full_depth/windows.csv", seconds=SHARED / "tob/btc5m_tob_1s.csv.gz"
            ),
            (18_297, 0, 36_595),
        ),
        ("kalshi_15m", Sources(trades=SHARED / "kalshi_15m/kalshi_eth15m_trades.csv.gz"), (44_765, 0, 44_833)),
    ],
    ids=["ladders", "middles", "session", "seconds", "trades"],
)
def test_every_line_of_a_recording_is_used_or_counted(
    needs: str, sources: Sources, counts: tuple[int, int, int], tmp_path: Path
):
    if not (SHARED / needs).exists():
        pytest.skip(f"the recordings in {SHARED / needs} are not there")
    report = ImportReport()
    writer = import_sources(sources, tmp_path / "out", report, created_ns=1)
    assert (report.messages, report.left_out, writer.inputs) == counts
    reader = RecordingReader(recording_files([tmp_path / "out"]))
    times = [each.now_ns for each in reader]
    assert len(times) == counts[2]
    assert times == sorted(times)
    assert (reader.report.left_out, reader.report.notes) == (0, [])
