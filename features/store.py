"""Columns go into their place in a batch, and nothing outside its declared range does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from features.align import FeatureBatch
from features.catalog import CATALOG, INDEX
from features.column import Column
from features.feature import VALUED, FeatureReason
from features.intervals import Ints

_RANGES: Final = np.array([(feature.lo, feature.hi) for feature in CATALOG], np.float64)

_IS_VALUED: Final = np.isin(np.arange(256), VALUED)  # by `FeatureReason`


def store(batch: FeatureBatch, at: Ints, columns: Mapping[str, Column]) -> None:
    """Write columns into some rows of a batch.

    Parameters
    ----------
    batch : FeatureBatch
    at : (n,) int
        The rows.
    columns : mapping of feature name to Column
        n values each; what is outside its range or no number becomes `UNDEFINED`.
    """
    if not columns:
        return
    j = np.array([INDEX[name] for name in columns])
    value, quality, coverage, n, reason = (
        np.stack(fields, axis=1) for fields in zip(*columns.values(), strict=True)
    )
    given = _IS_VALUED[reason]
    sound = given & (value >= _RANGES[j, 0]) & (value <= _RANGES[j, 1])
    place = np.ix_(at, j)
    batch.value[place] = np.where(sound, value, np.nan)
    batch.quality[place] = quality
    batch.coverage[place] = coverage
    batch.n[place] = n
    batch.reason[place] = np.where(given & ~sound, FeatureReason.UNDEFINED, reason)
