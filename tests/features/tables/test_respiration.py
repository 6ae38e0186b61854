"""The catalogue's rows of respiration against what is computed."""

from __future__ import annotations

import numpy as np
import pytest

from features.breathing.tracking import fresh_state
from features.catalog import FeatureReason
from features.respiration import rate_columns, wave_columns
from features.tables.respiration import FEATURES
from tests.features.breathing.kit import Body, windows

BY_NAME = {feature.name: feature for feature in FEATURES}


def test_what_is_computed_is_listed_and_what_is_listed_is_computed() -> None:
    asked = windows([Body()], "resp ecg ppg")
    columns = rate_columns(asked, fresh_state(1))[0] | wave_columns(asked.wave)
    assert set(columns) == set(BY_NAME)
    assert {f.name for f in FEATURES if "300s" in f.windows} == set(wave_columns(asked.wave))


def test_names_and_ids_are_unique() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert len({feature.id for feature in FEATURES}) == len(FEATURES)


@pytest.mark.parametrize("kind", ["noise", "brown", "spikes", "square", "breathing"])
def test_every_value_lies_in_its_declared_range(kind: str) -> None:
    rng = np.random.default_rng(7)
    n = 200
    bodies = [Body(4 + i % 60, 40 + i % 120, 0.1 * (i % 2), 0.05 + i % 3) for i in range(n)]
    asked = windows(bodies, "resp ecg ppg")
    x = rng.normal(size=asked.wave.shape)
    asked.wave[:] = {
        "noise": x,
        "brown": np.cumsum(x, axis=1),
        "spikes": 1e9 * x**9,
        "square": np.sign(np.sin(np.arange(240) * rng.uniform(0.01, 3, (n, 1)))),
        "breathing": asked.wave,
    }[kind]
    asked.wave[rng.random(asked.wave.shape) < 0.01] = np.nan
    columns = rate_columns(asked, fresh_state(n))[0] | wave_columns(asked.wave)
    for name, column in columns.items():
        ok = column.reason == FeatureReason.OK
        assert (np.isfinite(column.value) == ok).all(), name
        assert (column.value[ok] >= BY_NAME[name].lo).all(), name
        assert (column.value[ok] <= BY_NAME[name].hi).all(), name
        for share in (column.quality, column.coverage):
            assert ((share >= 0) & (share <= 1)).all(), name
