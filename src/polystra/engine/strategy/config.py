"""The strategy's settings, as the engine holds them.

What lives here: one frozen value with defaults. What must not: reading of the environment,
or settings of risk, positions and shutdown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from polystra.domain.units import MicroPrice
from polystra.engine.strategy.calibration import UNFITTED, Calibration
from polystra.engine.strategy.fusion import Fusion, FusionWeights
from polystra.engine.strategy.sizing import SizingRules


class EntryStyle(StrEnum):
    """How an entry is sent."""

    LIMIT = "limit"
    """A limit order at no more than the edge price; what does not match rests for a while."""
    MARKET = "market"
    """Dollars that match at once or not at all, the edge price as the worst price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfig:
    """When and how to enter. `min_edge_ppm` is millionths of the price paid, after fees; times are seconds."""

    min_edge_ppm: int = 30_000
    min_confidence: float = 0.6
    fusion: Fusion = Fusion.BAYESIAN
    weights: FusionWeights = field(default_factory=FusionWeights)
    sizing: SizingRules = field(default_factory=SizingRules)
    max_spread: MicroPrice = 50_000
    check_liquidity: bool = True
    entry_style: EntryStyle = EntryStyle.LIMIT
    close_guard_s: float = 20.0
    max_price_age_s: float = 5.0
    use_microprice: bool = False
    calibration: Calibration = UNFITTED
    """What signals are worth, fitted on recordings."""
    is_closed: bool = False
    """True when live may not enter by the strategy: the gate of its calibration was not passed."""
