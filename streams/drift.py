"""How fast a device's clock runs, from the smallest delay of each block of time.

The median of the slopes between any two blocks (Theil 1950, Sen 1968): nearly a third of the
blocks may be held up on the way and change nothing. A delay only ever adds, so the smallest of a
block is the clock's own (Moon, Skelly and Towsley, INFOCOM 1999, fit its lower edge likewise).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

BLOCK_S: Final = 300
LEAST_BLOCKS: Final = 18  # an hour and a half
LEAST_PPM: Final = 20  # 1.7 s a day; a quartz in a watch is better
MAX_PPM: Final = 500  # nothing that keeps time is worse
LEAST_MS: Final = 250  # moved in all
LEAST_TAU: Final = 0.8  # Kendall's, of blocks and delays: chance gives it once in a million times


class Drift(NamedTuple):
    """What the blocks show."""

    ppm: float
    now_us: int  # delay at the last block, by all of them
    certain: bool  # far from what chance and the network make


def drift_of(lows: Sequence[int]) -> Drift | None:
    """Drift shown by (block, smallest delay in ms), flat, in order; None: too few blocks."""
    if len(lows) < 2 * LEAST_BLOCKS:
        return None
    blocks, delays_ms = lows[::2], lows[1::2]
    rows = list(zip(blocks, delays_ms, strict=True))
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for j, later in enumerate(rows)
        for earlier in rows[:j]
    ]
    slope = median(slopes)  # ms per block
    ends = [
        delay + slope * (blocks[-1] - block) for block, delay in zip(blocks, delays_ms, strict=True)
    ]
    now_ms = median(ends)
    tau = sum((one > 0) - (one < 0) for one in slopes) / len(slopes)
    moved_ms = abs(slope) * (blocks[-1] - blocks[0])
    ppm = 1000 * slope / BLOCK_S
    real = LEAST_PPM <= abs(ppm) <= MAX_PPM and moved_ms >= LEAST_MS
    return Drift(ppm, round(1000 * now_ms), real and abs(tau) >= LEAST_TAU)
