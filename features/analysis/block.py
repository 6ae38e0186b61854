"""Segments of one signal, rate and length as rows, and what analysing them gives.

Not here: the analyses themselves (one module a kind of signal).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import runs
from features.catalog import FeatureReason
from features.primitives import Primitives
from features.rounding import QUALITY_BITS, rounded
from features.runs import Bools, Floats, Ints
from features.signals import SIGNALS, Signal, SignalKind
from streams.segments import Segment, rows_of

Micros = NDArray[np.int64]
Numbers = NDArray[np.float32]

MOST_ROWS: Final = 256  # bounds memory: 256 x 14 s at 500 Hz is 14 MB of float64
LEAST_COVERAGE: Final = 0.2  # of 10 s: the shortest run in which beats are sought
_GRID_EPS: Final = 1e-6  # samples; absorbs float noise of rate times length
_REASONS: Final = tuple(FeatureReason)
_UNKNOWN: Final = Signal("", SignalKind.SCALAR, "", 0.0, -np.inf, np.inf, "")


class Block(NamedTuple):
    """Segments of one signal, rate and length, as rows."""

    segments: list[Segment]
    signal: Signal
    fs_hz: float
    x: Floats  # (B, n) NaN = gap
    first_us: Floats  # (B, 1) of sample 0, from the core's start
    offset_us: Micros  # (B, n) of every sample, from the core's start
    core: Bools  # (B, n)
    first: Ints  # (B,) first core sample, as the next two 0 in a row without any
    last: Ints  # (B,)
    n_core: Ints  # (B,) samples in the core


class Found(NamedTuple):
    """Events of a block, sorted by row, then time."""

    row: Ints
    offset_us: Micros
    values: Floats
    run: Ints
    extra: Numbers  # (n, k)


class Events(NamedTuple):
    """Events, and per row whether its first and last ones go on in the neighbours."""

    found: Found
    open_left: Bools
    open_right: Bools


class Verdict(NamedTuple):
    """One value per row."""

    coverage: Floats
    quality: Floats
    reason: list[FeatureReason]


class Analysed(NamedTuple):
    """What a block's segments leave behind."""

    events: Events
    verdict: Verdict
    stats: Numbers  # (B, m)


def block_of(segments: list[Segment]) -> Block:
    """Stack segments into rows and find their cores."""
    head = segments[0]
    x = runs.as_rows(rows_of(segments))
    firsts_us = [segment.first_us for segment in segments]
    first_us = np.array(firsts_us, np.float64)[:, None]
    asked = x.shape[1], head.fs_hz, head.end_us - head.start_us
    signal = SIGNALS.get(head.signal, _UNKNOWN)
    if firsts_us.count(firsts_us[0]) == len(firsts_us):
        # The usual case is rows in step: then one row of places is that of all.
        return Block(
            segments, signal, head.fs_hz, x, first_us, *_in_step(len(x), firsts_us[0], asked)
        )
    return Block(segments, signal, head.fs_hz, x, first_us, *_places(first_us, asked))


_Places = tuple[Micros, Bools, Ints, Ints, Ints]  # `Block` from `offset_us` on


def _places(first_us: Floats, asked: tuple[int, float, int]) -> _Places:
    """Where the samples of rows lie, given how many there are, their rate and the core's length."""
    n, fs_hz, length_us = asked
    period_us = 1e6 / fs_hz if runs.is_rate(fs_hz) else 0.0
    # Rounded before comparing: the core is half-open on the grid of whole microseconds.
    offset_us = np.rint(first_us + np.arange(n) * period_us).astype(np.int64)
    core = (offset_us >= 0) & (offset_us < length_us)
    first = core.argmax(axis=1) if n else np.zeros(len(core), np.intp)
    n_core = runs.counts(core)
    return offset_us, core, first, first + np.maximum(n_core, 1) - 1, n_core


@lru_cache(maxsize=32)
def _in_step(n_rows: int, first_us: float, asked: tuple[int, float, int]) -> _Places:
    """The same of rows that begin together."""
    offset_us, core, *borders = _places(np.array([[first_us]]), asked)
    shape = n_rows, asked[0]
    first, last, n_core = (np.broadcast_to(border, n_rows) for border in borders)
    return np.broadcast_to(offset_us, shape), np.broadcast_to(core, shape), first, last, n_core


def cores(block: Block) -> Floats:
    """The core of each row alone, left-aligned: `(B, n)` with n the samples that always fit."""
    length_us = block.segments[0].end_us - block.segments[0].start_us
    n = max(1, int(length_us * 1e-6 * block.fs_hz + _GRID_EPS))
    start, stop = int(block.first[0]), int(block.first[0]) + n
    together = not block.first.strides[0]  # one row of places is that of all
    if block.n_core[0] >= n and (
        together or ((block.first == start).all() and (block.n_core >= n).all())
    ):
        return np.ascontiguousarray(block.x[:, start:stop])  # the usual case: rows in step
    at = block.first[:, None] + np.arange(n)
    inside = np.where(block.core, block.x, np.nan)
    core = np.take_along_axis(inside, np.minimum(at, block.x.shape[1] - 1), axis=1)
    core[at >= block.x.shape[1]] = np.nan
    return core


def without_events(n_rows: int) -> Events:
    """For segments that say all with their numbers."""
    none = Found(
        np.empty(0, np.intp),
        np.empty(0, np.int64),
        np.empty(0),
        np.empty(0, np.intp),
        np.empty((0, 0), np.float32),
    )
    closed = np.zeros(n_rows, np.bool_)
    return Events(none, closed, closed)


def primitives_of(segments: list[Segment], analysed: Analysed) -> list[Primitives]:
    """One `Primitives` per segment of a block."""
    (found, open_left, open_right), verdict, stats = analysed
    borders = np.searchsorted(found.row, np.arange(len(segments) + 1)).tolist()
    start_us = np.array([segment.start_us for segment in segments], np.int64)
    times_us = found.offset_us + start_us[found.row]
    run = found.run.astype(np.int16)
    coverage, quality = verdict.coverage.tolist(), rounded(verdict.quality, QUALITY_BITS).tolist()
    left, right = open_left.tolist(), open_right.tolist()
    out = []
    for i, segment in enumerate(segments):
        own = slice(borders[i], borders[i + 1])
        out.append(
            Primitives(
                segment.device_id,
                segment.signal,
                segment.start_us,
                segment.end_us,
                coverage[i],
                quality[i],
                verdict.reason[i],
                times_us[own],
                found.values[own],
                run[own],
                left[i],
                right[i],
                found.extra[own],
                stats[i],
            )
        )
    return out


def nothing(segment: Segment) -> Primitives:
    """What a segment without a single sample in its core leaves behind."""
    return Primitives(
        device_id=segment.device_id,
        signal=segment.signal,
        start_us=segment.start_us,
        end_us=segment.end_us,
        coverage=0.0,
        quality=0.0,
        reason=FeatureReason.GAP,
        times_us=np.empty(0, np.int64),
        values=np.empty(0),
        run=np.empty(0, np.int16),
        open_left=False,
        open_right=False,
    )


def run_numbers(usable: Bools) -> Ints:
    """Number (0, 1, 2...) of the run each usable sample lies in; all -1 in a row without."""
    begins = usable.copy()
    begins[:, 1:] &= ~usable[:, :-1]
    broken = runs.counts(begins) != 1
    if not broken.any():  # the usual case: nothing need be written
        return np.broadcast_to(np.intp(0), usable.shape)
    numbers = np.zeros(usable.shape, np.intp)
    numbers[broken] = np.cumsum(begins[broken], axis=1) - 1
    return numbers


def core_open(block: Block, usable: Bools) -> tuple[Bools, Bools]:
    """Whether usable samples reach over the core's start, and up to its end."""
    first, last = block.first, block.last
    rows = np.arange(len(usable))
    before = usable[rows, np.maximum(first - 1, 0)]
    return usable[rows, first] & before, usable[rows, last]


def events_of(found: Found, numbers: Ints, starts_open: Bools, ends_open: Bools) -> Events:
    """Close the sides on which the outermost event is not of the outermost run.

    A run too short to hold an event would otherwise be invisible to the caller, who would join
    the events on both sides of the gap.
    """
    n_rows = len(numbers)
    last_run = numbers[:, -1]
    borders = np.searchsorted(found.row, np.arange(n_rows + 1))
    empty = borders[:-1] == borders[1:]
    run = np.append(found.run, 0)
    first_event = np.where(empty, 0, run[np.minimum(borders[:-1], len(run) - 1)])
    last_event = np.where(empty, 0, run[np.maximum(borders[1:] - 1, 0)])
    single = ~empty | (starts_open & ends_open & (last_run == 0))
    return Events(
        found,
        starts_open & single & (first_event == 0),
        ends_open & single & (last_event == last_run),
    )


def reasons_of(codes: NDArray[np.integer]) -> list[FeatureReason]:
    """Reasons by their numbers."""
    return [_REASONS[code] for code in codes.tolist()]


def absence(gap: float, flat: float) -> FeatureReason:
    """Which of the two kept a segment from being used."""
    return FeatureReason.FLAT if flat > gap else FeatureReason.GAP
