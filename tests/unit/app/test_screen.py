"""Tables show words as they are."""

from __future__ import annotations

import pytest

from polystra.app.screen import grid, pairs, screen


def test_an_id_is_neither_an_emoji_nor_markup(capsys: pytest.CaptureFixture[str]):
    console = screen()
    console.print(grid("Positions", words=("position",), figures=("held",), rows=[("btc-updown:up:1", "[bold]5[/]")]))
    console.print(pairs("Status", [("switch:up:", "[red]on")]))
    shown = capsys.readouterr().out
    assert "btc-updown:up:1" in shown
    assert "[bold]5[/]" in shown
    assert "switch:up:" in shown
    assert "[red]on" in shown
