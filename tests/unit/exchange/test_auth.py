"""API keys and request proofs."""

import pytest

from polystra.exchange.auth import BAD_LOGIN, ApiKey, KeyRing, check_login, check_request_proof, sign_request

ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
NOW_S = 1_700_000_000
NOW = NOW_S * 1_000_000_000
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
LOGIN = {
    "POLY_ADDRESS": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "POLY_SIGNATURE": "0x659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
    "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c",
    "POLY_TIMESTAMP": "1700000000",
    "POLY_NONCE": "0",
}


@pytest.fixture
def ring() -> KeyRing:
    ring = KeyRing(b"salt")
    ring.add(ApiKey(ADDRESS, 0, "key-id", SECRET, "pass"))
    return ring


def proof(
    ring: KeyRing,
    *,
    method: str = "DELETE",
    path: str = "/order",
    body: bytes = b'{"orderID":"0xabc"}',
    now_s: int = NOW_S,
    **headers: str,
) -> ApiKey | None:
    given = {
        "POLY_ADDRESS": ADDRESS,
        "POLY_API_KEY": "key-id",
        "POLY_PASSPHRASE": "pass",
        "POLY_SIGNATURE": "R6Zjd0XmcT575-SA5KWD9BUc-qkFqvudAxkHd3R1vpw=",
        "POLY_TIMESTAMP": "1700000000",
    }
    return check_request_proof(
        ring,
        {**given, **headers},
        method=method,
        path=path,
        body=body,
        now_ns=now_s * 1_000_000_000,
        tolerance_s=30,
    )


def test_published_request_signatures(ring: KeyRing) -> None:
    assert sign_request(SECRET, b"1700000000GET/data/orders") == "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="
    assert proof(ring) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"path": "/orders"},
        {"body": b'{"orderID": "0xabc"}'},
        {"body": b""},
        {"POLY_API_KEY": "other"},
        {"POLY_PASSPHRASE": "other"},
        {"POLY_ADDRESS": "0x" + "00" * 20},
        {"POLY_TIMESTAMP": "1700000001"},
        {"POLY_TIMESTAMP": "soon"},
        {"POLY_SIGNATURE": ""},
        {"now_s": NOW_S + 31},
        {"now_s": NOW_S - 31},
    ],
)
def test_any_deviation_is_unauthorized(ring: KeyRing, change: dict[str, object]) -> None:
    assert proof(ring, **change) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("now_s", [NOW_S - 30, NOW_S + 30])
def test_clock_tolerance(ring: KeyRing, now_s: int) -> None:
    assert proof(ring, now_s=now_s) is not None


def test_published_login_is_accepted() -> None:
    assert check_login(LOGIN, now_ns=NOW, tolerance_s=30) == (ADDRESS, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"POLY_NONCE": "1"},
        {"POLY_NONCE": "-1"},
        {"POLY_TIMESTAMP": "1700000031"},
        {"POLY_ADDRESS": "0x" + "11" * 20},
        {"POLY_ADDRESS": "nonsense"},
        {"POLY_SIGNATURE": "0x12"},
        {"POLY_SIGNATURE": "zz"},
    ],
)
def test_other_logins_are_refused(change: dict[str, str]) -> None:
    assert check_login({**LOGIN, **change}, now_ns=NOW, tolerance_s=30) == BAD_LOGIN


def test_keys_are_deterministic_until_deleted() -> None:
    first, twin, other = KeyRing(b"salt"), KeyRing(b"salt"), KeyRing(b"pepper")
    key = first.create(ADDRESS, 0)
    assert key is not None
    assert twin.create(ADDRESS, 0) == key
    assert other.create(ADDRESS, 0) != key
    assert first.create(ADDRESS, 0) is None
    assert first.derive(ADDRESS, 0) == key
    second = first.create(ADDRESS, 1)
    assert first.of_address(ADDRESS) == [key, second]
    first.delete(key)
    assert first.derive(ADDRESS, 0) is None
    assert first.create(ADDRESS, 0) != key


def test_websocket_credentials_must_match_in_all_parts(ring: KeyRing) -> None:
    assert ring.matches("key-id", SECRET, "pass") is not None
    assert ring.matches("key-id", SECRET, "other") is None
    assert ring.matches("key-id", "other", "pass") is None
    assert ring.matches("other", SECRET, "pass") is None


def test_a_key_hides_its_secret_when_shown(ring: KeyRing) -> None:
    shown = repr(ring.get("key-id"))
    assert SECRET not in shown
    assert "pass" not in shown
