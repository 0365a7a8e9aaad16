"""Full-depth books: both tokens of every message, and one sentence for each thing that cannot be used."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from polystra.backtest.imports.full_depth import FullDepth
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.errors import RecordingError
from polystra.domain.events import BookSnapshot
from polystra.domain.ids import TokenId
from polystra.domain.units import MICRO, NS_PER_MS, parse_micros

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[5] / "shared"))
RECORDED = SHARED / "data/market_ws/btc5m_full_depth/btc-updown-5m-1776257100.book.jsonl.gz"
UP, DOWN = TokenId("11"), TokenId("22")
AT_MS = 1_776_257_101_000


def book(number: int, bids=(("0.4", "10"),), asks=(("0.41", "7.5"),), **changes):
    message = {
        "market": "0xabc",
        "asset_id": UP,
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "hash": "h",
        "timestamp": str(AT_MS + number * 100),
        "event_type": "book",
    }
    return message | changes


def line(number: int, received: float | None = None, **changes) -> str:
    told = AT_MS / 1_000 + number / 10 + 0.05 if received is None else received
    return json.dumps({"recv_ts": told, "msg": book(number, **changes)}, separators=(",", ":"))


def read(tmp_path, *lines, name="x.book.jsonl"):
    path = tmp_path / name
    path.write_text("".join(each + "\n" for each in lines))
    report = ImportReport()
    return list(FullDepth(path, UP, DOWN, report)), report


def snapshot(recorded: Recorded) -> BookSnapshot:
    assert isinstance(recorded.event, BookSnapshot)
    return recorded.event


def test_both_tokens_come_from_one_message_the_other_mirrored(tmp_path):
    inputs, report = read(tmp_path, line(0))
    now_ns = AT_MS * NS_PER_MS + 50_000_000
    at_ns = AT_MS * NS_PER_MS
    assert inputs == [
        (now_ns, BookSnapshot(token_id=UP, bids=((400_000, 10_000_000),), asks=((410_000, 7_500_000),), at_ns=at_ns)),
        (now_ns, BookSnapshot(token_id=DOWN, bids=((590_000, 7_500_000),), asks=((600_000, 10_000_000),), at_ns=at_ns)),
    ]
    assert (report.files, report.messages, report.left_out, report.notes) == (1, 1, 0, [])


def test_a_clock_that_lags_takes_the_venues_time(tmp_path):
    inputs, _ = read(tmp_path, line(0, received=AT_MS / 1_000 - 0.08))
    assert inputs[0].now_ns == AT_MS * NS_PER_MS


def test_a_bare_message_is_taken_at_the_venues_time(tmp_path):
    inputs, _ = read(tmp_path, json.dumps(book(3)))
    assert [each.now_ns for each in inputs] == [(AT_MS + 300) * NS_PER_MS] * 2


def test_text_with_spaces_and_empty_sides_is_read_too(tmp_path):
    told = json.dumps(
        {"recv_ts": AT_MS / 1_000, "msg": book(0, bids=(), asks=(("0.5", "1"), ("0.6", "2")))}, indent=None
    )
    inputs, report = read(tmp_path, told.replace("},{", "}, {"))
    assert inputs[0].event.asks == ((500_000, MICRO), (600_000, 2 * MICRO))
    assert inputs[1].event.asks == ()
    assert report.left_out == 0


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("{", "not a book message as the market channel sends it"),
        (line(1, asset_id="33"), "the message is of another market"),
        (line(1, event_type="price_change"), "a message 'price_change', not a book"),
        (line(-5), "it is older than the message before it"),
        (line(1), "it repeats the book before it"),
        (line(1, bids=(("1.0", "5"),)), "a level of 5 at 1.0 cannot be"),
        (line(1, bids=(("0.4", "-5"),)), "a level of -5 at 0.4 cannot be"),
        (line(1, bids=(("0.4", "5x"),)), "price or size is '5x', expected a decimal number"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_said_once(tmp_path, bad, why):
    good = line(2, bids=(("0.39", "1"),))
    inputs, report = read(tmp_path, line(0), bad, bad, good)
    assert len(inputs) == 4
    assert (report.messages, report.left_out) == (2, 2)
    assert len(report.notes) == 1
    assert report.notes[0].startswith("x.book.jsonl: 2 lines (the first is 2) are left out: ")
    assert why in report.notes[0]


def test_a_file_that_is_cut_off_is_used_up_to_there(tmp_path):
    path = tmp_path / "x.book.jsonl.gz"
    lines = "".join(line(number, bids=(("0.4", str(number + 1)),)) + "\n" for number in range(2_000))
    path.write_bytes(gzip.compress(lines.encode())[:-300])
    report = ImportReport()
    inputs = list(FullDepth(path, UP, DOWN, report))
    assert 0 < len(inputs) == 2 * report.messages < 4_000
    assert "is cut off or damaged after line" in report.notes[-1]


def test_nothing_to_read_is_one_sentence(tmp_path):
    with pytest.raises(RecordingError, match="is empty; there is nothing to import"):
        read(tmp_path)
    with pytest.raises(RecordingError, match="cannot be read"):
        list(FullDepth(tmp_path / "missing.jsonl", UP, DOWN, ImportReport()))
    (tmp_path / "x.jsonl.gz").write_text("no gzip")
    with pytest.raises(RecordingError, match="cannot be unpacked"):
        list(FullDepth(tmp_path / "x.jsonl.gz", UP, DOWN, ImportReport()))


def test_the_fast_way_reads_a_recorded_window_as_the_plain_one_does():
    if not RECORDED.exists():
        pytest.skip(f"the recording {RECORDED} is not there")
    up = TokenId("38877939369355816044860739066053716221586136381580856729358744323383938162733")
    down = TokenId("58567095416114457162347808311786524140353384082384135635812295060617624323248")
    report = ImportReport()
    inputs = FullDepth(RECORDED, up, down, report)
    own = (snapshot(each) for each in inputs)
    with gzip.open(RECORDED, "rt") as file:
        plain = [json.loads(text)["msg"] for _, text in zip(range(1_500), file, strict=False)]
    for message in plain:
        shown, other = next(own), next(own)
        assert (shown.token_id, other.token_id) in {(up, down), (down, up)}
        assert shown.token_id == message["asset_id"]
        for side in ("bids", "asks"):
            levels = tuple(
                (parse_micros(each["price"], field="p"), parse_micros(each["size"], field="s"))
                for each in message[side]
            )
            assert getattr(shown, side) == levels
            mirrored = getattr(other, "asks" if side == "bids" else "bids")
            assert mirrored == tuple((MICRO - price, size) for price, size in levels)
