"""Paper and live are one wiring: only where orders go, and who tells of them, differs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from random import Random

import pytest
import structlog

from polystra.adapters.paper.streams import OverheardDiscovery, OverheardSigner, OverheardStream
from polystra.adapters.paper.venue import PaperTradingVenue
from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.rtds_stream import RtdsStream
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app import wiring
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Endpoints, Run, Side, Wallet, parts_of
from polystra.domain.errors import ConfigError
from polystra.runtime.daemon import Parts
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

KEY = SigningKey("11" * 32)
URLS = Endpoints(
    clob_url="http://127.0.0.1:1",
    gamma_url="http://127.0.0.1:1",
    data_api_url="http://127.0.0.1:1",
    market_ws_url="ws://127.0.0.1:1",
    user_ws_url="ws://127.0.0.1:1",
    price_ws_url="ws://127.0.0.1:1",
    rtds_url="ws://127.0.0.1:1",
    spot_ws_url="ws://127.0.0.1:1",
)
LIVE = {"MODE": "live", "POLY_PRIVATE_KEY": "11" * 32, "LIVE_ARMED": KEY.address, "REQUIRE_CALIBRATION": "NO"}
DIFFERING = {"venue", "signer", "holdings", "market_stream", "discovery", "streams", "controls"}


def run_of(values: dict[str, str], folder: Path) -> Run:
    settings = load_settings({**values, "DATA_DIR": str(folder), "MAX_EXPOSURE_DOLLARS": "500"}, None)
    credentials = L2Credentials("key", "c2VjcmV0", "passphrase")
    wallet = Wallet(key=KEY, credentials=credentials, signature_type=0, funder=None)
    return Run(
        settings=settings,
        symbols=settings.symbols,
        endpoints=URLS,
        wallet=wallet if settings.mode.value == "live" else None,
        clock=ManualClock(),
        log=structlog.get_logger(),
        chance=Random(1),
    )


async def side_of(run: Run) -> Side:
    gamma = GammaDiscovery(base_url=URLS.gamma_url, clock=run.clock, rng=Random(2))
    if run.wallet is not None:
        return wiring._live_side(run, run.wallet, gamma, wiring._audit(run, MemoryStore()))  # type: ignore[arg-type]
    return await wiring._paper_side(run, gamma, MemoryStore())


async def parts(values: dict[str, str], folder: Path) -> Parts:
    run = run_of(values, folder)
    return parts_of(run, MemoryStore(), await side_of(run))


async def test_the_two_modes_differ_in_venue_and_account_streams_alone(tmp_path: Path):
    live, paper = await parts(LIVE, tmp_path), await parts({"MODE": "paper"}, tmp_path)
    for field in fields(Parts):
        one, other = getattr(live, field.name), getattr(paper, field.name)
        if field.name in {"clock", "store", "log"}:
            assert type(one) is type(other)
        elif field.name not in DIFFERING:
            assert one == other, field.name
    assert live.config.risk == paper.config.risk
    assert live.config.risk.max_exposure == 50_000_000
    assert list(live.streams) == list(paper.streams)
    assert type(live.streams["spot"]) is type(paper.streams["spot"])
    assert isinstance(paper.venue, PaperTradingVenue)
    assert {id(paper.streams["user"]), id(paper.holdings)} == {id(paper.venue)}
    assert isinstance(paper.market_stream, OverheardStream)
    assert isinstance(paper.discovery, OverheardDiscovery)
    assert isinstance(paper.signer, OverheardSigner)


async def test_paper_needs_no_credentials_and_uses_those_of_the_price_socket(tmp_path: Path):
    assert isinstance((await parts({"MODE": "paper"}, tmp_path)).streams["price"], RtdsStream)
    known = {"POLY_API_KEY": "key", "POLY_API_SECRET": "c2VjcmV0", "POLY_API_PASSPHRASE": "pass"}
    live = await parts(LIVE, tmp_path)
    assert type((await parts({"MODE": "paper", **known}, tmp_path)).streams["price"]) is type(live.streams["price"])


def paper(**values: str) -> Settings:
    return load_settings({"MODE": "paper", **values}, None)


def test_paper_listens_to_the_venue_unless_another_server_is_named():
    assert paper().url("gamma_url") == "https://gamma-api.polymarket.com"
    assert paper(CLOB_URL="https://clob.polymarket.com").listens_to_venue
    elsewhere = paper(CLOB_URL="http://127.0.0.1:8700")
    assert (elsewhere.listens_to_venue, elsewhere.url("gamma_url")) == (False, "")
    assert paper().resolved_database_url.get_secret_value() == "sqlite:///data/polystra-paper.db"
    with pytest.raises(ConfigError, match="PAPER_BALANCE_DOLLARS"):
        paper(PAPER_BALANCE_DOLLARS="0")
    with pytest.raises(ConfigError, match="MODE=paper or MODE=live"):
        load_settings({"CLOB_URL": "https://clob.polymarket.com"}, None)
