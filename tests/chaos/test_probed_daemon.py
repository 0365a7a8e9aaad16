"""The health probe over real processes: healthy while the daemon trades, not when it hangs, sees nothing or is gone."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from polystra.adapters.clock import SystemClock
from polystra.adapters.health_file import HealthFile
from polystra.app.health import HealthVerdict, judge
from tests.chaos.processes import DEADLINE_S, Process

LIMIT_S: Final = 4.0
"""Shorter than the defaults, so that the test need not wait for them."""


def until(folder: Path, wanted: Callable[[HealthVerdict], bool]) -> HealthVerdict:
    """Look at what the daemon tells until the verdict is as wanted."""
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    file = HealthFile(folder, "sim")
    while True:
        verdict = judge(file.read(), SystemClock().now_ns(), loop_limit_s=LIMIT_S, stream_limit_s=LIMIT_S)
        if wanted(verdict):
            return verdict
        assert time.monotonic() < deadline, verdict
        pause.wait(0.2)


def says(words: str) -> Callable[[HealthVerdict], bool]:
    return lambda verdict: any(words in problem for problem in verdict.problems)


def is_well(verdict: HealthVerdict) -> bool:
    return verdict.ok


def asked(folder: Path) -> tuple[int, dict[str, Any]]:
    """What the command says."""
    process = Process(folder, "health", "--json", "--loop-limit", f"{LIMIT_S}", "--stream-limit", "600")
    code = process.finish()
    return code, json.loads("".join(process.lines))


@pytest.mark.timeout(400)
def test_the_probe_tells_a_working_daemon_from_a_hanging_blind_or_dead_one(tmp_path: Path) -> None:
    exchange = Process(tmp_path, "exchange", "--port", "0", "--speed", "2", "--seed", "7")
    line = exchange.next_line(time.monotonic() + DEADLINE_S)
    assert line is not None, exchange.errors()
    command, url = ("run", "--seed", "7"), json.loads(line)["clob_url"]
    daemon = Process(tmp_path, *command, CLOB_URL=url)
    try:
        until(tmp_path, is_well)

        daemon.popen.send_signal(signal.SIGSTOP)
        until(tmp_path, says("the loop has stood still"))
        code, told = asked(tmp_path)
        assert (code, told["ok"], len(told["problems"])) == (1, False, 1)
        assert "the loop has stood still" in told["problems"][0]
        daemon.popen.send_signal(signal.SIGCONT)
        until(tmp_path, is_well)

        exchange.popen.send_signal(signal.SIGSTOP)
        blind = until(tmp_path, says("the price stream"))
        assert not says("the loop")(blind), "the daemon itself works"
        exchange.popen.send_signal(signal.SIGCONT)

        daemon.kill()
        until(tmp_path, says("the loop has stood still"))

        daemon = Process(tmp_path, *command, CLOB_URL=url)
        until(tmp_path, is_well)
        daemon.popen.send_signal(signal.SIGTERM)
        assert daemon.finish() == 0, daemon.errors()
        code, told = asked(tmp_path)
        assert (code, told["problems"]) == (1, ["no daemon runs on this data folder in this mode"])
    finally:
        exchange.popen.send_signal(signal.SIGCONT)
        daemon.popen.kill()
        exchange.popen.send_signal(signal.SIGTERM)
        exchange.finish()
