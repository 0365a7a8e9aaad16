"""A few cells of the kill matrix over real processes; `python -m tests.chaos.kill_matrix` fills all of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.processes import REPO


def fill(*arguments: str, timeout_s: float) -> list[str]:
    """Run the command in a process of its own, which has no threads; its lines."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPO / 'src'}{os.pathsep}{REPO}"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.kill_matrix", *arguments],
        env=env,
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.timeout(300)
def test_a_daemon_killed_while_its_stop_sells_accounts_for_it() -> None:
    lines = fill("--story", "stop", "--points", "weighty", "--every", "4", "--virtual", "--jobs", "2", timeout_s=280)
    deaths = [line for line in lines if " right " in line and line.startswith("stop ") and "#" in line]
    assert len(deaths) == 2, lines


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_a_daemon_killed_anywhere_accounts_for_everything() -> None:
    lines = fill("--points", "moving", timeout_s=7_000)
    assert len([line for line in lines if " right " in line and "#" in line]) > 150, lines
