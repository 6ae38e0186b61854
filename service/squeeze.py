"""Bytes made smaller and back, checked: what is cut, longer or changed anywhere is refused.

Zstandard as Arrow brings it: a third of the time of zlib, and a few per cent less bytes
(docs/adr/0125). Not here: what the bytes mean (`service.snapshot`).
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from importlib import import_module
from struct import Struct, error
from typing import Any, Final

MOST_BYTES: Final = 64 * 1024 * 1024  # unpacked: a snapshot is a few hundred kB at most
_LEVEL: Final = 4  # 3 is a tenth faster and 2 % larger, 5 twice as slow and 2 % smaller
_HEAD: Final = Struct("<II")  # size of what is inside, checksum of what follows


def squeezed(plain: bytes) -> bytes:
    """The bytes, smaller.

    Examples
    --------
    >>> restored(squeezed(b"vigil" * 100)) == b"vigil" * 100
    True
    """
    packed: bytes = _codec().compress(plain, asbytes=True)
    return _HEAD.pack(len(plain), zlib.crc32(packed)) + packed


def restored(packed: bytes) -> bytes:
    """What gave `squeezed`.

    Raises
    ------
    ValueError
        If it is not whole, or more than `MOST_BYTES`.
    """
    try:
        size, checksum = _HEAD.unpack_from(packed)
    except error as short:
        raise ValueError("cut short") from short
    inside = packed[_HEAD.size :]
    if size > MOST_BYTES or zlib.crc32(inside) != checksum:
        raise ValueError("too long, cut short, or changed")
    try:
        plain: bytes = _codec().decompress(inside, size, asbytes=True)
    except OSError as broken:
        raise ValueError("not squeezed by this") from broken
    return plain


@lru_cache(maxsize=1)
def _codec() -> Any:
    """Loaded with the first state: most commands store none."""
    return import_module("pyarrow").Codec("zstd", compression_level=_LEVEL)
