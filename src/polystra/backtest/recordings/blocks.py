"""A file of blocks: append-only, each block whole or not there at all.

What lives here: the bytes of a recording file, written and read. What must not: what the rows mean (`rows`),
when a block or a file is full (`writer`).

    8 bytes   magic and version
    head      u32 length, msgpack map, u32 CRC-32 of the map
    block     28-byte frame, zstd content;   frame: "PRBK", u32 stored length, u32 rows, i64 first ns, i64 last ns
              u32 CRC-32 of frame and content follows the content

A block is written by one call and made durable before the next. A process that dies in the middle leaves
a torn last block: a reader drops it and says how many bytes it was. A damaged block in the middle is passed over
by looking for the next whole one, and said too. Nothing is ever written into a file that was closed.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec
import zstandard

from polystra.domain.errors import RecordingError
from polystra.domain.units import Nanos
from polystra.engine.config import EngineConfig

MAGIC: Final = b"POLYREC\x01"
_FRAME: Final = struct.Struct("<4sIIqq")
_U32: Final = struct.Struct("<I")
_BLOCK: Final = b"PRBK"
_LEVEL: Final = 3
_MOST_CONTENT: Final = 256 * 1024 * 1024
"""No block is larger once unpacked: a damaged length must not take all memory."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself. `origin`: "record" (streams only) or "session" (every input of a daemon)."""

    origin: str
    mode: str
    created_ns: int
    """When the recorder started: the same in every file that it wrote."""
    part: int = 1
    """Which of its files this is, from 1 on."""
    symbols: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    config: EngineConfig | None = None
    """Of a session: what the engine was set to, the seed of its salts included."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block as it is stored; `content` is unpacked on demand."""

    rows: int
    first_ns: Nanos
    last_ns: Nanos
    stored: bytes

    def content(self) -> bytes:
        """Unpack.

        Raises:
            RecordingError: the content is damaged in spite of its checksum, or too large.
        """
        try:
            return zstandard.ZstdDecompressor().decompress(self.stored, max_output_size=_MOST_CONTENT)
        except zstandard.ZstdError as error:
            raise RecordingError(f"a block cannot be unpacked: {error}") from error


@dataclass(slots=True)
class Damage:
    """What a reader had to leave out of one file."""

    torn_bytes: int = 0
    """Of a last block that was not finished."""
    skipped_bytes: int = 0
    """Between whole blocks."""
    skipped_places: int = 0


class BlockFile:
    """A file being written. Use as a context manager; `append` is durable when it returns."""

    def __init__(self, path: Path, head: Head) -> None:
        """Create the file with its head.

        Raises:
            RecordingError: it exists already, or cannot be written.
        """
        self.path: Final = path
        self._packer = zstandard.ZstdCompressor(level=_LEVEL)
        told = msgspec.msgpack.encode(head)
        try:
            self._file: BinaryIO = path.open("xb", buffering=0)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be created ({error.strerror}); nothing is recorded") from error
        self.size = 0
        try:
            self._begin(told)
        except RecordingError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    def _begin(self, told: bytes) -> None:
        self._put(MAGIC + _U32.pack(len(told)) + told + _U32.pack(zlib.crc32(told)))

    def append(self, content: bytes, *, rows: int, first_ns: Nanos, last_ns: Nanos) -> None:
        """Write one block and make it durable.

        Raises:
            RecordingError: the disk did not take it; the file ends with the block before.
        """
        stored = self._packer.compress(content)
        frame = _FRAME.pack(_BLOCK, len(stored), rows, first_ns, last_ns)
        check = zlib.crc32(stored, zlib.crc32(frame))
        self._put(frame + stored + _U32.pack(check))

    def close(self) -> None:
        """Release the file; doing it again is harmless."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._undo()
            raise RecordingError(f"{self.path}: cannot be written ({error.strerror}); recording ends here") from error
        self.size += len(data)

    def _undo(self) -> None:
        """Take a half-written block away; where even that fails, readers drop it as torn."""
        try:
            self._file.truncate(self.size)
        except OSError:
            return


def read_head(path: Path) -> tuple[Head, int]:
    """Return what a file says of itself and where its blocks begin.

    Raises:
        RecordingError: it is missing, empty, of another kind or of a newer version.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            length_bytes = file.read(_U32.size)
            if not magic:
                raise RecordingError(f"{path}: is empty; nothing was recorded into it")
            if magic[:-1] != MAGIC[:-1]:
                raise RecordingError(f"{path}: is not a recording of this program")
            if magic != MAGIC:
                raise RecordingError(
                    f"{path}: was written by version {magic[-1]} of the format; this reads {MAGIC[-1]}"
                )
            length = _U32.unpack(length_bytes)[0] if len(length_bytes) == _U32.size else 0
            told = file.read(length)
            check = file.read(_U32.size)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from error
    if len(check) < _U32.size or _U32.unpack(check)[0] != zlib.crc32(told):
        raise RecordingError(f"{path}: its head is damaged or cut off; nothing of it can be used")
    try:
        head = msgspec.msgpack.decode(told, type=Head)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path}: its head cannot be read: {error}") from error
    return head, len(MAGIC) + 2 * _U32.size + length


def read_blocks(path: Path, damage: Damage) -> Iterator[Block]:
    """Yield every whole block in order; what is not whole is counted in `damage`. Memory: one block.

    Raises:
        RecordingError: the file cannot be read or is no recording.
    """
    _, begin = read_head(path)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        place = begin
        while place < size:
            block, length = _block_at(file, place, size)
            if block is not None:
                yield block
                place += length
                continue
            found = _next_block(file, place + 1, size)
            if found is None:
                damage.torn_bytes += size - place
                return
            damage.skipped_bytes += found - place
            damage.skipped_places += 1
            place = found


def read_span(path: Path) -> tuple[Nanos, Nanos, int] | None:
    """The first and last time that a file's blocks tell and how many rows they say to hold; None without a block.

    Only the frames are looked at, so it is quick; behind damaged bytes the search goes on block by block.

    Raises:
        RecordingError: the file cannot be read or is no recording.
    """
    _, place = read_head(path)
    first_ns: Nanos | None = None
    last_ns = rows = 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while place < size:
            file.seek(place)
            frame = file.read(_FRAME.size)
            magic, length, held, from_ns, until_ns = (
                _FRAME.unpack(frame) if len(frame) == _FRAME.size else (b"", 0, 0, 0, 0)
            )
            end = place + _FRAME.size + length + _U32.size
            if magic != _BLOCK or end > size:
                found = _next_block(file, place + 1, size)
                if found is None:
                    break
                place = found
                continue
            first_ns = from_ns if first_ns is None else first_ns
            last_ns, rows, place = max(last_ns, until_ns), rows + held, end
    return None if first_ns is None else (first_ns, last_ns, rows)


def _block_at(file: BinaryIO, place: int, size: int) -> tuple[Block | None, int]:
    """The whole block that begins there and its length, or None."""
    file.seek(place)
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return None, 0
    magic, stored_length, rows, first_ns, last_ns = _FRAME.unpack(frame)
    length = _FRAME.size + stored_length + _U32.size
    if magic != _BLOCK or place + length > size:
        return None, 0
    stored = file.read(stored_length)
    if _U32.unpack(file.read(_U32.size))[0] != zlib.crc32(stored, zlib.crc32(frame)):
        return None, 0
    return Block(rows, first_ns, last_ns, stored), length


def _next_block(file: BinaryIO, place: int, size: int) -> int | None:
    """Where the next whole block begins, None when there is none."""
    step = 1 << 20
    while place < size:
        file.seek(place)
        window = file.read(step + len(_BLOCK) - 1)
        at = window.find(_BLOCK)
        while at >= 0:
            if _block_at(file, place + at, size)[0] is not None:
                return place + at
            at = window.find(_BLOCK, at + 1)
        place += step
    return None
