"""The keystore: secrets in one encrypted file.

What lives here: the format, its encryption and the writing of the file. What must not: which secrets there
are, where the passphrase comes from, the names of settings in general.

The file has two lines. The first is a JSON object in clear: format, cost of scrypt, salt, nonce and the names
that are held. The second is base64 of what AES-256-GCM made of the values (a JSON object) and its tag. The
first line's very bytes are the associated data, so that no change of either line goes unnoticed. Each writing
takes a new salt and a new nonce; the key is scrypt's of the passphrase (RFC 7914), so that a nonce can never
meet the same key twice.

A file of an older format or a lower cost is written anew when it is opened with its passphrase.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from Crypto.Cipher import AES

from polystra.domain.errors import ConfigError

FORMAT: Final = 1
_OLDEST_FORMAT: Final = 1
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_LARGEST_FILE: Final = 65_536
_MARK: Final = "polystra keystore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a guess costs: scrypt's n (a power of two), r and p; memory is 128 * n * r bytes."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1

    @property
    def work(self) -> int:
        """Comparable between costs."""
        return self.n * self.r * self.p


COST: Final = Cost()
"""128 MiB and a third of a second or so per guess."""
_MOST: Final = Cost(n=1 << 20, r=16, p=16)
"""A file that asks for more is not ours: opening it would exhaust the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a keystore tells without its passphrase."""

    format: int
    cost: Cost
    names: tuple[str, ...]
    salt: bytes
    nonce: bytes

    @property
    def is_current(self) -> bool:
        """True when it is as a new one would be."""
        return self.format == FORMAT and self.cost.work >= COST.work


def read_header(path: Path) -> Header:
    """Return what the keystore tells without its passphrase.

    Raises:
        ConfigError: there is none, it cannot be read, or it is none of ours.
    """
    return _split(path)[0]


def open_keystore(path: Path, passphrase: str, chance: Random) -> dict[str, str]:
    """Return the secrets by their names; an old file is written anew where that is possible.

    Raises:
        ConfigError: there is none, it cannot be read, the passphrase is another, or the file was changed.
    """
    header, told, sealed = _split(path)
    cipher = AES.new(_key(passphrase, header), AES.MODE_GCM, nonce=header.nonce, mac_len=_TAG_BYTES)
    cipher.update(told)
    try:
        plain = cipher.decrypt_and_verify(sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    except ValueError:
        raise ConfigError(
            f"the keystore {path} does not open: the passphrase is another one, or the file was changed"
        ) from None
    values: dict[str, str] = {str(name): str(value) for name, value in json.loads(plain).items()}
    if not header.is_current:
        with suppress(ConfigError):  # a keystore on a read-only disk is opened all the same
            write_keystore(path, passphrase, values, chance)
    return values


def write_keystore(
    path: Path, passphrase: str, values: Mapping[str, str], chance: Random, *, cost: Cost = COST
) -> None:
    """Put the secrets into the file, whole or not at all, readable and writable for its owner only.

    Raises:
        ConfigError: the file cannot be written.
    """
    header = Header(
        format=FORMAT,
        cost=cost,
        names=tuple(sorted(values)),
        salt=chance.randbytes(_SALT_BYTES),
        nonce=chance.randbytes(_NONCE_BYTES),
    )
    told = json.dumps(
        {
            "what": _MARK,
            "format": header.format,
            "kdf": {"name": "scrypt", "n": cost.n, "r": cost.r, "p": cost.p, "salt": _text(header.salt)},
            "cipher": {"name": "aes-256-gcm", "nonce": _text(header.nonce)},
            "names": list(header.names),
        }
    ).encode()
    cipher = AES.new(_key(passphrase, header), AES.MODE_GCM, nonce=header.nonce, mac_len=_TAG_BYTES)
    cipher.update(told)
    sealed, tag = cipher.encrypt_and_digest(json.dumps(dict(values)).encode())
    _replace(path, told + b"\n" + base64.b64encode(sealed + tag) + b"\n")


# --- inside ---------------------------------------------------------------------------


def _key(passphrase: str, header: Header) -> bytes:
    cost = header.cost
    try:
        secret = unicodedata.normalize("NFC", passphrase).encode()
    except UnicodeEncodeError:
        raise ConfigError("the passphrase is no text that can be written as UTF-8: give it another way") from None
    return hashlib.scrypt(
        secret,
        salt=header.salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=128 * cost.r * (cost.n + cost.p + 2) + (1 << 20),
        dklen=_KEY_BYTES,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _split(path: Path) -> tuple[Header, bytes, bytes]:
    """Read a file: its header, the header's bytes, and what is sealed."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE)
    except FileNotFoundError:
        raise ConfigError(f"KEYSTORE_FILE: {path} does not exist; make it with polystra secrets init") from None
    except OSError as error:
        raise ConfigError(f"KEYSTORE_FILE: {path} cannot be read ({error.strerror}); check its permissions") from error
    told, _, rest = content.partition(b"\n")
    try:
        words = json.loads(told)
        if int(words["format"]) > FORMAT:
            raise ConfigError(f"KEYSTORE_FILE: {path} was written by a newer version of polystra; use that one")
        header = _header(words)
        sealed = base64.b64decode(rest.strip(), validate=True)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise ConfigError(f"KEYSTORE_FILE: {path} is no keystore, or it is damaged; restore it from a copy") from error
    if len(sealed) <= _TAG_BYTES:
        raise ConfigError(f"KEYSTORE_FILE: {path} is damaged: it holds nothing; restore it from a copy")
    return header, told, sealed


def _header(told: dict[str, Any]) -> Header:
    """Read the first line; raises ValueError, KeyError or TypeError for what is none of ours."""
    kdf, cipher = told["kdf"], told["cipher"]
    cost = Cost(n=int(kdf["n"]), r=int(kdf["r"]), p=int(kdf["p"]))
    is_ours = (told["what"], kdf["name"], cipher["name"]) == (_MARK, "scrypt", "aes-256-gcm")
    is_power = cost.n > 1 and cost.n & (cost.n - 1) == 0
    if not is_ours or not is_power or not 0 < cost.r <= _MOST.r or not 0 < cost.p <= _MOST.p or cost.n > _MOST.n:
        raise ValueError("another kind of file")
    header = Header(
        format=int(told["format"]),
        cost=cost,
        names=tuple(str(name) for name in told["names"]),
        salt=base64.b64decode(kdf["salt"], validate=True),
        nonce=base64.b64decode(cipher["nonce"], validate=True),
    )
    if header.format < _OLDEST_FORMAT or len(header.salt) != _SALT_BYTES or len(header.nonce) != _NONCE_BYTES:
        raise ValueError("another kind of file")
    return header


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(
            f"KEYSTORE_FILE: {path} cannot be written ({error.strerror}); check the folder's permissions"
        ) from error
