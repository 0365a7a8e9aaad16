"""A backtest's memory does not grow with the length of the recording: only what it reports of each window stays.

What is held is counted in objects that the garbage collector knows (dicts, lists, tuples, instances), which is quick
and the same on every machine.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from polystra.app.backtest_result import config_for
from polystra.app.settings import load_settings
from polystra.backtest.recordings.reader import recording_files
from polystra.backtest.runs import Job, Part, units_of
from polystra.matching.paper_venue import PaperRules
from tests.fakes.recordings import moved, read_recording, record_session

HOURS = 4
MOST_OBJECTS = 60
"""What may stay of a window: its counts, forecasts, positions, orders, fills and postings. It has 4,000 inputs."""


@pytest.mark.slow
def test_what_stays_of_a_window_is_bounded(tmp_path: Path):
    """The same windows hour after hour: what is held after four hours is what was after two, but for the report."""
    folder = record_session(tmp_path)
    inputs = read_recording(folder)
    (unit,), _ = units_of(recording_files([folder]))
    config = config_for(load_settings({}, None, local=True), [unit])
    part = Part(Job(unit=unit, config=config, rules=PaperRules(), paths_kept=2))
    held: list[int] = []
    windows: list[int] = []
    for hour in range(HOURS):
        for recorded in moved(inputs, hour * 3_600):
            part.driver.feed(recorded)
        gc.collect()
        held.append(len(gc.get_objects()))
        windows.append(len(part.tally.settled))
    assert windows[-1] - windows[1] >= 2 * 2
    grown = (held[-1] - held[1]) / (windows[-1] - windows[1])
    assert grown < MOST_OBJECTS, held
    assert len(part.sampler.paths) == 2
