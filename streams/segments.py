"""Raw samples on the event-time grid: chunks in, analysable `Segment`s out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEGMENT_US = 10_000_000


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
    samples: NDArray[np.float32]
