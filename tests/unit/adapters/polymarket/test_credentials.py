from __future__ import annotations

import random
from collections.abc import Iterator

import httpx
import pytest
from aiohttp import web
from py_clob_client.http_helpers import helpers

from polystra.adapters.polymarket.credentials import derive_credentials
from polystra.domain.errors import AuthFailed, ConfigError, VenueProtocolError, VenueUnreachable
from polystra.exchange.core import ExchangeCore
from polystra.exchange.rest import routes
from tests.fakes.threaded_server import WallClock, serving

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"


@pytest.fixture(autouse=True)
def connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library keeps one client for ever; a test leaves no socket behind."""
    with httpx.Client() as client:
        monkeypatch.setattr(helpers, "_http_client", client)
        yield


async def test_the_same_key_gives_the_same_credentials() -> None:
    core = ExchangeCore(rng=random.Random(1))
    with serving(list(routes(core, WallClock()))) as url:
        first = await derive_credentials(KEY, base_url=url, chain_id=137)
        assert await derive_credentials(KEY, base_url=url + "/", chain_id=137) == first
    key = core.keys.derive(ADDRESS, 0)
    assert key is not None
    assert (first.api_key, first.secret, first.passphrase) == (key.key, key.secret, key.passphrase)


@pytest.mark.parametrize("key", ["", "hello", KEY + "00", "0x" + "0" * 64, "0x" + "f" * 64])
async def test_a_wrong_key_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await derive_credentials(key, base_url="http://127.0.0.1:9", chain_id=137)
    assert "POLY_PRIVATE_KEY" in str(caught.value)
    assert not key or key not in str(caught.value)


async def test_a_venue_that_is_not_there_is_named() -> None:
    with pytest.raises(VenueUnreachable, match=r"http://127\.0\.0\.1:9 does not answer") as caught:
        await derive_credentials(KEY, base_url="http://127.0.0.1:9", chain_id=137)
    assert KEY[2:] not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (401, '{"error":"Invalid L1 Request headers"}', AuthFailed),
        (400, '{"error":"Could not derive api key!"}', AuthFailed),
        (503, "", VenueUnreachable),
        (200, "<html>", VenueProtocolError),
        (200, '{"apiKey":"k","secret":"!","passphrase":"p"}', VenueProtocolError),
    ],
)
async def test_answers_that_hold_no_credentials(status: int, text: str, error: type[Exception]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    with serving([web.route("*", "/{path:.*}", answer)]) as url:
        with pytest.raises(error) as caught:
            await derive_credentials(KEY, base_url=url, chain_id=137)
        assert url in str(caught.value)
