"""Who forecasts better, who earns more: three traders over the same recordings, six forecasters at the same moments.

What lives here: the three runs and the paired figures between them. What must not: how they are shown (`app`).

The traders are the engine with the additive fusion, the engine with the Bayesian one, and one who has the market's
price alone. Whoever believes the market's price sees no edge in it and never trades by it; so that the price is given
a chance to earn something, `Follower` buys what the market favours, for a few dollars, once a window, by the engine's
own road: the same checks, gateway, venue, fees and exits.

Differences are paired by window, and intervals come from drawing whole closing times (`scoring`). A figure that many
were tried for is worth less than it looks: the number of comparisons is part of the result.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from polystra.backtest.driver import Driver, DriverResult
from polystra.backtest.forecasts import (
    ADDITIVE,
    BAYESIAN,
    CHECKPOINTS_S,
    COIN,
    DIGITAL,
    FAIR_VALUE,
    FORECASTERS,
    LAST_TRADE,
    MARKET,
    Checkpoints,
)
from polystra.backtest.recordings.reader import ReadingReport, RecordingReader
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.runs import Progress, Unit, told_while_read
from polystra.backtest.scoring import (
    FEWEST,
    Bin,
    Forecast,
    Interval,
    brier,
    difference,
    log_loss,
    mean_score,
    reliability,
    total,
)
from polystra.backtest.tally import Tally
from polystra.domain.events import EntryRequested, MarketsListed, StreamConnected, StreamName
from polystra.domain.facts import Fact, SwitchChanged
from polystra.domain.market import Market, Outcome
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, Nanos
from polystra.engine.config import EngineConfig
from polystra.engine.strategy.fusion import Fusion
from polystra.matching.paper_venue import PaperRules

TRADERS: Final = (ADDITIVE, BAYESIAN, MARKET)
PAIRS: Final = ((BAYESIAN, ADDITIVE), (ADDITIVE, MARKET), (BAYESIAN, MARKET))
FOLLOW_S: Final = 120
"""So long before the close the follower buys, unless told otherwise."""
FOLLOW_BUDGET: Final[MicroDollars] = 10 * MICRO
_TOLERANCE: Final = 10_000
"""The follower pays up to a cent more than the best ask."""
_NEVER: Final = 2.0
"""No opinion is so confident: the strategy itself makes no entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trader on one recording."""

    trader: str
    unit: Unit
    config: EngineConfig
    rules: PaperRules
    seconds_left: tuple[int, ...] = CHECKPOINTS_S
    follow_s: int = FOLLOW_S


@dataclass(slots=True, kw_only=True)
class Outcomes:
    """What a trader came to."""

    tally: Tally
    reading: ReadingReport
    result: DriverResult
    stand_ins: tuple[str, ...] = ()
    stops: Counter[str] = field(default_factory=Counter)
    """What stopped entries, and how often."""

    def absorb(self, later: Outcomes) -> None:
        """Add what came of a later recording."""
        self.tally.absorb(later.tally)
        reading, more = self.reading, later.reading
        reading.files += more.files
        reading.inputs += more.inputs
        reading.left_out += more.left_out
        reading.last_ns = more.last_ns
        reading.notes += more.notes
        self.stand_ins = tuple(dict.fromkeys((*self.stand_ins, *later.stand_ins)))
        self.stops += later.stops


class Follower:
    """Buys what the market favours, once a window; asked for as a person would ask."""

    def __init__(self, driver: Driver, follow_s: int) -> None:
        self._driver = driver
        self._follow_s = follow_s
        self._known: set[str] = set()

    def listed(self, markets: Iterable[Market]) -> None:
        """Remember to buy in these markets."""
        for market in markets:
            if market.slug not in self._known and self._follow_s < market.window_s:
                self._known.add(market.slug)
                due_ns = (market.closes_at_s - self._follow_s) * NS_PER_S
                self._driver.at(due_ns, partial(self._buy, market))

    def _buy(self, market: Market, now_ns: Nanos) -> None:
        if now_ns >= market.closes_at_s * NS_PER_S:
            return  # the recording begins later
        driver = self._driver
        bid, ask = driver.quote(market.up_token)
        if bid is None or ask is None or bid + ask == MICRO:
            return  # nobody is favoured, or nobody says who
        outcome = Outcome.UP if bid + ask > MICRO else Outcome.DOWN
        _, price = driver.quote(market.token(outcome))
        if price is None:
            return
        driver.tell(StreamConnected(stream=StreamName.PRICES))  # it needs no prices, and entries wait for none
        driver.tell(
            EntryRequested(
                request_id=f"follow {market.slug}",
                condition_id=market.condition_id,
                outcome=outcome,
                price=min(market.price_at_or_above(price + _TOLERANCE), market.highest_price),
                budget=FOLLOW_BUDGET,
                source="market price",
            )
        )


def config_of(trader: str, config: EngineConfig) -> EngineConfig:
    """The engine's settings as this trader has them."""
    strategy = config.strategy
    if trader == MARKET:
        return replace(config, strategy=replace(strategy, min_confidence=_NEVER))
    fusion = Fusion.ADDITIVE if trader == ADDITIVE else Fusion.BAYESIAN
    return replace(config, strategy=replace(strategy, fusion=fusion))


def run_trial(trial: Trial, progress: Progress | None = None) -> Outcomes:
    """Run one trader over one recording.

    Raises:
        RecordingError: a file cannot be read any more.
    """
    config = config_of(trial.trader, trial.config)
    reader = RecordingReader(trial.unit.paths)
    return try_out(trial, config, told_while_read(reader, progress), reader.report)


def try_out(trial: Trial, config: EngineConfig, inputs: Iterable[Recorded], reading: ReadingReport) -> Outcomes:
    """Run one trader over inputs."""
    checkpoints = Checkpoints(config.strategy.weights, trial.seconds_left)
    tally = Tally(checkpoints)

    stops: Counter[str] = Counter()

    def facts(made: Sequence[Fact], now_ns: Nanos) -> None:
        tally.take(made, now_ns)
        stops.update(fact.name.value for fact in made if isinstance(fact, SwitchChanged) and fact.on)

    driver = Driver(config, trial.rules, facts, checkpoints)
    follower = Follower(driver, trial.follow_s) if trial.trader == MARKET else None
    for recorded in inputs:
        driver.feed(recorded)
        if follower is not None and isinstance(recorded.event, MarketsListed):
            follower.listed(recorded.event.markets)
    result = driver.finish()
    return Outcomes(tally=tally, reading=reading, result=result, stand_ins=checkpoints.stand_ins, stops=stops)


# --- figures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One forecaster over its forecasts; differences are to the reference (below zero: better), on common forecasts."""

    name: str
    forecasts: int
    windows: int
    brier: Interval
    log_loss: Interval
    brier_less: Interval | None
    log_loss_less: Interval | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """One trader. Money in micro-dollars, `profit` in dollars; None where no market was settled."""

    trader: str
    windows_traded: int
    orders: int
    fills: int
    fees: MicroDollars
    slippage: MicroDollars
    profit: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnedApart:
    """What one trader earned more than another, in dollars, paired by window."""

    trader: str
    other: str
    more: Interval | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTheAsk:
    """What a forecaster would have made of one share at the best ask wherever it saw the edge that is asked for."""

    name: str
    chances: int
    """Moments at which something was offered."""
    bought: int
    dollars: Interval
    """Held to the verdict, fee included."""


@dataclass(slots=True, kw_only=True)
class Comparison:
    """All that was compared; `outcomes` by trader, `least_edge` the edge asked for, as a part of the price."""

    outcomes: Mapping[str, Outcomes]
    least_edge: float = 0.03

    @property
    def forecasts(self) -> list[Forecast]:
        """Of one of the runs: what is forecast does not depend on who trades."""
        return self.outcomes[BAYESIAN].tally.forecasts

    @property
    def windows(self) -> int:
        """Markets with a verdict."""
        return len(self.outcomes[BAYESIAN].tally.settled)

    @property
    def independent(self) -> int:
        """Windows that are independent of one another: those of one closing time are one."""
        return self.outcomes[BAYESIAN].tally.blocks

    @property
    def forecasters(self) -> list[str]:
        """Those that said something."""
        return [name for name in FORECASTERS if any(name in each.probabilities for each in self.forecasts)]

    @property
    def reference(self) -> str:
        """Who the others are held against: the market's price, the last trade, or a coin."""
        found = self.forecasters
        return next((name for name in (MARKET, LAST_TRADE) if name in found), COIN)

    def scores(self) -> list[Score]:
        """Every forecaster that said something."""
        return [self._score(name) for name in self.forecasters]

    def _score(self, name: str) -> Score:
        own = [each for each in self.forecasts if name in each.probabilities]
        common = [each for each in own if self.reference in each.probabilities]
        apart = name != self.reference and bool(common)
        less = difference(common, name, self.reference, brier) if apart else None
        log_less = difference(common, name, self.reference, log_loss) if apart else None
        words = "" if less is None or log_less is None else apart_words(name, self.reference, less, log_less)
        return Score(
            name=name,
            forecasts=len(own),
            windows=len({each.window for each in own}),
            brier=mean_score(own, name, brier),
            log_loss=mean_score(own, name, log_loss),
            brier_less=less,
            log_loss_less=log_less,
            words=words,
        )

    def fusions(self) -> tuple[Interval, Interval, str] | None:
        """Bayesian less additive in Brier score and log loss, and in words; None where they said nothing."""
        both = [each for each in self.forecasts if BAYESIAN in each.probabilities]
        if not both:
            return None
        less, log_less = (difference(both, BAYESIAN, ADDITIVE, score) for score in (brier, log_loss))
        return less, log_less, apart_words(BAYESIAN, ADDITIVE, less, log_less)

    def by_seconds_left(self) -> list[tuple[int, int, dict[str, float]]]:
        """Of every moment before the close: its windows, and each forecaster's mean Brier score then."""
        moments: dict[int, list[Forecast]] = defaultdict(list)
        for each in self.forecasts:
            moments[each.seconds_left].append(each)
        found = []
        for left_s, there in sorted(moments.items(), reverse=True):
            means = {
                name: mean_score(there, name, brier).mean
                for name in self.forecasters
                if any(name in each.probabilities for each in there)
            }
            found.append((left_s, len(there), means))
        return found

    def reliability(self) -> dict[str, list[Bin]]:
        """The reliability diagram of everyone but the coin."""
        return {name: reliability(self.forecasts, name) for name in self.forecasters if name != COIN}

    def at_the_ask(self) -> list[AtTheAsk]:
        """Every forecaster but the coin, where anything was offered: no latency, no depth, no exits."""
        offered = [each for each in self.forecasts if each.costs != (None, None)]
        found = []
        for name in self.forecasters:
            own = [each for each in offered if name in each.probabilities]
            if not own or name == COIN:
                continue
            amounts: dict[int, list[float]] = defaultdict(list)
            bought = 0
            for each in own:
                made = _made(each, each.probabilities[name], self.least_edge)
                bought += made is not None
                amounts[each.block].append(made or 0.0)
            found.append(AtTheAsk(name=name, chances=len(own), bought=bought, dollars=total(amounts)))
        return found

    def earned(self) -> list[Earned]:
        """Every trader."""
        return [self._earned(trader) for trader in TRADERS]

    def _earned(self, trader: str) -> Earned:
        tally = self.outcomes[trader].tally
        markets = tally.markets.values()
        return Earned(
            trader=trader,
            windows_traded=sum(each.fills > 0 for each in markets),
            orders=sum(each.orders for each in markets),
            fills=tally.taker_fills + tally.maker_fills,
            fees=sum(each.fees for each in markets),
            slippage=tally.slippage,
            profit=tally.profit(),
        )

    def earned_apart(self) -> list[EarnedApart]:
        """Every pair of traders."""
        return [self._pair(trader, other) for trader, other in PAIRS]

    def _pair(self, trader: str, other: str) -> EarnedApart:
        mine, theirs = (self.outcomes[each].tally for each in (trader, other))
        if not mine.settled:
            return EarnedApart(trader=trader, other=other, more=None, words="no market was settled")
        if not any(each.fills for each in (*mine.settled, *theirs.settled)):
            return EarnedApart(trader=trader, other=other, more=None, words="neither traded")
        amounts: dict[int, list[float]] = defaultdict(list)
        for tally, sign in ((mine, 1), (theirs, -1)):
            for each in tally.settled:
                amounts[each.market.closes_at_s].append(sign * each.realised_pnl / MICRO)
        more = total(amounts)
        return EarnedApart(trader=trader, other=other, more=more, words=_earned_words(trader, other, more))

    def reasons(self, trader: str = BAYESIAN) -> Counter[str]:
        """Why a trader did not trade, by how often that was the newest reason."""
        return self.outcomes[trader].tally.reasons

    @property
    def comparisons(self) -> int:
        """How many differences were looked at: one in twenty differs by chance."""
        return 2 * sum(each.brier_less is not None for each in self.scores()) + 2 * (self.fusions() is not None) + 3

    def unknown(self) -> list[str]:
        """What could not be computed, and why; one sentence each."""
        if not self.forecasts:
            return ["no market of these recordings has a verdict of Up or Down: nothing can be scored"]
        found = self.forecasters
        missing = [sentence for name, sentence in _MISSING.items() if name not in found]
        both = [each.probabilities for each in self.forecasts if BAYESIAN in each.probabilities]
        if both and all(abs(each[BAYESIAN] - each[MARKET]) < _SAME for each in both):
            missing.append(_REPEATS)
        stand_ins = self.outcomes[BAYESIAN].stand_ins
        if stand_ins:
            missing.append(
                f"digital rests on another exchange's spot for {', '.join(stand_ins)}: there is no settlement feed"
            )
        idle = [
            trader for trader in TRADERS if not any(each.fills for each in self.outcomes[trader].tally.markets.values())
        ]
        stopped = [
            f"what {trader} would have earned without limits: entries were stopped by "
            + ", ".join(f"{name.lower().replace('_', ' ')} ({count})" for name, count in outcome.stops.items())
            for trader, outcome in self.outcomes.items()
            if outcome.stops
        ]
        return [*missing, *(self._idle(trader) for trader in idle), *stopped]

    def _idle(self, trader: str) -> str:
        if trader == MARKET:
            return "market bought nothing: no book showed shares to buy"
        told = ", ".join(f"{reason} ({count})" for reason, count in self.reasons(trader).most_common(3))
        return f"{trader} did not trade; its decisions said: {told or 'nothing, neither a book nor a price moved'}"


_SAME: Final = 1e-9
_REPEATS: Final = (
    "bayesian repeats the market's price: no signal has a fitted strength for these recordings (see CALIBRATION_FILE)"
)
_MISSING: Final = {
    MARKET: "market, additive and bayesian cannot be scored: no book was recorded near the moments of the forecasts",
    FAIR_VALUE: "fair value is unknown: it needs a settlement feed with a tick a second",
    DIGITAL: "digital is unknown: there is neither a settlement feed nor spot since the opening",
}


def _made(forecast: Forecast, p_up: float, least_edge: float) -> float | None:
    """Dollars from a share of the better side, held to the verdict; None where neither has the edge."""
    best: tuple[float, float] | None = None
    for cost, p, won in zip(forecast.costs, (p_up, 1.0 - p_up), (forecast.up, not forecast.up), strict=True):
        if cost is not None:
            edge = (p - cost) / cost
            if edge >= least_edge and (best is None or edge > best[0]):
                best = (edge, float(won) - cost)
    return None if best is None else best[1]


def apart_words(name: str, other: str, less: Interval, log_less: Interval) -> str:
    """Two forecasters in words: one is better only where both scores say so."""
    if less.blocks < FEWEST:
        return f"too few windows to tell {name} from {other}"
    if less.differs_from_zero and log_less.differs_from_zero and (less.mean < 0) == (log_less.mean < 0):
        better, worse = (name, other) if less.mean < 0 else (other, name)
        return f"{better} is better than {worse}"
    return f"{name} and {other} are not distinguishable"


def _earned_words(trader: str, other: str, more: Interval) -> str:
    if more.blocks < FEWEST:
        return f"too few windows to tell {trader} from {other}"
    if not more.differs_from_zero:
        return f"{trader} and {other} are not distinguishable"
    better, worse = (trader, other) if more.mean > 0 else (other, trader)
    return f"{better} earned more than {worse}"


def put_together(trials: Sequence[Trial], outcomes: Sequence[Outcomes]) -> Comparison:
    """Add up what each trader came to; trials are in the order of time."""
    found: dict[str, Outcomes] = {}
    for trial, outcome in zip(trials, outcomes, strict=True):
        known = found.setdefault(trial.trader, outcome)
        if known is not outcome:
            known.absorb(outcome)
    return Comparison(outcomes=found, least_edge=trials[0].config.strategy.min_edge_ppm / MICRO)
