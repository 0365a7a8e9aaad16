"""`polystra outcomes`: the rule beside recorded outcomes, with every exception and its reason."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "data"
START = 1_784_850_900


def row(number: int, winner: str, opened: str = "", closed: str = "") -> str:
    start = START + number * 300
    return f"btc-updown-5m-{start},{start},{start + 300},{winner},{opened},{closed}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = (row(0, "Up", "100", "101"), row(1, "Up", "101.5", "99"), row(2, "Down", "99"))
    (tmp_path / "w.csv").write_text("slug,start,end,winner,open_price,close_price\n" + "".join(rows))
    ticks = ((0, "100"), (300, "101"), (600, "99"), (890, "98"), (960, "98"))
    lines = (f"{(START + s) * 1_000},{price},{(START + s) * 1_000 + 400}\n" for s, price in ticks)
    (tmp_path / "f.csv").write_text("feed_ts_ms,value,recv_ms\n" + "".join(lines))
    return tmp_path


def told(*arguments: str):
    return CliRunner().invoke(app, ["outcomes", *arguments])


def test_every_exception_is_listed_with_its_reason(here: Path):
    result = told("w.csv", "--feed", "f.csv", "--json")
    data = json.loads(result.output)
    assert result.exit_code != 0
    assert (data["windows"], data["agree"]) == (3, 1)
    assert data["disagree"] == [f"btc-updown-5m-{START + 300}: 101.00000000 to 99.00000000, recorded winner UP"]
    assert data["incomplete"] == [f"btc-updown-5m-{START + 600}: no tick at its closing second 2026-07-24 00:10:00"]
    assert data["strikes_compared"] == 3
    assert data["strikes_that_differ"] == [
        f"btc-updown-5m-{START + 300}: the feed's opening is 101.00000000, recorded is 101.50000000"
    ]


def test_without_a_feed_the_table_s_own_prices_are_held_against_its_winners(here: Path):
    result = told("w.csv")
    words = " ".join(result.output.split())
    assert "rule and record agree 1" in words
    assert f"disagrees: btc-updown-5m-{START + 300}: 101.50000000 to 99.00000000, recorded winner UP" in words
    assert f"not complete: btc-updown-5m-{START + 600}: the table tells no closing price" in words


def test_a_table_that_is_not_there_is_one_sentence(here: Path):
    result = told("none.csv")
    assert result.exit_code == 2
    assert "none.csv: cannot be read" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("table", "feed", "windows", "agree", "incomplete"),
    [
        ("outcomes/btc5m_outcomes_20260724.csv", "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz", 193, 164, 29),
        ("outcomes/btc5m_outcomes_202604.csv", None, 133, 133, 0),
        ("outcomes/btc15m_outcomes_202604.csv", None, 55, 55, 0),
        ("market_ws/btc5m_full_depth/windows.csv", None, 62, 62, 0),
    ],
)
def test_rule_and_record_agree_in_every_recorded_window_that_is_complete(
    table: str, feed: str | None, windows: int, agree: int, incomplete: int
):
    if not (SHARED / table).exists():
        pytest.skip(f"the recording {SHARED / table} is not there")
    arguments = [str(SHARED / table), *(("--feed", str(SHARED / feed)) if feed else ()), "--json"]
    result = told(*arguments)
    data = json.loads(result.output)
    assert data["disagree"] == []
    assert (data["windows"], data["agree"], len(data["incomplete"])) == (windows, agree, incomplete)
    assert result.exit_code == 0
