"""Features with a memory: personal baselines, hours and days. One end of each patient at a time.

`extract` gives what a window holds by itself; `follow` adds what only the patient's past can tell,
and lets the past grow. Not here: the features themselves (`features.families`, `features.baseline`,
`features.derived`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from features.align import FeatureBatch
from features.families import breathing, hours, self_relative
from features.families.self_relative import Care
from features.families.table import Columns, Row, asked_of
from features.history import FIVE_MINUTES_US
from features.intervals import Ints
from features.store import store

__all__ = ["Care", "follow"]


def follow(rows: Sequence[Row], batch: FeatureBatch, care: Sequence[Care]) -> None:
    """Fill the columns of a batch that rest on the patients' past.

    Parameters
    ----------
    rows : sequence of (Memory, Window), length B
        As for `extract`. Windows of one patient in their order, those of one end together; at
        most the last end of each is a multiple of five minutes, as accelerometers are calibrated
        then (`features.calibrations`).
    batch : FeatureBatch
        What `extract` made of these rows; filled in place.
    care : sequence of Care, length B
        What else is known of each row's patient.

    Notes
    -----
    A row depends on its own patient's past only, bit for bit.
    Checked against: ``tests/features/test_follow.py``.
    """
    with np.errstate(all="ignore"):
        minutes = _named(rows, "60s")
        _each(rows, batch, minutes, breathing.followed)
        _each(rows, batch, minutes, lambda _: self_relative.deficit(batch, minutes))
        fives = _named(rows, "300s")
        for at, columns in zip(
            (minutes, fives),
            self_relative.relative(rows, batch, care, (minutes, fives)),
            strict=True,
        ):
            store(batch, at, columns)
        kept = np.array([i for i in fives if rows[i][1].end_us % FIVE_MINUTES_US == 0], np.intp)
        if kept.size:
            hours.remember(rows, batch, kept)
        _each(rows, batch, _named(rows, "3600s"), hours.hour)
        _each(rows, batch, _named(rows, "86400s"), hours.day)


def _named(rows: Sequence[Row], name: str) -> Ints:
    """Which rows are windows of this name."""
    return np.flatnonzero([window.name == name for _, window in rows])


def _each(
    rows: Sequence[Row], batch: FeatureBatch, at: Ints, family: Callable[[Sequence[Row]], Columns]
) -> None:
    """Store what a family makes of some rows."""
    if at.size:
        store(batch, at, family(asked_of(rows, tuple(at.tolist()))))
