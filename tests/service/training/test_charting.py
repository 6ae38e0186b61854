"""Made-up houses: they lose measurements, never invent one, and are the same every time."""

from __future__ import annotations

import numpy as np

from service.datasets.cinc2019 import MODALITIES
from service.training.charting import elsewhere
from tests.service.training.made_up import stays

NAMES = {name: tuple(table.values()) for name, table in MODALITIES.items()}


def test_measurements_are_lost_and_none_is_changed_or_added() -> None:
    own = stays(300)
    other = elsewhere(own.value, NAMES, own.lengths, 1)
    for name, x in own.value.items():
        kept = np.isfinite(other[name])
        assert (other[name][kept] == x[kept]).all()
        assert np.isfinite(x).sum() > kept.sum()


def test_some_stays_never_see_a_column_that_others_do() -> None:
    own = stays(300)
    pressure = elsewhere(own.value, NAMES, own.lengths, 1)["vitals"][
        :, NAMES["vitals"].index("sbp")
    ]
    seen = np.maximum.reduceat(np.isfinite(pressure), own.starts)
    assert 0.15 < 1 - seen.mean() < 0.4


def test_the_same_seed_is_the_same_house_and_another_is_another() -> None:
    own = stays(50)
    one, two, three = (elsewhere(own.value, NAMES, own.lengths, s)["labs"] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(np.isnan(one), np.isnan(three))


def test_what_was_given_is_not_changed() -> None:
    own = stays(20)
    before = {name: x.copy() for name, x in own.value.items()}
    elsewhere(own.value, NAMES, own.lengths, 1)
    for name, x in before.items():
        np.testing.assert_array_equal(own.value[name], x)
