"""Windows over primitives become rows of features: every row of a batch at once.

Not here: analysing samples (`features.analyse`), storing primitives (`features.rings`), the
features themselves (`features.families`), joining clinical events (`features.align`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from features.align import FeatureBatch
from features.catalog import CATALOG
from features.families import (
    breathing,
    device,
    motion,
    rates,
    saturation,
    skin,
    spectra,
    variability,
)
from features.families.table import Columns, Row
from features.feature import FeatureReason
from features.store import store
from streams.windows import WINDOWS

_Family = Callable[[Sequence[Row]], Columns]
_FAMILIES: Final[dict[str, tuple[_Family, ...]]] = {
    "60s": (
        rates.columns,
        breathing.columns,
        device.columns,
        saturation.columns,
        skin.columns,
        motion.columns,
        spectra.columns,
    ),
    "300s": (variability.columns, saturation.columns, skin.columns, motion.long_columns),
}
_ABSENT: Final = {
    spec.name: [
        FeatureReason.NO_SIGNAL if spec.name in feature.windows else FeatureReason.OTHER_WINDOW
        for feature in CATALOG
    ]
    for spec in WINDOWS
}


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
        that end by the window's end. Features of another window length are `OTHER_WINDOW`, those
        that `features.follow` fills `NO_SIGNAL`.

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
    >>> from features.catalog import INDEX
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
        np.array([_ABSENT[window.name] for _, window in rows], np.uint8).reshape(shape),
    )
    with np.errstate(all="ignore"):
        for name, families in _FAMILIES.items():
            at = np.flatnonzero([window.name == name for _, window in rows])
            chosen = [rows[i] for i in at.tolist()]
            for family in families if chosen else ():
                store(batch, at, family(chosen))
    return batch
