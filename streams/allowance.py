"""How much one patient may send: far beyond any device, far below what would slow the others.

Counted in samples against append time, so the log alone decides. What is beyond it is refused as
`too_much`, kept as a dead letter, and can be replayed.
"""

from __future__ import annotations

from typing import Final

import msgspec

MOST_PER_S: Final = 100_000  # samples, for ever; a patient with ECG, PPG and movement sends 500
MOST_AT_ONCE: Final = 32_000_000  # ... and beyond that: 18 hours of such a patient in one go


class Allowance(msgspec.Struct, array_like=True):
    """What of the burst is used up, as of a time."""

    used: int = 0
    at_us: int = 0

    def take(self, samples: int, clock_us: int) -> bool:
        """Whether so many samples may still come now; if so they are counted."""
        if clock_us > self.at_us:
            back = (clock_us - self.at_us) * MOST_PER_S // 1_000_000
            self.used, self.at_us = max(0, self.used - back), clock_us
        if self.used + samples > MOST_AT_ONCE:
            return False
        self.used += samples
        return True
