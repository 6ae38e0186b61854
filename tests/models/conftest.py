"""Rows for scorers: one window with the features and charted facts a test names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytest

from features.align import AlignedBatch, FeatureBatch
from features.catalog import CATALOG, FeatureReason
from features.catalog import INDEX as FEATURE
from features.concepts import CONCEPTS
from features.concepts import INDEX as CONCEPT
from streams.windows import Window

END_US = 1_700_000_000_000_000


class Case(NamedTuple):
    """One row: feature -> value or (value, quality); concept -> value or (value, age_s)."""

    features: Mapping[str, float | tuple[float, float]] = {}
    facts: Mapping[str, float | tuple[float, float]] = {}


def _batch(cases: Sequence[Case]) -> AlignedBatch:
    shape = (len(cases), len(CATALOG))
    value, quality = np.full(shape, np.nan), np.zeros(shape, dtype=np.float32)
    reason = np.full(shape, FeatureReason.NO_SIGNAL, dtype=np.uint8)
    fact = np.full((len(cases), len(CONCEPTS)), np.nan)
    fact_us = np.zeros(fact.shape, dtype=np.int64)
    for row, case in enumerate(cases):
        for name, given in case.features.items():
            number, sqi = given if isinstance(given, tuple) else (given, 1.0)
            value[row, FEATURE[name]], quality[row, FEATURE[name]] = number, sqi
            reason[row, FEATURE[name]] = FeatureReason.OK
        for code, given in case.facts.items():
            number, age_s = given if isinstance(given, tuple) else (given, 600.0)
            fact[row, CONCEPT[code]] = number
            fact_us[row, CONCEPT[code]] = END_US - round(age_s * 1e6)
    windows = tuple(
        Window(f"p{row}", "60s", END_US - 60_000_000, END_US, END_US + 5_000_000, row)
        for row in range(len(cases))
    )
    n = np.zeros(shape, dtype=np.int32)
    return AlignedBatch(
        FeatureBatch(windows, value, quality, quality.copy(), n, reason), fact, fact_us
    )


@pytest.fixture(scope="session")
def aligned() -> Callable[..., AlignedBatch]:
    """Build an `AlignedBatch` from (features, facts) pairs."""

    def build(*cases: tuple[Mapping[str, object], Mapping[str, object]]) -> AlignedBatch:
        return _batch([Case(*case) for case in cases])  # type: ignore[arg-type]

    return build
