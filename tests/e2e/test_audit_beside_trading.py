"""The audit shows entries of one moment in one request; without it trading is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import structlog
from typer.testing import CliRunner

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.store.session import WriteSession
from polystra.app.cli import app
from polystra.app.sessions import RunOptions, run_session, simulated_key
from polystra.app.settings import Settings, known_names, load_settings
from polystra.app.wiring import Endpoints, Run, Wallet, endless_session, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.domain.errors import StoreCorrupt
from polystra.domain.events import EntryRequested, StopMode, StopRequested
from polystra.domain.ids import ConditionId
from polystra.domain.market import Outcome
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.exchange.world import WorldMarket
from polystra.ports.audit import ApiCall
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink
from polystra.runtime import deterministic
from tests.unit.runtime.lines import Lines

SEED = 7
SYMBOLS = ("BTC", "ETH", "SOL", "XRP")


class Wishes:
    """Fulfils `EventStream`: ten seconds into the window, an entry in every market at once; later the end."""

    def __init__(self, exchange: BuiltInExchange, clock: Clock) -> None:
        self._clock = clock
        self._markets: list[WorldMarket] = []
        exchange.simulation.world.on_listed(lambda market, _now_ns: self._markets.append(market))

    async def run(self, sink: Sink) -> None:
        opens_at_s = min(market.spec.opens_at_s for market in self._markets)
        first = [market for market in self._markets if market.spec.opens_at_s == opens_at_s]
        await self._clock.sleep(max(0, (opens_at_s + 10) * NS_PER_S - self._clock.now_ns()) / NS_PER_S)
        for number, market in enumerate(first):
            sink(
                EntryRequested(
                    request_id=f"wish-{number}",
                    condition_id=ConditionId(market.spec.condition_id),
                    outcome=Outcome.UP,
                    price=20_000,
                    quantity=60 * MICRO,
                )
            )
        await self._clock.sleep(5)
        sink(StopRequested(mode=StopMode.CANCEL_ALL, reason="seen enough"))
        while True:
            await self._clock.sleep(3_600)


def trade(settings: Settings) -> None:
    config = BuiltInConfig(
        seed=SEED, symbols=SYMBOLS, windows=("5m",), speed=None, books_path=exchange_books_path(settings)
    )

    async def main() -> None:
        clock = LoopClock(planned_start_ns(config))
        exchange = BuiltInExchange(config, clock)
        wishes = Wishes(exchange, clock)
        urls = await exchange.start()
        key = SigningKey(simulated_key(SEED))
        opened = exchange.open_account(key.address)
        run = Run(
            settings=settings,
            symbols=SYMBOLS,
            endpoints=Endpoints(**{name: getattr(urls, name) for name in Endpoints.__dataclass_fields__}),
            wallet=Wallet(
                key=key,
                credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
                signature_type=0,
                funder=None,
            ),
            clock=clock,
            log=Lines(),
            chance=Random(SEED),
            session=endless_session,
            handle_signals=False,
            beside={"exchange": exchange.run},
            wishes={"wishes": wishes},
        )
        try:
            await run_daemon(run)
        finally:
            await exchange.close()

    deterministic.run(main(), seed=SEED, start_ns=planned_start_ns(config))


def test_four_entries_at_the_same_moment_are_one_post(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"WINDOWS": "5m", "DATA_DIR": str(tmp_path), "MIN_EDGE_PERCENT": "9999", "MAX_EXPOSURE_DOLLARS": "1000"}
    trade(load_settings(told, None))
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["audit", "--json"])
    calls = json.loads(result.stdout)
    posts = [call for call in calls if call["method"] == "POST"]
    assert [(post["path"], post["legs"], post["outcome"]) for post in posts] == [("/orders", 4, "live")]
    assert [leg["outcome"] for leg in posts[0]["orders"]] == ["live"] * 4
    assert {leg["client_order_id"] for leg in posts[0]["orders"]} == {f"o00000{number}" for number in range(1, 5)}
    assert len(json.loads(posts[0]["request"])) == len(json.loads(posts[0]["reply"])) == 4
    [cancelled] = [call for call in calls if call["method"] == "DELETE" and call["path"].startswith("/orders")]
    assert (cancelled["legs"], cancelled["outcome"]) == (4, "canceled")
    [line] = [line for line in CliRunner().invoke(app, ["audit"]).stdout.splitlines() if "POST /orders" in line]
    assert " 4 " in line
    assert all(f"o00000{number}" in line for number in range(1, 5))


def test_a_database_that_refuses_the_audit_changes_nothing_that_is_traded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_session: WriteSession, calls: Sequence[ApiCall]) -> None:
        raise StoreCorrupt(f"no room for {len(calls)} calls")

    pruned: list[int] = []

    def prune(_session: WriteSession, before_ns: int, _routine_before_ns: int) -> int:
        pruned.append(before_ns)
        return 0

    monkeypatch.setattr(WriteSession, "prune_calls", prune)
    ends = []
    for name, days in (("kept", "2"), ("refused", "0")):
        told = {"WINDOWS": "5m", "SYMBOLS": "BTC", "DATA_DIR": str(tmp_path / name), "LOG_FORMAT": "json"}
        settings = load_settings({**told, "API_AUDIT_KEEP_DAYS": days}, None)
        ends.append(run_session(settings, RunOptions(seed=SEED, markets=1, speed=None)))
        structlog.reset_defaults()
        monkeypatch.setattr(WriteSession, "write_calls", refuse)
    assert ends[0] == ends[1]
    [before_ns] = pruned  # at the start of the first run; the second keeps all
    start_ns = planned_start_ns(BuiltInConfig(seed=SEED, symbols=("BTC",), windows=("5m",), speed=None))
    assert 0 <= before_ns - (start_ns - 2 * 86_400 * NS_PER_S) < 60 * NS_PER_S
    assert ends[0].facts > 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    dropped = [line for line in lines if line["event"] == "audit.dropped"]
    assert len(dropped) == 1
    assert "no room for" in dropped[0]["error"]
