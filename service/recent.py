"""Windows scored lately: what a late or corrected fact can still score again.

A fact known after a window's decision never changes that decision; it may give the window another
score, of the next revision, decided together with the next window and heard just before it. Only
planned decisions do this: ticks and chunks fall between them as data were cut, they do not. Not
here: scoring (`service.again`).

Invariant: at most `MOST_ROWS` windows, whatever arrives.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.align import FeatureBatch
from features.catalog import CATALOG, INDEX
from models.score import Scorer, StatefulScorer
from streams.windows import Window

MOST_ROWS: Final = 7  # a minute of windows


class Kept(NamedTuple):
    """One scored window: `window` carries its last revision and when that was decided."""

    window: Window
    decided_us: int  # of revision 0, from which the patience counts
    pages: bool
    columns: NDArray[np.int16]  # [K] features that a scorer looks at
    value: NDArray[np.float64]  # [K], these columns of `FeatureBatch`
    quality: NDArray[np.float32]
    coverage: NDArray[np.float32]
    n: NDArray[np.int32]
    reason: NDArray[np.uint8]


class Recent:
    """What of a patient can be scored again; `patience_us` is how late a fact may come for it."""

    __slots__ = ("news_us", "patience_us", "rows")

    def __init__(self, patience_us: int) -> None:
        self.patience_us = patience_us
        self.news_us = 0  # latest time from which any fact of the log is known
        self.rows: list[Kept] = []

    def keep(
        self, batch: FeatureBatch, row: int, columns: NDArray[np.int16], *, pages: bool
    ) -> None:
        """Keep these columns of a window that was just scored."""
        if not self.patience_us:
            return
        window = batch.windows[row]
        parts = (part[row].take(columns) for part in batch[1:])
        kept = Kept(window, window.known_us, pages, columns, *parts)
        oldest_us = kept.decided_us - self.patience_us
        rows = [row for row in self.rows if row.decided_us >= oldest_us]
        self.rows = [*rows, kept][-MOST_ROWS:]

    def hear(self, known_us: int) -> list[Kept]:
        """Windows to look at again when the next one is decided at `known_us`, oldest first.

        Those decided at most the patience before, and before some fact was known. What is on the
        log by now but known only later stays out: the facts themselves say so.
        """
        oldest_us, before_us = known_us - self.patience_us, min(known_us, self.news_us)
        return [
            row
            for row in self.rows
            if row.decided_us >= oldest_us and row.window.known_us < before_us
        ]

    def replace(self, old: Kept, new: Kept) -> None:
        """Put the last revision in the place of the one before."""
        self.rows = [new if row is old else row for row in self.rows]

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        return [self.news_us, [_packed(row) for row in self.rows]]

    @classmethod
    def from_state(cls, state: list[Any], patience_us: int) -> Recent:
        """What `to_state` left."""
        recent = cls(patience_us)
        recent.news_us, rows = state
        recent.rows = [_unpacked(row) for row in rows]
        return recent


def columns_of(scorers: Iterable[Scorer | StatefulScorer]) -> NDArray[np.int16]:
    """Catalogue columns that any of the scorers looks at; all when one does not say."""
    reads = [getattr(scorer, "reads", None) for scorer in scorers]
    if any(names is None for names in reads):
        return np.arange(len(CATALOG), dtype=np.int16)
    named = {INDEX[name] for names in reads for name in names or ()}
    return np.array(sorted(named), np.int16)


def _packed(kept: Kept) -> list[Any]:
    """A row; of columns without anything only the reason."""
    there = ~np.isnan(kept.value) | (kept.quality != 0) | (kept.coverage != 0) | (kept.n != 0)
    parts = (kept.value, kept.quality, kept.coverage, kept.n)
    return [
        list(kept.window),
        kept.decided_us,
        kept.pages,
        kept.columns.astype("<i2").tobytes(),
        kept.reason.tobytes(),
        np.packbits(there).tobytes(),
        *(part[there].tobytes() for part in parts),
    ]


def _unpacked(state: list[Any]) -> Kept:
    window, decided_us, pages, names, reason, bits, *parts = state
    columns = np.frombuffer(names, "<i2").astype(np.int16)
    reasons = np.frombuffer(reason, np.uint8).copy()
    if columns.size != reasons.size or (columns.size and columns.max() >= len(CATALOG)):
        raise ValueError("a window to be scored again does not fit its columns")
    there = np.unpackbits(np.frombuffer(bits, np.uint8), count=len(reasons)).astype(bool)
    tables: list[NDArray[Any]] = []
    empty = ((np.float64, np.nan), (np.float32, 0), (np.float32, 0), (np.int32, 0))
    for (dtype, nothing), data in zip(empty, parts, strict=True):
        table = np.full(len(reasons), nothing, dtype)
        table[there] = np.frombuffer(data, dtype)
        tables.append(table)
    value, quality, coverage, n = tables
    return Kept(Window(*window), decided_us, pages, columns, value, quality, coverage, n, reasons)
