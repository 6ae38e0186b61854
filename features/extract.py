"""Windows over primitives become rows of features: every row of a batch at once.

Not here: analysing samples (`features.analyse`), storing primitives (`features.rings`), the
features themselves (`features.families`), joining clinical events (`features.align`).
"""

from __future__ import annotations

from collections.abc import Callable, KeysView, Sequence
from typing import Final, NamedTuple

import numpy as np

from features.align import FeatureBatch
from features.catalog import CATALOG
from features.families import (
    breathing,
    device,
    heart,
    motion,
    pulse,
    saturation,
    skin,
    spectra,
)
from features.families.table import Batch, Columns, Row, asked_of
from features.feature import FeatureReason
from features.signals import MOTION
from features.store import store
from streams.windows import WINDOWS


class _Family(NamedTuple):
    """Features made together, and the signals of which one at least is needed."""

    columns: Callable[[Sequence[Row]], Columns]
    signals: tuple[str, ...]


_SATURATION: Final = _Family(saturation.columns, ("spo2",))
_WARMTH: Final = _Family(skin.temperature, ("temp",))
_SKIN: Final = _Family(skin.conductance, ("eda",))
_CHEST: Final = _Family(breathing.wave_only, ("resp",))
_DAILY_LIFE: Final = _Family(device.daily_life, ("glucose", "step_rate", "asleep"))
_ECG: Final = _Family(heart.ecg_columns, ("ecg",))
_INTERVALS: Final = _Family(heart.device_columns, ("rr_interval",))
_FAMILIES: Final[dict[str, tuple[_Family, ...]]] = {
    "60s": (
        _ECG,
        _Family(heart.quality_columns, ("ecg",)),
        _INTERVALS,
        _Family(pulse.columns, ("ppg",)),
        _CHEST,
        _Family(device.columns, ("hr", "pulse", "resp_rate")),
        _DAILY_LIFE,
        _SATURATION,
        _WARMTH,
        _SKIN,
        _Family(motion.columns, (MOTION,)),
        _Family(spectra.columns, ("ecg", "ppg")),
    ),
    "300s": (
        _ECG,
        _INTERVALS,
        _CHEST,
        _Family(pulse.long_columns, ("ppg",)),
        _SATURATION,
        _WARMTH,
        _SKIN,
        _Family(motion.long_columns, (MOTION,)),
        _Family(device.long_columns, ("hr",)),
        _DAILY_LIFE,
    ),
}
_ABSENT: Final = {
    spec.name: np.array(
        [
            FeatureReason.NO_SIGNAL if spec.name in feature.windows else FeatureReason.OTHER_WINDOW
            for feature in CATALOG
        ],
        np.uint8,
    )
    for spec in WINDOWS
}


_NOTHING: Final = np.empty(0, np.uint8)  # so that no rows at all are a batch as well


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
        np.concatenate([_NOTHING, *(_ABSENT[window.name] for _, window in rows)]).reshape(shape),
    )
    rows = rows if isinstance(rows, Batch) else Batch(rows)
    with np.errstate(all="ignore"):
        for name, families in _FAMILIES.items():
            of_length = tuple(i for i, (_, window) in enumerate(rows) if window.name == name)
            ever = [rows[i][0].rings.ever() for i in of_length]
            made: dict[tuple[int, ...], Columns] = {}  # by their rows, to be stored at once
            for family in families:
                # Without one of its signals nothing need be computed.
                at = _having(family.signals, of_length, ever)
                if at:
                    made.setdefault(at, {}).update(family.columns(asked_of(rows, at)))
            for at, columns in made.items():
                store(batch, np.array(at), columns)
    return batch


def _having(
    signals: tuple[str, ...], rows: tuple[int, ...], ever: list[KeysView[str]]
) -> tuple[int, ...]:
    """Rows whose patient ever had one of these signals."""
    lacking = [i for i, known in zip(rows, ever, strict=True) if known.isdisjoint(signals)]
    if not lacking:
        return rows
    if len(lacking) == len(rows):
        return ()
    without = set(lacking)
    return tuple(i for i in rows if i not in without)
