"""Raw samples of one signal between two indexes: int16 as they came, and which are there.

They are kept as bytes, exactly as many as are needed: adding a chunk and dropping what is cut are
copies of a few kilobytes. Not here: where a sample belongs (`streams.buffers`), where it can be
read again (`streams.sources`).
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.records import MISSING_SAMPLE

NO_GAIN: Final = (0.0, 0.0)  # of samples that are float32 already
_NO_INT16: Final = np.int16(MISSING_SAMPLE).tobytes()
_NO_FLOAT32: Final = np.float32(np.nan).tobytes()

Gain = tuple[float, float]  # scale, offset
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
    held. All samples of one scale and offset stay int16; with a second scale among them all
    become the float32 they stand for, with the same bits.
    """

    __slots__ = ("_data", "_first", "_gain", "_have", "base", "top")

    def __init__(self) -> None:
        self.base = 0
        self.top = 0  # one past the highest filled index
        self._gain: Gain | None = None  # None: float32
        self._data = b""  # of `[base, top)`, no byte more: most of what a patient costs
        self._first = 0  # index of the first sample that is there, when none is missing after it
        self._have: Have | None = None  # None: exactly `[_first, top)` are there

    def forget(self, below: int) -> None:
        """Drop what lies below an index; from there on something may be written."""
        gone = below - self.base
        if gone <= 0:
            return
        self._data = self._data[gone * self._width :]
        self.base = below
        if self.top < below:
            self.top = below
        if self._first < below:
            self._first = below
        if self._have is not None:
            self._hold(self._have[gone:])

    def begin(self, base: int) -> None:
        """Let the lowest index be this one; nothing must be held."""
        assert self.top == self.base
        self.base = self.top = self._first = base

    def append(self, raw: bytes, gain: Gain) -> bool:
        """Write int16 that follow the top, where that is simple; False: nothing changed."""
        if self._have is not None or gain != self._gain or not self._data:
            return False
        self._data += raw
        if self._first > self.top:
            self._first = self.top
        self.top += len(raw) // 2
        return True

    def write(self, start: int, raw: Raw, gain: Gain) -> tuple[int, bool]:
        """Fill in what is not there yet; how much was, and whether it differed.

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
        stop = start + len(raw)
        empty = self._have is None and self._first >= self.top
        if self._have is None and (start == self.top or (empty and start > self.top)):
            self._data += self._blank(start - self.top) + new.tobytes()
            self._first, self.top = start if empty else self._first, stop
            return 0, False
        data, have = self._spread(min(start, self.base), max(stop, self.top))
        span = slice(start - self.base, stop - self.base)
        kept, there = data[span], have[span]
        old, clash = int(np.count_nonzero(there)), False
        if old:
            clash = not _same(kept[there], new[there], gain)
            kept[~there] = new[~there]
        else:
            kept[:] = new
        there[:] = True
        self._data = data.tobytes()
        self._hold(have)
        return old, clash

    @property
    def _width(self) -> int:
        """Bytes of a sample."""
        return 2 if self._gain is not None else 4

    def _blank(self, count: int) -> bytes:
        """So many samples of nothing."""
        if count <= 0:
            return b""
        return (_NO_INT16 if self._gain is not None else _NO_FLOAT32) * count

    def _values(self) -> NDArray[np.int16 | np.float32]:
        return np.frombuffer(self._data, np.int16 if self._gain is not None else np.float32)

    def _spread(self, base: int, top: int) -> tuple[NDArray[np.int16 | np.float32], Have]:
        """From now on `[base, top)`: the samples and which are there, to be changed."""
        have = np.zeros(top - base, np.bool_)
        have[self.base - base : self.top - base] = self.have(self.base, self.top)
        data = self._blank(self.base - base) + self._data + self._blank(top - self.top)
        self.base, self.top = base, top
        dtype = np.int16 if self._gain is not None else np.float32
        return np.frombuffer(bytearray(data), dtype), have

    def _hold(self, have: Have) -> None:
        """Remember which samples are there; in a few bytes when they are one stretch."""
        first = int(have.argmax()) if have.any() else len(have)
        self._first = self.base + first
        self._have = None if have[first:].all() else have.copy()

    def _suit(self, gain: Gain) -> None:
        """Let samples of this scale and offset be written."""
        if gain == self._gain:
            return
        if not self.have(self.base, self.top).any():
            self._gain = gain
            self._data = self._blank(self.top - self.base)
        elif self._gain is not None:
            self._data = values_of(self._values(), self._gain).tobytes()
            self._gain = None

    def read(self, lo: int, hi: int) -> tuple[NDArray[np.int16 | np.float32], Gain]:
        """Samples `[lo, hi)`, inside `[base, top)`, and their scale and offset.

        Float32 by themselves have scale 0; what is not there is `MISSING_SAMPLE` or NaN.
        """
        gain, at = self._gain, lo - self.base
        if gain is None:
            return np.frombuffer(self._data, np.float32, hi - lo, 4 * at).copy(), NO_GAIN
        return np.frombuffer(self._data[2 * at : 2 * (hi - self.base)], np.int16), gain

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
        rest = self._have[lo - self.base :]
        return lo + int(rest.argmax()) if rest.any() else None

    def stretch(self, lo: int, hi: int) -> Stretch:
        """Samples `[lo, hi)`, inside `[base, top)`, by themselves."""
        scale, offset = self._gain or NO_GAIN
        have = np.packbits(self.have(lo, hi)).tobytes()
        span = slice((lo - self.base) * self._width, (hi - self.base) * self._width)
        return Stretch(scale, offset, self._data[span], have)

    def put(self, start: int, stretch: Stretch) -> None:
        """Begin anew at `start` with what `stretch` gave; ValueError if it is not whole."""
        self._gain = (stretch.scale, stretch.offset) if stretch.scale != 0.0 else None
        self._data = stretch.data
        count = len(self._values())
        have = np.unpackbits(np.frombuffer(stretch.have, np.uint8), count=count)
        if len(have) != count or 8 * len(stretch.have) < count:
            raise ValueError("which samples are there is not whole")
        self.base, self.top = start, start + count
        self._hold(have.astype(np.bool_))

    @property
    def whole(self) -> bool:
        """Whether they are held as int16."""
        return self._gain is not None

    def checksum(self, lo: int, *, whole: bool) -> int:
        """Of samples `[lo, top)`, as int16 (which they must be held as) or as float32."""
        lo = min(max(lo, self.base), self.top)
        part = self._data[(lo - self.base) * self._width :]
        if not whole and self._gain is not None:
            part = values_of(np.frombuffer(part, np.int16), self._gain).tobytes()
        crc = zlib.crc32(self.have(lo, self.top).tobytes())
        return zlib.crc32(part, crc)


def _same(kept: NDArray[Any], new: NDArray[Any], gain: Gain) -> bool:
    """Whether samples are equal, as the values they stand for; NaN is equal to NaN."""
    floats = kept.dtype == np.float32
    if floats or np.array_equal(kept, new):
        return floats is False or np.array_equal(kept, new, equal_nan=True)
    return np.array_equal(values_of(kept, gain), values_of(new, gain), equal_nan=True)


def values_of(raw: NDArray[Any], gain: Gain) -> Values:
    """What int16 samples stand for; NaN for `MISSING_SAMPLE`."""
    values: Values = raw * np.float32(gain[0])
    if gain[1] != 0.0 or gain[0] < 1e-30:  # else nothing is added: there is no -0.0
        values += np.float32(gain[1])
    missing = raw == MISSING_SAMPLE
    if np.count_nonzero(missing):  # a third of the time of `any`
        values[missing] = np.nan
    return values
