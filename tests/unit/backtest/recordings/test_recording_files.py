"""Files of a recording: whole blocks come back, whatever is broken is left out, counted and said."""

from __future__ import annotations

import errno
import os

import msgspec
import pytest

from polystra.backtest.recordings.blocks import Damage, Head, read_blocks, read_head
from polystra.backtest.recordings.index import INDEX, IndexLine
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.recordings.writer import RecordingWriter, Sizes
from polystra.domain.errors import RecordingError
from polystra.domain.events import PriceSource, PriceTicked, TimerFired
from polystra.domain.units import NS_PER_S

HEAD = Head(origin="record", mode="sim", created_ns=0, symbols=("BTC",), windows=("5m",))
BEGIN_S = 1_793_628_900
SMALL = Sizes(block_rows=10)


def tick(number: int) -> PriceTicked:
    return PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=number, at_ns=number)


def at(second: float) -> int:
    return int((BEGIN_S + second) * NS_PER_S)


def record(folder, numbers, *, sizes=SMALL, head=HEAD):
    with RecordingWriter(folder, head, sizes) as writer:
        for number in numbers:
            writer.add(tick(number), at(number * 0.01))
    return sorted(folder.glob("*.rec"))


def read(paths):
    reader = RecordingReader(paths)
    return [event.price for _, event in reader if isinstance(event, PriceTicked)], reader.report


def test_a_recording_comes_back_in_order_with_its_head(tmp_path):
    paths = record(tmp_path, range(25))
    prices, report = read(paths)
    assert prices == list(range(25))
    assert (report.files, report.inputs, report.left_out, report.notes) == (1, 25, 0, [])
    assert (report.first_ns, report.last_ns) == (at(0), at(0.24))
    assert RecordingReader(paths).heads == (HEAD,)
    assert paths[0].name == "20261102T141500Z-0001.rec"


def test_cut_anywhere_the_whole_blocks_remain(tmp_path):
    path = record(tmp_path / "whole", range(30))[0]
    content = path.read_bytes()
    ends = block_ends(path)
    for length in range(ends[0] - 3, len(content)):
        cut = tmp_path / "cut.rec"
        cut.write_bytes(content[:length])
        whole = sum(1 for end in ends[1:] if end <= length)
        if not whole:
            with pytest.raises(RecordingError, match=r"damaged or cut off|holds no whole block"):
                RecordingReader([cut])
            continue
        prices, report = read([cut])
        assert prices == list(range(whole * 10))
        torn = length - max(end for end in ends if end <= length)
        assert report.notes == (
            [f"cut.rec: its last {torn} bytes are an unfinished block; they are left out"] if torn else []
        )


def block_ends(path):
    """Where the head ends, then each block."""
    begin = read_head(path)[1]
    ends = [begin]
    for block in read_blocks(path, Damage()):
        ends.append(ends[-1] + 28 + len(block.stored) + 4)
    return ends


@pytest.mark.parametrize("offset", [0, 3, 8, 20, 30, 60])
def test_a_damaged_block_in_the_middle_is_passed_over_and_said(tmp_path, offset):
    path = record(tmp_path / "whole", range(30))[0]
    content = bytearray(path.read_bytes())
    second = content.index(b"PRBK", content.index(b"PRBK") + 1)
    content[second + offset] ^= 0xFF
    path.write_bytes(content)
    prices, report = read([path])
    assert prices == [*range(10), *range(20, 30)]
    third = content.index(b"PRBK", second + 4)
    assert report.notes == [f"{path.name}: {third - second} damaged bytes in 1 places are left out"]


def test_what_is_no_recording_is_left_out_with_a_line_each(tmp_path):
    good = record(tmp_path / "good", range(5))[0]
    empty = tmp_path / "empty.rec"
    empty.touch()
    text = tmp_path / "text.rec"
    text.write_text("time,price\n1,2\n")
    newer = tmp_path / "newer.rec"
    newer.write_bytes(b"POLYREC\x02" + good.read_bytes()[8:])
    copy = tmp_path / "copy.rec"
    copy.write_bytes(good.read_bytes())
    prices, report = read([good, empty, text, newer, copy])
    assert prices == list(range(5))
    assert report.notes == [
        f"{empty}: is empty; nothing was recorded into it",
        f"{text}: is not a recording of this program",
        f"{newer}: was written by version 2 of the format; this reads 1",
        f"copy.rec: is the same recording as {good.name}; it is read once",
    ]


def test_nothing_usable_is_one_sentence(tmp_path):
    empty = tmp_path / "empty.rec"
    empty.touch()
    with pytest.raises(RecordingError, match="is empty; nothing was recorded into it"):
        RecordingReader([empty])
    with pytest.raises(RecordingError, match="does not exist; name a recording"):
        recording_files([tmp_path / "missing.rec"])
    with pytest.raises(RecordingError, match="holds no recording"):
        recording_files([tmp_path / "good" if (tmp_path / "good").is_dir() else _made(tmp_path / "none")])


def _made(folder):
    folder.mkdir()
    return folder


def test_a_doubled_span_is_read_once(tmp_path):
    one = record(tmp_path / "one", range(20))
    two = record(tmp_path / "two", range(15, 40), head=msgspec.structs.replace(HEAD, created_ns=7))
    prices, report = read([*two, *one])
    assert prices == list(range(40))
    assert report.left_out == 5
    assert report.notes == [f"{two[0].name}: 5 inputs are older than what came before them; they are left out"]


def test_files_rotate_by_age_and_the_index_tells_them(tmp_path):
    sizes = Sizes(block_rows=10, file_s=1)
    writer = RecordingWriter(tmp_path, HEAD, sizes)
    for number in range(300):
        writer.add(tick(number) if number % 2 else TimerFired(key="x"), at(number * 0.01))
    writer.close()
    paths = recording_files([tmp_path])
    lines = [msgspec.json.decode(line, type=IndexLine) for line in (tmp_path / INDEX).read_bytes().splitlines()]
    assert [line.file for line in lines] == [path.name for path in paths]
    assert len(paths) == 3
    assert sum(line.inputs for line in lines) == writer.inputs == 300
    assert sum(line.bytes for line in lines) == writer.bytes == sum(path.stat().st_size for path in paths)
    assert lines[0].kinds == {"PriceTicked": 55, "TimerFired": 55}
    assert len(list(RecordingReader(paths))) == 300


def test_inputs_of_one_instant_survive_a_new_file(tmp_path):
    with RecordingWriter(tmp_path, HEAD, Sizes(block_rows=2, file_bytes=1)) as writer:
        for number in range(6):
            writer.add(tick(number), at(1))
    paths = recording_files([tmp_path])
    assert len(paths) == 3
    assert read(paths)[0] == list(range(6))


def test_an_old_block_is_closed_by_the_next_input(tmp_path):
    writer = RecordingWriter(tmp_path, HEAD, Sizes(block_rows=1_000, block_s=5))
    writer.add(tick(1), at(0))
    writer.add(tick(2), at(4.9))
    assert writer.inputs == 0
    writer.add(tick(3), at(5))
    assert writer.inputs == 3
    writer.close()


def test_a_full_disk_ends_the_recording_with_what_was_whole(tmp_path, monkeypatch):
    writer = RecordingWriter(tmp_path, HEAD, SMALL)
    for number in range(10):
        writer.add(tick(number), at(number * 0.01))
    real = os.fsync

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for number in range(10, 19):
        writer.add(tick(number), at(number * 0.01))
    with pytest.raises(RecordingError, match="No space left on device"):
        writer.add(tick(19), at(0.19))
    monkeypatch.setattr(os, "fsync", real)
    writer.close()
    prices, report = read(recording_files([tmp_path]))
    assert prices == list(range(10))
    assert report.notes == []
