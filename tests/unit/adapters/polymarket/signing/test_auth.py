"""Headers of both levels: the venue's golden facts, and that no secret is shown."""

from __future__ import annotations

import pytest

from polystra.adapters.polymarket.signing import L2Credentials, SigningKey, l1_headers, l2_headers
from polystra.adapters.polymarket.signing.auth import l1_digest, l2_signature
from polystra.domain.errors import ConfigError

from .accounts import ADDRESS, KEY

SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CREDENTIALS = L2Credentials("key-id", SECRET, "pass-phrase")
NOW_S = 1_700_000_000


def test_golden_l1():
    key = SigningKey(KEY)
    assert l1_digest(key.address_bytes, chain_id=137, timestamp_s=NOW_S).hex() == (
        "c85352894b3c41f3ea6152479d64b9233fbaf2de87eabc7e4bba3a161fd28493"
    )
    assert l1_headers(key, chain_id=137, timestamp_s=NOW_S) == {
        "POLY_ADDRESS": ADDRESS,
        "POLY_SIGNATURE": "0x659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
        "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c",
        "POLY_TIMESTAMP": "1700000000",
        "POLY_NONCE": "0",
    }


@pytest.mark.parametrize("nonce", [-1, 1 << 256])
def test_l1_nonce_is_unsigned(nonce):
    with pytest.raises(ValueError, match="nonce is"):
        l1_headers(SigningKey(KEY), chain_id=137, timestamp_s=NOW_S, nonce=nonce)


@pytest.mark.parametrize(
    ("method", "path", "body", "signature"),
    [
        ("GET", "/data/orders", b"", "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="),
        ("get", "/data/orders?market=0xabc&next_cursor=MA==", b"", "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="),
        ("DELETE", "/order", b'{"orderID":"0xabc"}', "R6Zjd0XmcT575-SA5KWD9BUc-qkFqvudAxkHd3R1vpw="),
    ],
)
def test_golden_l2(method, path, body, signature):
    assert l2_headers(CREDENTIALS, ADDRESS, method, path, body, NOW_S) == {
        "POLY_ADDRESS": ADDRESS,
        "POLY_API_KEY": "key-id",
        "POLY_PASSPHRASE": "pass-phrase",
        "POLY_SIGNATURE": signature,
        "POLY_TIMESTAMP": "1700000000",
    }


def test_the_hmac_is_over_bytes_as_they_are():
    """Quotes, non-ASCII text and invalid UTF-8 are signed untouched (the official clients replace quotes)."""
    key = CREDENTIALS.hmac_key
    bodies = [b'{"a":"it\'s"}', b'{"a":"it\\"s"}', '{"a":"ö"}'.encode(), b"\xff\xfe", b"{}", b""]
    assert len({l2_signature(key, NOW_S, "POST", "/order", body) for body in bodies}) == len(bodies)


@pytest.mark.parametrize("secret", [SECRET, SECRET.rstrip("=")])
def test_padding_of_the_secret_does_not_matter(secret):
    assert L2Credentials("k", secret, "p").hmac_key == bytes(range(32))


@pytest.mark.parametrize(("secret", "key"), [("AA", b"\0"), ("AA==", b"\0"), ("AAE", b"\0\1"), ("AAEC", b"\0\1\2")])
def test_every_length_of_secret_is_padded(secret, key):
    assert L2Credentials("k", secret, "p").hmac_key == key


def test_both_base64_alphabets_are_read():
    assert L2Credentials("k", "-_-_", "p").hmac_key == L2Credentials("k", "+/+/", "p").hmac_key == b"\xfb\xff\xbf"


def test_credentials_show_only_the_api_key():
    for text in (repr(CREDENTIALS), str(CREDENTIALS)):
        assert "key-id" in text
        assert SECRET not in text
        assert "pass-phrase" not in text
        assert repr(CREDENTIALS.hmac_key) not in text


@pytest.mark.parametrize(
    ("api_key", "secret", "passphrase", "setting"),
    [
        ("", SECRET, "p", "POLY_API_KEY"),
        ("a\r\nX: y", SECRET, "p", "POLY_API_KEY"),
        ("k", "", "p", "POLY_API_SECRET"),
        ("k", "not base64!", "p", "POLY_API_SECRET"),
        ("k", "AAAAA", "p", "POLY_API_SECRET"),
        ("k", SECRET, "", "POLY_API_PASSPHRASE"),
        ("k", SECRET, "pässword", "POLY_API_PASSPHRASE"),
    ],
)
def test_malformed_credentials_are_named_and_not_shown(api_key, secret, passphrase, setting):
    with pytest.raises(ConfigError, match=f"^{setting} ") as caught:
        L2Credentials(api_key, secret, passphrase)
    for value in (api_key, secret, passphrase):
        assert len(value) < 2 or value not in str(caught.value)
