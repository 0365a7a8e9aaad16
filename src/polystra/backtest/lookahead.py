"""Did anything know the future? What the engine knew at each moment beside what the recording had told by then.

What lives here: two checks that do not trust the code under test. What must not: scores.

`compare_knowledge` reads the recording once more, by a few lines of its own, and asks at every moment of a forecast
whether the engine's settlement price and top of book are what was told last before it. A value that is not, and that
was told within the next seconds, came from the future. `compare_cuts` runs the beginning of the recording alone: what
was decided before the cut must be what the whole recording decided (the idea of freqtrade's lookahead-analysis).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, NamedTuple, TypeAlias

from polystra.backtest.driver import Driver
from polystra.backtest.forecasts import CHECKPOINTS_S, Checkpoints
from polystra.backtest.recordings.rows import Recorded
from polystra.domain import events as ev
from polystra.domain.facts import DecisionRecorded, Fact
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import Side
from polystra.domain.units import NS_PER_S, MicroPrice, MicroShares, Nanos, PriceE8
from polystra.engine.config import EngineConfig
from polystra.engine.strategy.evaluate import Evaluation
from polystra.matching.paper_venue import PaperRules

HORIZON_S: Final = 5
"""A value that is told within so many seconds after the moment was known too early."""
_MOST_TOLD: Final = 5
Moment: TypeAlias = tuple[ConditionId, int]
"""A market and the seconds left to its close."""
Touch: TypeAlias = tuple[MicroPrice | None, MicroPrice | None]


class Known(NamedTuple):
    """What is known of a market at a moment."""

    settlement: PriceE8 | None
    up: Touch
    """Best bid and ask of the Up outcome."""


@dataclass(slots=True)
class LookAhead:
    """What a check came to; `found` has a sentence for each of the first values from the future."""

    moments: int = 0
    from_the_future: int = 0
    found: list[str] = field(default_factory=list)
    cuts: int = 0
    decisions: int = 0
    """Decisions before a cut that were compared."""

    @property
    def clean(self) -> bool:
        """Whether nothing knew what came later."""
        return not self.from_the_future

    def absorb(self, other: LookAhead) -> None:
        """Add what another check came to."""
        self.moments += other.moments
        self.from_the_future += other.from_the_future
        self.found = (self.found + other.found)[:_MOST_TOLD]
        self.cuts += other.cuts
        self.decisions += other.decisions

    def add(self, sentence: str) -> None:
        """Count one value or decision from the future."""
        self.from_the_future += 1
        if len(self.found) < _MOST_TOLD:
            self.found.append(sentence)


def compare_knowledge(
    told: Iterable[Recorded],
    given: Iterable[Recorded],
    config: EngineConfig,
    rules: PaperRules,
    seconds_left: Sequence[int] = CHECKPOINTS_S,
) -> LookAhead:
    """Run the engine over `given`; hold what it knew against what `told`, the same recording, had said by then."""
    known: dict[Moment, Known] = {}

    def witness(market: Market, left_s: int, opinion: Evaluation | None) -> None:
        if opinion is not None:
            known[market.condition_id, left_s] = _known_by(opinion)

    driver = Driver(config, rules, None, Checkpoints(config.strategy.weights, seconds_left, witness))
    for recorded in given:
        driver.feed(recorded)
    driver.finish()
    return _judge(known, told, seconds_left)


def compare_cuts(
    inputs: Callable[[], Iterable[Recorded]], config: EngineConfig, rules: PaperRules, cuts_ns: Sequence[Nanos]
) -> LookAhead:
    """Run the whole and its beginnings; `inputs` gives the recording anew at each call."""
    report = LookAhead()
    whole = _decisions(inputs(), config, rules)
    for cut_ns in cuts_ns:
        begun = takewhile(lambda recorded, cut_ns=cut_ns: recorded.now_ns <= cut_ns, inputs())  # type: ignore[misc]
        part = [each for each in _decisions(begun, config, rules) if each.at_ns <= cut_ns]
        before = [each for each in whole if each.at_ns <= cut_ns]
        report.cuts += 1
        report.decisions += len(before)
        if part != before:
            pairs = enumerate(zip(part, before, strict=False))
            number = next((n for n, (ours, theirs) in pairs if ours != theirs), min(len(part), len(before)))
            report.add(
                f"cut at {cut_ns // NS_PER_S} s: decision {number + 1} of the {len(before)} before it depends on what "
                "comes later"
            )
    return report


def _decisions(inputs: Iterable[Recorded], config: EngineConfig, rules: PaperRules) -> list[DecisionRecorded]:
    made: list[DecisionRecorded] = []

    def take(facts: Sequence[Fact], _: Nanos) -> None:
        made.extend(fact for fact in facts if isinstance(fact, DecisionRecorded))

    Driver(config, rules, take).run(inputs)
    return made


def _known_by(opinion: Evaluation) -> Known:
    inputs = dict(opinion.inputs)

    def whole(name: str) -> int | None:
        value = inputs.get(name)
        return value if isinstance(value, int) else None

    return Known(settlement=whole("settlement_price_e8"), up=(whole("up_bid"), whole("up_ask")))


# --- a second reading, by other code -------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A moment that is past, while what is told next is still compared with it."""

    market: Market
    left_s: int
    due_ns: Nanos
    before: Known
    late: set[PriceE8 | Touch | None] = field(default_factory=set)


class _Reading:
    """What a recording has told so far."""

    def __init__(self) -> None:
        self.settlement: dict[str, tuple[Nanos, PriceE8]] = {}
        self.sides: dict[tuple[TokenId, Side], dict[MicroPrice, MicroShares]] = {}

    def take(self, event: ev.WorldEvent) -> None:
        match event:
            case ev.PriceTicked(source=ev.PriceSource.SETTLEMENT):
                if event.at_ns >= self.settlement.get(event.symbol, (0, 0))[0]:
                    self.settlement[event.symbol] = (event.at_ns, event.price)
            case ev.BookSnapshot():
                self.sides[event.token_id, Side.BUY] = dict(event.bids)
                self.sides[event.token_id, Side.SELL] = dict(event.asks)
            case ev.BookChanged(changes=changes):
                for change in changes:
                    self.sides.setdefault((change.token_id, change.side), {})[change.price] = change.size
            case _:
                pass

    def known(self, market: Market) -> Known:
        told = self.settlement.get(market.symbol)
        bids, asks = (self.sides.get((market.up_token, side), {}) for side in (Side.BUY, Side.SELL))
        bid = max((price for price, size in bids.items() if size > 0), default=None)
        ask = min((price for price, size in asks.items() if size > 0), default=None)
        return Known(settlement=None if told is None else told[1], up=(bid, ask))


def _judge(known: dict[Moment, Known], told: Iterable[Recorded], seconds_left: Sequence[int]) -> LookAhead:
    report = LookAhead()
    reading = _Reading()
    listed: set[ConditionId] = set()
    waiting: list[tuple[Nanos, int, Market]] = []
    open_now: list[_Open] = []
    for now_ns, event in told:
        if isinstance(event, ev.MarketsListed):
            for market in event.markets:
                if market.condition_id not in listed:
                    listed.add(market.condition_id)
                    waiting += [((market.closes_at_s - s) * NS_PER_S, s, market) for s in seconds_left]
        while waiting and (due := min(waiting, key=lambda each: each[0]))[0] <= now_ns:
            waiting.remove(due)
            due_ns, left_s, market = due
            if (market.condition_id, left_s) in known:
                open_now.append(_Open(market, left_s, due_ns, reading.known(market)))
        for each in [each for each in open_now if each.due_ns + HORIZON_S * NS_PER_S < now_ns]:
            open_now.remove(each)
            _look(each, known, report)
        reading.take(event)
        for each in open_now:
            each.late.update(reading.known(each.market))
    for each in open_now:
        _look(each, known, report)
    return report


def _look(moment: _Open, known: dict[Moment, Known], report: LookAhead) -> None:
    report.moments += 1
    held = known[moment.market.condition_id, moment.left_s]
    pairs = (
        ("the settlement price", held.settlement, moment.before.settlement),
        ("the book", held.up, moment.before.up),
    )
    for what, value, before in pairs:
        if value != before and value in moment.late:
            report.add(
                f"{moment.market.slug}, {moment.left_s} s before its close: {what} that was known, {value}, was "
                f"told only later; told by then was {before}"
            )
