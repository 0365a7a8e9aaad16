"""Recorded price files: what is read, what is made of holes, and what is said about bad ones."""

import gzip
import os
from pathlib import Path
from random import Random

import pytest

from polystra.domain.errors import ConfigError
from polystra.domain.units import E8
from polystra.exchange.series import LATE_START_S, Bar, bar_path
from polystra.exchange.series_file import load_series

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[4] / "shared"))
T0 = 1_784_851_200


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def recording(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"the recording {path} is not here; set POLYSTRA_SHARED")
    return path


def test_reads_ticks_of_several_symbols(tmp_path: Path) -> None:
    rows = f"symbol,feed_ts_ms,value\nbtc/usd,{T0}000,64000.5\nETHUSDT,{T0}000,2000\nbtc/usd,{T0 + 1}000,64001\n"
    series = load_series(write(tmp_path / "x.csv", rows))
    assert series.summary.symbols == ("BTC", "ETH")
    assert series.by_symbol["BTC"].tick(T0) == 64_000 * E8 + E8 // 2
    assert series.by_symbol["ETH"].tick(T0 + 1) is None
    assert series.summary.interpolated is False


def test_of_two_rows_in_a_second_the_one_received_later_wins(tmp_path: Path) -> None:
    rows = (
        "feed_ts_ms,value,full_accuracy_value,server_ts_ms,recv_ms\n"
        f"{T0}000,65048.078902260626,0,{T0}100,{T0}900\n{T0}000,65049,0,{T0}100,{T0}300\n"
    )
    series = load_series(write(tmp_path / "feed_eth.csv", rows))
    assert series.by_symbol["ETH"].tick(T0) == 6_504_807_890_226
    assert series.summary.corrections == 1


def test_counts_and_carries_gaps_and_sorts_rows(tmp_path: Path) -> None:
    rows = f"feed_ts_ms,value\n{T0 + 9}000,3\n{T0}000,1\n{T0 + 1}000,2\n"
    series = load_series(write(tmp_path / "x.csv", rows))
    assert (series.summary.gaps, series.summary.longest_gap_s, series.summary.reordered) == (1, 8, 1)
    assert series.by_symbol["BTC"].at_or_before(T0 + 5) == T0 + 1
    assert series.by_symbol["BTC"].at_or_after(T0 + 5) == T0 + 9
    assert "1 gaps, longest 8 s, carried forward" in series.summary.sentence()


@pytest.mark.parametrize("stamp", ["{s}", "{s}000", "{s}.0", "{s}000000"])
def test_reads_plain_times_in_any_unit(tmp_path: Path, stamp: str) -> None:
    lines = "".join(f"{stamp.format(s=T0 + n)},{100 + n}\n" for n in range(3))
    series = load_series(write(tmp_path / "SOLUSDT.csv", "time,price\n" + lines))
    assert [series.by_symbol["SOL"].tick(T0 + n) for n in range(3)] == [100 * E8, 101 * E8, 102 * E8]


def test_reads_iso_times_gzip_and_joins_sparse_points(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv.gz"
    lines = "".join(f"2026-07-24T00:{minute:02d}:00Z,{100 + minute}\n" for minute in range(5))
    path.write_bytes(gzip.compress(("time,price\n" + lines).encode()))
    series = load_series(path).by_symbol["BTC"]
    assert load_series(path).summary.interpolated is True
    inside = [series.tick(T0 + second) for second in range(60)]
    assert inside[0] == 100 * E8
    assert inside[-1] == 101 * E8
    assert all(value is not None and 100 * E8 <= value <= 101 * E8 for value in inside)


def test_bars_hit_open_high_low_and_close(tmp_path: Path) -> None:
    rows = (
        "timestamp,open,high,low,close,volume\n"
        "2026-07-24 00:00:00,100,110,90,105,1\n2026-07-24 00:01:00,105,106,104,104,1\n"
    )
    path = write(tmp_path / "BTCUSDT_1m.csv", rows)
    series = load_series(path, seed=3).by_symbol["BTC"]
    minute = [series.tick(T0 + second) for second in range(60)]
    assert minute[0] == 100 * E8
    assert minute[-1] == 105 * E8
    assert max(value or 0 for value in minute) == 110 * E8
    assert min(value or 0 for value in minute) == 90 * E8
    again = load_series(path, seed=3).by_symbol["BTC"]
    other = load_series(path, seed=4).by_symbol["BTC"]
    assert minute == [again.tick(T0 + second) for second in range(60)]
    assert minute != [other.tick(T0 + second) for second in range(60)]


@pytest.mark.parametrize("steps", [2, 3, 4, 60, 300])
def test_bar_paths_have_the_asked_length(steps: int) -> None:
    path = bar_path(Bar(0, 5, 9, 1, 5), steps, Random(1))
    assert len(path) == steps
    assert (path[0], path[-1]) == (5, 5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"time,price\n", "no rows"),
        (b"\x00\xff\xfe\x01 binary", "not a text file"),
        (b"a\x00b,c\n", "zero bytes"),
        (b"\x1f\x8bnot gzip", "gzip"),
        (b"1,2\n3,4\n", "line 1 is '1,2'"),
        (b"time,price\n1784851200,-5\n", "line 2 has price '-5'"),
        (b"time,price\n1784851200,0\n", "above 0"),
        (b"time,price\n1784851200,NaN\n", "expected a price"),
        (b"time,price\n1784851200,abc\n", "expected a decimal number"),
        (b"time,price\nyesterday,5\n", "line 2 has time 'yesterday'"),
        (b"time,price\nnan,5\n", "expected a time"),
        (b"time,price\n-5,5\n", "after 1970"),
        (b"time,price\n1784851200\n", "has 1 fields, expected 2"),
        (b"feed_ts_ms,value\n12.5,5\n", "expected an integer"),
        (b"symbol,feed_ts_ms,value\npepe,1784851200000,5\n", "symbol 'pepe'"),
        (b"timestamp,open,high,low,close\n2026-07-24,5,4,3,5\n", "outside low and high"),
    ],
)
def test_says_in_one_line_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_series(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_series(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_series(tmp_path)


def test_refuses_to_start_where_no_window_fits(tmp_path: Path) -> None:
    rows = "time,price\n" + "".join(f"{T0 + n},5\n" for n in range(200))
    with pytest.raises(ConfigError, match="no stretch"):
        load_series(write(tmp_path / "x.csv", rows)).best_start(["BTC"], "5m")


def test_skips_sparse_minutes_before_the_good_stretch(tmp_path: Path) -> None:
    seconds = [*range(T0 - 90_000, T0 - 89_940), *range(T0 + LATE_START_S // 2, T0 + 3 * 300 + 20)]
    rows = "time,price\n" + "".join(f"{second},5\n" for second in seconds)
    series = load_series(write(tmp_path / "x.csv", rows))
    assert series.best_start(["BTC"], "5m", windows=3) == T0


def test_three_symbol_recording_holds_six_windows() -> None:
    series = load_series(recording("settlement_feed/chainlink_btc_eth_sol_1hz_20260428_29.csv.gz"))
    assert series.summary.symbols == ("BTC", "ETH", "SOL")
    start = series.best_start(["BTC", "ETH", "SOL"], "5m")
    assert start == 1_777_428_600
    for recorded in series.by_symbol.values():
        assert recorded.at_or_before(start + 1_800) == start + 1_800
    assert series.best_start(["BTC"], "15m") == start + 300


def test_one_day_recording_starts_in_a_long_stretch() -> None:
    series = load_series(recording("settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz"))
    assert series.summary.longest_gap_s == 387
    assert series.summary.gaps == 2_458
    assert series.best_start(["BTC"], "5m", windows=12) == 1_784_856_300


@pytest.mark.parametrize("name", ["BTCUSDT_1m_202503", "ETHUSDT_1m_202503", "SOLUSDT_5m_202504_06"])
def test_spot_recordings_become_one_price_a_second(name: str) -> None:
    series = load_series(recording(f"spot/{name}.csv.gz"))
    symbol = name[:3]
    assert series.summary.symbols == (symbol,)
    start = series.best_start([symbol], "5m")
    assert all(series.by_symbol[symbol].tick(start + second) is not None for second in range(0, 3_000, 7))
