"""A worked example of a strategy of one's own: nothing until the last third of a window, then a nudge to the leader.

STRATEGY=docs/examples/late_leader.py:LateLeader. It shows the interface and promises nothing: judge it on recordings
(`polystra backtest FILES --set STRATEGY=...`) before any money does.
"""

from __future__ import annotations

from polystra.engine.strategy.advisor import Opinion
from polystra.engine.strategy.fusion import Fused
from polystra.engine.strategy.signal import Signal, logistic, logit
from polystra.engine.strategy.view import MarketView


class LateLeader:
    """Trusts the daemon's own fusion, and the side that leads a little more when little time is left."""

    NUDGE = 0.15
    """Log-odds: 0.15 is 3.7 points at 0.5."""

    def decide(self, view: MarketView, fused: Fused, signals: tuple[Signal, ...]) -> Opinion | None:
        """An opinion in the last third of the window, none before it or without a fair value."""
        length_s = view.market.closes_at_s - view.market.opens_at_s
        if view.seconds_left > length_s / 3 or view.fair_value_up is None:
            return None
        leader = 1.0 if view.fair_value_up >= 0.5 else -1.0
        p_up = logistic(logit(fused.p_up) + leader * self.NUDGE)
        heard = sum(1 for signal in signals if not signal.is_missing)
        return Opinion(p_up, fused.confidence, f"leader {'up' if leader > 0 else 'down'}, {heard} signals")
