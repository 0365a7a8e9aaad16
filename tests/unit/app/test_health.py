"""The verdict on a daemon, from what it last told and how long ago that was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.adapters.clock import SystemClock
from polystra.adapters.health_file import HealthFile
from polystra.app.cli import app
from polystra.app.health import LOOP_LIMIT_S, STREAM_LIMIT_S, judge, main, words_of
from polystra.domain.units import NS_PER_S
from polystra.ports.health import HealthReading, StreamHealth

NOW_NS = 1_800_000_000 * NS_PER_S


def stream(name: str, *, quiet_s: float = 0, connected: bool = True) -> StreamHealth:
    return StreamHealth(name=name, connected=connected, quiet_ns=int(quiet_s * NS_PER_S))


def reading(**changes: object) -> HealthReading:
    told = HealthReading(
        at_ns=NOW_NS,
        started_at_ns=NOW_NS - 100 * NS_PER_S,
        process=7,
        mode="sim",
        loop_quiet_ns=NS_PER_S,
        streams=tuple(stream(name) for name in ("market", "user", "price", "spot")),
    )
    return replace(told, **changes)  # type: ignore[arg-type]


def with_stream(changed: StreamHealth) -> HealthReading:
    streams = tuple(changed if each.name == changed.name else each for each in reading().streams)
    return reading(streams=streams)


def test_a_daemon_that_works_is_healthy() -> None:
    verdict = judge(reading(), NOW_NS + NS_PER_S)
    assert (verdict.ok, verdict.problems, verdict.loop_age_s, verdict.running_s) == (True, (), 2.0, 101.0)
    assert words_of(verdict).startswith("healthy: loop 2 s; streams market 1 s, user 1 s, price 1 s, spot 1 s")


def test_nothing_told_is_unhealthy() -> None:
    assert judge(None, NOW_NS).problems == ("no daemon runs on this data folder in this mode",)


def test_a_loop_that_stands_still_is_unhealthy_whoever_finds_it_out() -> None:
    stuck = reading(loop_quiet_ns=int((LOOP_LIMIT_S + 1) * NS_PER_S))
    assert "the loop has stood still for 16 s" in judge(stuck, NOW_NS).problems[0]
    silent = judge(reading(), NOW_NS + int((LOOP_LIMIT_S + 1) * NS_PER_S))
    assert "the loop has stood still for 17 s" in silent.problems[0]
    assert judge(reading(), NOW_NS + int((LOOP_LIMIT_S - 1) * NS_PER_S)).ok


@pytest.mark.parametrize("name", ["market", "user", "price"])
def test_a_needed_stream_that_is_away_is_unhealthy(name: str) -> None:
    lost = stream(name, quiet_s=STREAM_LIMIT_S + 1, connected=False)
    assert judge(with_stream(lost), NOW_NS).problems == (f"the {name} stream has been away for 61 s (limit 60 s)",)
    assert judge(with_stream(replace(lost, quiet_ns=30 * NS_PER_S)), NOW_NS).ok


def test_a_silent_stream_is_unhealthy_where_silence_means_something() -> None:
    for name, ok in (("market", False), ("price", False), ("user", True), ("spot", True)):
        assert judge(with_stream(stream(name, quiet_s=STREAM_LIMIT_S + 1)), NOW_NS).ok is ok, name


def test_a_needed_stream_that_nobody_watches_is_a_problem() -> None:
    verdict = judge(reading(streams=reading().streams[1:]), NOW_NS)
    assert verdict.problems == ("the market stream is not watched",)


def test_a_clock_set_back_is_no_negative_age() -> None:
    assert judge(reading(), NOW_NS - 3_600 * NS_PER_S).loop_age_s == 1.0


# --- the file and the command -------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MODE", "sim")
    return tmp_path


def health(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["health", *arguments])


def test_the_file_gives_back_what_was_told_and_is_replaced_whole(folder: Path) -> None:
    file = HealthFile(folder, "sim")
    assert file.read() is None
    file.post(reading())
    file.post(reading(process=8))
    assert file.read() == reading(process=8)
    assert [path.name for path in folder.iterdir()] == ["health-sim.json"]
    file.clear()
    file.clear()
    assert list(folder.iterdir()) == []


def test_the_command_says_it_in_one_line_and_an_exit_code(folder: Path) -> None:
    result = health()
    assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
    assert result.stdout.startswith("unhealthy: no daemon runs")
    HealthFile(folder, "sim").post(reading(at_ns=SystemClock().now_ns(), started_at_ns=SystemClock().now_ns()))
    result = health()
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    assert result.stdout.startswith("healthy: ")


def test_the_command_gives_json_and_takes_other_limits(folder: Path) -> None:
    late = reading(at_ns=SystemClock().now_ns(), loop_quiet_ns=20 * NS_PER_S)
    HealthFile(folder, "sim").post(late)
    told = json.loads(health("--json").stdout)
    assert (told["ok"], told["process"], len(told["streams"]), len(told["problems"])) == (False, 7, 4, 1)
    assert health("--loop-limit", "60").exit_code == 0


@pytest.mark.parametrize("text", ["", "{}", "[1, 2", "\x00\x01"])
def test_a_file_that_is_none_of_ours_is_unhealthy_in_one_line(folder: Path, text: str) -> None:
    (folder / "health-sim.json").write_text(text)
    result = health()
    assert result.exit_code == 1
    assert "is no health file" in result.stdout
    assert result.stdout.count("\n") == 1


def test_the_probe_alone_gives_the_same_verdict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    HealthFile(folder, "sim").post(reading(at_ns=SystemClock().now_ns()))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    (folder / ".env").write_text("MISSPELT=1\n")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "MISSPELT" in capsys.readouterr().err
