"""Opening what people hand over: bounded, whatever it claims to be.

gzip is read as a stream up to a bound on what it grows to; archives are refused, because what is
in them has to be looked at first. XML is refused before any parser sees it.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from streams.errors import SourceError

HEAD_BYTES: Final = 4_096
MAX_GROWTH: Final = 400  # unpacked bytes per packed byte; CSV of a chart packs about 10 to 1
MAX_LINE_BYTES: Final = 16 * 2**20  # of line-delimited formats
MAX_DOCUMENT_BYTES: Final = 64 * 2**20  # of a format that has to be read whole
_MIN_BOUND: Final = 64 * 2**20
_BROKEN = (OSError, EOFError, zlib.error)


def head(path: Path) -> bytes:
    """First bytes of a file, unpacked if it is gzip; b"" for a folder.

    Raises
    ------
    SourceError
        If it is absent, cannot be read, is an archive, UTF-16 (read as nonsense) or XML.
    """
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as handle:
            first = handle.read(HEAD_BYTES)
        if first.startswith(b"\x1f\x8b"):
            with gzip.open(path) as packed:
                first = packed.read(HEAD_BYTES)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except _BROKEN as fault:
        raise SourceError(f"{path}: cannot be read: {fault}") from None
    if first.startswith((b"PK\x03\x04", b"\xfd7zXZ", b"7z\xbc\xaf", b"BZh", b"Rar!")):
        raise SourceError(f"{path}: is an archive; unpack it and give the file or folder")
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{path}: is UTF-16; save it as UTF-8")
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise SourceError(f"{path}: is XML, which is not read; export JSON")
    return first


def binary(path: Path) -> BinaryIO:
    """A file, or what a gzip file holds, as bytes.

    Raises
    ------
    SourceError
        If it cannot be opened; reading on raises it when the file breaks off or grows too far.
    """
    head(path)
    try:
        handle = path.open("rb")
        if handle.read(2) != b"\x1f\x8b":
            handle.seek(0)
            return handle
        handle.close()
        bound = max(_MIN_BOUND, path.stat().st_size * MAX_GROWTH)
        return io.BufferedReader(_Unpacked(path, bound), 2**16)
    except OSError as fault:
        raise SourceError(f"{path}: cannot be read: {fault.strerror}") from None


class _Unpacked(io.RawIOBase):
    """gzip that ends with `SourceError` instead of anything else."""

    def __init__(self, path: Path, bound: int) -> None:
        super().__init__()
        self._path = path
        self._packed = gzip.open(path)  # noqa: SIM115 - closed by close()
        self._left = bound

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        try:
            piece = self._packed.read(len(view))
        except _BROKEN as fault:
            raise SourceError(f"{self._path}: the gzip file is broken: {fault}") from None
        self._left -= len(piece)
        if self._left < 0:
            raise SourceError(f"{self._path}: grows over {MAX_GROWTH} times when unpacked: refused")
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._packed.close()
        super().close()


def text(path: Path) -> TextIO:
    """A file as text, UTF-8 with or without a byte order mark; other bytes become surrogates.

    Raises
    ------
    SourceError
        As `binary`.
    """
    return io.TextIOWrapper(
        binary(path), encoding="utf-8-sig", errors="surrogateescape", newline=""
    )


def lines(handle: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their ends; None for one over `MAX_LINE_BYTES`, which is dropped.

    Yields
    ------
    (line, bytes or None)
        From line 1; blank lines are left out.
    """
    number = 0
    while piece := handle.readline(MAX_LINE_BYTES):
        number += 1
        if len(piece) == MAX_LINE_BYTES and not piece.endswith(b"\n"):
            while piece and not piece.endswith(b"\n"):
                piece = handle.readline(MAX_LINE_BYTES)
            yield number, None
        elif piece.strip():
            yield number, piece.rstrip(b"\r\n")


def document(path: Path) -> bytes:
    """A whole file, up to `MAX_DOCUMENT_BYTES`.

    Raises
    ------
    SourceError
        If it is longer or cannot be read.
    """
    with binary(path) as handle:
        data = handle.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise SourceError(
            f"{path}: over {MAX_DOCUMENT_BYTES >> 20} MiB in one document; "
            "export one record per line"
        )
    return data
