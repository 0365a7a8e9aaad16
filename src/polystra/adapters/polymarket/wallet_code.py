"""Whether a wallet is a contract that is deployed on the chain, by one question to a node.

What lives here: `eth_getCode` (Ethereum JSON-RPC). What must not: transactions, keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

import msgspec

from polystra.adapters.polymarket.transport import OK, HttpTransport, SessionFactory, default_session, json_object
from polystra.adapters.polymarket.wire import text
from polystra.domain.errors import VenueError, VenueProtocolError, VenueUnreachable
from polystra.ports.clock import Clock

_NO_CODE: Final = ("", "0x", "0x0")


def _no_headers(_method: str, _path: str, _body: bytes) -> Mapping[str, str]:
    return {}


async def is_deployed(
    rpc_url: str, address: str, *, clock: Clock, rng: Random, session: SessionFactory = default_session
) -> bool:
    """True when the chain holds code at `address`.

    Raises:
        VenueUnreachable: the node does not answer; the text names RPC_URL and never shows it.
        VenueProtocolError: the node answered without the code.
    """
    transport = HttpTransport(base_url=rpc_url, clock=clock, rng=rng, session=session)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getCode", "params": [address, "latest"]}
    try:
        reply = await transport.write("POST", "", msgspec.json.encode(asked), _no_headers)
    except VenueError as error:
        raise VenueUnreachable(f"the node of RPC_URL does not answer ({type(error).__name__})") from None
    finally:
        await transport.close()
    if reply.status != OK:
        raise VenueUnreachable(f"the node of RPC_URL answered with HTTP {reply.status}")
    body = json_object(reply, "answer of RPC_URL")
    if "result" not in body:
        raise VenueProtocolError("the node of RPC_URL answered without a result")
    return text(body, "result") not in _NO_CODE
