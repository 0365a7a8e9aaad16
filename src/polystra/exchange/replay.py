"""The configuration of an exchange inside a recorded window.

What lives here: what follows from a recording for the exchange around it. What must not: reading
files (`recording`), playing the book (`traders.replayed`), the prices of the feed (`recorded_prices`).

The window is listed alone, under the simulation's own ids, at its recorded time, and resolves by the
ordinary rule on prices that are made to give the recorded winner.
"""

from __future__ import annotations

from dataclasses import replace

from polystra.domain.units import NS_PER_S
from polystra.exchange.recorded_prices import series_of
from polystra.exchange.recording import Recording
from polystra.exchange.simulation import LEAD_IN_S, BuiltInConfig


def replaying(config: BuiltInConfig, recording: Recording) -> BuiltInConfig:
    """Return the configuration of an exchange that plays this window; seed, pace, books and port stay."""
    return replace(
        config,
        symbols=(recording.symbol,),
        windows=(recording.window,),
        series=series_of(recording),
        start_ns=(recording.opens_at_s - LEAD_IN_S) * NS_PER_S,
        replay=recording,
    )
