"""Windows over primitives become rows of features: every row of a batch at once.

Not here: analysing samples (`features.analyse`), storing primitives (`features.rings`), the
features themselves (`features.families`), joining clinical events (`features.align`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from features.align import FeatureBatch
from features.beat_windows import Column
from features.catalog import CATALOG, INDEX
from features.families import breathing, device, motion, rates, variability
from features.families.table import Columns, Row
from features.feature import VALUED, FeatureReason
from features.intervals import Ints

_Family = Callable[[Sequence[Row]], Columns]
_FAMILIES: Final[dict[str, tuple[_Family, ...]]] = {
    "60s": (rates.columns, breathing.columns, device.columns, motion.columns),
    "300s": (variability.columns,),
}
_RANGES: Final = np.array([(feature.lo, feature.hi) for feature in CATALOG], np.float64)


def extract(rows: Sequence[Row]) -> FeatureBatch:
    """Every catalogue feature of every window.

    Parameters
    ----------
    rows : sequence of (Memory, Window), length B
        The patient's memory and the window. A memory may occur many times.

    Returns
    -------
    FeatureBatch
        [B, F]. A row depends on its own memory and window only, bit for bit, and only on segments
        that end by the window's end. Features of another window length are `OTHER_WINDOW`.

    Notes
    -----
    A segment that failed the quality gate counts as a gap. Never raises for what primitives
    hold; a value outside its declared range is `UNDEFINED`.
    Checked against: ``tests/features/test_extract.py``.

    Examples
    --------
    >>> from features.memory import Memory
    >>> from streams.windows import Window
    >>> batch = extract([(Memory(), Window("p", "60s", 0, 60_000_000, 0))])
    >>> FeatureReason(batch.reason[0, INDEX["ecg_hr_bpm"]]).name
    'NO_SIGNAL'
    """
    shape = (len(rows), len(CATALOG))
    batch = FeatureBatch(
        tuple(window for _, window in rows),
        np.full(shape, np.nan),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        np.full(shape, FeatureReason.OTHER_WINDOW, np.uint8),
    )
    with np.errstate(all="ignore"):
        for name, families in _FAMILIES.items():
            at = np.flatnonzero([window.name == name for _, window in rows])
            chosen = [rows[i] for i in at.tolist()]
            for family in families if chosen else ():
                for feature, column in family(chosen).items():
                    _store(batch, at, INDEX[feature], column)
    return batch


def _store(batch: FeatureBatch, at: Ints, j: int, column: Column) -> None:
    """Write a column into its rows; what is outside its range or no number has no value."""
    low, high = _RANGES[j]
    given = np.isin(column.reason, VALUED)
    sound = given & (column.value >= low) & (column.value <= high)
    batch.value[at, j] = np.where(sound, column.value, np.nan)
    batch.quality[at, j] = column.quality
    batch.coverage[at, j] = column.coverage
    batch.n[at, j] = column.n
    batch.reason[at, j] = np.where(given & ~sound, FeatureReason.UNDEFINED, column.reason)
