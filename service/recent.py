"""Windows scored lately, and when news came: what a late or corrected fact can still score again.

A fact known after a window's decision never changes that decision; it may give the window another
score, of the next revision, decided at the Tick that follows the fact. Only Ticks do, because chunk
sizes and the order of arrival move everything else. Not here: scoring (`service.again`).

Invariant: at most `MOST_ROWS` windows and `MOST_TICKS` times, whatever arrives.
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
MOST_TICKS: Final = 16


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

    __slots__ = ("news_us", "patience_us", "rows", "ticks")

    def __init__(self, patience_us: int) -> None:
        self.patience_us = patience_us
        self.news_us = 0  # append time of the newest fact since the last Tick; 0 = none
        self.rows: list[Kept] = []
        self.ticks: list[int] = []  # Ticks that followed a fact, ascending

    def keep(
        self, batch: FeatureBatch, row: int, columns: NDArray[np.int16], *, pages: bool
    ) -> Kept:
        """Keep these columns of a window that was just scored; returns it."""
        window = batch.windows[row]
        parts = (part[row, columns] for part in batch[1:])
        kept = Kept(window, window.known_us, pages, columns, *parts)
        if self.patience_us:
            oldest_us = kept.decided_us - self.patience_us
            rows = [row for row in self.rows if row.decided_us >= oldest_us]
            self.rows = [*rows, kept][-MOST_ROWS:]
        return kept

    def hear(self, tick_us: int) -> tuple[int, list[Kept]]:
        """Take a Tick that follows a fact: what is known from then, windows to score again."""
        now_us = max(tick_us, self.news_us)  # a Tick may lag behind what is on the log
        self.news_us = 0
        oldest_us = now_us - self.patience_us
        ticks = [t for t in self.ticks if oldest_us - self.patience_us < t < now_us]
        self.ticks = [*ticks, now_us][-MOST_TICKS:]
        rows = [r for r in self.rows if r.decided_us >= oldest_us and r.window.known_us < now_us]
        return now_us, rows

    def missed(self, kept: Kept) -> list[int]:
        """Ticks that would have scored a window again, had it been scored when it was planned."""
        first_us = kept.window.known_us
        return [t for t in self.ticks if first_us < t <= kept.decided_us + self.patience_us]

    def replace(self, old: Kept, new: Kept) -> None:
        """Put the last revision in the place of the one before."""
        self.rows = [new if row is old else row for row in self.rows]

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        return [self.news_us, self.ticks, [_packed(row) for row in self.rows]]

    @classmethod
    def from_state(cls, state: list[Any], patience_us: int) -> Recent:
        """What `to_state` left."""
        recent = cls(patience_us)
        recent.news_us, ticks, rows = state
        recent.ticks = list(ticks)
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
