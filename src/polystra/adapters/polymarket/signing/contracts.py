"""The exchange contracts that an order may be signed for, and which one a market needs.

What lives here: addresses by chain, their precomputed domain separators, the choice between
them. What must not: anything about accounts or orders.

Addresses: Polymarket docs (resources/contracts) and the configuration of the official clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from polystra.adapters.polymarket.signing.typed_data import exchange_domain_separator
from polystra.domain.errors import ConfigError

POLYGON: Final = 137
AMOY: Final = 80_002
MARKET_VERSIONS: Final = ("v1", "v2")


@dataclass(frozen=True, slots=True)
class ExchangeContract:
    """One verifying contract. `address` has the EIP-55 checksum."""

    address: str
    domain_version: str
    domain_separator: bytes


@dataclass(frozen=True, slots=True)
class ExchangeContracts:
    """The three exchanges of one chain."""

    standard: ExchangeContract
    negative_risk: ExchangeContract
    position_ids: ExchangeContract

    def for_market(self, version: str, *, negative_risk: bool) -> ExchangeContract:
        """Return the exchange of a market by the venue's market version and negative-risk flag.

        Version "v2" (position ids) always means Exchange V3 (Polymarket docs, migration to Protocol V2).

        Raises:
            ValueError: the version is unknown.
        """
        if version == "v1":
            return self.negative_risk if negative_risk else self.standard
        if version == "v2":
            return self.position_ids
        raise ValueError(f"version is {version!r}, expected one of {', '.join(MARKET_VERSIONS)}: skip this market")


def _contracts(chain_id: int, standard: str, negative_risk: str, position_ids: str) -> ExchangeContracts:
    def contract(address: str, version: str) -> ExchangeContract:
        return ExchangeContract(
            address, version, exchange_domain_separator(version, chain_id, bytes.fromhex(address.removeprefix("0x")))
        )

    return ExchangeContracts(contract(standard, "2"), contract(negative_risk, "2"), contract(position_ids, "3"))


CONTRACTS: Final = MappingProxyType(
    {
        POLYGON: _contracts(
            POLYGON,
            standard="0xE111180000d2663C0091e4f400237545B87B996B",
            negative_risk="0xe2222d279d744050d28e00520010520000310F59",
            position_ids="0xe3333700cA9d93003F00f0F71f8515005F6c00Aa",
        ),
        AMOY: _contracts(
            AMOY,
            standard="0xE111180000d2663C0091e4f400237545B87B996B",
            negative_risk="0xe2222d279d744050d28e00520010520000310F59",
            position_ids="0x9fE6e61422AdB6F610d8597F9684b16912D50C3D",
        ),
    }
)
"""Exchanges by chain id."""


def exchange_contracts(chain_id: int) -> ExchangeContracts:
    """Return the exchanges of a chain; raises ConfigError when the venue has none there."""
    found = CONTRACTS.get(chain_id)
    if found is None:
        raise ConfigError(f"POLY_CHAIN_ID is {chain_id}, expected {POLYGON} (Polygon) or {AMOY} (Amoy test network)")
    return found
