"""Every kind of recording, damaged: one clear line for each thing, what can be used is used, and it is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from polystra.backtest.imports.lines import ImportReport
from polystra.domain.errors import RecordingError
from tests.unit.backtest.imports.importers import KINDS, Kind

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
MORE = {"session": 1, "trades": 1}
"""Lines of the file beside it that are counted too."""


def lines(kind: Kind, rows: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\n" for line in (*kind.lines[: kind.head], *rows)).encode()


def rows(kind: Kind) -> tuple[str, ...]:
    return kind.lines[kind.head :]


def used(kind: Kind, report: ImportReport) -> int:
    return report.messages - MORE.get(kind.name, 0)


@every_kind
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
def test_a_whole_one_is_used_whole_in_the_order_of_time(kind: Kind, zipped: bool, tmp_path: Path):
    report = ImportReport()
    inputs = kind.read(kind.write(tmp_path, zipped=zipped), report)
    assert (used(kind, report), report.left_out, report.notes) == (len(rows(kind)), 0, [])
    times = [each.now_ns for each in inputs]
    assert times == sorted(times)
    assert len(times) >= len(rows(kind))


@every_kind
def test_a_last_line_that_was_cut_off_is_left_out(kind: Kind, tmp_path: Path):
    report = ImportReport()
    whole = lines(kind, rows(kind))
    kind.read(kind.write(tmp_path, whole[: -len(rows(kind)[-1]) // 2]), report)
    assert (used(kind, report), report.left_out) == (len(rows(kind)) - 1, 1)
    (note,) = report.notes
    assert f"line {len(kind.lines)} is left out" in note


@every_kind
def test_a_file_that_was_cut_off_while_packed_is_used_up_to_there(kind: Kind, tmp_path: Path):
    report = ImportReport()
    path = kind.write(tmp_path, lines(kind, rows(kind)), zipped=True)
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) - 8])
    kind.read(path, report)
    assert used(kind, report) == len(rows(kind))
    assert any("is cut off or damaged after line" in note for note in report.notes)


@every_kind
def test_bytes_that_were_flipped_cost_their_line(kind: Kind, tmp_path: Path):
    report = ImportReport()
    bad = list(rows(kind))
    bad[2] = "\x00\xff" + bad[2][7:]
    content = b"\n".join(line.encode("latin-1") for line in (*kind.lines[: kind.head], *bad))
    kind.read(kind.write(tmp_path, content), report)
    assert (used(kind, report), report.left_out) == (len(bad) - 1, 1)
    (note,) = report.notes
    assert f"line {kind.head + 3} is left out" in note


@every_kind
def test_a_doubled_line_is_used_once(kind: Kind, tmp_path: Path):
    if kind.name == "feed":
        pytest.skip("a second row for a second is a correction: the feed tells it again")
    report = ImportReport()
    once = rows(kind)
    inputs = kind.read(kind.write(tmp_path, lines(kind, (*once[:3], once[2], *once[3:]))), report)
    assert (used(kind, report), report.left_out) == (len(once), 1)
    assert len(report.notes) == 1
    assert inputs == kind.read(kind.write(tmp_path), ImportReport())


@every_kind
def test_lines_out_of_order_never_make_time_run_backwards(kind: Kind, tmp_path: Path):
    report = ImportReport()
    swapped = list(rows(kind))
    swapped[1], swapped[4] = swapped[4], swapped[1]
    inputs = kind.read(kind.write(tmp_path, lines(kind, tuple(swapped))), report)
    times = [each.now_ns for each in inputs]
    assert times == sorted(times)
    assert used(kind, report) + report.left_out == len(swapped)
    assert (report.left_out == 0) == (report.notes == [])


@every_kind
@pytest.mark.parametrize("content", [b"", b"\n\n"], ids=["no bytes", "blank lines"])
def test_an_empty_one_is_said_to_be_empty(kind: Kind, content: bytes, tmp_path: Path):
    with pytest.raises(RecordingError, match=f"{kind.file}: is empty; there is nothing to import"):
        kind.read(kind.write(tmp_path, content), ImportReport())


@every_kind
def test_what_is_no_such_recording_at_all_is_said_in_one_line(kind: Kind, tmp_path: Path):
    report = ImportReport()
    path = kind.write(tmp_path, b"\x89PNG\r\n\x1a\n\x00\x00")
    if kind.head:
        with pytest.raises(RecordingError, match="has no column"):
            kind.read(path, report)
    else:
        assert kind.read(path, report) == []
        assert len(report.notes) == 1
        assert report.left_out == 3


@every_kind
def test_a_file_that_is_not_there_is_named(kind: Kind, tmp_path: Path):
    path = kind.write(tmp_path)
    path.unlink()
    with pytest.raises(RecordingError, match=f"{kind.file}: cannot be read"):
        kind.read(path, ImportReport())
