"""The pages of docs/ that are written from the code are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polystra.app.reference import PAGES, commands_page, main, settings_page
from polystra.app.settings import Settings, known_names
from polystra.app.settings_reload import RELOADED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), "run make reference"


def test_every_setting_stands_in_its_page_once_with_what_a_change_needs() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|.*\| (reload|restart) \|$", settings_page(), re.MULTILINE)
    assert [name for name, _ in rows] == [name for name in known_names() if name.lower() in Settings.model_fields]
    assert {name.lower() for name, need in rows if need == "reload"} == RELOADED


def test_every_command_of_the_field_is_there() -> None:
    shown = set(re.findall(r"^## (.+)$", commands_page(), re.MULTILINE))
    wanted = {"status", "profit", "daily", "trades", "balance", "start", "stop", "stopentry", "pause", "show_config"}
    assert wanted | {"health", "positions", "orders", "audit", "report", "doctor", "db backup"} <= shown


def test_a_page_that_is_not_current_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    (tmp_path / "settings.md").write_text("old")
    assert main(["--check", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "settings.md" in told
    assert "commands.md" not in told
