"""How fast a recording of full-depth books runs through the backtest, end to end, and where the time goes.

Run with `python -m benchmarks.backtest_speed [RECORDING] [--rounds N]` from the project's root. Without a recording
(a folder that `polystra import` or `polystra record` wrote) it makes one: four windows of five minutes with some
fifty levels a side and ten snapshots a second, both tokens, mirrored as at the venue, from a seed. With `--changes` it
makes one as `polystra record` writes it: a hundred inputs a second, nine in ten of them changes of a level that show it
in both tokens, with trades, spot and the settlement feed between. No edge is found in it: positions would cost more.

Printed are inputs a second of this process's CPU, which is what one core does: for reading and decoding alone, and for
the whole run with all that collects its result; the two take turns, so that their ratio holds on a busy machine. A
full-depth snapshot of one token is one input. Figures only: what they should be depends on the machine.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median
from time import process_time
from typing import Final, TypeVar

from polystra.app.backtest_result import config_for
from polystra.app.settings import load_settings
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.recordings.writer import RecordingWriter
from polystra.backtest.runs import Job, Unit, run_job, units_of
from polystra.domain.book import Level
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    LevelChange,
    MarketResolved,
    MarketsListed,
    PriceSource,
    PriceTicked,
    PublicTrade,
    StreamConnected,
    StreamName,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S
from polystra.matching.paper_venue import PaperRules

T = TypeVar("T")
OPENS_S: Final = 1_776_257_100
_CENT: Final = 10_000
E8: Final = 100_000_000
_TOLD: Final = 12


def made_recording(folder: Path, *, windows: int, changes: bool = False, seed: int = 1) -> Path:
    """Write full-depth books, or changes of levels, of so many windows, one after the other."""
    head = Head(origin="import", mode="import", created_ns=1, symbols=("BTC",))
    make = _changes if changes else _inputs
    with RecordingWriter(folder, head) as writer:
        for now_ns, event in make(windows, Random(seed)):
            writer.add(event, now_ns)
    return folder


def _changes(windows: int, chance: Random) -> Iterator[Recorded]:
    first_ns = (OPENS_S - 30) * NS_PER_S
    for stream in (StreamName.MARKET, StreamName.PRICES, StreamName.SPOT):
        yield Recorded(first_ns, StreamConnected(stream=stream))
    price = 95_000 * E8
    for number in range(windows):
        market = _market(number)
        begin_ns = market.opens_at_s * NS_PER_S
        yield Recorded(begin_ns - NS_PER_S, MarketsListed(markets=(market,)))
        bids = tuple((cent * _CENT, (1_000 + cent) * MICRO) for cent in range(30, 51))
        asks = tuple((cent * _CENT, (1_000 + cent) * MICRO) for cent in range(51, 72))
        yield from _both(market, bids, asks, begin_ns)
        for second in range(300):
            now_ns = begin_ns + second * NS_PER_S
            price += chance.randint(-20, 20) * E8
            yield Recorded(now_ns, PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=price, at_ns=now_ns))
            for step in range(1, 100):
                yield from _change(market, price, now_ns + step * 10 * NS_PER_MS, chance)
        verdict_ns = market.closes_at_s * NS_PER_S
        verdict = MarketResolved(condition_id=market.condition_id, up_payout=MICRO, at_ns=verdict_ns)
        yield Recorded(verdict_ns, verdict)


def _change(market: Market, price: int, at_ns: int, chance: Random) -> Iterator[Recorded]:
    """One input while the book stands at 50 to 51 cents."""
    kind = chance.random()
    if kind < 0.08:
        spot = price + chance.randint(-5, 5) * E8
        yield Recorded(at_ns, PriceTicked(symbol="BTC", source=PriceSource.SPOT, price=spot, at_ns=at_ns))
        return
    if kind < 0.1:
        side = chance.choice((Side.BUY, Side.SELL))
        printed = PublicTrade(token_id=market.up_token, side=side, price=50 * _CENT, size=5 * MICRO, at_ns=at_ns)
        yield Recorded(at_ns, printed)
        return
    cent, size = chance.randint(30, 71), chance.randint(10, 3_000) * MICRO
    side, other = (Side.BUY, Side.SELL) if cent <= 50 else (Side.SELL, Side.BUY)
    up = LevelChange(market.up_token, side, cent * _CENT, size, 50 * _CENT, 51 * _CENT)
    down = LevelChange(market.down_token, other, MICRO - cent * _CENT, size, 49 * _CENT, 50 * _CENT)
    yield Recorded(at_ns, BookChanged(changes=(up, down), at_ns=at_ns))


def _inputs(windows: int, chance: Random) -> Iterator[Recorded]:
    yield Recorded((OPENS_S - 30) * NS_PER_S, StreamConnected(stream=StreamName.MARKET))
    for number in range(windows):
        market = _market(number)
        begin_ns = market.opens_at_s * NS_PER_S
        yield Recorded(begin_ns - NS_PER_S, MarketsListed(markets=(market,)))
        touch = 50
        sizes = [chance.randrange(1, 5_000) * _CENT for _ in range(100)]
        for step in range(3_000):
            now_ns = begin_ns + step * 100 * NS_PER_MS
            touch = min(98, max(1, touch + chance.choice((-1, 0, 0, 0, 1))))
            for _ in range(6):
                sizes[chance.randrange(100)] = chance.randrange(1, 5_000) * _CENT
            bids = tuple((cent * _CENT, sizes[cent]) for cent in range(1, touch + 1))
            asks = tuple((cent * _CENT, sizes[cent]) for cent in range(99, touch, -1))
            yield from _both(market, bids, asks, now_ns)
        up_payout = MICRO if touch >= 50 else 0
        verdict_ns = market.closes_at_s * NS_PER_S - 2
        verdict = MarketResolved(condition_id=market.condition_id, up_payout=up_payout, at_ns=verdict_ns)
        yield Recorded(verdict_ns, verdict)


def _both(market: Market, bids: tuple[Level, ...], asks: tuple[Level, ...], now_ns: int) -> Iterator[Recorded]:
    yield Recorded(now_ns, BookSnapshot(token_id=market.up_token, bids=bids, asks=asks, at_ns=now_ns))
    mirrored = tuple((MICRO - price, size) for price, size in asks), tuple((MICRO - p, size) for p, size in bids)
    yield Recorded(now_ns, BookSnapshot(token_id=market.down_token, bids=mirrored[0], asks=mirrored[1], at_ns=now_ns))


def _market(number: int) -> Market:
    opens_at_s = OPENS_S + 300 * number
    return Market(
        condition_id=ConditionId(f"0x{number:064x}"),
        slug=f"btc-updown-5m-{opens_at_s}",
        symbol="BTC",
        window_s=300,
        opens_at_s=opens_at_s,
        closes_at_s=opens_at_s + 300,
        up_token=TokenId(f"1{number}"),
        down_token=TokenId(f"2{number}"),
        tick_size=_CENT,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(rate_ppm=72_000),
        rule=ResolutionRule(kind=ResolutionKind.LAST, lookback_s=0),
    )


def measure(unit: Unit, rounds: int) -> None:
    """Take turns at reading alone and at the whole run, then profile one run and tell its memory."""
    job = job_of(unit)
    read_s, run_s = [], []
    inputs = 0
    digests = set()
    for _ in range(rounds):
        seconds, inputs = _timed(lambda: sum(1 for _ in RecordingReader(unit.paths)))
        read_s.append(seconds)
        seconds, done = _timed(lambda: run_job(job))
        run_s.append(seconds)
        digests.add(done.result.digest)
    if len(digests) != 1:
        raise SystemExit("runs of one recording came to different facts")
    read, run = median(read_s), median(run_s)
    _say(f"{inputs:,} inputs, {rounds} rounds in turn, median seconds of CPU")
    _say(f"reading and decoding alone: {inputs / read:,.0f} a second")
    _say(f"end to end:                 {inputs / run:,.0f} a second ({run / read:.2f} times the time of reading)")
    _profile(lambda: run_job(job))


def job_of(unit: Unit) -> Job:
    """The run that `polystra backtest` would do with no settings set."""
    settings = load_settings({}, None, local=True)
    return Job(unit=unit, config=config_for(settings, [unit]), rules=PaperRules())


def _profile(work: Callable[[], object]) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = pstats.Stats(profile).get_stats_profile()
    total = stats.total_tt
    _say(f"\nwhere the time goes (profiled, which slows small functions most; {total:.1f} s):")
    rows = sorted(stats.func_profiles.items(), key=lambda each: -each[1].tottime)[:_TOLD]
    for name, each in rows:
        place = Path(each.file_name)
        where = f"{place.parent.name}/{place.name}" if place.suffix == ".py" else "built in"
        _say(f"{each.tottime / total:6.1%}  {each.ncalls:>10}  {name[:48]:48}  {where}")
    tracemalloc.start()
    work()
    _say(f"\nmost memory held at once, beyond imports: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB")
    tracemalloc.stop()


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = process_time()
    done = work()
    return process_time() - begun, done


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", nargs="?", type=Path, help="a folder of .rec files; default: one made by seed")
    parser.add_argument("--changes", action="store_true", help="make changes of levels instead of full-depth books")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.recording or made_recording(Path(folder), windows=4, changes=arguments.changes)
        (unit, *_), _ = units_of(recording_files([place]))
        measure(unit, arguments.rounds)


if __name__ == "__main__":
    main()
