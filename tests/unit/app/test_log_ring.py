"""The last lines of the log: kept only when asked for, bounded, found by level, name and text."""

from __future__ import annotations

from typing import Any

from polystra.app.log_ring import LogRing


def ring(*lines: dict[str, Any], size: int = 10) -> LogRing:
    made = LogRing(size)
    made.keep(on=True)
    for line in lines:
        assert made(None, line.get("level", "info"), dict(line)) == line, "a line passes unchanged"
    return made


LINES = [
    {"timestamp": "t1", "level": "info", "event": "order.submitted", "side": "BUY"},
    {"timestamp": "t2", "level": "warning", "event": "order.refused", "side": "SELL"},
    {"timestamp": "t3", "level": "debug", "event": "fill.booked", "side": "BUY"},
]


def test_nothing_is_kept_until_somebody_shows_it() -> None:
    idle = LogRing()
    idle(None, "info", {"event": "app.started"})
    assert idle.find(limit=10) == []
    kept = ring(*LINES)
    kept.keep(on=False)
    assert kept.find(limit=10) == []


def test_the_newest_come_first_and_the_oldest_go() -> None:
    kept = ring(*LINES, size=2)
    assert [line.number for line in kept.find(limit=10)] == [3, 2]
    assert [line.number for line in kept.find(limit=1)] == [3]
    assert [line.number for line in kept.find(limit=10, before=3)] == [2]
    assert [line.number for line in kept.since(2)] == [3]


def test_lines_are_found_by_level_name_and_text() -> None:
    kept = ring(*LINES)
    assert [line.event for line in kept.find(limit=9, level="warning")] == ["order.refused"]
    assert [line.event for line in kept.find(limit=9, event="order.")] == ["order.refused", "order.submitted"]
    assert [line.event for line in kept.find(limit=9, text="side=buy")] == ["fill.booked", "order.submitted"]


def test_a_line_is_told_as_it_was_written_with_its_number() -> None:
    [line] = ring({"timestamp": "t", "level": "info", "event": "e", "number": 7, "what": [1]}).find(limit=1)
    assert line.as_object() == {"number": 1, "timestamp": "t", "level": "info", "event": "e", "what": [1]}
    assert line.text == "e number=7 what=[1]"
