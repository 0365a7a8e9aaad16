"""API credentials from the private key, by the venue's own client library.

What lives here: one call of py-clob-client, once per start, in a thread. What must not: orders
(that library signs a version that the venue no longer takes). It is imported inside the
function because it costs half a second and is not needed when credentials are set.

The same key always gives the same credentials (Polymarket CLOB docs, API keys).
"""

from __future__ import annotations

import asyncio
from typing import Final

from polystra.adapters.polymarket.errors import shown
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.domain.errors import AuthFailed, ConfigError, VenueProtocolError, VenueUnreachable

_CLIENT_ERRORS: Final = (400, 401, 403)


async def derive_credentials(private_key: str, *, base_url: str, chain_id: int) -> L2Credentials:
    """Create or derive the API credentials of `private_key`.

    Raises:
        ConfigError: the key is not a private key; the text does not show it.
        VenueUnreachable: the venue does not answer or is in trouble; names the URL.
        AuthFailed: the venue refuses the key.
        VenueProtocolError: the answer holds no credentials.
    """
    SigningKey(private_key)
    loop = asyncio.get_running_loop()
    parts = await loop.run_in_executor(None, _derive, private_key, base_url, chain_id)
    try:
        return L2Credentials(*parts)
    except ConfigError as error:
        raise VenueProtocolError(f"{base_url} answered with API credentials that cannot be used") from error


def _derive(private_key: str, base_url: str, chain_id: int) -> tuple[str, str, str]:
    """Ask in this thread; no exception that leaves holds the key in its text."""
    from py_clob_client.client import ClobClient  # noqa: PLC0415 - slow, and seldom needed
    from py_clob_client.exceptions import PolyApiException  # noqa: PLC0415

    try:
        found = ClobClient(base_url, chain_id=chain_id, key=private_key).create_or_derive_api_creds()
    except PolyApiException as error:
        status = error.status_code
        if status in _CLIENT_ERRORS:
            raise AuthFailed(
                f"{base_url} refuses API credentials for this key with HTTP {status} ({shown(str(error.error_msg))}); "
                "check POLY_PRIVATE_KEY and the computer's clock"
            ) from None
        said = "does not answer" if status is None else f"answered with HTTP {status}"
        raise VenueUnreachable(
            f"no API credentials: {base_url} {said}; check the URL and the network, then start again"
        ) from None
    except (TypeError, ValueError, KeyError) as error:
        raise VenueProtocolError(
            f"{base_url} gave no readable API credentials ({error.__class__.__name__}); check the URL"
        ) from None
    if found is None or not all(
        isinstance(part, str) for part in (found.api_key, found.api_secret, found.api_passphrase)
    ):
        raise VenueProtocolError(f"{base_url} answered without API credentials; check the URL")
    return found.api_key, found.api_secret, found.api_passphrase
