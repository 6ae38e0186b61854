"""Python's collector of cycles, for processes that hold ten thousand patients.

The engine makes hardly any cycles, and looking through a million objects for them costs a
fifteenth of its CPU (benchmarks/RESULTS-always-on.md).
"""

from __future__ import annotations

import gc

YOUNG = 50_000  # objects more than are gone again, before the youngest are looked through
OLDER = (50, 1_000)


def calm() -> None:
    """Look less often, and never again through what is there now: modules, weights, tables."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *OLDER)
