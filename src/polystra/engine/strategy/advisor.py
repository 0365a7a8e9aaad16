"""A user's own strategy: the interface, and the checks around every word that it says.

What lives here: what such a strategy is shown, what it answers, and what counts as an answer. What must not: loading of
files (`app/extension`), gates, sizes, limits: those stay ours, whatever a strategy says.

A strategy gives its own probability of Up. Both fusions are worked out and stored as always; the strategy's opinion
takes the place of the one that would decide. So a strategy is also the way to add one signal: begin with `fused.p_up`,
add evidence in log-odds, give it back. It must draw on nothing but what it is shown (no clock, no chance, no network):
then a backtest and a replay ask it the same and hear the same. It is called on the trading loop, several times a second
and market: it must be quick.

Containment: whatever it raises, and any answer that is none, stops it for the rest of the run in every market. No entry
is made from then on; exits, stops and cancels go on as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from polystra.engine.strategy.fusion import Fused
from polystra.engine.strategy.signal import Signal
from polystra.engine.strategy.view import MarketView

LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a strategy thinks: P(Up) in [0, 1], how sure it is of its inputs in [0, 1], and why, in a few words."""

    p_up: float
    confidence: float
    reason: str = ""


class Advisor(Protocol):
    """A user's strategy; see the module docstring."""

    def decide(self, view: MarketView, fused: Fused, signals: tuple[Signal, ...]) -> Opinion | None:
        """Return an opinion of one market now, or None for none: then no entry is made."""
        ...


class AdvisorFailed(Exception):
    """A user's strategy raised, or answered with what is no answer; the text says which, in one sentence."""


def ask_advisor(advisor: Advisor, view: MarketView, fused: Fused, signals: tuple[Signal, ...]) -> Opinion | None:
    """Ask for an opinion and check it.

    Raises:
        AdvisorFailed: the strategy is not to be asked again.
    """
    try:
        opinion = advisor.decide(view, fused, signals)
    except (Exception, SystemExit) as error:
        raise AdvisorFailed(f"{type(error).__name__}: {_words_of(error)}") from error
    if opinion is None:
        return None
    if not isinstance(opinion, Opinion):
        raise AdvisorFailed(f"decide returned {type(opinion).__name__}, expected Opinion or None")
    for name, value in (("p_up", opinion.p_up), ("confidence", opinion.confidence)):
        if not _is_share(value):
            raise AdvisorFailed(f"{name} is {_words_of(value)[:40]}, expected a number from 0 to 1")
    reason: object = opinion.reason
    if not isinstance(reason, str):
        raise AdvisorFailed(f"reason is a {type(reason).__name__}, expected text")
    return Opinion(float(opinion.p_up), float(opinion.confidence), _words_of(opinion.reason))


def _words_of(value: object) -> str:
    """A stranger's value as one line that any log and database takes; raises AdvisorFailed when it has none."""
    try:
        text = str(value)
    except Exception as error:
        raise AdvisorFailed(f"{type(value).__name__}: its text cannot be read") from error
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_REASON])


def _is_share(value: object) -> bool:
    """Whether a stranger's value is a number from 0 to 1."""
    return isinstance(value, float | int) and not isinstance(value, bool) and 0.0 <= value <= 1.0
