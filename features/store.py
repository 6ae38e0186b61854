"""Columns go into their place in a batch, and nothing outside its declared range does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from features.align import FeatureBatch
from features.catalog import CATALOG, INDEX
from features.column import Column
from features.feature import VALUED, FeatureReason
from features.intervals import Floats, Ints

_RANGES: Final = np.array([(feature.lo, feature.hi) for feature in CATALOG], np.float64)

_UNDEFINED: Final = np.uint8(FeatureReason.UNDEFINED)
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
    where = _where(tuple(columns))
    # Laid end to end, feature after feature: a stack of many short columns costs twice as much.
    value, quality, coverage, n, reason = (
        np.concatenate(fields).reshape(len(columns), -1).T
        for fields in zip(*columns.values(), strict=True)
    )
    given = _IS_VALUED[reason]
    sound = given & (value >= where.low) & (value <= where.high)
    place = at[:, None], where.feature
    batch.value[place] = np.where(sound, value, np.nan)
    batch.quality[place] = quality
    batch.coverage[place] = coverage
    batch.n[place] = n
    batch.reason[place] = np.where(given & ~sound, _UNDEFINED, reason)


class _Where(NamedTuple):
    """Places of features in the catalogue, and their declared ranges."""

    feature: Ints
    low: Floats
    high: Floats


@lru_cache(maxsize=256)
def _where(names: tuple[str, ...]) -> _Where:
    feature = np.array([INDEX[name] for name in names])
    return _Where(feature, _RANGES[feature, 0].copy(), _RANGES[feature, 1].copy())
