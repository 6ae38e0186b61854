"""Raw samples of one signal between two indexes: int16 as they came, and which are there.

Room follows what is needed, and a sample costs three bytes. Not here: where a sample belongs
(`streams.buffers`), where it can be read again (`streams.sources`).
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.records import MISSING_SAMPLE

_GRAIN: Final = 32  # samples; room grows and shrinks in such steps
_SPARE: Final = 8  # an eighth more than needed, so that a move is rare

Raw = NDArray[np.int16]
Values = NDArray[np.float32]
Have = NDArray[np.bool_]


class Stretch(msgspec.Struct, array_like=True):
    """Samples by themselves, for the snapshot; `scale` 0 means that `data` is float32."""

    scale: float
    offset: float
    data: bytes
    have: bytes


class Samples:
    """Samples `[base, top)`; the first copy of each stays.

    Invariant: what `read` gives depends on what was written since the last time nothing was
    held, never on how much room there was. All samples of one scale and offset stay int16; with
    a second scale among them all become the float32 they stand for, with the same bits.
    """

    __slots__ = ("_data", "_first", "_gain", "_have", "base", "top")

    def __init__(self) -> None:
        self.base = 0
        self.top = 0  # one past the highest filled index
        self._gain: tuple[float, float] | None = None  # None: float32
        self._data: NDArray[np.int16 | np.float32] = np.empty(0, np.int16)
        self._first = 0  # index of the first sample that is there, when none is missing after it
        self._have: Have | None = None  # None: exactly `[_first, top)` are there

    def fits(self, start: int, stop: int) -> bool:
        """Whether there is room for `[start, stop)`."""
        return self.base <= start and stop <= self.base + len(self._data)

    def reserve(self, low: int, start: int, stop: int, most: int) -> None:
        """Make room for `[start, stop)`, at most `most` in all; forgets what lies below `low`."""
        if not len(self._data):
            self.base = self.top = low
        if not self.fits(start, stop):
            self._renew(low, stop, most)

    def _renew(self, low: int, stop: int, most: int) -> None:
        """Make room from `low` to `stop`, by moving what is there if that will do."""
        needed = max(stop, self.top) - low
        room = min(most, (needed + needed // _SPARE) // _GRAIN * _GRAIN + _GRAIN)
        if self._have is None and needed <= len(self._data) <= room + room // _SPARE:
            self._shift(low)
        else:
            self._move(low, room)

    def _shift(self, base: int) -> None:
        """Begin at `base` with the room there is; all that is held is one stretch."""
        data, lo, hi = self._data, max(base, self.base), self.top
        blank = np.nan if data.dtype == np.float32 else MISSING_SAMPLE
        if lo < hi:
            begin, stop = lo - base, hi - base
            data[begin:stop] = data[lo - self.base : hi - self.base]
            if begin:
                data[:begin] = blank
            data[stop : hi - self.base] = blank  # beyond the top nothing ever was
        else:
            data[:] = blank
        self.base, self.top = base, max(self.top, base)
        self._first = min(max(self._first, lo), self.top)

    def _move(self, base: int, room: int) -> None:
        blank = np.nan if self._data.dtype == np.float32 else MISSING_SAMPLE
        data = np.full(room, blank, self._data.dtype)
        have = np.zeros(room, np.bool_)
        lo, hi = max(base, self.base), self.top
        if lo < hi:
            data[lo - base : hi - base] = self._data[lo - self.base : hi - self.base]
            have[lo - base : hi - base] = self.have(lo, hi)
        self._data, self.base = data, base
        self.top = max(self.top, base)
        self._hold(have)

    def _hold(self, have: Have) -> None:
        """Remember which samples are there; in a few bytes when they are one stretch."""
        part = have[: self.top - self.base]
        first = int(part.argmax()) if part.any() else len(part)
        whole = bool(part[first:].all())
        self._first, self._have = self.base + first, None if whole else have

    def _noted(self) -> Have:
        """Which samples are there, one by one, to be changed."""
        if self._have is None:
            self._have = np.zeros(len(self._data), np.bool_)
            self._have[max(self._first, self.base) - self.base : self.top - self.base] = True
        return self._have

    def append(self, raw: Raw, gain: tuple[float, float], low: int, most: int) -> bool:
        """Write what follows the top, where that is simple; False: it is not, nothing changed.

        Parameters
        ----------
        raw : (n,) int16
        gain : (scale, offset)
        low, most : int
            As for `reserve`, should there be no room.
        """
        if self._have is not None or gain != self._gain or not len(self._data):
            return False
        top = self.top
        stop = top + len(raw)
        if stop > self.base + len(self._data):
            self._renew(low, stop, most)
        self._data[top - self.base : stop - self.base] = raw
        if self._first > top:
            self._first = top
        self.top = stop
        return True

    def write(self, start: int, raw: Raw, gain: tuple[float, float]) -> tuple[int, bool]:
        """Fill in what is not there yet, within the room; how much was, and whether it differed.

        Parameters
        ----------
        start : int
            Index of `raw[0]`.
        raw : (n,) int16
            `MISSING_SAMPLE` where the device measured nothing: that too is a sample.
        gain : (scale, offset)
            value = sample * scale + offset.
        """
        self._suit(gain)
        new = raw if self._gain is not None else values_of(raw, gain)
        span = slice(start - self.base, start - self.base + len(raw))
        kept, stop = self._data[span], start + len(raw)
        empty = self._have is None and self._first >= self.top
        if self._have is None and (start == self.top or (empty and start > self.top)):
            kept[:] = new
            self._first, self.top = start if empty else self._first, stop
            return 0, False
        have = self._noted()[span]
        old = int(np.count_nonzero(have)) if start < self.top else 0
        clash = False
        if old:
            clash = not _same(kept[have], new[have], gain)
            kept[~have] = new[~have]
        else:
            kept[:] = new
        have[:] = True
        self.top = max(self.top, stop)
        return old, clash

    def _suit(self, gain: tuple[float, float]) -> None:
        """Let samples of this scale and offset be written."""
        if gain == self._gain:
            return
        if not self.have(self.base, self.top).any():
            self._gain = gain
            if self._data.dtype != np.int16:
                self._data = np.full(len(self._data), MISSING_SAMPLE, np.int16)
        elif self._gain is not None:
            self._data = values_of(self._data, self._gain)
            self._gain = None

    def read(self, lo: int, hi: int) -> Values:
        """Values of `[lo, hi)`, inside `[base, top)`; NaN where there is none."""
        part = self._data[lo - self.base : hi - self.base]
        if self._gain is None:
            return np.array(part, np.float32)
        return values_of(part, self._gain)

    def have(self, lo: int, hi: int) -> Have:
        """Which of `[lo, hi)` are there, as far as that lies inside `[base, top)`."""
        lo, hi = max(lo, self.base), min(hi, self.top)
        if self._have is not None:
            return self._have[lo - self.base : max(lo, hi) - self.base]
        have = np.ones(max(0, hi - lo), np.bool_)
        have[: max(0, self._first - lo)] = False
        return have

    def next_from(self, lo: int) -> int | None:
        """Index of the first sample that is there from `lo` on; None: there is none."""
        if lo < self.base:
            lo = self.base
        if self._have is None:
            at = lo if lo > self._first else self._first
            return at if at < self.top else None
        rest = self._have[lo - self.base : self.top - self.base]
        return lo + int(rest.argmax()) if rest.any() else None

    def stretch(self, lo: int, hi: int) -> Stretch:
        """Samples `[lo, hi)`, inside `[base, top)`, by themselves."""
        scale, offset = self._gain or (0.0, 0.0)
        span = slice(lo - self.base, hi - self.base)
        have = np.packbits(self.have(lo, hi)).tobytes()
        return Stretch(scale, offset, self._data[span].tobytes(), have)

    def put(self, start: int, stretch: Stretch, most: int) -> None:
        """Begin anew at `start` with what `stretch` gave; ValueError if it is not whole."""
        whole = stretch.scale != 0.0
        data = np.frombuffer(stretch.data, np.int16 if whole else np.float32)
        have = np.unpackbits(np.frombuffer(stretch.have, np.uint8), count=len(data))
        self.base = self.top = start
        self._data = np.empty(0, data.dtype)
        self._gain = (stretch.scale, stretch.offset) if whole else None
        self._move(start, min(most, len(data) // _GRAIN * _GRAIN + _GRAIN))
        self._data[: len(data)], self.top = data, start + len(data)
        room = np.zeros(len(self._data), np.bool_)
        room[: len(data)] = have.astype(np.bool_)
        self._hold(room)

    @property
    def whole(self) -> bool:
        """Whether they are held as int16."""
        return self._gain is not None

    def checksum(self, lo: int, *, whole: bool) -> int:
        """Of samples `[lo, top)`, as int16 (which they must be held as) or as float32."""
        lo = min(max(lo, self.base), self.top)
        kept = self._data[lo - self.base : self.top - self.base]
        part = kept if whole else self.read(lo, self.top)
        crc = zlib.crc32(self.have(lo, self.top).tobytes())
        return zlib.crc32(part.tobytes(), crc)


def _same(kept: NDArray[Any], new: NDArray[Any], gain: tuple[float, float]) -> bool:
    """Whether samples are equal, as the values they stand for; NaN is equal to NaN."""
    floats = kept.dtype == np.float32
    if floats or np.array_equal(kept, new):
        return floats is False or np.array_equal(kept, new, equal_nan=True)
    return np.array_equal(values_of(kept, gain), values_of(new, gain), equal_nan=True)


def values_of(raw: NDArray[Any], gain: tuple[float, float]) -> Values:
    """What int16 samples stand for; NaN for `MISSING_SAMPLE`."""
    values: Values = raw * np.float32(gain[0])
    if gain[1] != 0.0 or gain[0] < 1e-30:  # else nothing is added: there is no -0.0
        values += np.float32(gain[1])
    missing = raw == MISSING_SAMPLE
    if np.count_nonzero(missing):  # a third of the time of `any`
        values[missing] = np.nan
    return values
