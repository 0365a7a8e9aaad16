"""The private key: its address, its signature, and that nothing shows it."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from coincurve import PublicKey

from polystra.adapters.polymarket.signing import OrderSigner, SigningKey, checksum_address, parse_address
from polystra.adapters.polymarket.signing.keys import CURVE_ORDER
from polystra.domain.errors import ConfigError

from .accounts import ADDRESS, KEY, WALLET, signer

DIGITS = KEY.removeprefix("0x")
NOT_KEYS = [
    "",
    "0x",
    DIGITS[:-1],
    DIGITS + "0",
    "0x" + "g" * 64,
    "0" * 64,
    f"{CURVE_ORDER:064x}",
    "f" * 64,
    b"",
    bytes(32),
    bytes.fromhex(DIGITS)[:31],
    CURVE_ORDER.to_bytes(32, "big"),
]


@pytest.mark.parametrize("form", [KEY, DIGITS, DIGITS.upper(), f"  {KEY}\n", bytes.fromhex(DIGITS)])
def test_every_form_of_a_key_has_the_same_address(form):
    assert SigningKey(form).address == ADDRESS


@pytest.mark.parametrize("bad", NOT_KEYS)
def test_a_wrong_key_is_named_by_its_setting_and_not_shown(bad):
    with pytest.raises(ConfigError, match=r"^POLY_PRIVATE_KEY is not a private key") as caught:
        SigningKey(bad)
    text = bad if isinstance(bad, str) else bad.hex()
    if len(text) > 2:
        report = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        inside = report[report.index("/signing/keys.py") :]
        assert text not in str(caught.value)
        assert text not in inside


def test_the_largest_key_is_a_key():
    assert SigningKey((CURVE_ORDER - 1).to_bytes(32, "big")).address.startswith("0x")


def test_no_text_form_shows_the_key():
    for shown in (SigningKey(KEY), signer(), signer(3, WALLET)):
        for text in (repr(shown), str(shown), f"{shown}", ascii(shown)):
            assert DIGITS not in text.lower()
            assert ADDRESS in text


@pytest.mark.parametrize("holder", [SigningKey(KEY), signer(), signer(3, WALLET)])
def test_a_key_cannot_be_pickled_or_copied(holder):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(holder, protocol)
    with pytest.raises(TypeError):
        copy.deepcopy(holder)


def test_an_error_of_construction_holds_no_key_in_its_frames():
    with pytest.raises(ConfigError) as caught:
        OrderSigner(KEY, 3, None, 137, "owner")
    report = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert DIGITS not in report[report.index("/signing/orders.py") :]


def test_the_signature_recovers_to_the_address_with_v_27_or_28():
    key = SigningKey(KEY)
    seen = set()
    for number in range(1, 40):
        digest = number.to_bytes(32, "big")
        signature = key.sign_digest(digest)
        seen.add(signature[64])
        recovered = PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
        assert recovered.format(compressed=False) == key._key.public_key.format(compressed=False)
    assert seen == {27, 28}


@pytest.mark.parametrize(
    "address",
    [  # examples of EIP-55
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
    ],
)
def test_checksums_of_the_standard(address):
    assert checksum_address(bytes.fromhex(address[2:])) == address
    assert parse_address(address, field="X") == bytes.fromhex(address[2:])
    assert parse_address(address.lower(), field="X") == bytes.fromhex(address[2:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected an address"),
        (ADDRESS[2:], "expected an address"),
        (ADDRESS + "0", "expected an address"),
        ("0x" + "0" * 40, "zero address"),
        (ADDRESS.replace("F", "f", 1), "checksum is wrong"),
    ],
)
def test_a_wrong_address_is_refused_by_name(text, reason):
    with pytest.raises(ConfigError, match=f"^POLY_FUNDER_ADDRESS is .*{reason}"):
        parse_address(text, field="POLY_FUNDER_ADDRESS")
