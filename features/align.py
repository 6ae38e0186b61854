"""Feature rows joined with clinical events, as known at the decision time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.windows import Window


class FeatureBatch(NamedTuple):
    """Rows of features, one per window; columns follow `features.catalog.CATALOG`.

    `value` is NaN exactly where `reason` is not OK. `coverage` is the share of the window's time
    that was usable, `n` the beats, breaths or samples used.
    """

    windows: tuple[Window, ...]
    value: NDArray[np.float64]  # [B, F]
    quality: NDArray[np.float32]  # [B, F] 0-1
    coverage: NDArray[np.float32]  # [B, F] 0-1
    n: NDArray[np.int32]  # [B, F]
    reason: NDArray[np.uint8]  # [B, F] FeatureReason


class AlignedBatch(NamedTuple):
    """`FeatureBatch` rows with the clinical facts valid at each row's end, known by `known_us`.

    Columns of the concept arrays follow `features.concepts.CONCEPTS`.
    """

    features: FeatureBatch
    concept_value: NDArray[np.float64]  # [B, C], NaN = missing
    concept_time_us: NDArray[np.int64]  # [B, C], 0 = missing
