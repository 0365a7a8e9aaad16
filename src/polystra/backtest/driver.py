"""The backtest's driver: recorded inputs, timers and the paper venue's answers, one at a time, through the engine.

What lives here: the order in which things happen, and which effect is whose. What must not: matching (the paper
venue), decisions (the engine), reports. It replaces the daemon's shell and nothing else: engine, gateway and position
manager are those that trade live (I14).

Time is the recording's. What is due before the next recorded input happens first, in the order of its time and then
of its asking, so the same recording and settings give the same facts. Facts count as durable when they are made.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from polystra.backtest.forecasts import Checkpoints
from polystra.backtest.paper_signer import PaperSigner
from polystra.backtest.recordings.rows import Recorded
from polystra.domain import events as ev
from polystra.domain.facts import Fact
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import OrderTerms
from polystra.domain.units import NS_PER_S, MicroPrice, Nanos
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig
from polystra.engine.core import Engine
from polystra.engine.fact_digest import FactDigest
from polystra.engine.state import EngineState, Turn
from polystra.engine.strategy.advisor import Advisor
from polystra.engine.strategy.evaluate import Evaluation
from polystra.matching.paper_venue import PaperRules, PaperVenue
from polystra.ports.signing import answer_of

FactSink: TypeAlias = Callable[[Sequence[Fact], Nanos], None]
_AFTERMATH_S: Final = 300
"""So long after the last input time goes on before the stop: fills settle, winners are paid."""
_PATIENCE_S: Final = 900
"""So long after the stop the run may still close what is open."""
_MARKET_INPUTS: Final = frozenset(
    {
        ev.BookChanged,
        ev.BookSnapshot,
        ev.PriceTicked,
        ev.PublicTrade,
        ev.TickSizeChanged,
        ev.MarketsListed,
        ev.MarketResolved,
    }
)
_STREAMS: Final = (ev.StreamConnected, ev.StreamLost)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverResult:
    """What a run came to."""

    inputs: int
    """Recorded ones that were used."""
    left_out: int
    """Recorded ones that are another run's own: answers, fills, timers."""
    facts: int
    digest: str
    left_open: tuple[str, ...]


class Driver:
    """One run over one recording; also the paper venue's agenda."""

    def __init__(
        self,
        config: EngineConfig,
        rules: PaperRules,
        on_facts: FactSink | None = None,
        checkpoints: Checkpoints | None = None,
        on_second: Callable[[Nanos], None] | None = None,
        *,
        advisor: Advisor | None = None,
    ) -> None:
        """`checkpoints` asks the engine for its opinion at fixed times; nothing that it does changes the run.

        `on_second` is called after the first input of each second of the recording; it may look and not touch.
        """
        self._checkpoints = checkpoints
        self._engine = Engine(config, advisor)
        self._venue = PaperVenue(rules, self)
        self._signer = PaperSigner()
        self._on_facts = on_facts
        self._on_second = on_second
        self._second_ns: Nanos = 0
        """When the next second begins."""
        self._used = 0
        self._left_out = 0
        self._digest = FactDigest()
        self._now_ns: Nanos = 0
        self._heap: list[tuple[Nanos, int, Callable[[Nanos], None]]] = []
        self._asked = 0
        self._timers: dict[str, int] = {}
        self._terms: dict[OrderId, OrderTerms] = {}
        self._finish: fx.Finish | None = None

    @property
    def state(self) -> EngineState:
        """The engine's memory, to be read."""
        return self._engine.state

    @property
    def venue(self) -> PaperVenue:
        """The paper account, to be read."""
        return self._venue

    # --- the agenda of the paper venue --------------------------------------------------

    def at(self, due_ns: Nanos, call: Callable[[Nanos], None]) -> None:
        """Call back then; what is due already is called next, at the present time."""
        self._asked += 1
        heapq.heappush(self._heap, (max(due_ns, self._now_ns), self._asked, call))

    def tell(self, event: ev.WorldEvent) -> None:
        """One input for the engine, now."""
        if self._finish is None:
            self._absorb(self._engine.step(event, self._now_ns))

    # --- the run ------------------------------------------------------------------------

    def run(self, inputs: Iterable[Recorded]) -> DriverResult:
        """Take every recorded input, then stop in order and let what is open settle."""
        feed = self.feed
        for recorded in inputs:
            feed(recorded)
        return self.finish()

    def feed(self, recorded: Recorded) -> None:
        """Take one recorded input, after whatever is due before it."""
        now_ns, event = recorded
        if type(event) not in _MARKET_INPUTS and not _is_market_stream(event):
            self._left_out += 1
            return
        if not self._used:
            self._begin(now_ns)
        self._used += 1
        if self._heap and self._heap[0][0] <= now_ns:
            self._until(now_ns)
        elif now_ns > self._now_ns:
            self._now_ns = now_ns
        self._take(event)
        if self._on_second is not None and now_ns >= self._second_ns:
            self._second_ns = now_ns - now_ns % NS_PER_S + NS_PER_S
            self._on_second(now_ns)

    def finish(self) -> DriverResult:
        """Stop in order, let what is open settle, and say what it came to; nothing may be fed after it."""
        if self._used:
            self._until(self._now_ns + _AFTERMATH_S * NS_PER_S)
            self.tell(ev.StopRequested(mode=ev.StopMode.KEEP_EXITS, reason="the recording has ended"))
            self._until(self._now_ns + _PATIENCE_S * NS_PER_S)
        return DriverResult(
            inputs=self._used,
            left_out=self._left_out,
            facts=self._digest.facts,
            digest=self._digest.hexdigest(),
            left_open=self._finish.left_open if self._finish is not None else ("it did not finish in time",),
        )

    def quote(self, token_id: TokenId) -> tuple[MicroPrice | None, MicroPrice | None]:
        """Best bid and best ask of a token as the engine knows them now."""
        book = self._engine.state.book(token_id)
        return (None, None) if book is None else (book.best_bid, book.best_ask)

    def opinion(self, condition_id: ConditionId) -> Evaluation | None:
        """What the engine would say of a market now; None where it has nothing to say."""
        return self._engine.opinion(condition_id, self._now_ns)

    def _begin(self, now_ns: Nanos) -> None:
        self._now_ns = now_ns
        engine = self._engine
        engine.restore()
        self._absorb(engine.start(now_ns))
        self.tell(ev.ClockDriftMeasured(offset_ns=0, uncertainty_ns=0))
        self.tell(ev.StreamConnected(stream=ev.StreamName.USER))

    def _until(self, now_ns: Nanos) -> None:
        """Do what is due up to then."""
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            due_ns, _, call = heapq.heappop(heap)
            self._now_ns = max(self._now_ns, due_ns)
            call(self._now_ns)
        self._now_ns = max(self._now_ns, now_ns)

    def _take(self, event: ev.WorldEvent) -> None:
        """One recorded input: the venue sees it first, the engine when it is told."""
        venue, now_ns = self._venue, self._now_ns
        match event:
            case ev.BookChanged():
                venue.changed(event, now_ns)
            case ev.PriceTicked():
                pass
            case ev.BookSnapshot():
                venue.snapshot(event, now_ns)
            case ev.PublicTrade():
                venue.traded(event, now_ns)
            case ev.MarketsListed():
                venue.listed(event.markets)
                self._ask_later(event.markets)
            case ev.MarketResolved():
                venue.resolved(event, now_ns)
            case _:
                pass
        if self._checkpoints is not None:
            self._show(self._checkpoints, event)
        self.tell(event)

    def _show(self, checkpoints: Checkpoints, event: ev.WorldEvent) -> None:
        match event:
            case ev.BookChanged(changes=changes):
                for token_id in {change.token_id for change in changes}:
                    checkpoints.book(token_id, self._now_ns)
            case ev.BookSnapshot():
                checkpoints.book(event.token_id, self._now_ns)
            case ev.PriceTicked():
                checkpoints.price(event, self._now_ns)
            case ev.PublicTrade():
                checkpoints.trade(event.token_id, event.price, self._now_ns)
            case _:
                pass

    def _ask_later(self, markets: Iterable[Market]) -> None:
        checkpoints = self._checkpoints
        if checkpoints is None:
            return
        for market in markets:
            for due_ns, left_s in checkpoints.listed(market):
                if due_ns > self._now_ns:
                    self.at(due_ns, partial(self._ask, checkpoints, market, left_s))

    def _ask(self, checkpoints: Checkpoints, market: Market, left_s: int, now_ns: Nanos) -> None:
        state = self._engine.state
        books = (state.book(market.up_token), state.book(market.down_token))
        opinion = self._engine.opinion(market.condition_id, now_ns)
        checkpoints.ask(market.condition_id, left_s, opinion, now_ns, books)

    def _absorb(self, turn: Turn) -> None:
        """Keep the facts, sign inside the turn, carry the effects out."""
        self._keep(turn.facts)
        for effect in turn.effects:
            if isinstance(effect, fx.SignIntent):
                self._absorb(self._engine.step(self._sign(effect), turn.now_ns))
            else:
                self._carry_out(effect)

    def _keep(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._digest.add(facts)
            if self._on_facts is not None:
                self._on_facts(facts, self._now_ns)

    def _sign(self, effect: fx.SignIntent) -> ev.OrderSigned | ev.SigningFailed:
        answer = answer_of(self._signer, effect.terms, salt=effect.salt, timestamp_ms=effect.timestamp_ms)
        if isinstance(answer, ev.OrderSigned):
            self._terms[answer.signed.order_id] = effect.terms
        return answer

    # --- effects ------------------------------------------------------------------------

    def _carry_out(self, effect: fx.Effect) -> None:
        venue, now_ns = self._venue, self._now_ns
        match effect:
            case fx.SubmitOrder():
                terms = self._terms.pop(effect.signed.order_id)
                venue.submit(effect.signed, terms, effect.deadline_ns, now_ns)
            case fx.CancelOrder():
                venue.cancel(effect.order_id, now_ns)
            case fx.SetTimer():
                self._set_timer(effect)
            case fx.LookupOrder():
                venue.lookup(effect.order_id, effect.condition_id, effect.since_ns, now_ns)
            case fx.ReadAccount():
                venue.account(effect.since_ns, effect.tokens, now_ns)
            case fx.ReadBook():
                venue.book(effect.token_id, now_ns)
            case _:
                self._carry_out_rare(effect)

    def _carry_out_rare(self, effect: fx.Effect) -> None:
        venue, now_ns = self._venue, self._now_ns
        match effect:
            case fx.ReadTokenBalance():
                venue.token_balance(effect.token_id, now_ns)
            case fx.ReadHoldings():
                venue.holdings(now_ns)
            case fx.ReadResolution():
                venue.verdict(effect.condition_id, now_ns)
            case fx.MeasureClock():
                self.at(now_ns, lambda _: self.tell(ev.ClockDriftMeasured(offset_ns=0, uncertainty_ns=0)))
            case fx.ReadNotices():
                self.at(now_ns, lambda _: self.tell(ev.NoticesRead(notices=())))
            case fx.Finish():
                self._finish = effect
            case _:
                return  # subscriptions, discovery and heartbeats: the recording shows what it shows

    def _set_timer(self, effect: fx.SetTimer) -> None:
        number = self._asked + 1
        self._timers[effect.key] = number

        def fire(_: Nanos) -> None:
            if self._timers.get(effect.key) == number:
                del self._timers[effect.key]
                self.tell(ev.TimerFired(key=effect.key))

        self.at(effect.due_ns, fire)


def _is_market_stream(event: ev.WorldEvent) -> bool:
    return isinstance(event, _STREAMS) and event.stream is not ev.StreamName.USER
