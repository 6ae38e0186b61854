"""A queue on disk for records that Kafka does not have yet: append, read on, forget what is sent.

Segment files of length- and checksum-framed entries and one cursor file. A process that is killed
loses nothing it was told is kept; a half-written last entry is cut off. One process per folder.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from streams.errors import ConfigError, OperationalError

SEGMENT_BYTES: Final = 16 * 1024 * 1024
_FRAME: Final = struct.Struct("<II")  # length and CRC-32 of what follows


class Entry(NamedTuple):
    """One record for the input log."""

    partition: int
    key: bytes | None
    value: bytes


class Place(NamedTuple):
    """A position in the queue: a segment's number and the offset in it."""

    segment: int
    offset: int


class SpoolFullError(OperationalError):
    """The queue has reached its limit: Kafka has been away too long for this disk."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Entry)


class Spool:
    """The queue in a folder.

    Parameters
    ----------
    folder : Path
        Made if absent, readable by its owner only: it holds patient data.
    max_bytes : int
        More than this is refused; nothing that was accepted is dropped to make room.
    durable : bool
        Whether an append waits for the disk. Without, a power cut may lose the last seconds; a
        killed process loses nothing either way.

    Raises
    ------
    ConfigError
        If the folder cannot be used, or another process uses it.
    """

    def __init__(self, folder: Path, max_bytes: int, *, durable: bool = False) -> None:
        self._folder, self._max_bytes, self._durable = folder, max_bytes, durable
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise ConfigError(f"spool {folder}: another process uses it") from error
        except OSError as error:
            raise ConfigError(f"spool {folder}: cannot be used ({error.strerror})") from error
        self.cut = 0  # bytes of half-written entries found at the start
        try:
            self._read = self._cursor()
            self._recover()
        except (ConfigError, OSError):
            self._lock.close()
            raise
        self._size = {number: self._path(number).stat().st_size for number in self._segments()}
        last = max(self._size, default=self._read.segment)
        self._file: Any = self._open(max(last, self._read.segment))

    def close(self) -> None:
        """Let go of the folder; what is queued stays."""
        self._file.close()
        self._lock.close()

    def waiting_bytes(self) -> int:
        """Bytes not yet forgotten."""
        return sum(self._size.values()) - self._read.offset

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep entries, all or none.

        Raises
        ------
        SpoolFullError
            If the limit would be passed.
        OperationalError
            If the disk refuses.
        """
        framed = b"".join(_framed(entry) for entry in entries)
        if self.waiting_bytes() + len(framed) > self._max_bytes:
            raise SpoolFullError(
                f"spool {self._folder} is full ({self._max_bytes >> 20} MiB): Kafka is away too "
                "long; raise the limit or stop the source"
            )
        if self._size[self._number] >= SEGMENT_BYTES:
            self._file.close()
            self._file = self._open(self._number + 1)
        start = self._size[self._number]
        try:
            self._file.write(framed)
            self._file.flush()
            if self._durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(start)
            raise OperationalError(f"spool {self._folder}: {error.strerror}") from error
        self._size[self._number] = start + len(framed)

    def read(self, max_entries: int, max_bytes: int) -> tuple[list[Entry], Place]:
        """The oldest entries, and the place behind them for `forget`."""
        entries: list[Entry] = []
        until, taken = self._read, 0
        for entry, place, size in self._from(self._read):
            entries.append(entry)
            until = place
            taken += size
            if len(entries) >= max_entries or taken >= max_bytes:
                break
        return entries, until

    def forget(self, until: Place) -> None:
        """Drop everything before a place that `read` gave: it is safe elsewhere."""
        done = self._folder / "cursor.new"
        done.write_text(f"{until.segment} {until.offset}\n", encoding="ascii")
        done.replace(self._folder / "cursor")
        self._read = until
        for number in [n for n in self._size if n < until.segment]:
            self._path(number).unlink()
            del self._size[number]

    def _from(self, place: Place) -> Iterator[tuple[Entry, Place, int]]:
        for number in sorted(n for n in self._size if n >= place.segment):
            offset = place.offset if number == place.segment else 0
            with self._path(number).open("rb") as file:
                file.seek(offset)
                while offset < self._size[number]:
                    length, _ = _FRAME.unpack(file.read(_FRAME.size))
                    offset += _FRAME.size + length
                    yield _DECODER.decode(file.read(length)), Place(number, offset), length

    def _cursor(self) -> Place:
        try:
            segment, offset = (self._folder / "cursor").read_text(encoding="ascii").split()
            return Place(int(segment), int(offset))
        except FileNotFoundError:
            return Place(0, 0)
        except ValueError as error:
            raise ConfigError(f"spool {self._folder}: its cursor file is damaged") from error

    def _recover(self) -> None:
        """Forget segments behind the cursor and cut a half-written end off the last one."""
        for number in self._segments():
            if number < self._read.segment:
                self._path(number).unlink()
        for number in self._segments()[-1:]:
            path = self._path(number)
            whole = _whole_bytes(path)
            self.cut += path.stat().st_size - whole
            os.truncate(path, whole)
            if number == self._read.segment and self._read.offset > whole:
                raise ConfigError(f"spool {self._folder}: it is shorter than what was sent of it")

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.spool"))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}.spool"

    def _open(self, number: int) -> Any:
        file = self._path(number).open("ab")
        os.chmod(self._path(number), 0o600)
        self._number = number
        self._size.setdefault(number, 0)
        return file


def _framed(entry: Entry) -> bytes:
    body = _ENCODER.encode(entry)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _whole_bytes(path: Path) -> int:
    """Length of the part of a segment that is whole entries with the right checksum."""
    whole = 0
    with path.open("rb") as file:
        while True:
            head = file.read(_FRAME.size)
            if len(head) < _FRAME.size:
                return whole
            length, checksum = _FRAME.unpack(head)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != checksum:
                return whole
            whole += _FRAME.size + length
