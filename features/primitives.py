"""What an analysed segment leaves behind, on its way into the patient's rings."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalog import FeatureReason

_NO_STATS: Final = np.empty(0, np.float32)
_NO_EXTRA: Final = np.empty((0, 0), np.float32)
_NO_STATS.flags.writeable = False


class Primitives(NamedTuple):
    """The result of analysing one segment of one signal.

    For `ecg`/`ppg` the events are beats: `times_us` their sub-sample times, `values` their
    amplitudes. For `resp` they are the wave low-passed and decimated to 4 Hz. For scalars
    (`spo2`, `hr`, `pulse`, `resp_rate`, `temp`) they are the valid samples, for `rr_interval`
    the intervals in ms at the beats that end them. `acc` has no events, only `stats`. All lie in
    the core `[start_us, end_us)`. What `extra` and `stats` hold is named by the module that
    makes them (`features.analyse`).
    """

    device_id: str
    signal: str
    start_us: int
    end_us: int
    coverage: float  # 0-1, share of the core that was recorded (not gap)
    quality: float  # 0-1; below the gate the segment counts as a gap
    reason: FeatureReason  # OK when the segment passed the gate
    times_us: NDArray[np.int64]  # (n,) ascending, inside the core
    values: NDArray[np.float64]  # (n,)
    run: NDArray[np.int16]  # (n,) gap-free run of each event, 0,1,2... inside the segment
    open_left: bool  # no gap at or just before the core's start: run 0 continues the last one
    open_right: bool  # no gap at the core's end: the last run goes on into the next segment
    extra: NDArray[np.float32] = _NO_EXTRA  # (n, k) further numbers of each event
    stats: NDArray[np.float32] = _NO_STATS  # (m,) numbers of the segment as a whole
