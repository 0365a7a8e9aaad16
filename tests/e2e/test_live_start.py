"""The commands in live mode, pointed at the built-in exchange on real time: doctor, livetest, and a refused start."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import Process
from tests.e2e.doctor_scene import ADDRESS, KEY
from tests.e2e.live_exchange import exchange_in_real_time


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """One exchange for all tests of this module."""
    with exchange_in_real_time() as (_, urls):
        yield urls


@pytest.fixture
def environment(urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return {
        **{name: url for name, url in urls.items() if name != "CONTROL"},
        "MODE": "live",
        "POLY_PRIVATE_KEY": KEY,
        "LIVE_ARMED": ADDRESS,
        "REQUIRE_CALIBRATION": "NO",
        "SYMBOLS": "BTC",
        "WINDOWS": "15m",
        "DATA_DIR": str(tmp_path / "data"),
    }


def polystra(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def standing(urls: dict[str, str], *, closed_only: bool) -> None:
    body = json.dumps({"owner": ADDRESS, "closed_only": closed_only}).encode()
    request = urllib.request.Request(f"{urls['CONTROL']}/standing", data=body, method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def test_doctor_and_livetest_pass_and_show_no_secret(environment: dict[str, str]):
    doctor = polystra(environment, "doctor", "--json")
    told = json.loads(doctor.stdout)
    assert doctor.exit_code == 0, doctor.output
    assert told["ok"] is True
    assert {check["name"] for check in told["checks"]} >= {"wallet", "closed-only", "market stream", "bankroll"}
    livetest = polystra(environment, "livetest", "--yes", "--json")
    if livetest.exit_code:  # between two windows nobody bids
        assert "TestRefused" in livetest.stderr
    else:
        assert json.loads(livetest.stdout)["ok"] is True
    assert KEY[2:] not in doctor.output + livetest.output


def test_an_account_that_may_only_close_refuses_a_live_start_in_one_line(
    environment: dict[str, str], urls: dict[str, str], tmp_path: Path
):
    standing(urls, closed_only=True)
    try:
        doctor = polystra(environment, "doctor")
        process = Process(tmp_path, "run", **{**environment, "LOG_FORMAT": "json"})
        code = process.finish()
    finally:
        standing(urls, closed_only=False)
    assert doctor.exit_code == 1
    assert code == 1
    [line] = process.errors().strip().splitlines()
    assert "1 hard check(s) failed: closed-only: the account may close positions and not open any" in line
    lines = [json.loads(each) for each in process.lines]
    assert [each["check"] for each in lines if each["event"] == "check.failed"] == ["closed-only"]
    assert "store.opened" not in {each["event"] for each in lines}
    assert not list((tmp_path / "data").glob("*.db"))
