"""What analysed segments leave behind, kept in small per-patient rings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalog import FeatureReason


class Primitives(NamedTuple):
    """The result of analysing one segment of one signal.

    For `ecg`/`ppg` the events are beats: `times_us` their sub-sample times, `values` their
    amplitudes. For `resp` they are the wave low-passed and decimated to 4 Hz. For scalars
    (`spo2`, `hr`, `pulse`, `resp_rate`, `temp`) they are the valid samples. For `acc_x|y|z`:
    the core's samples in g. All lie in the core `[start_us, end_us)`.
    """

    device_id: str
    signal: str
    start_us: int
    end_us: int
    coverage: float  # 0-1, share of the core that was recorded (not gap)
    quality: float  # 0-1; below the gate the segment counts as a gap
    reason: FeatureReason  # OK when the segment passed the gate
    times_us: NDArray[np.int64]  # ascending, inside the core
    values: NDArray[np.float64]  # same length
    run: NDArray[np.int16]  # gap-free run of each event, 0,1,2... inside the segment
    open_left: bool  # no gap at or just before the core's start: run 0 continues the last one
    open_right: bool  # no gap at the core's end: the last run goes on into the next segment
