"""Recordings of our own, damaged: whatever byte was flipped, block doubled or moved, the rest is used and counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.backtest.recordings.blocks import BlockFile, Damage, Head, read_blocks, read_head
from polystra.backtest.recordings.reader import ReadingReport, RecordingReader
from polystra.backtest.recordings.rows import Recorded, encode
from polystra.domain.errors import RecordingError
from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.units import NS_PER_S

HEAD = Head(origin="record", mode="sim", created_ns=0, symbols=("BTC",), windows=("5m",))
BEGIN_S = 1_793_628_900
BLOCKS, ROWS = 5, 10


def tick(number: int) -> Recorded:
    now_ns = BEGIN_S * NS_PER_S + number * NS_PER_S // 100
    return Recorded(now_ns, PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=number + 1, at_ns=now_ns))


def write(path: Path, blocks: list[list[int]]) -> Path:
    with BlockFile(path, HEAD) as file:
        for numbers in blocks:
            rows = [tick(number) for number in numbers]
            file.append(encode(rows), rows=len(rows), first_ns=rows[0].now_ns, last_ns=rows[-1].now_ns)
    return path


def whole() -> list[list[int]]:
    return [list(range(n * ROWS, (n + 1) * ROWS)) for n in range(BLOCKS)]


def read(*paths: Path) -> tuple[list[int], ReadingReport]:
    reader = RecordingReader(paths)
    inputs = list(reader)
    times = [each.now_ns for each in inputs]
    assert times == sorted(times)
    return [each.event.price - 1 for each in inputs if isinstance(each.event, PriceTicked)], reader.report


def test_any_flipped_byte_costs_its_block_and_no_more(tmp_path: Path):
    path = write(tmp_path / "a.rec", whole())
    good = path.read_bytes()
    begin = read_head(path)[1]
    for place in range(0, len(good), 3):
        content = bytearray(good)
        content[place] ^= 0x40
        path.write_bytes(content)
        if place < begin:
            with pytest.raises(RecordingError, match=r"is not a recording|written by version|head is damaged"):
                read(path)
            continue
        numbers, report = read(path)
        assert len(numbers) == (BLOCKS - 1) * ROWS, f"byte {place}"
        assert len(report.notes) == 1


@pytest.mark.parametrize("twice", range(BLOCKS))
def test_a_doubled_block_is_read_once_wherever_it_stands(tmp_path: Path, twice: int):
    blocks = whole()
    numbers, report = read(write(tmp_path / "a.rec", [*blocks[: twice + 1], blocks[twice], *blocks[twice + 1 :]]))
    assert numbers == list(range(BLOCKS * ROWS))
    assert report.left_out == ROWS
    assert report.notes == ["a.rec: 1 blocks are in it twice; they are read once"]


def test_a_block_that_stands_too_late_is_left_out_and_counted(tmp_path: Path):
    blocks = whole()
    blocks[1], blocks[3] = blocks[3], blocks[1]
    numbers, report = read(write(tmp_path / "a.rec", blocks))
    assert numbers == [*range(10), *range(30, 40), *range(40, 50)]
    assert report.left_out == 2 * ROWS
    assert report.notes == ["a.rec: 20 inputs are older than what came before them; they are left out"]


def test_a_cut_copy_beside_the_whole_adds_nothing(tmp_path: Path):
    path = write(tmp_path / "a.rec", whole())
    cut = tmp_path / "b.rec"
    cut.write_bytes(path.read_bytes()[:-7])
    numbers, report = read(path, cut)
    assert numbers == list(range(BLOCKS * ROWS))
    assert report.left_out == (BLOCKS - 1) * ROWS
    assert len(report.notes) == 2


def test_a_whole_block_of_something_else_is_left_out_and_counted(tmp_path: Path):
    path = tmp_path / "a.rec"
    with BlockFile(path, HEAD) as file:
        for place, numbers in enumerate(whole()):
            rows = [tick(number) for number in numbers]
            content = b"\x92not rows" if place == 2 else encode(rows)
            file.append(content, rows=len(rows), first_ns=rows[0].now_ns, last_ns=rows[-1].now_ns)
    numbers, report = read(path)
    assert len(numbers) == (BLOCKS - 1) * ROWS
    assert report.left_out == ROWS
    (note,) = report.notes
    assert "the block of 10 inputs at" in note
    assert "is left out" in note


def test_a_length_that_was_damaged_takes_no_memory(tmp_path: Path):
    path = write(tmp_path / "a.rec", whole())
    content = bytearray(path.read_bytes())
    second = content.index(b"PRBK", content.index(b"PRBK") + 1)
    content[second + 4 : second + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read(path)[0]) == (BLOCKS - 1) * ROWS
    assert sum(1 for _ in read_blocks(path, Damage())) == BLOCKS - 1


def test_the_command_says_each_damage_in_one_line_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "rec"
    folder.mkdir()
    path = write(folder / "a.rec", whole())
    path.write_bytes(path.read_bytes()[:-5])
    (folder / "b.rec").touch()
    (folder / "c.rec").write_text("time,price\n")
    result = CliRunner().invoke(app, ["backtest", str(folder), "--jobs", "1"])
    words = " ".join(result.output.split())
    assert result.exit_code == 0, result.output
    assert "b.rec: is empty; nothing was recorded into it" in words
    assert "c.rec: is not a recording of this program" in words
    assert "a.rec: its last" in words
    assert "bytes are an unfinished block; they are left out" in words
    assert "recorded inputs 40 in 1 files" in words
