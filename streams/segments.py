"""Raw samples on the event-time grid: chunks in, analysable `Segment`s out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.records import MISSING_SAMPLE
from streams.samples import NO_GAIN, Gain, values_of

SEGMENT_US = 10_000_000
_PLAIN, _RAW = {np.dtype(np.float32)}, {np.dtype(np.int16)}


class Segment(NamedTuple):
    """10 s of one signal plus context, cut once.

    `samples` holds context + core + context; NaN marks a gap (also before the first and after
    the last sample). Sample `i` was taken at `start_us + first_us + i * 1e6 / fs_hz`;
    `first_us` is at most one sample above minus the context (relative to the core, because
    absolute float64 µs would lose digits). The core is `[start_us, end_us)`.
    """

    patient_id: str
    device_id: str
    signal: str
    start_us: int
    end_us: int
    fs_hz: float
    unit: str
    first_us: float
    data: NDArray[np.int16 | np.float32]  # float32 samples, or what becomes them by `gain`
    gain: Gain = NO_GAIN  # scale, offset of int16 `data`

    @property
    def samples(self) -> NDArray[np.float32]:
        """The samples themselves."""
        if self.gain[0]:
            return values_of(self.data, self.gain)
        return self.data.astype(np.float32, copy=False)


def rows_of(segments: Sequence[Segment]) -> NDArray[np.float32]:
    """Samples of segments of one length as rows; bit for bit what `samples` gives."""
    types = {segment.data.dtype for segment in segments}
    if types == _PLAIN and not any(segment.gain[0] for segment in segments):
        samples = np.concatenate([segment.data for segment in segments])
        return samples.reshape(len(segments), -1).astype(np.float32, copy=False)
    if types != _RAW:
        return np.stack([segment.samples for segment in segments])
    raw = np.concatenate([segment.data for segment in segments]).reshape(len(segments), -1)
    gains = {segment.gain for segment in segments}
    if len(gains) == 1:
        return values_of(raw, gains.pop())
    for_all = np.array([segment.gain for segment in segments], np.float32)
    values: NDArray[np.float32] = raw * for_all[:, :1]
    values += for_all[:, 1:]  # of 0 too: then -0.0 becomes 0.0, as in `values_of`
    values[raw == MISSING_SAMPLE] = np.nan
    return values
