"""Which signals beat the market's own price on windows that they were not fitted on?

`python -m benchmarks.signals_out_of_sample DIR`.

DIR holds the recordings that are named below (none of them is part of the project); what is absent is left out with a
line.
Each candidate is one number that is added, times a fitted strength, to the log-odds of a base forecast: the market's
price where the recording has one, else the fair value of the settlement feed. Strengths are fitted on earlier windows
and scored on later ones (five stretches, purged), one for all times before the close, with the penalty of
`polystra calibrate`. Printed is the difference in log loss with its interval from resampling blocks of windows, and
how many candidates were tried on that recording: with 20 tries one of them looks significant by chance.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from polystra.backtest.calibration.fit import FOLDS, L2
from polystra.backtest.calibration.logistic import Row, fit_logistic
from polystra.backtest.scoring import Forecast, difference, log_loss, mean_score
from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.units import E8, NS_PER_MS
from polystra.engine.strategy.fair_value import normal_cdf
from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.signal import clamp, clamp_probability, logistic, logit
from polystra.engine.strategy.volatility import VolatilityRules, rules_for

BOOKS: Final = "tob/btc5m_tob_1s.csv.gz"
BOOK_WINDOWS: Final = "market_ws/btc5m_full_depth/windows.csv"
FEED: Final = "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz"
FEED_WINDOWS: Final = "outcomes/btc5m_outcomes_20260724.csv"
MIDDLES: Final = "outcomes/btc5m_winners_with_mid_202607.jsonl"
LADDER: Final = "tob/btc5m_ladder_T120_T10_202607.jsonl.gz"
TRADES: Final = "kalshi_15m/kalshi_{}15m_trades.csv.gz"
TRADE_WINDOWS: Final = "kalshi_15m/windows.csv"
LEFT_S: Final = (240, 180, 120, 90, 60, 45, 30, 20, 10)


@dataclass(frozen=True, slots=True)
class Sample:
    """A window at one moment: the base forecast, the candidates' numbers (None: unknown), what happened."""

    window: str
    opens_s: int
    closes_s: int
    left_s: int
    base: float
    x: Mapping[str, float | None]
    up: bool


def judged(samples: Sequence[Sample], columns: Sequence[str], keep: Callable[[Sample], bool] | None = None) -> str:
    """One line: what candidates (fitted together) add to the base out of sample."""
    usable = [s for s in samples if all(s.x.get(name) is not None for name in columns) and (keep is None or keep(s))]
    closes = sorted({s.closes_s for s in usable})
    first = len(closes) // 3
    forecasts: list[Forecast] = []
    beta: tuple[float, ...] = ()
    for fold in range(FOLDS):
        begin, end = (first + (len(closes) - first) * place // FOLDS for place in (fold, fold + 1))
        if not first or begin >= end:
            continue
        test = [s for s in usable if closes[begin] <= s.closes_s <= closes[end - 1]]
        opens_s = min(s.opens_s for s in test)
        beta = fit_logistic(_rows([s for s in usable if s.closes_s <= opens_s], columns), len(columns), l2=L2).beta
        for s in test:
            shift = clamp(sum(b * (s.x[name] or 0.0) for b, name in zip(beta, columns, strict=True)), -1.0, 1.0)
            said = {"base": s.base, "with": logistic(logit(s.base) + shift)}
            forecasts.append(
                Forecast(window=s.window, block=s.closes_s, seconds_left=s.left_s, probabilities=said, up=s.up)
            )
    if not forecasts:
        return "too few windows"
    gain, base = difference(forecasts, "with", "base", log_loss), mean_score(forecasts, "base", log_loss)
    strengths = " ".join(f"{b:+.3f}" for b in beta)
    return (
        f"{gain.mean:+.5f} ({gain.low:+.5f} to {gain.high:+.5f})  base {base.mean:.4f}  "
        f"{gain.blocks} windows tested  last strength {strengths}"
    )


def _rows(samples: Sequence[Sample], columns: Sequence[str]) -> list[Row]:
    looks: dict[str, int] = defaultdict(int)
    for s in samples:
        looks[s.window] += 1
    return [Row([s.x[name] or 0.0 for name in columns], logit(s.base), s.up, 1.0 / looks[s.window]) for s in samples]


def show(title: str, samples: Sequence[Sample], tries: Mapping[str, Sequence[str]]) -> None:
    """A recording's table."""
    _say(f"\n{title}: {len({s.window for s in samples})} windows, {len(samples)} looks, {len(tries)} candidates")
    for name, columns in tries.items():
        _say(f"  {name:<34} {judged(samples, columns)}")


# --- full-depth books of April: the market's price, its book, its own momentum ---------------


def books(folder: Path) -> None:
    """April's books, one second apart; no price of the coin."""
    winners = {row["slug"]: row["winner"] == "Up" for row in _csv(folder / BOOK_WINDOWS)}
    seconds: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
    for row in _csv(folder / BOOKS):
        seconds[row["slug"]][int(row["sec_into_window"])] = row
    samples: list[Sample] = []
    for slug, rows in sorted(seconds.items()):
        if slug in winners:
            opens_s = int(slug.rsplit("-", 1)[1])
            for left_s in LEFT_S:
                found = _book_numbers(rows, 300 - left_s)
                if found is not None:
                    base, x = found
                    samples.append(Sample(slug, opens_s, opens_s + 300, left_s, base, x, winners[slug]))
    show(
        "Full-depth books of 15-16 April against the market's price",
        samples,
        {
            "imbalance at the touch": ["touch"],
            "imbalance of five levels": ["depth"],
            "microprice": ["micro"],
            "market's momentum 5 s": ["move 5"],
            "market's momentum 15 s": ["move 15"],
            "market's momentum 30 s": ["move 30"],
            "market's momentum 60 s": ["move 60"],
            "market's own log-odds (shape)": ["odds"],
            "log-odds in the last minute": ["late odds"],
        },
    )


def _book_numbers(rows: Mapping[int, Mapping[str, str]], second: int) -> tuple[float, dict[str, float | None]] | None:
    row = rows.get(second)
    top = None if row is None else _top(row)
    if row is None or top is None:
        return None
    bid, ask, bid_size, ask_size = top
    deep_bid, deep_ask = float(row["up_bid_depth5"]), float(row["up_ask_depth5"])
    middle = (bid + ask) / 2.0
    x: dict[str, float | None] = {
        "touch": (bid_size - ask_size) / (bid_size + ask_size),
        "depth": (deep_bid - deep_ask) / (deep_bid + deep_ask),
        "micro": logit((bid * ask_size + ask * bid_size) / (bid_size + ask_size)) - logit(middle),
        "odds": logit(middle),
        "late odds": logit(middle) if second >= 240 else 0.0,
    }
    for lag_s in (5, 15, 30, 60):
        before = rows.get(second - lag_s)
        then = None if before is None else _top(before)
        x[f"move {lag_s}"] = None if then is None else logit(middle) - logit((then[0] + then[1]) / 2.0)
    return middle, x


def _top(row: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    names = ("up_bid", "up_ask", "up_bid_size", "up_ask_size")
    if not all(row[name] for name in names):
        return None
    bid, ask, bid_size, ask_size = (float(row[name]) for name in names)
    return bid, ask, bid_size, ask_size


# --- the settlement feed of 24 July: fair value, volatility, momentum --------------------------


class Feed:
    """The feed as it came in: `window(second)` is what was known then."""

    def __init__(self, path: Path, rules: VolatilityRules | None = None) -> None:
        ticks = []
        for row in _csv(path):
            at_ms, had_ms = int(row["feed_ts_ms"]), int(row["recv_ms"])
            price = round(float(row["value"]) * E8)
            tick = PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=price, at_ns=at_ms * NS_PER_MS)
            ticks.append((had_ms, tick))
        self._ticks: Iterator[tuple[int, PriceTicked]] = iter(sorted(ticks, key=lambda each: each[0]))
        self._next = next(self._ticks, None)
        self._memory = PriceWindow("BTC", rules)

    def window(self, second: int) -> PriceWindow:
        """Ask in rising order."""
        while self._next is not None and self._next[0] < second * 1_000:
            self._memory.observe(self._next[1])
            self._next = next(self._ticks, None)
        return self._memory


def feed_samples(
    folder: Path, moments: Sequence[int], rules: VolatilityRules | None = None, base: Mapping[int, float] | None = None
) -> list[Sample]:
    """Looks at the windows of 24 July; the base is the fair value, or a given price by the window's start."""
    feed = Feed(folder / FEED, rules)
    found: list[Sample] = []
    windows = sorted(_csv(folder / FEED_WINDOWS), key=lambda row: int(row["start"]))
    for row in windows:
        opens_s, closes_s = int(row["start"]), int(row["end"])
        strike = row["open_price_strike"]
        for left_s in moments:
            memory = feed.window(closes_s - left_s)
            price, sigma = memory.settlement_price, memory.sigma
            fresh = memory.settlement_s >= closes_s - left_s - 5
            if not strike or price is None or sigma is None or not fresh or (base is not None and opens_s not in base):
                continue
            z = (price / E8 - float(strike)) / (sigma * price / E8 * math.sqrt(left_s))
            fair = clamp_probability(normal_cdf(z))
            prior = fair if base is None else base[opens_s]
            x: dict[str, float | None] = {
                "z": z,
                "fair": logit(fair) - logit(prior),
                "odds": logit(prior),
                "time": 1.0 if left_s <= 60 else 0.0,
            }
            for lag_s in (10, 30, 120):
                before = memory.price_at(memory.settlement_s - lag_s)
                x[f"move {lag_s}"] = None if before is None else math.log(price / before) / (sigma * math.sqrt(lag_s))
            found.append(Sample(row["slug"], opens_s, closes_s, left_s, prior, x, row["winner"] == "Up"))
    return found


def feed(folder: Path) -> None:
    """24 July without a market's price: how good the fair value is, by volatility; then momentum on top of it."""
    _say("\nSettlement feed of 24 July: log loss of the fair value by the volatility that is put into it")
    _say("  (scale: the factor that earlier windows make most likely; last figure: with that factor, on later ones)")
    looks = {name: feed_samples(folder, LEFT_S, rules) for name, rules in _variants().items()}
    shared = set.intersection(*({(s.window, s.left_s) for s in each} for each in looks.values()))
    kept = {name: [s for s in each if (s.window, s.left_s) in shared] for name, each in looks.items()}
    in_use = _scaled(kept[next(iter(kept))])
    for name, each in kept.items():
        scaled = _scaled(each)
        gain = difference(_beside(scaled, in_use), "this", "in use", log_loss)
        plain = math.fsum(log_loss(s.base, s.up) for s in each) / len(each)
        after = math.fsum(log_loss(s.base, s.up) for s in scaled) / len(scaled)
        _say(
            f"  {name:<38} plain {plain:.4f}  scale {_best_scale(each):.2f}  out of sample {after:.4f}, "
            f"less the one in use {gain.mean:+.5f} ({gain.low:+.5f} to {gain.high:+.5f})"
        )
    samples = looks[next(iter(looks))]
    tries = {
        "momentum 10 s": ["move 10"],
        "momentum 30 s": ["move 30"],
        "momentum 120 s": ["move 120"],
        "fair value's own log-odds (shape)": ["odds"],
    }
    show("Settlement feed of 24 July against its own fair value", samples, tries)


def _variants() -> dict[str, VolatilityRules]:
    """The one in use, and others: steps between the prices of a return, half-lives (of several the largest counts)."""
    others = {
        f"{step} s steps, {' and '.join(map(str, lives))} s": VolatilityRules(
            floor=20e-6, cap=0.8e-3, step_s=step, half_lives_s=tuple(map(float, lives))
        )
        for step, lives in (
            (5, (60,)),
            (5, (180,)),
            (5, (600,)),
            (5, (1_800,)),
            (5, (180, 1_800)),
            (1, (180,)),
            (1, (1_800,)),
            (15, (180,)),
            (15, (600,)),
            (15, (1_800,)),
            (15, (7_200,)),
            (15, (180, 1_800)),
            (30, (600,)),
            (30, (1_800,)),
        )
    }
    return {"in use": rules_for("BTC"), **others}


def _best_scale(samples: Sequence[Sample]) -> float:
    def loss(scale: float) -> float:
        return math.fsum(log_loss(clamp_probability(normal_cdf((s.x["z"] or 0.0) / scale)), s.up) for s in samples)

    return min((math.exp(step / 50.0) for step in range(-55, 56)), key=loss)


def _scaled(samples: Sequence[Sample]) -> list[Sample]:
    """The later two thirds with the scale that the windows before each stretch make most likely."""
    closes = sorted({s.closes_s for s in samples})
    first = len(closes) // 3
    found: list[Sample] = []
    for fold in range(FOLDS):
        begin, end = (first + (len(closes) - first) * place // FOLDS for place in (fold, fold + 1))
        test = [s for s in samples if closes[begin] <= s.closes_s <= closes[end - 1]]
        scale = _best_scale([s for s in samples if s.closes_s <= min(t.opens_s for t in test)])
        for s in test:
            fair = clamp_probability(normal_cdf((s.x["z"] or 0.0) / scale))
            found.append(Sample(s.window, s.opens_s, s.closes_s, s.left_s, fair, s.x, s.up))
    return found


def _beside(these: Sequence[Sample], others: Sequence[Sample]) -> list[Forecast]:
    return [
        Forecast(
            window=s.window,
            block=s.closes_s,
            seconds_left=s.left_s,
            probabilities={"this": s.base, "in use": other.base},
            up=s.up,
        )
        for s, other in zip(these, others, strict=True)
    ]


def middles(folder: Path) -> None:
    """The windows of 24 July that have both the feed and a market's price, 53 s before the close."""
    prices = {row["ts"]: clamp_probability(row["up_mid"]) for row in _json_lines(folder / MIDDLES) if row["up_mid"]}
    samples = feed_samples(folder, (53,), base=prices)
    show(
        "Market's middle 53 s before the close with the feed, 24 July",
        samples,
        {
            "fair value": ["fair"],
            "momentum 10 s": ["move 10"],
            "momentum 30 s": ["move 30"],
            "momentum 120 s": ["move 120"],
        },
    )


# --- ladders of July: the market's price with spot ----------------------------------------------


def ladder(folder: Path) -> None:
    """135 windows with the top of the book and spot at seven moments; volatility from spot between them."""
    samples: list[Sample] = []
    variance = 0.0
    for row in sorted(_json_lines(folder / LADDER), key=lambda row: row["window_ts"]):
        opened, before = row["open_px"], None
        for place in row["samples"]:
            spot, left_s, up = place["spot"], -place["t"], place["up"]
            if variance and spot and opened and up["bid"] and up["ask"]:
                samples.append(_rung(row, place, math.sqrt(variance), before))
            if spot and before is not None and before[1] > left_s:
                square = math.log(spot / before[0]) ** 2 / (before[1] - left_s)
                variance += (square - variance) * (0.02 if variance else 1.0)
            before = (spot, left_s) if spot else before
    show(
        "Ladders of 26-27 July with spot against the market's price",
        samples,
        {
            "fair value from spot": ["fair"],
            "spot's momentum since the last look": ["move"],
            "depth imbalance": ["depth"],
            "fair value and momentum together": ["fair", "move"],
            "fair value in the last minute": ["late fair"],
        },
    )


def _rung(row: Mapping[str, Any], place: Mapping[str, Any], sigma: float, before: tuple[float, float] | None) -> Sample:
    up, spot, left_s = place["up"], place["spot"], -place["t"]
    base = clamp_probability((up["bid"] + up["ask"]) / 2.0)
    fair = clamp_probability(normal_cdf(math.log(spot / row["open_px"]) / (sigma * math.sqrt(left_s))))
    move = None
    if before is not None and before[1] > left_s:
        move = math.log(spot / before[0]) / (sigma * math.sqrt(before[1] - left_s))
    deep_bid, deep_ask = up["bid_depth"], up["ask_depth"]
    x = {
        "fair": logit(fair) - logit(base),
        "late fair": logit(fair) - logit(base) if left_s <= 60 else 0.0,
        "move": move,
        "depth": (deep_bid - deep_ask) / (deep_bid + deep_ask) if deep_bid + deep_ask else None,
    }
    opens_s = row["window_ts"]
    return Sample(row["slug"], opens_s, opens_s + 300, round(left_s), base, x, row["winner"] == "UP")


# --- trades of another venue: flow, and whether BTC leads ----------------------------------------


def trades(folder: Path) -> None:
    """67 windows of 15 minutes with every trade, of two coins; the last trade's price is the base."""
    flows = {coin: Flow(folder / TRADES.format(coin)) for coin in ("btc", "eth")}
    for coin in ("btc", "eth"):
        samples: list[Sample] = []
        for row in _csv(folder / TRADE_WINDOWS):
            if not row["ticker"].upper().startswith(f"KX{coin.upper()}") or row["implied_result"] not in {"Up", "Down"}:
                continue
            closes_s = int(row["close_ts"])
            for left_s in (600, 420, 300, *LEFT_S):
                sample = _traded(flows, coin, row["ticker"], closes_s, left_s, up=row["implied_result"] == "Up")
                if sample is not None:
                    samples.append(sample)
        tries = {
            "trade-flow imbalance 10 s": ["flow 10"],
            "trade-flow imbalance 30 s": ["flow 30"],
            "trade-flow imbalance 120 s": ["flow 120"],
            "price's momentum 30 s": ["move 30"],
            "price's momentum 120 s": ["move 120"],
        }
        if coin != "btc":
            tries |= {
                "BTC's momentum 10 s": ["lead 10"],
                "BTC's momentum 30 s": ["lead 30"],
                "BTC's log-odds less its own": ["gap"],
            }
        show(f"Another venue's 15-minute {coin.upper()} trades against the last price", samples, tries)


class Flow:
    """Trades of one coin by market, in order of time."""

    def __init__(self, path: Path) -> None:
        self._times: dict[str, list[float]] = defaultdict(list)
        self._trades: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row in _csv(path):
            sign = 1.0 if row["taker_side"] == "yes" else -1.0
            self._times[row["ticker"]].append(float(row["ts"]))
            price = float(row["yes_price"])
            self._trades[row["ticker"]].append((price / 100.0 if price > 1.0 else price, sign * float(row["count"])))
        self.at_close = {ticker: times[-1] for ticker, times in self._times.items()}

    def price(self, ticker: str, second: float) -> float | None:
        """The last one before a moment, None when it is older than a minute."""
        place = bisect_left(self._times[ticker], second) - 1
        if place < 0 or self._times[ticker][place] < second - 60.0:
            return None
        return clamp_probability(self._trades[ticker][place][0])

    def imbalance(self, ticker: str, second: float, length_s: float) -> float | None:
        """Bought less sold by takers over their sum."""
        times = self._times[ticker]
        counts = [
            count
            for _, count in self._trades[ticker][bisect_right(times, second - length_s) : bisect_left(times, second)]
        ]
        total = math.fsum(map(abs, counts))
        return math.fsum(counts) / total if total else None


def _traded(
    flows: Mapping[str, Flow], coin: str, ticker: str, closes_s: int, left_s: int, *, up: bool
) -> Sample | None:
    flow, second = flows[coin], float(closes_s - left_s)
    base = flow.price(ticker, second)
    if base is None:
        return None
    x: dict[str, float | None] = {f"flow {length}": flow.imbalance(ticker, second, length) for length in (10, 30, 120)}
    for lag in (30, 120):
        before = flow.price(ticker, second - lag)
        x[f"move {lag}"] = None if before is None else logit(base) - logit(before)
    if coin != "btc":
        leader = "KXBTC" + ticker[len("KX") + len(coin) :]
        now = flows["btc"].price(leader, second)
        x["gap"] = None if now is None else logit(now) - logit(base)
        for lag in (10, 30):
            then = flows["btc"].price(leader, second - lag)
            x[f"lead {lag}"] = None if now is None or then is None else logit(now) - logit(then)
    return Sample(ticker, closes_s - 900, closes_s, left_s, base, x, up)


# --- files ----------------------------------------------------------------------------------------


def _csv(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from csv.DictReader(file)


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from map(json.loads, file)


def main(arguments: Sequence[str]) -> int:
    """Every study whose files are there."""
    if len(arguments) != 1:
        _say(__doc__)
        return 2
    folder = Path(arguments[0])
    studies: Iterable[tuple[Callable[[Path], None], Sequence[str]]] = (
        (books, (BOOKS, BOOK_WINDOWS)),
        (feed, (FEED, FEED_WINDOWS)),
        (middles, (FEED, FEED_WINDOWS, MIDDLES)),
        (ladder, (LADDER,)),
        (trades, (TRADES.format("btc"), TRADES.format("eth"), TRADE_WINDOWS)),
    )
    for study, names in studies:
        absent = [name for name in names if not (folder / name).exists()]
        if absent:
            _say(f"\nleft out: {', '.join(absent)} is not in {folder}")
        else:
            study(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
