"""The calibration that settings name: which file, read and checked, and whether its gate lets live trade.

What lives here: the choice of the file, the words about it, the doctor's check. What must not: the format
(`backtest.calibration.file`), fits.

Without CALIBRATION_FILE the simulation uses the file that comes with the program, fitted on recorded sessions of the
built-in exchange; it says nothing of real markets and is refused there. Elsewhere nothing stands in for a file: the
strength of every signal is then unknown, the Bayesian opinion is the market's price, and nothing is entered on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from importlib import resources
from typing import Final

from polystra.app.checks import Check, failed, passed, unchecked, warned
from polystra.app.settings import Settings
from polystra.backtest.calibration.file import CalibrationFile, decoded
from polystra.backtest.calibration.gate import Gate
from polystra.domain.errors import ConfigError
from polystra.engine.strategy.calibration import UNFITTED, Calibration
from polystra.engine.strategy.fusion import Fusion, FusionWeights

SIMULATED: Final = "simulation"
"""The origin of a file that was fitted on simulated sessions."""
_NAME: Final = "calibration"
_SHIPPED: Final = "simulated_calibration.json"
_LENGTH: Final = re.compile(r"-updown-(5m|15m|4h)-")
_REMEDY: Final = (
    "record real windows (polystra record), fit and test on them (polystra calibrate), name the file in "
    "CALIBRATION_FILE; or REQUIRE_CALIBRATION=NO to trade without evidence"
)


def calibration_file(settings: Settings, *, simulated: bool) -> CalibrationFile | None:
    """The file in force, None when there is none. `simulated` says what is traded or replayed.

    Raises:
        ConfigError: CALIBRATION_FILE cannot be read or is no calibration for this.
    """
    path = settings.calibration_file
    if path is None:
        if not simulated:
            return None
        data = resources.files("polystra.app").joinpath(_SHIPPED).read_bytes()
        return decoded(data, name=_SHIPPED)
    try:
        file = decoded(path.read_bytes(), name=f"CALIBRATION_FILE {path}")
    except OSError as error:
        words = (
            f"CALIBRATION_FILE {path}: cannot be read ({error.strerror or error}); correct the path or leave it empty"
        )
        raise ConfigError(words) from error
    if file.origin == SIMULATED and not simulated:
        raise ConfigError(
            f"CALIBRATION_FILE {path}: was fitted on the built-in exchange, which says nothing of real markets; "
            "fit one on recordings of these, or leave it empty"
        )
    return file


def calibration_of(settings: Settings, *, simulated: bool) -> Calibration:
    """As the engine takes it; raises ConfigError."""
    file = calibration_file(settings, simulated=simulated)
    return UNFITTED if file is None else file.calibration()


def calibration_words(settings: Settings) -> str:
    """What the start says of it; raises ConfigError."""
    file = calibration_file(settings, simulated=settings.mode.value == "sim")
    if file is None:
        return "none: what signals are worth is unknown, and the Bayesian opinion is the market's price"
    gate = _gate(file, settings)
    words = "gate passed" if gate.passed else f"gate closed: {gate.words}"
    return f"{file.digest[:16]}, fitted on {file.fitted_on.count} windows of {file.origin}, {words}"


def overlap_words(settings: Settings, *, simulated: bool, windows: Iterable[str]) -> str:
    """What is to be said of a backtest over windows that CALIBRATION_FILE was fitted on; "" when there are none.

    Raises:
        ConfigError: as `calibration_file`.
    """
    if settings.calibration_file is None:
        return ""
    file = calibration_file(settings, simulated=simulated)
    tested = set(windows)
    seen = set() if file is None else tested & set(file.fitted_on.slugs)
    if not seen:
        return ""
    return (
        f"Not out of sample: {len(seen)} of {len(tested)} windows are among those that CALIBRATION_FILE was fitted on; "
        "what this says of the fusions says nothing about other windows."
    )


def weights_of(settings: Settings) -> FusionWeights:
    """The operator's factors on the signals; 0 for those that are off."""
    return FusionWeights(
        fair_value=float(settings.signal_fair_value_weight) if settings.enable_signal_fair_value else 0.0,
        book_imbalance=float(settings.signal_book_imbalance_weight) if settings.enable_signal_book_imbalance else 0.0,
        momentum=float(settings.signal_momentum_weight) if settings.enable_signal_momentum else 0.0,
    )


def gate_of(settings: Settings) -> Gate:
    """The gate of what is traded in live; raises ConfigError."""
    fusion = Fusion(settings.fusion)
    file = calibration_file(settings, simulated=False)
    if file is None:
        words = "CALIBRATION_FILE is empty: what signals are worth is unknown"
        return Gate(fusion=fusion, passed=False, words=words, log_loss=None, brier=None)
    return _gate(file, settings)


def _gate(file: CalibrationFile, settings: Settings) -> Gate:
    """The gate of what is traded; closed for windows of a length that no tested one had."""
    gate = file.gate(Fusion(settings.fusion), weights_of(settings))
    tested = {length for slug in file.tested.windows.slugs if (length := _length_of(slug))}
    untested = [window.value for window in settings.windows if tested and window.value not in tested]
    if not gate.passed or not untested:
        return gate
    words = f"it was tested on windows of {', '.join(sorted(tested))}, and WINDOWS has {', '.join(untested)} too"
    return replace(gate, passed=False, words=words)


def _length_of(slug: str) -> str:
    """The name of a window's length as its slug tells it, "" for a stranger's slug."""
    found = _LENGTH.search(slug)
    if found is not None:
        return found[1]
    if "-up-or-down-on-" in slug:
        return "1d"
    return "1h" if "-up-or-down-" in slug and slug.endswith("-et") else ""


def entries_are_closed(settings: Settings) -> bool:
    """Whether live may not enter by the strategy for want of evidence; raises ConfigError."""
    return settings.mode.value == "live" and settings.require_calibration and not gate_of(settings).passed


def check_calibration(settings: Settings) -> Check:
    """For `polystra doctor` and every start of live."""
    if settings.mode.value != "live":
        return unchecked(_NAME, f"MODE {settings.mode.value} needs none")
    try:
        gate = gate_of(settings)
    except ConfigError as error:
        return failed(_NAME, str(error), _REMEDY)
    if gate.passed:
        return passed(_NAME, f"the gate of {gate.fusion.value} was passed")
    evidence = f"the gate of {gate.fusion.value} is closed: {gate.words}"
    if settings.require_calibration:
        return failed(_NAME, evidence, _REMEDY, entries_only=True)
    return warned(_NAME, f"REQUIRE_CALIBRATION=NO overrules it; {evidence}", "trade small; nothing shows an edge")
