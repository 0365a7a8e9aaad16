"""The exchange as a whole: URLs, a free port, one-line errors, restarts, and the same run twice."""

import asyncio
import hashlib
import json
import socket
from pathlib import Path

import pytest

from polystra.adapters.clock import ScaledClock
from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.exchange.series_file import load_series
from polystra.runtime.deterministic import run
from tests.unit.exchange.running import OWNER, T0_S, Running, play, running


def test_urls_answer() -> None:
    async def scene(stage: Running) -> None:
        async with stage.session.get(f"{stage.urls.clob_url}/time") as response:
            assert abs(int(await response.text()) - T0_S) <= 1
        markets = await stage.get(f"{stage.urls.gamma_url}/markets")
        token = json.loads(markets[0]["clobTokenIds"])[0]
        await stage.until(5)
        async with stage.session.ws_connect(stage.urls.market_ws_url) as market_socket:
            await market_socket.send_json({"assets_ids": [token], "type": "market"})
            book = json.loads(await market_socket.receive_str())
        book = book[0] if isinstance(book, list) else book
        assert book["event_type"] == "book"
        assert book["bids"]
        assert book["asks"]

    play(scene)


def test_same_seed_same_frames() -> None:
    def frames(seed: int) -> str:
        async def scene(stage: Running) -> str:
            digest = hashlib.sha256()
            async with stage.session.ws_connect(stage.urls.spot_ws_url) as spot:
                await spot.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
                for _ in range(100):
                    digest.update((await spot.receive_str()).encode())
            digest.update(repr(stage.exchange.core.books()).encode())
            return digest.hexdigest()

        return play(scene, seed=seed)

    assert frames(7) == frames(7)
    assert frames(7) != frames(8)


def test_a_port_in_use_is_one_clear_line() -> None:
    async def main(port: int) -> None:
        config = BuiltInConfig(symbols=("BTC",), port=port)
        exchange = BuiltInExchange(config, ScaledClock(planned_start_ns(config), 20.0))
        try:
            with pytest.raises(ConfigError, match=f"127.0.0.1:{port}") as caught:
                await exchange.start()
            assert "\n" not in str(caught.value)
        finally:
            await exchange.close()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        asyncio.run(main(taken.getsockname()[1]))


def test_runs_paced_over_real_sockets() -> None:
    async def main() -> None:
        config = BuiltInConfig(symbols=("BTC",), windows=("5m",), speed=200.0)
        async with running(config, ScaledClock(planned_start_ns(config), 200.0)) as stage:
            async with stage.session.ws_connect(stage.urls.spot_ws_url + "/btcusdt@trade") as spot:
                first = json.loads(await spot.receive_str())
                assert first["E"] >= T0_S * 1_000
            assert (await stage.get(f"{stage.urls.control_url}/clock"))["speed"] == 200.0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"symbols": ("PEPE",)}, "SYMBOLS is PEPE"),
        ({"symbols": ()}, "SYMBOLS is empty"),
        ({"windows": ("7m",)}, "WINDOWS is 7m"),
    ],
)
def test_refuses_what_it_does_not_know(changes: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BuiltInConfig(**changes)  # type: ignore[arg-type]


def test_a_recording_decides_symbols_and_start(tmp_path: Path) -> None:
    path = tmp_path / "btc.csv"
    path.write_text("time,price\n" + "".join(f"{T0_S - 100 + n},{60_000 + n % 7}\n" for n in range(1_100)))
    series = load_series(path)
    config = BuiltInConfig(symbols=("BTC", "ETH"), windows=("5m",), series=series, speed=None)
    assert config.traded_symbols == ("BTC",)
    assert planned_start_ns(config) == (T0_S - 10) * NS_PER_S
    early = BuiltInConfig(symbols=("BTC",), series=series, start_ns=(T0_S - 110) * NS_PER_S)
    assert planned_start_ns(early) == early.start_ns
    with pytest.raises(ConfigError, match="--prices has BTC but SYMBOLS asks for ETH"):
        BuiltInConfig(symbols=("ETH",), series=series)
    with pytest.raises(ConfigError, match="choose a start inside it"):
        planned_start_ns(BuiltInConfig(symbols=("BTC",), series=series, start_ns=T0_S * NS_PER_S * 2))

    async def main() -> dict[str, bool | None]:
        async with running(config) as stage:
            await stage.until(1_200)
            return {market.spec.slug: market.up_won for market in stage.exchange.simulation.world.markets()}

    won = run(main(), seed=1, start_ns=planned_start_ns(config))
    assert list(won) == [f"btc-updown-5m-{T0_S + 300 * n}" for n in range(3)]
    assert None not in won.values()


def test_resumes_from_its_books(tmp_path: Path) -> None:
    config = BuiltInConfig(symbols=("BTC",), windows=("5m",), books_path=tmp_path / "books.db", speed=None)

    async def first() -> str:
        async with running(config) as stage:
            key = stage.exchange.open_account(OWNER)
            await stage.until(450)
            return key.key

    key = run(first(), seed=1, start_ns=planned_start_ns(config))
    assert planned_start_ns(config) >= (T0_S + 440) * NS_PER_S

    async def second() -> tuple[str, list[str]]:
        async with running(config) as stage:
            await stage.until(620)
            markets = list(stage.exchange.simulation.world.markets())
            assert sum(market.up_won is not None for market in markets) == 2
            return stage.exchange.open_account(OWNER).key, [market.spec.slug for market in markets]

    again, slugs = run(second(), seed=1, start_ns=planned_start_ns(config))
    assert again == key
    assert len(slugs) == len(set(slugs))
    assert slugs[:2] == [f"btc-updown-5m-{T0_S}", f"btc-updown-5m-{T0_S + 300}"]


def test_books_of_another_time_are_refused(tmp_path: Path) -> None:
    config = BuiltInConfig(symbols=("BTC",), windows=("5m",), books_path=tmp_path / "books.db", speed=None)

    async def first() -> None:
        async with running(config) as stage:
            await stage.until(5)

    run(first(), seed=1, start_ns=planned_start_ns(config))
    path = tmp_path / "btc.csv"
    path.write_text("time,price\n" + "".join(f"{1_700_000_100 + n},5\n" for n in range(900)))
    with pytest.raises(ConfigError, match="use another DATA_DIR"):
        planned_start_ns(
            BuiltInConfig(symbols=("BTC",), windows=("5m",), books_path=config.books_path, series=load_series(path))
        )
    with pytest.raises(ConfigError, match="use another DATA_DIR"):
        planned_start_ns(BuiltInConfig(books_path=config.books_path, start_ns=(T0_S + 1_000) * NS_PER_S))
