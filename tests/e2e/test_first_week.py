"""The first-week guide's day of live mode against one's own exchange, by the guide's own settings."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import DEADLINE_S, REPO, Process

GUIDE = (REPO / "docs" / "first-week.md").read_text(encoding="utf-8")


def settings_of_the_guide(port: str) -> str:
    found = re.search(r"<<'END'\n(.*?)\nEND\n", GUIDE, flags=re.DOTALL)
    assert found is not None
    return found[1].replace("127.0.0.1:8700", f"127.0.0.1:{port}")


@pytest.mark.timeout(300)
def test_live_mode_passes_doctor_and_livetest_at_an_exchange_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "practice").mkdir(mode=0o700)
    exchange = Process(tmp_path, "exchange", "--real-time", "--port", "0", SYMBOLS="BTC", WINDOWS="")
    try:
        line = exchange.next_line(time.monotonic() + DEADLINE_S)
        assert line is not None, exchange.errors()
        port = json.loads(line)["clob_url"].rsplit(":", 1)[1]
        env_file = tmp_path / "practice" / ".env"
        env_file.write_text(settings_of_the_guide(port))
        env_file.chmod(0o600)

        def polystra(*arguments: str) -> Result:
            return CliRunner().invoke(app, arguments, env={"POLYSTRA_ENV_FILE": str(env_file)})

        doctor = polystra("doctor", "--json")
        assert doctor.exit_code == 0, doctor.output
        assert {check["verdict"] for check in json.loads(doctor.stdout)["checks"]} <= {"ok", "warn", "not checked"}
        livetest = polystra("livetest", "--yes", "--json")
        if livetest.exit_code:  # between two windows nobody bids
            assert "TestRefused" in livetest.stderr
        else:
            assert json.loads(livetest.stdout)["ok"] is True
    finally:
        exchange.popen.terminate()
        exchange.finish()
