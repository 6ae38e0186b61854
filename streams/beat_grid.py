"""RR intervals as an ordinary signal: a value in the slot where a beat ends an interval.

A chest strap or a wristband sends intervals, not samples. Laid on a grid of 125 ms, most slots
empty, they travel, repeat, arrive late and are cut like any other signal. The interval is kept
to a quarter of a millisecond; of the beat's time only the slot remains, which tells whether two
intervals follow each other, as no interval is that short.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

GRID_HZ: Final = 8.0
STEP_MS: Final = 0.25  # of the interval, as int16: up to 8.19 s
_SLOT_US: Final = round(1e6 / GRID_HZ)
_SHORTEST_MS: Final = 200.0  # shorter ones are no interval between heart beats
_LONGEST_MS: Final = 8000.0


def on_grid(
    times_us: NDArray[np.int64], rr_ms: NDArray[np.float64]
) -> tuple[int, NDArray[np.float64]]:
    """Intervals on the grid.

    Parameters
    ----------
    times_us : (n,) int64
        Time of the beat that ends each interval, µs UTC, in any order.
    rr_ms : (n,) float64
        The intervals; what is no number or not within 200 to 8000 ms (a device's 0 or 65535) is
        left out, and so is a missing beat.

    Returns
    -------
    start_us : int
        Time of the first slot, a multiple of 125 ms; 0 without any interval.
    samples : (n_slots,) float64
        Milliseconds; NaN in a slot in which no beat ends.

    Examples
    --------
    >>> start_us, samples = on_grid(np.array([1_000_000, 1_300_000]), np.array([800.0, 300.0]))
    >>> start_us, samples.tolist()
    (1000000, [800.0, nan, 300.0])
    """
    with np.errstate(invalid="ignore"):
        real = (rr_ms >= _SHORTEST_MS) & (rr_ms <= _LONGEST_MS)
    slot = np.asarray(times_us, np.int64)[real] // _SLOT_US
    if slot.size == 0:
        return 0, np.empty(0)
    first = int(slot.min())
    samples = np.full(int(slot.max()) - first + 1, np.nan)
    samples[slot - first] = rr_ms[real]
    return first * _SLOT_US, samples
