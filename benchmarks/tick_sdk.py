"""The bot of `polymarket-client` for the tick benchmark, run by the interpreter of its own environment.

Its stream, its signing (with coincurve, which this environment has) and its HTTP client, all async; its market data
is looked up before the first trigger, as a bot does at its start.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from dataclasses import replace
from pathlib import Path

from eth_account import Account
from polymarket.clients.async_secure import AsyncSecureClient
from polymarket.environments import PRODUCTION, _create_environment
from polymarket.models.clob.api_key import ApiKeyCreds
from polymarket.streams import MarketBookEvent, MarketPriceChangeEvent, MarketSpec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import tick_world

KEY = "0x" + "11" * 32  # a key of nobody


async def main(port: int) -> None:
    """Be the bot."""
    host = f"127.0.0.1:{port}"
    config = replace(PRODUCTION._config, clob_url=f"http://{host}", clob_market_ws_url=f"ws://{host}/sdk/ws")
    environment = _create_environment(name="benchmark", config=config)
    creds = ApiKeyCreds(
        key="00000000-0000-0000-0000-000000000001", secret=base64.b64encode(b"s" * 32).decode(), passphrase="phrase"
    )
    client = await AsyncSecureClient._create(
        private_key=KEY,
        wallet=Account.from_key(KEY).address,
        environment=environment,
        credentials=creds,
        validate_credentials=False,
    )
    for up, _ in tick_world.TOKENS:
        await client.create_limit_order(token_id=up, price=tick_world.CHEAP, size=10, side="BUY")
    books: dict[str, dict[str, dict[str, object]]] = {}
    handle = await client.subscribe(MarketSpec(asset_ids=list(tick_world.MARKET_OF)))
    async for event in handle:
        if isinstance(event, MarketBookEvent):
            book = event.payload
            books[book.asset_id] = {
                "BUY": {str(level.price): level.size for level in book.bids},
                "SELL": {str(level.price): level.size for level in book.asks},
            }
        elif isinstance(event, MarketPriceChangeEvent):
            for change in event.payload.price_changes:
                side = books.setdefault(change.asset_id, {"BUY": {}, "SELL": {}})[change.side]
                if change.size:
                    side[str(change.price)] = change.size
                else:
                    side.pop(str(change.price), None)
            first = event.payload.price_changes[0]
            if first.side == "SELL" and first.size:
                order = await client.create_limit_order(
                    token_id=first.asset_id, price=tick_world.CHEAP, size=10, side="BUY"
                )
                await client.post_order(order)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
