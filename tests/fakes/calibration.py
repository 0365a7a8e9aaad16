"""A calibration whose gate is open, for tests that start live; its numbers are made up."""

from __future__ import annotations

from pathlib import Path

from polystra.backtest.calibration import file as formats
from polystra.backtest.calibration.fit import EDGES_S, L2, SIGNALS, Fit, SignalFit
from polystra.backtest.calibration.gate import Gate
from polystra.backtest.scoring import Interval
from polystra.engine.strategy.fusion import Fusion, FusionWeights

BUCKETS = len(EDGES_S) + 1


def made(
    *,
    origin: str = "recordings",
    passed: bool = True,
    strength: float = 0.7,
    fitted_on: tuple[str, ...] = ("a",),
    tested_on: tuple[str, ...] = ("b",),
) -> formats.CalibrationFile:
    """A file of one strength for the fair value and nothing for the others."""
    better = Interval(-0.02, -0.03, -0.01, 100)
    signals = tuple(
        SignalFit(
            name=name,
            by_bucket=(strength if name == "fair_value" else 0.0,) * BUCKETS,
            standard_errors=(0.05,) * BUCKETS,
            windows=(100,) * BUCKETS,
            kept=name == "fair_value",
            reason="" if name == "fair_value" else "left out: log loss out of sample +0.00100 (+0.00050 to +0.00200)",
            out_of_sample=better,
        )
        for name in SIGNALS
    )
    covariance = ((0.0025, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    gates = tuple(
        Gate(
            fusion=fusion,
            passed=passed,
            words="passed" if passed else "not better than the market's own price",
            log_loss=better,
            brier=better,
        )
        for fusion in Fusion
    )
    windows = formats.Windows(count=1, closing_times=1, first_close_s=1, last_close_s=1, slugs=fitted_on)
    return formats.assembled(
        origin=origin,
        created="2026-11-21T00:00:00+00:00",
        sources=(),
        fitted_on=windows,
        fitted=Fit(edges_s=EDGES_S, l2=L2, signals=signals, covariances=(covariance,) * BUCKETS, scales=()),
        tested=formats.Tested(
            windows=formats.Windows(count=1, closing_times=1, first_close_s=2, last_close_s=2, slugs=tested_on),
            weights=FusionWeights(),
            gates=gates,
        ),
    )


def written(folder: Path, **changes: object) -> Path:
    """The file in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "calibration.json"
    path.write_bytes(formats.encoded(made(**changes)))  # type: ignore[arg-type]
    return path
