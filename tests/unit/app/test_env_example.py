"""`.env.example` is current, and copying it changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from polystra.app.env_example import main, render
from polystra.app.settings import known_names, load_settings

EXAMPLE = Path(__file__).parents[3] / ".env.example"


def test_the_committed_file_is_what_the_class_says() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == render()


def test_a_copy_of_the_example_is_the_defaults() -> None:
    assert load_settings({}, EXAMPLE) == load_settings({}, None)


def test_every_setting_stands_in_it_once_with_a_comment_above() -> None:
    lines = render().splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert names == list(known_names())
    assert all(lines[n - 1].startswith("# ") for n, line in enumerate(lines) if line and not line.startswith("#"))


def test_check_tells_a_current_file_from_a_stale_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ".env.example"
    path.write_text(render(), encoding="utf-8")
    assert main(["--check", str(path)]) == 0
    path.write_text(render() + "MORE=1\n", encoding="utf-8")
    assert main(["--check", str(path)]) == 1
    assert "make env-example" in capsys.readouterr().err
    assert main(["--check", str(tmp_path / "missing")]) == 1
    assert main(["--wrong"]) == 2


def test_without_arguments_it_prints_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == render()
