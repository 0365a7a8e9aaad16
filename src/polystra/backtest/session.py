"""Replays a recorded session: the same inputs at the same times through a fresh engine.

What lives here: the loop of the replay. What must not: files (`recordings`), matching models, another way of
trading: the engine is the one that ran, so equal facts prove that nothing but its inputs decided (I14).

A session holds every input that the engine took, the answers of the venue and the timers among them. What it
does not hold are signatures: they are made again from the terms, with the session's own key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import OrderSigned, SigningFailed
from polystra.domain.facts import Fact
from polystra.domain.units import Nanos
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig
from polystra.engine.core import Engine
from polystra.engine.fact_digest import FactDigest
from polystra.engine.state import Turn
from polystra.engine.strategy.advisor import Advisor
from polystra.ports.signing import TermsSigner, answer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """What a replay came to; `digest` is comparable with that of the run."""

    digest: str
    facts: int
    inputs: int
    finished: bool


class SessionReplay:
    """One replay of a session that began on an empty database."""

    def __init__(self, config: EngineConfig, signer: TermsSigner, advisor: Advisor | None = None) -> None:
        """`advisor`: the user's strategy that the session was traded by."""
        self._engine = Engine(config, advisor)
        self._signer = signer
        self._digest = FactDigest()
        self._finished = False

    def run(self, start_ns: Nanos, inputs: Iterable[Recorded]) -> SessionResult:
        """Take every input; ends early where the engine said that the run was finished."""
        engine = self._engine
        engine.restore()
        self._absorb(engine.start(start_ns))
        taken = 0
        for now_ns, event in inputs:
            taken += 1
            self._absorb(engine.step(event, now_ns))
        return SessionResult(
            digest=self._digest.hexdigest(), facts=self._digest.facts, inputs=taken, finished=self._finished
        )

    def _absorb(self, turn: Turn) -> None:
        """Facts into the digest in the order in which the daemon's loop would commit them."""
        facts: list[Fact] = list(turn.facts)
        self._digest.add(facts)
        for effect in turn.effects:
            if isinstance(effect, fx.SignIntent):
                self._absorb(self._engine.step(self._sign(effect), turn.now_ns))
            elif isinstance(effect, fx.Finish):
                self._finished = True

    def _sign(self, effect: fx.SignIntent) -> OrderSigned | SigningFailed:
        return answer_of(self._signer, effect.terms, salt=effect.salt, timestamp_ms=effect.timestamp_ms)
