"""Which contract an order is signed for."""

from __future__ import annotations

import pytest

from polystra.adapters.polymarket.signing.contracts import exchange_contracts
from polystra.domain.errors import ConfigError

STANDARD = "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2"
NEGATIVE_RISK = "9b858f53327b0bd13af8ec14cfb35234fb9eb7b0504d1a4e61f433840d30e81a"
POSITION_IDS = "466c63910185bbd55e8679264200c4e0abdcbb0c6264eb3d41d13326022e095b"


@pytest.mark.parametrize(
    ("version", "negative_risk", "domain_version", "separator"),
    [
        ("v1", False, "2", STANDARD),
        ("v1", True, "2", NEGATIVE_RISK),
        ("v2", False, "3", POSITION_IDS),
        ("v2", True, "3", POSITION_IDS),
    ],
)
def test_market_version_and_risk_choose_the_contract(version, negative_risk, domain_version, separator):
    contract = exchange_contracts(137).for_market(version, negative_risk=negative_risk)
    assert contract.domain_version == domain_version
    assert contract.domain_separator.hex() == separator


@pytest.mark.parametrize(
    ("version", "negative_risk", "separator"),
    [
        ("v1", False, "a440cbd865bc0c6243d7a8df9a8bf48a8827b0a4abbb61c30e96d305423af148"),
        ("v1", True, "1468e39841f0a0e05d3762b235cb7acecabf8cd7b6d3a672965a5d415bf9378e"),
        ("v2", False, "df8b5fd204134b8d562677d7fc9346884e8f02ef2fd43358239393723e8833e6"),
    ],
)
def test_the_test_network_has_its_own_domains(version, negative_risk, separator):
    contract = exchange_contracts(80_002).for_market(version, negative_risk=negative_risk)
    assert contract.domain_separator.hex() == separator


@pytest.mark.parametrize("version", ["", "v3", "V1", "2"])
def test_unknown_market_version_is_refused(version):
    with pytest.raises(ValueError, match=r"version is .*expected one of v1, v2"):
        exchange_contracts(137).for_market(version, negative_risk=False)


def test_unknown_chain_is_refused():
    with pytest.raises(ConfigError, match="POLY_CHAIN_ID is 1, expected 137"):
        exchange_contracts(1)
