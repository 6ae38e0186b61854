"""Feature rows as bytes, many at once: what `service.outputs.feature_rows` and msgspec give.

Names, shares and reasons are written from tables, compiled where numba is installed; numbers are
written by msgspec, all of a batch in one call. Without numba, msgspec does it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.align import FeatureBatch
from features.catalog import CATALOG
from features.ecg import kernels
from features.feature import FeatureReason
from service.outputs import NAMES, REASONS, SORTED, RowHead, feature_rows, told_of

_ROWS: Final = msgspec.json.Encoder()
_LONGEST_COUNT: Final = 12  # digits of an int32, its sign and a comma
_SHARES: Final = 10_000
_WORD: Final = 8


class _Texts(NamedTuple):
    """A table of texts, each filled up to whole words."""

    words: NDArray[np.uint64]
    borders: NDArray[np.int64]  # of each text, in words
    lengths: NDArray[np.int64]  # in bytes


def feature_texts(batch: FeatureBatch, backfill: Sequence[bool]) -> list[bytes]:
    """Each row of a batch as the JSON of a `FeatureRow`.

    Parameters
    ----------
    batch : FeatureBatch
        B rows.
    backfill : sequence of bool, length B
        Which rows say that they page nobody.
    """
    found = _compiled(batch) if kernels.worth_it(len(batch.windows)) else None
    if found is None:
        return _plain(batch, backfill)
    texts, stops = found
    out, start = [], 0
    for window, late, stop in zip(batch.windows, backfill, stops.tolist(), strict=True):
        head = _ROWS.encode(RowHead(*window))[:-1]
        end = b',"backfill":true}' if late else b"}"
        out.append(b"".join((head, texts[start:stop], end)))
        start = stop
    return out


def _plain(batch: FeatureBatch, backfill: Sequence[bool]) -> list[bytes]:
    """The reference."""
    return [
        _ROWS.encode(msgspec.structs.replace(row, backfill=True) if late else row)
        for row, late in zip(feature_rows(batch), backfill, strict=True)
    ]


def _compiled(batch: FeatureBatch) -> tuple[memoryview, NDArray[np.int64]] | None:
    """The five dictionaries of each row end to end; None where a share is not one."""
    told = told_of(batch)
    values = _ROWS.encode(batch.value[:, SORTED][told].tolist())
    tables = _tables()
    headings, names, shares, reasons = (texts.lengths for texts in tables)
    each = 2 * int(shares.max()) + _LONGEST_COUNT + int(reasons.max())
    room = int((told.sum(axis=0) * (5 * names + each)).sum()) + len(values)
    room += len(told) * (int(headings.sum()) + 5) + _WORD
    out = np.empty(room, np.uint8)
    wide: NDArray[np.uint64] = np.ndarray((room - _WORD + 1,), np.uint64, out.data, 0, (1,))
    fields = batch.quality, batch.coverage, batch.n, batch.reason
    text = np.frombuffer(values, np.uint8)
    stops = _loops().write(np.ascontiguousarray(told), SORTED, text, fields, tables, (out, wide))
    return (out.data, stops) if len(stops) == len(told) else None


def warm_up() -> None:
    """Compile the loop now, not when the first row comes."""
    if kernels.worth_it(0):
        none = np.zeros((1, len(CATALOG)), np.float32)
        count = none.astype(np.int32), none.astype(np.uint8)
        _compiled(FeatureBatch((), none.astype(np.float64), none, none, *count))


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("service.row_loops")


@lru_cache(maxsize=1)
def _tables() -> tuple[_Texts, _Texts, _Texts, _Texts]:
    headings = ("values", "quality", "coverage", "n", "reason")
    return (
        _texts([f',"{name}":{{'.encode() for name in headings]),
        _texts([_ROWS.encode(name) + b":" for name in NAMES]),
        _texts([_ROWS.encode(k / _SHARES) + b"," for k in range(_SHARES + 1)]),
        _texts([_ROWS.encode(REASONS[code]) + b"," for code in range(len(FeatureReason))]),
    )


def _texts(texts: list[bytes]) -> _Texts:
    words = [-(-len(text) // _WORD) for text in texts]
    padded = [text.ljust(_WORD * n, b"\0") for text, n in zip(texts, words, strict=True)]
    return _Texts(
        np.frombuffer(b"".join(padded), np.uint64),
        np.concatenate([[0], np.cumsum(words)]).astype(np.int64),
        np.array([len(text) for text in texts], np.int64),
    )
