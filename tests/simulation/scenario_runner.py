"""Runs a scenario file: the whole daemon at the built-in exchange whose book does what the file says.

What lives here: the scripted wishes, the run, and the comparison with what must come of it. What must not:
the form of a file (`scenario_file`), the world (`scripted_run`), what scenarios there are (tests/scenarios).
Everything runs under virtual time on the deterministic loop; the crowd stays away.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from polystra.adapters.polymarket.signing import SigningKey
from polystra.adapters.store.account_reading import AccountReading
from polystra.app.book_reading import Reading, read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import simulated_key
from polystra.app.settings import Settings, load_settings
from polystra.app.worlds import exchange_books_path
from polystra.domain.controls import CLEARED_BY_START
from polystra.domain.events import EntryRequested, ExitRequested, StopMode, StopRequested, SwitchName, SwitchRequested
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import ConditionId, PositionId
from polystra.domain.market import Outcome
from polystra.domain.orders import Order, Side
from polystra.domain.units import E8, MICRO, NS_PER_S, format_micros
from polystra.exchange.account_rules import REALISTIC
from polystra.exchange.balances import UNLIMITED, spender_of, token_type
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.faults.scenario import read_scenario
from polystra.exchange.market_terms import ANY, MarketTerms
from polystra.exchange.series import PriceSeries, SeriesSummary, TickSeries
from polystra.exchange.simulation import DEFAULT_EPOCH_S
from polystra.exchange.traders.config import CrowdConfig
from polystra.exchange.world import WorldMarket
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.venue import Sink
from polystra.runtime.daemon import RunSummary
from tests.simulation.scenario_file import ExpectedOrder, Scenario, Step
from tests.simulation.scripted_run import ScriptedBook, run_scripted
from tests.simulation.search_invariants import Watch
from tests.unit.runtime.lines import Lines

ONE = MICRO
_SWITCHES = {"kill": SwitchName.KILL, "stopentry": SwitchName.STOP_ENTRY}
_READY_NS = 8 * NS_PER_S
"""A daemon that has started compares its account first."""
_STRATEGY_OFF = {"MIN_EDGE_PERCENT": "9999"}


class Script:
    """The file's moments, played on the exchange's agenda and, for wishes, into the daemon's inbox."""

    def __init__(self, scenario: Scenario, exchange: BuiltInExchange, clock: Clock, *, again: bool = False) -> None:
        """`again`: each run of the daemon hears all wishes, as from a person who does not know what became of them."""
        self._scenario = scenario
        self._exchange = exchange
        self._clock = clock
        self.markets: dict[str, WorldMarket] = {}
        self._again = again
        self._account = SigningKey(simulated_key(exchange.config.seed)).address.lower()
        wished = [s for s in sorted(scenario.steps, key=lambda each: each.at_s) if not _is_the_venues(s)]
        self._wishes = list(enumerate(wished, start=1))
        exchange.simulation.world.on_listed(self._listed)

    def _listed(self, market: WorldMarket, now_ns: int) -> None:
        """Take the first market of each that the file names; others stay empty."""
        name = f"{market.spec.symbol} {market.spec.window}"
        if name in self.markets or name not in self._scenario.markets:
            return
        self.markets[name] = market
        self._exchange.simulation.world.overrule(market.spec.slug, self._scenario.payout)
        book = ScriptedBook(self._exchange.core, market)
        agenda = self._exchange.simulation.agenda
        agenda.add(now_ns + 1, book.pulse)
        opens_ns = market.spec.opens_at_s * NS_PER_S

        def plan(at_s: float, act: object) -> None:
            agenda.add(max(now_ns + 1, opens_ns + round(at_s * NS_PER_S)), act)  # type: ignore[arg-type]

        for quotes in self._scenario.quotes:
            plan(quotes.at_s, lambda at_ns, quotes=quotes: book.quote(quotes, at_ns))
        for step in self._scenario.steps:
            if self._name_of(step) == name and step.verb == "tick":
                plan(step.at_s, lambda at_ns, step=step: self._refine(market, step, at_ns))
            elif self._name_of(step) == name and step.verb in ("revoke", "approve"):
                plan(step.at_s, lambda at_ns, step=step: self._allow(market, step, at_ns))
            elif self._name_of(step) == name and step.verb == "takes":
                plan(step.at_s, lambda at_ns, step=step: book.takes(self._account, step, at_ns))
            elif self._name_of(step) == name and step.verb.startswith("elsewhere"):
                plan(step.at_s, lambda at_ns, step=step: book.elsewhere(self._account, step, at_ns))
            elif self._name_of(step) == name and _is_the_venues(step):
                plan(step.at_s, lambda at_ns, step=step: book.other(step, at_ns))

    def _refine(self, market: WorldMarket, step: Step, at_ns: int) -> None:
        self._exchange.core.set_tick_size(market.spec.condition_id, step.price, at_ns)

    def _allow(self, market: WorldMarket, step: Step, at_ns: int) -> None:
        """Take the allowance of the market's own exchange contract back, or give it without a bound."""
        kind = "COLLATERAL" if step.outcome == "dollars" else token_type(market.spec)
        amount = UNLIMITED if step.verb == "approve" else 0
        self._exchange.core.desk.approve(self._account, kind, spender_of(market.spec), amount, at_ns)

    def _name_of(self, step: Step) -> str:
        return step.market or self._scenario.markets[0]

    async def run(self, sink: Sink) -> None:
        """Fulfils `EventStream`: the wishes, each at its moment and once, whichever run of the daemon hears it."""
        wishes = list(self._wishes) if self._again else self._wishes
        begun_ns = self._clock.now_ns()
        while wishes:
            number, step = wishes[0]
            market = self.markets.get(self._name_of(step))
            if market is None:
                raise AssertionError(f"the exchange listed no {self._name_of(step)} before the daemon started")
            due_ns = market.spec.opens_at_s * NS_PER_S + round(step.at_s * NS_PER_S)
            if self._again:
                due_ns = max(due_ns, begun_ns + _READY_NS)
            await self._clock.sleep(max(0, due_ns - self._clock.now_ns()) / NS_PER_S)
            del wishes[0]
            self._wish(f"scenario-{number}", step, market, sink)
        while True:
            await self._clock.sleep(3_600)

    def _wish(self, request_id: str, step: Step, market: WorldMarket, sink: Sink) -> None:
        outcome = Outcome.UP if step.outcome == "up" else Outcome.DOWN
        if step.verb in ("enter", "add"):
            sink(
                EntryRequested(
                    request_id=request_id,
                    condition_id=ConditionId(market.spec.condition_id),
                    outcome=outcome,
                    price=step.price,
                    quantity=step.quantity,
                    budget=step.budget,
                    adds=step.verb == "add",
                )
            )
        elif step.verb == "exit":
            position = PositionId(f"{market.spec.slug}:{outcome.lower()}:1")
            sink(ExitRequested(request_id=request_id, position_id=position))
        elif step.verb == "stop the daemon":
            sink(StopRequested(mode=StopMode(step.mode), reason="the scenario says so"))
        else:
            names = CLEARED_BY_START if step.verb == "start" else [_SWITCHES[step.verb]]
            for name in names:
                sink(SwitchRequested(name=name, on=step.verb != "start", reason="scenario", source="scenario"))


def _is_the_venues(step: Step) -> bool:
    """True for what happens at the venue; the rest is wished for."""
    return step.verb.startswith(("other", "elsewhere")) or step.verb in ("tick", "takes", "revoke", "approve")


@dataclass(frozen=True, slots=True)
class Played:
    """How it went."""

    summary: RunSummary
    report: Report
    reading: Reading
    lines: Lines
    broken: tuple[str, ...]
    """Invariants that did not hold after some commit."""

    @property
    def account(self) -> AccountReading:
        """Our own books."""
        return self.reading.account


def values_of(scenario: Scenario, folder: Path) -> dict[str, str]:
    """The daemon's settings of a scenario as a user would write them."""
    return {
        **_STRATEGY_OFF,
        "SYMBOLS": ",".join(dict.fromkeys(name.split()[0] for name in scenario.markets)),
        "WINDOWS": ",".join(dict.fromkeys(name.split()[1] for name in scenario.markets)),
        "DATA_DIR": str(folder),
        "MAX_EXPOSURE_DOLLARS": "1000",
        "MAX_EXPOSURE_PER_MARKET": "500",
        "MAX_EXPOSURE_PER_SYMBOL": "500",
        "MAX_TRADE_SIZE": "500",
        **scenario.settings,
    }


def arranged(scenario: Scenario, folder: Path, *, seed: int = 1) -> tuple[Settings, BuiltInConfig]:
    """The daemon's settings and the exchange's configuration of a scenario."""
    symbols = tuple(dict.fromkeys(name.split()[0] for name in scenario.markets))
    windows = tuple(dict.fromkeys(name.split()[1] for name in scenario.markets))
    settings = load_settings(values_of(scenario, folder), None)
    config = BuiltInConfig(
        seed=seed,
        symbols=symbols,
        windows=windows,
        series=_series(scenario, symbols),
        start_ns=None if not scenario.prices else DEFAULT_EPOCH_S * NS_PER_S,
        speed=None,
        books_path=exchange_books_path(settings),
        initial_cash=scenario.cash,
        crowd=CrowdConfig.nobody(),
        terms={ANY: msgspec.convert(scenario.terms, MarketTerms)} if scenario.terms else {},
        account_rules=REALISTIC.changed(scenario.rules),
        faults=read_scenario({"faults": list(scenario.faults)}, "faults") if scenario.faults else (),
    )
    return settings, config


def play(scenario: Scenario, folder: Path, *, seed: int = 1) -> Played:
    """Run a scenario to the settlement of its market."""
    settings, config = arranged(scenario, folder, seed=seed)
    lines, watch = Lines(), Watch()
    summary = run_scripted(
        settings,
        config,
        lambda exchange, clock: Script(scenario, exchange, clock),
        log=lines,
        markets_limit=len(scenario.markets),
        restart=scenario.restart,
        modes=scenario.modes,
        store=scenario.store,
        network=scenario.network,
        steps=scenario.clock,
        inspect=watch.look,
    )
    reading = read_both(settings)
    return Played(summary, build_report(reading), reading, lines, tuple(watch.broken))


def _series(scenario: Scenario, symbols: tuple[str, ...]) -> PriceSeries | None:
    """The settlement feed as the file has it, straight lines between its points; None: generated."""
    if not scenario.prices:
        return None
    points = sorted(scenario.prices)
    first_s, last_s = DEFAULT_EPOCH_S + points[0][0], DEFAULT_EPOCH_S + points[-1][0]
    seconds = range(first_s, last_s + 1)
    ticks = TickSeries(seconds, [round(_between(points, second - DEFAULT_EPOCH_S) * E8) for second in seconds])
    summary = SeriesSummary(
        file="scenario",
        kind="ticks",
        rows=len(seconds),
        symbols=symbols,
        first_s=first_s,
        last_s=last_s,
        gaps=0,
        longest_gap_s=0,
        corrections=0,
        reordered=0,
        interpolated=False,
    )
    return PriceSeries(dict.fromkeys(symbols, ticks), summary)


def _between(points: list[tuple[int, float]], second: int) -> float:
    for (first, low), (last, high) in pairwise(points):
        if first <= second <= last:
            return low + (high - low) * (second - first) / max(1, last - first)
    return points[-1][1]


def differences(scenario: Scenario, played: Played) -> list[str]:
    """What is not as the file says, in words; empty when all holds."""
    then, found = scenario.then, list(played.broken)
    differ = [each for each in played.report.discrepancies if not any(words in each for words in then.differences)]
    if differ:
        found.append(f"the books differ from the exchange's: {'; '.join(differ)}")
    if len(played.report.adjustments) != then.adjustments:
        found.append(f"{len(played.report.adjustments)} adjustments, expected {then.adjustments}")
    if then.orders is not None:
        found += _orders_differ(then.orders, played.account.orders)
    if then.shares is not None:
        shares = sum(fill.quantity * (1 if fill.side is Side.BUY else -1) for fill in _good_fills(played))
        if shares != then.shares:
            found.append(f"{format_micros(shares)} shares were held to the end, expected {format_micros(then.shares)}")
    found += _words_differ(scenario, played)
    for kind, count in then.postings.items():
        made = sum(1 for posting in played.account.postings if posting.kind == kind)
        if made != count:
            found.append(f"{made} postings of {kind}, expected {count}")
    realised = sum(position.realised_pnl for position in played.account.positions)
    if then.pnl is not None and realised != then.pnl:
        found.append(f"realised {format_micros(realised)} dollars, expected {format_micros(then.pnl)}")
    return found


def _good_fills(played: Played) -> list[Fill]:
    return [fill for fill in played.account.fills if fill.status is not FillStatus.FAILED]


def _words_differ(scenario: Scenario, played: Played) -> list[str]:
    then = scenario.then
    said = {event.value for _, event, _ in played.lines.lines}
    known = {event.value for event in LogEvent}
    found = [f"{word} is no log event" for word in (*then.said, *then.unsaid) if word not in known]
    found += [f"{word} was not said" for word in then.said if word in known and word not in said]
    found += [f"{word} was said" for word in then.unsaid if word in said]
    if then.switches is not None:
        set_now = [str(fields["switch"]) for fields in played.lines.of(LogEvent.SWITCH_SET)]
        if sorted(set(set_now)) != sorted(then.switches):
            found.append(f"switches set: {', '.join(set_now) or 'none'}, expected {', '.join(then.switches) or 'none'}")
    told = [str(fields) for _, _, fields in played.lines.lines]
    found += [f"nothing was said like {text!r}" for text in then.refused if not any(text in line for line in told)]
    return found


def _orders_differ(expected: tuple[ExpectedOrder, ...], made: tuple[Order, ...]) -> list[str]:
    words = [_words(order) for order in made]
    if len(expected) != len(made):
        return [f"{len(made)} orders were made ({'; '.join(words) or 'none'}), expected {len(expected)}"]
    return [
        f"order {number} is {words[number - 1]}, expected {_expected_words(wanted)}"
        for number, (wanted, order) in enumerate(zip(expected, made, strict=True), start=1)
        if not _fits(wanted, order)
    ]


def _fits(wanted: ExpectedOrder, order: Order) -> bool:
    terms = order.terms
    return (
        (wanted.rule, wanted.side, wanted.status) == (_rule_of(order), terms.side, order.status)
        and wanted.quantity in (None, terms.quantity)
        and wanted.price in (None, terms.price)
        and wanted.filled in (None, order.filled)
    )


def _rule_of(order: Order) -> str:
    return order.terms.rule or order.terms.purpose.lower().replace("_", "-")


def _words(order: Order) -> str:
    terms = order.terms
    return (
        f"{_rule_of(order)} {terms.side} {format_micros(terms.quantity)} "
        f"@ {format_micros(terms.price * 100)} {order.status} {format_micros(order.filled)}"
    )


def _expected_words(wanted: ExpectedOrder) -> str:
    quantity = "*" if wanted.quantity is None else format_micros(wanted.quantity)
    price = "" if wanted.price is None else f" @ {format_micros(wanted.price * 100)}"
    filled = "" if wanted.filled is None else f" {format_micros(wanted.filled)}"
    return f"{wanted.rule} {wanted.side} {quantity}{price} {wanted.status}{filled}"
