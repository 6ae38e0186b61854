"""What is left out while more comes than can be carried: told by records of the log.

A service that sees the lag says `lost degraded:backfill`, then `lost degraded:hop`, to everybody,
and `regained` when it is over (`service.overload`). So every run of the log leaves out the same.
Alerts are never left out: live windows are still scored, at the wide hop at least.
"""

from __future__ import annotations

from typing import Final

from streams.windows import HOP_US

BACKFILL: Final = "degraded:backfill"  # windows that would page nobody are not computed
HOP: Final = "degraded:hop"  # windows of a minute are computed every half minute only
WIDE_HOP_US: Final = 3 * HOP_US
_BITS: Final = {BACKFILL: 1, HOP: 2}


def shed_after(shed: int, action: str, target: str) -> int:
    """What is left out after a command, as bits.

    Examples
    --------
    >>> shed_after(0, "lost", BACKFILL), shed_after(3, "regained", HOP), shed_after(1, "lost", "x")
    (1, 1, 1)
    """
    bit = _BITS.get(target, 0)
    if action == "lost":
        return shed | bit
    return shed & ~bit if action == "regained" else shed


def left_out(shed: int, end_us: int, *, pages: bool) -> bool:
    """Whether the windows that end then are left out; `pages` False: they come as backfill."""
    if shed & _BITS[BACKFILL] and not pages:
        return True
    return bool(shed & _BITS[HOP]) and end_us % WIDE_HOP_US != 0


def drops_backfill(shed: int) -> bool:
    """Whether backfill is left out."""
    return bool(shed & _BITS[BACKFILL])
