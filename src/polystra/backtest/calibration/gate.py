"""The gate: did the calibrated strategy forecast windows that it was not fitted on better than the market's price?

What lives here: the test and its words. What must not: fits. A gate is passed when the interval of the difference in
log loss and that of the Brier score, both from resampling blocks of windows, lie below zero with their upper ends,
over at least `FEWEST` independent windows. Anything less is no evidence, and is told as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from polystra.backtest.calibration.fit import forecast
from polystra.backtest.calibration.looks import Look
from polystra.backtest.scoring import FEWEST, Forecast, Interval, brier, difference, log_loss
from polystra.engine.strategy.calibration import Calibration
from polystra.engine.strategy.fusion import Fusion, FusionWeights

_MARKET: Final = "market"
_STRATEGY: Final = "strategy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One fusion's test; differences are its score less the market's, None where there was nothing to compare."""

    fusion: Fusion
    passed: bool
    words: str
    log_loss: Interval | None
    brier: Interval | None


def judge(looks: Sequence[Look], calibration: Calibration, weights: FusionWeights, fusion: Fusion) -> Gate:
    """Test one fusion on looks that nothing was fitted on."""
    forecasts: list[Forecast] = []
    for look in looks:
        told = forecast(look, calibration, weights, fusion)
        if told is not None and look.prior is not None:
            forecasts.append(
                Forecast(
                    window=look.window,
                    block=look.block,
                    seconds_left=look.seconds_left,
                    probabilities={_STRATEGY: told, _MARKET: look.prior},
                    up=look.up,
                )
            )
    if not forecasts:
        words = "no tested window has a market's price to compare with"
        return Gate(fusion=fusion, passed=False, words=words, log_loss=None, brier=None)
    loss = difference(forecasts, _STRATEGY, _MARKET, log_loss)
    square = difference(forecasts, _STRATEGY, _MARKET, brier)
    words = _words(loss, square)
    return Gate(fusion=fusion, passed=not words, words=words or "passed", log_loss=loss, brier=square)


def _words(loss: Interval, square: Interval) -> str:
    """Why the gate is closed, "" when it is not."""
    if loss.blocks < FEWEST:
        return f"only {loss.blocks} independent windows were tested, {FEWEST} are needed"
    worst = [name for name, each in (("log loss", loss), ("Brier score", square)) if each.high >= 0.0]
    if not worst:
        return ""
    told = "; ".join(
        f"{name} less the market's {each.mean:+.5f} ({each.low:+.5f} to {each.high:+.5f})"
        for name, each in (("log loss", loss), ("Brier score", square))
        if name in worst
    )
    return f"not better than the market's own price: {told}"
