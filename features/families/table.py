"""What every family of features starts from: the segments of its signals in each window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from features.column import Column
from features.feature import FeatureReason
from features.gather import (
    Rows,
    Segments,
    Support,
    chosen_of,
    rows_of,
    segments_of,
    support_of,
)
from features.layout import shape_of
from features.memory import Memory
from features.segment_rows import LEAST_COVERAGE
from streams.windows import Window

_GAP, _NO_SIGNAL = np.uint8(FeatureReason.GAP), np.uint8(FeatureReason.NO_SIGNAL)
Row = tuple[Memory, Window]
Columns = dict[str, Column]  # by feature name
_Made = TypeVar("_Made")


class Asked(tuple[Row, ...]):
    """Windows that several families look at: what one looked up or made the others need not."""

    seen: dict[tuple[tuple[str, ...], int], Found]
    made: dict[str, object]

    def __new__(cls, rows: Iterable[Row]) -> Self:
        """Nothing is looked up yet."""
        asked = super().__new__(cls, rows)
        asked.seen, asked.made = {}, {}
        return asked


class Batch(tuple[Row, ...]):
    """Windows of one pass: families of the same rows share what they look up, whoever asks."""

    asked: dict[tuple[int, ...], Asked]

    def __new__(cls, rows: Iterable[Row]) -> Self:
        """Nothing is looked up yet."""
        batch = super().__new__(cls, rows)
        batch.asked = {}
        return batch


def asked_of(rows: Sequence[Row], at: tuple[int, ...]) -> Asked:
    """Some rows, to be looked up together; rings must not change meanwhile."""
    if not isinstance(rows, Batch):
        return Asked(rows[i] for i in at)
    if at not in rows.asked:
        rows.asked[at] = Asked(rows[i] for i in at)
    return rows.asked[at]


def once(rows: Sequence[Row], name: str, make: Callable[[Sequence[Row]], _Made]) -> _Made:
    """What several families make of the same rows; to be read only."""
    if not isinstance(rows, Asked):
        return make(rows)
    if name not in rows.made:
        rows.made[name] = make(rows)
    return cast(_Made, rows.made[name])


class Found(NamedTuple):
    """Windows, their segments, and how far each window can be judged."""

    rows: Rows
    segments: Segments
    support: Support
    devices: tuple[str, ...]  # whose segments they are; empty for none

    def since(self, context_us: int) -> Found:
        """The same with segments from less far before the windows."""
        table, segments = self.rows, self.segments
        inside = segments.end_us > (table.start_us - context_us)[segments.row]
        if inside.all():
            return self
        fewer = chosen_of(segments, inside)
        n = np.bincount(fewer.row, minlength=len(self.devices)).tolist()
        devices = tuple(own if some else "" for own, some in zip(self.devices, n, strict=True))
        return Found(table, fewer, support_of(table, fewer), devices)


def look_up(rows: Sequence[Row], signals: Sequence[str], context_us: int = 0) -> Found:
    """Segments of each signal in each window.

    Parameters
    ----------
    rows : sequence of (Memory, Window), length B
    signals : sequence of str, length S
        Of one shape (`features.layout`).
    context_us : int
        How far before the window segments are wanted.

    Returns
    -------
    Found
        (S * B) rows: all windows of the first signal, then of the second, and so on. To be read
        only: where `rows` is `Asked`, others get it too.
    """
    if not isinstance(rows, Asked):
        return _looked_up(rows, signals, context_us)
    key = (tuple(signals), context_us)
    found = rows.seen.get(key)
    if found is None:
        wider = _wider(rows, *key)
        found = _looked_up(rows, signals, context_us) if wider is None else wider.since(context_us)
        rows.seen[key] = found
    return found


def _wider(rows: Asked, signals: tuple[str, ...], context_us: int) -> Found | None:
    """What was looked up from further back, if of each signal a patient has one source at most.

    Of several the one with most in the window is taken, and that may be none of those further back.
    """
    for (names, us), found in rows.seen.items():
        if names == signals and us > context_us:
            alone = all(memory.rings.is_alone(name) for name in signals for memory, _ in rows)
            return found if alone else None
    return None


def _borders(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    """Where each window begins and ends."""
    return [window.start_us for _, window in rows], [window.end_us for _, window in rows]


def _looked_up(rows: Sequence[Row], signals: Sequence[str], context_us: int) -> Found:
    """`look_up` itself."""
    start_us, end_us = _borders(rows)
    all_rings = [memory.rings for memory, _ in rows]
    views, first_us = [], []
    for signal in signals:
        first_us += [rings.first_us(signal) for rings in all_rings]
        views += [
            rings.view(signal, start, end, context_us)
            for rings, start, end in zip(all_rings, start_us, end_us, strict=True)
        ]
    table = rows_of(start_us * len(signals), end_us * len(signals), first_us)
    segments = segments_of(views, shape_of(signals[0]))
    devices = tuple("" if view is None else view.device_id for view in views)
    return Found(table, segments, support_of(table, segments), devices)


def explained(
    found: Found, column: Column, nothing_in_it: FeatureReason = FeatureReason.LOW_QUALITY
) -> Column:
    """A column that knows only `GAP` for what was lost, with what it was really lost to.

    `nothing_in_it` is the word for a window that was recorded well and held nothing of use.
    """
    lost = column.reason == _GAP
    if not lost.any():
        return column
    why = _why(found, nothing_in_it)
    return column._replace(reason=np.where(lost, why, column.reason).astype(np.uint8))


def all_explained(found: Found, columns: Columns) -> Columns:
    """`explained` for each."""
    reasons = np.concatenate([column.reason for column in columns.values()])
    lost = (reasons == _GAP).reshape(len(columns), -1)
    if not lost.any():
        return columns
    every = np.where(lost, _why(found, FeatureReason.LOW_QUALITY), reasons.reshape(lost.shape))
    # A copy each: callers may write to one column's reasons.
    return {
        name: Column(*column[:-1], why.astype(np.uint8))
        for (name, column), why in zip(columns.items(), every, strict=True)
    }


def _why(found: Found, nothing_in_it: FeatureReason) -> NDArray[np.uint8]:
    """What each row would have lost a value to."""
    enough = found.support.usable >= LEAST_COVERAGE
    why = np.where(enough, np.uint8(nothing_in_it.value), found.support.reason)
    return np.where(found.rows.known, why, _NO_SIGNAL)


def split(column: Column, names: Sequence[str]) -> Columns:
    """The rows of each name again, in the order of `look_up`."""
    parts = zip(*(np.split(field, len(names)) for field in column), strict=True)
    return {name: Column(*part) for name, part in zip(names, parts, strict=True)}
