"""The keystore's file: opens with its passphrase only, tells of every change, is renewed when it is old."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from random import Random

import pytest

from polystra.adapters import keystore
from polystra.adapters.keystore import Cost, open_keystore, read_header, write_keystore
from polystra.domain.errors import ConfigError

PASSPHRASE = "correct horse battery"
SECRET = "0x" + "ab12" * 16
CHEAP = Cost(n=1 << 10)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "COST", CHEAP)


def made(tmp_path: Path, values: dict[str, str] | None = None, cost: Cost = CHEAP) -> Path:
    path = tmp_path / "keystore"
    write_keystore(path, PASSPHRASE, values or {"POLY_PRIVATE_KEY": SECRET}, Random(1), cost=cost)
    return path


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    path = made(tmp_path, {"POLY_PRIVATE_KEY": SECRET, "RPC_URL": "https://node/\u00fc"})
    assert open_keystore(path, PASSPHRASE, Random(2)) == {"POLY_PRIVATE_KEY": SECRET, "RPC_URL": "https://node/\u00fc"}


def test_the_file_shows_names_and_no_value(tmp_path: Path) -> None:
    path = made(tmp_path)
    content = path.read_text()
    assert read_header(path).names == ("POLY_PRIVATE_KEY",)
    for form in (SECRET, SECRET[2:], base64.b64encode(SECRET.encode()).decode(), PASSPHRASE):
        assert form not in content


def test_only_its_owner_may_read_it_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["keystore"]


def test_a_wrong_passphrase_is_one_line_that_shows_neither(tmp_path: Path) -> None:
    path = made(tmp_path)
    with pytest.raises(ConfigError) as caught:
        open_keystore(path, "wrong horse battery", Random(2))
    words = str(caught.value)
    assert "the passphrase is another one" in words
    assert "horse" not in words
    assert caught.value.__suppress_context__


def test_a_change_of_any_byte_is_noticed(tmp_path: Path) -> None:
    path = made(tmp_path)
    content = path.read_bytes()
    accepted = []
    for at in range(0, len(content) - 1, 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            open_keystore(path, PASSPHRASE, Random(2))
        except ConfigError:
            continue
        accepted.append(at)
    assert accepted == []


def test_the_names_in_clear_belong_to_what_is_sealed(tmp_path: Path) -> None:
    path = made(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"POLY_PRIVATE_KEY", b"POLY_API_SECRET"))
    with pytest.raises(ConfigError, match="does not open"):
        open_keystore(path, PASSPHRASE, Random(2))


def test_two_writings_share_neither_salt_nor_nonce(tmp_path: Path) -> None:
    path = tmp_path / "keystore"
    chance = Random(3)
    seen = set()
    for _ in range(3):
        write_keystore(path, PASSPHRASE, {"A": "b"}, chance, cost=CHEAP)
        header = read_header(path)
        seen |= {header.salt, header.nonce}
    assert len(seen) == 6


def test_a_cheap_file_is_renewed_by_its_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path)
    monkeypatch.setattr(keystore, "COST", Cost(n=1 << 11))
    assert not read_header(path).is_current
    assert open_keystore(path, PASSPHRASE, Random(2)) == {"POLY_PRIVATE_KEY": SECRET}
    assert read_header(path).is_current
    assert open_keystore(path, PASSPHRASE, Random(2)) == {"POLY_PRIVATE_KEY": SECRET}


def test_an_old_file_that_cannot_be_renewed_opens_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(keystore, "COST", Cost(n=1 << 11))

    def refused(*_: object) -> None:
        raise ConfigError("read-only")

    monkeypatch.setattr(keystore, "_replace", refused)
    assert open_keystore(path, PASSPHRASE, Random(2)) == {"POLY_PRIVATE_KEY": SECRET}
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "newer version"),
        ({"format": 0}, "no keystore"),
        ({"what": "another"}, "no keystore"),
        ({"kdf": {"name": "scrypt", "n": 1 << 30, "r": 8, "p": 1, "salt": "AAAA"}}, "no keystore"),
        ({"names": 3}, "no keystore"),
    ],
)
def test_what_is_no_keystore_of_ours_is_refused_before_any_work(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    path = made(tmp_path)
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(json.dumps(json.loads(first) | change).encode() + b"\n" + rest)
    with pytest.raises(ConfigError, match=words):
        open_keystore(path, PASSPHRASE, Random(2))


@pytest.mark.parametrize(
    "content", [b"", b"text\n", b"[]\n", b"{}", b"\xff\xfe\n", b'{"format": 1e999}\n', b"[" * 60_000]
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keystore"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is no keystore"):
        read_header(path)


def test_a_missing_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="polystra secrets init"):
        read_header(tmp_path / "none")


def test_a_passphrase_is_the_same_however_its_letters_are_composed(tmp_path: Path) -> None:
    path = tmp_path / "keystore"
    write_keystore(path, "caf\u00e9 on the corner", {"A": "b"}, Random(1), cost=CHEAP)
    assert open_keystore(path, "cafe\u0301 on the corner", Random(2)) == {"A": "b"}
