from __future__ import annotations

from pathlib import Path

import pytest

from polystra.adapters.control_files import ControlFiles
from polystra.domain.controls import ControlWord, ManualAct, ManualCommand, RepairAnswer, RepairCommand
from polystra.domain.errors import ConfigError
from polystra.domain.events import RepairAct, Sighting


@pytest.fixture
def files(tmp_path: Path) -> ControlFiles:
    return ControlFiles(tmp_path, "sim")


def test_commands_are_read_in_the_order_of_their_writing_until_they_are_done(files: ControlFiles):
    later = files.leave(ControlWord.START, seconds=0, now_ns=2_000)
    first = files.leave(ControlWord.PAUSE, seconds=1_800, now_ns=1_000)
    assert files.read().commands == (first, later) == files.read().commands
    files.done(first.command_id)
    files.done(first.command_id)
    assert files.read().commands == (later,)
    assert not files.waits(first)
    assert files.waits(later)


def test_nothing_there_is_nothing_asked(files: ControlFiles):
    reading = files.read()
    assert (reading.commands, reading.kill_file, reading.problems) == ((), "", ())


def test_each_mode_has_its_own_commands_and_all_share_the_kill_file(files: ControlFiles, tmp_path: Path):
    files.leave(ControlWord.STOP, seconds=0, now_ns=1)
    (tmp_path / "KILL").touch()
    other = ControlFiles(tmp_path, "live").read()
    assert not other.commands
    assert other.kill_file == str(tmp_path / "KILL")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{",
        '{"word": "sell", "seconds": 0}',
        '{"word": "stop", "seconds": -1}',
        '{"word": "pause", "seconds": true}',
        pytest.param("[" * 4_000, id="deeper than the reader goes"),
        '{"word": "pause", "seconds": 86399913600}',
    ],
)
def test_a_file_that_is_no_command_is_set_aside_and_told(files: ControlFiles, tmp_path: Path, body: str):
    good = files.leave(ControlWord.STOP, seconds=0, now_ns=5)
    (tmp_path / "commands-sim" / "0.json").write_text(body)
    reading = files.read()
    assert reading.commands == (good,)
    assert "no command" in reading.problems[0]
    assert not files.read().problems


def test_a_half_written_command_is_not_seen(files: ControlFiles, tmp_path: Path):
    files.leave(ControlWord.STOP, seconds=0, now_ns=5)
    (tmp_path / "commands-sim" / "9.tmp").write_text('{"word": "sta')
    assert len(files.read().commands) == 1


def test_a_folder_that_takes_no_files_is_said_in_one_sentence(tmp_path: Path):
    (tmp_path / "commands-sim").write_text("in the way")
    with pytest.raises(ConfigError, match="DATA_DIR: the command cannot be written"):
        ControlFiles(tmp_path, "sim").leave(ControlWord.STOP, seconds=0, now_ns=5)


def repair(files: ControlFiles, now_ns: int = 5) -> RepairCommand:
    return files.leave_repair(
        RepairAct.RESOLVE_DOUBT, subject="o1", seen=Sighting.REJECTED, price=0, confirmed=True, now_ns=now_ns
    )


def test_a_repair_is_read_beside_the_commands_as_it_was_left(files: ControlFiles):
    stop = files.leave(ControlWord.STOP, seconds=0, now_ns=1)
    left = repair(files)
    reading = files.read()
    assert (reading.commands, reading.repairs) == ((stop,), (left,))
    assert files.waits(left)
    files.done(left.command_id)
    assert not files.read().repairs


def test_an_answer_is_fetched_once(files: ControlFiles):
    left = repair(files)
    assert files.fetch(left) is None
    answer = RepairAnswer(command_id=left.command_id, ours=("a", "b"), venue=("c",), outcome="done", refusal="")
    files.answer(answer)
    assert files.fetch(left) == answer
    assert files.fetch(left) is None


def test_answers_that_nobody_fetches_do_not_pile_up(files: ControlFiles, tmp_path: Path):
    for number in range(30):
        files.answer(RepairAnswer(command_id=f"{number:03d}"))
    left = sorted(path.stem for path in (tmp_path / "answers-sim").iterdir())
    assert left == [f"{number:03d}" for number in range(10, 30)]


@pytest.mark.parametrize(
    "body",
    [
        '{"word": "repair"}',
        '{"word": "repair", "act": "burn", "subject": "", "seen": null, "price": 0, "confirmed": true}',
        '{"word": "repair", "act": "adopt", "subject": "", "seen": "maybe", "price": 0, "confirmed": true}',
        '{"word": "repair", "act": "adopt", "subject": "", "seen": null, "price": 0, "confirmed": "yes"}',
        '{"word": "repair", "act": "adopt", "subject": "", "seen": null, "price": 0.5, "confirmed": true}',
    ],
)
def test_half_a_repair_is_none(files: ControlFiles, tmp_path: Path, body: str):
    files.leave(ControlWord.STOP, seconds=0, now_ns=1)
    (tmp_path / "commands-sim" / "1.json").write_text(body)
    reading = files.read()
    assert not reading.repairs
    assert len(reading.problems) == 1


def test_a_wish_travels_whole_and_is_answered(files: ControlFiles):
    wanted = ManualCommand(
        command_id="",
        act=ManualAct.FORCE_ENTER,
        subject="btc-updown-5m-1",
        outcome="DOWN",
        budget=7_000_000,
        price=410_000,
        confirmed=True,
        source="telegram 12",
    )
    left = files.leave_wish(wanted, now_ns=3)
    assert files.read().wishes == (left,)
    assert left == ManualCommand(**{**{n: getattr(wanted, n) for n in wanted.__slots__}, "command_id": left.command_id})
    assert files.done(left.command_id)
    answer = RepairAnswer(command_id=left.command_id, ours=("a line",), outcome="done")
    files.answer(answer)
    assert files.fetch(left) == answer


@pytest.mark.parametrize(
    "body",
    [
        '{"word": "wish", "act": "forceexit", "budget": 0, "price": 0}',
        '{"word": "wish", "act": "dance", "budget": 0, "price": 0, "confirmed": true}',
        '{"word": "wish", "act": "forceexit", "budget": -1, "price": 0, "confirmed": true}',
        '{"word": "wish", "act": "forceexit", "budget": 1.5, "price": 0, "confirmed": true}',
        '{"word": "wish", "act": "forceexit", "budget": 99999999999999999999, "price": 0, "confirmed": true}',
        '{"word": "stop", "seconds": 0, "source": "a\\nb"}',
    ],
)
def test_a_wish_that_is_none_is_set_aside(files: ControlFiles, tmp_path: Path, body: str):
    (tmp_path / "commands-sim").mkdir()
    (tmp_path / "commands-sim" / "0.json").write_text(body)
    reading = files.read()
    assert not reading.wishes
    assert not reading.commands
    assert "no command" in reading.problems[0]


def test_a_command_says_by_which_way_it_came(files: ControlFiles):
    files.leave(ControlWord.STOP, seconds=0, now_ns=1, source="telegram 12")
    files.leave(ControlWord.START, seconds=0, now_ns=2)
    assert [command.source for command in files.read().commands] == ["telegram 12", "command"]
