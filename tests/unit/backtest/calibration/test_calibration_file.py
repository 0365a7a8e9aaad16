import json
from dataclasses import replace
from functools import cache

import msgspec
import pytest

from polystra.backtest.calibration import file as formats
from polystra.backtest.calibration.file import (
    CalibrationFile,
    SourceFile,
    assembled,
    decoded,
    encoded,
    windows_of,
)
from polystra.backtest.calibration.fit import fit
from polystra.backtest.calibration.gate import judge
from polystra.backtest.calibration.splits import split_by_time
from polystra.domain.errors import ConfigError
from polystra.engine.strategy.fusion import Fusion, FusionWeights

from .made_looks import made

WEIGHTS = FusionWeights()


@cache
def file(*, edge: float = 0.5, turned: bool = False) -> CalibrationFile:
    looks = made(100, edge=edge)
    train, test = split_by_time(looks, 0.3)
    if turned:
        test = [replace(look, up=not look.up) for look in test]
    fitted = fit(train)
    gates = tuple(judge(test, fitted.calibration(), WEIGHTS, fusion) for fusion in Fusion)
    return assembled(
        origin="recordings",
        created="2026-11-21T00:00:00+00:00",
        sources=[SourceFile(name="a.rec", bytes=1, sha256="0" * 64)],
        fitted_on=windows_of(train),
        fitted=fitted,
        tested=formats.Tested(windows=windows_of(test), weights=WEIGHTS, gates=gates),
    )


def changed(path: tuple[str | int, ...], value: object) -> bytes:
    """The file with one value replaced, its digest made to match again where the fitted part was changed."""
    content = json.loads(encoded(file()))
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(content).encode()


def test_it_is_read_as_it_was_written():
    made_file = file()
    again = decoded(encoded(made_file), name="c.json")
    assert again == made_file
    assert again.calibration().digest == made_file.digest[:16]
    assert again.fitted_on.count == 70
    assert again.tested.windows.count == 30


def test_the_digest_is_of_what_was_fitted_and_the_tested_windows_do_not_touch_it():
    before, after = file(), file(turned=True)
    assert before.digest == after.digest
    assert msgspec.json.encode((before.fitted, before.fitted_on)) == msgspec.json.encode(
        (after.fitted, after.fitted_on)
    )
    assert before.tested != after.tested


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no calibration file"),
        (b"{}", "is no calibration file"),
        (b"[1, 2]", "is no calibration file"),
        (changed(("format",), "something"), "format 'something'"),
        (changed(("version",), 2), "has version 2, this program reads 1"),
        (changed(("fitted", "signals", 0, "by_bucket", 1), 0.9), "was changed by hand"),
        (changed(("fitted_on", "count"), 7), "was changed by hand"),
        (changed(("fitted", "l2"), "much"), "is no calibration file"),
    ],
)
def test_what_is_none_is_refused_in_one_sentence(data, words):
    with pytest.raises(ConfigError, match=words) as refused:
        decoded(data, name="c.json")
    assert str(refused.value).startswith("c.json: ")
    assert "polystra calibrate" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edges_s": (60, 30)}, "edges_s"),
        ({"signals": ()}, "fitted.signals must be"),
        ({"covariances": ()}, "covariances"),
    ],
)
def test_numbers_that_cannot_be_are_refused(change, words):
    whole = file()
    fitted = replace(whole.fitted, **change)
    broken = assembled(
        origin=whole.origin,
        created=whole.created,
        sources=whole.sources,
        fitted_on=whole.fitted_on,
        fitted=fitted,
        tested=whole.tested,
    )
    with pytest.raises(ConfigError, match=words):
        decoded(encoded(broken), name="c.json")


def test_a_window_that_was_fitted_on_and_tested_on_is_refused():
    whole = file()
    both = msgspec.structs.replace(whole, tested=msgspec.structs.replace(whole.tested, windows=whole.fitted_on))
    with pytest.raises(ConfigError, match="70 windows were fitted on and tested on"):
        decoded(encoded(both), name="c.json")


def test_the_gate_is_that_of_the_fusion_and_the_weights_that_are_traded():
    whole = file()
    assert whole.gate(Fusion.BAYESIAN, WEIGHTS) == whole.tested.gates[0]
    assert whole.gate(Fusion.ADDITIVE, WEIGHTS).fusion is Fusion.ADDITIVE
    other = whole.gate(Fusion.BAYESIAN, FusionWeights(momentum=0.0))
    assert not other.passed
    assert "other weights" in other.words
