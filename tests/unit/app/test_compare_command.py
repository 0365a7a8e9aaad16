"""`polystra compare` from a recording to its tables, its page and its pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app

START = 1_785_106_200


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def middles(here: Path) -> Path:
    """Sixty windows whose market knew the chances well."""
    chance = Random(2)
    with (here / "m.jsonl").open("w") as file:
        for n in range(60):
            p = chance.choice((0.06, 0.15, 0.3, 0.7, 0.85, 0.94))
            winner = "UP" if chance.random() < p else "DOWN"
            row = {"ts": START + 300 * n, "up_mid": p, "up_lag": 53, "winner": winner}
            file.write(json.dumps(row) + "\n")
    made = CliRunner().invoke(app, ["import", "rec", "--mids", "m.jsonl"])
    assert made.exit_code == 0, made.output
    return here / "rec"


def told(*arguments: str):
    return CliRunner().invoke(app, ["compare", *arguments])


def test_a_market_that_knows_is_better_than_a_coin_and_the_fusions_are_alike(middles: Path):
    result = told(str(middles), "--at", "50", "--jobs", "1")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "60 settled, 60 independent" in words
    assert "market is better than coin." in words
    assert "The two fusions: bayesian and additive are not distinguishable" in words
    assert "one in twenty looks real by chance" in words
    assert "not computed: fair value is unknown" in words
    assert "not computed: market bought nothing" in words
    assert "not what they will do" in words


def test_the_json_has_the_same_figures_and_repeats(middles: Path):
    first, second = (told(str(middles), "--at", "50,20", "--json", "--jobs", "1").output for _ in range(2))
    assert first == second
    data = json.loads(first)
    assert data["reference"] == "market"
    assert (data["windows"], data["independent_windows"]) == (60, 60)
    names = [each["name"] for each in data["forecasters"]]
    assert names == ["market", "additive", "bayesian", "coin"]
    assert [each["seconds_left"] for each in data["by_seconds_left"]] == [50, 20]
    assert "market" not in data["by_seconds_left"][1]["brier"], "33 s after the middle it is no price of that moment"
    assert [each["trader"] for each in data["earned"]] == ["additive", "bayesian", "market"]
    assert {each["verdict"] for each in data["earned_apart"]} == {"neither traded"}


def test_the_page_asks_nothing_of_the_network_and_the_pictures_are_pictures(middles: Path, here: Path):
    result = told(str(middles), "--at", "50", "--html", "out/c.html", "--png", "out", "--jobs", "1")
    assert result.exit_code == 0, result.output
    page = (here / "out" / "c.html").read_text()
    assert page.count("<svg ") == 3
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "not distinguishable" in page
    pictures = sorted((here / "out").glob("*.png"))
    assert [path.stem for path in pictures] == ["brier", "earned", "reliability"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere",), "nowhere: does not exist"),
        (("rec", "--at", "60,soon"), "soon is no number of seconds"),
        (("rec", "--at", "0"), "0 is no number of seconds"),
        (("rec", "--set", "EDGE"), "expected KEY=VALUE"),
    ],
)
def test_bad_input_is_one_sentence(middles: Path, arguments: tuple[str, ...], sentence: str):
    result = told(*arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_the_check_for_look_ahead_says_what_it_looked_at(middles: Path):
    result = told(str(middles), "--at", "50", "--look-ahead")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "look-ahead: 60 moments of forecasts and" in words
    assert "before 2 cuts were looked at; nothing knew what was told later" in words
