"""A buffer of raw samples for the snapshot, and how a restored one gets its samples back.

Not here: the buffer itself (`streams.buffers`), where its samples are on the log (`sources`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from streams.epochs import Epoch
from streams.errors import SnapshotMismatch
from streams.ranges import Ranges
from streams.records import Chunk
from streams.samples import Raw, Samples, Stretch
from streams.sources import Source, Sources

_GONE: Final = (
    "the log no longer holds the samples that stored engine state rests on; restore the log, or "
    "start from a topic prefix of its own"
)


class BufferState(msgspec.Struct, array_like=True):
    """A buffer for the snapshot: where its samples can be read again, and few of them itself."""

    fs_hz: float
    unit: str
    epochs: list[Epoch]
    cut_us: int | None
    base: int
    top: int
    own: Stretch | None  # samples from `base` on that no chunk needs to bring
    sources: list[int]  # of the rest, as `Sources.since`
    whole: bool  # how `checksum` is taken
    checksum: int
    ranges: Ranges


class Awaited:
    """What a restored buffer must still be given.

    Parameters
    ----------
    state : BufferState
        What it was.
    sources : Sources
        Where its samples can be read.
    """

    __slots__ = ("_missing", "_state")

    def __init__(self, state: BufferState, sources: Sources) -> None:
        self._state = state
        self._missing: dict[int, list[Source]] = {}  # by offset; one that came is taken out
        for source in sources:
            self._missing.setdefault(source.offset, []).append(source)

    def take(self, offset: int, signal: str, chunks: Mapping[int, Chunk], into: Samples) -> None:
        """Write the samples that this record brought before; its chunks by their place in it.

        Raises
        ------
        SnapshotMismatch
            If the log holds something else there.
        """
        for source in self._missing.pop(offset, ()):
            chunk = chunks.get(source.place)
            long_enough = chunk is not None and len(chunk.data) >= 2 * (source.first + source.size)
            if chunk is None or chunk.signal != signal or not long_enough:
                raise SnapshotMismatch(_GONE)
            low, stop = max(source.start, self._state.base), source.start + source.size
            if low >= stop or stop > self._state.top:
                raise SnapshotMismatch(_GONE)
            skip = low - source.start
            raw = raw_of(chunk, source.first + skip, source.size - skip)
            into.write(low, raw, (chunk.scale, chunk.offset))

    def check(self, samples: Samples) -> None:
        """All must be there again.

        Raises
        ------
        SnapshotMismatch
            If what was read again is not what was there.
        """
        state = self._state
        if self._missing or samples.top != state.top or (state.whole and not samples.whole):
            raise SnapshotMismatch(_GONE)
        if samples.checksum(state.base, whole=state.whole) != state.checksum:
            raise SnapshotMismatch(_GONE)


def raw_of(chunk: Chunk, first: int, count: int) -> Raw:
    """Some of a chunk's samples, without a copy."""
    return np.frombuffer(chunk.data, "<i2", count, 2 * first)
