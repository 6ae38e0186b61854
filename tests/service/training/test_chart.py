"""The chart as trees says what NEWS2 says of vital signs: at every border, where one is missing."""

from __future__ import annotations

import numpy as np
import torch

from models.families.boosted import BoostedModel
from models.news2 import VITAL_SIGNS, News2Inputs, news2
from models.trees import Trees
from service.datasets.cinc2019 import MODALITIES
from service.training import chart
from service.training import cinc2019 as recipe
from tests.service.training.made_up import stays

NAMES = list(MODALITIES["vitals"].values())


def _model() -> BoostedModel:
    own = stays(30)
    return recipe.fitted(recipe.blank(), own, np.ones(30, bool))


def _by_the_chart(value: np.ndarray) -> np.ndarray:
    none = np.full(len(value), np.nan)
    told = {name: value[:, NAMES.index(name)].astype(np.float64) for name in VITAL_SIGNS}
    told["pulse"] = told.pop("hr")
    rest = dict.fromkeys(("oxygen", "consciousness", "spo2_scale"), none)
    return news2(News2Inputs(**told, **rest)).lower


def _by_trees(model: BoostedModel, value: np.ndarray, nodes: int = chart.NODES) -> np.ndarray:
    columns = recipe.column_names()
    vector = np.full((len(value), len(columns)), np.nan, np.float32)
    normal = model.normalizers["vitals"]
    for i, name in enumerate(NAMES):
        z = (value[:, i] - normal.center[i].numpy()) / normal.scale[i].numpy()
        vector[:, columns.index(f"vitals.{name}.last")] = z
    forest = Trees(chart.COUNT, nodes, chart.DEPTH, len(columns))
    forest.take(chart.trees(model, nodes))
    return forest(torch.from_numpy(vector)).numpy()


def _values() -> np.ndarray:
    """Every whole step around every border, a sign at a time; then many at once, some unknown."""
    random = np.random.default_rng(0)
    usual = {"hr": 80, "spo2": 97, "temp": 37, "resp_rate": 16, "sbp": 120, "map": 80, "dbp": 60}
    rows = [
        {**usual, name: (edge + step) / per_unit}
        for name, (band, per_unit) in VITAL_SIGNS.items()
        for edge in band.edges
        for step in (-1, 0, 1, 2)
    ]
    alone = np.array([[row[name] for name in NAMES] for row in rows], np.float32)
    spread = np.array([usual[name] for name in NAMES]) * random.uniform(0.4, 1.9, (2000, 1))
    many = np.round(spread * random.uniform(0.9, 1.1, (2000, len(NAMES)))).astype(np.float32)
    many[random.random(many.shape) < 0.2] = np.nan
    return np.concatenate([alone, many])


def test_the_trees_say_what_the_chart_says() -> None:
    value = _values()
    expected = _by_the_chart(value)
    assert set(expected) >= set(range(10))
    np.testing.assert_array_equal(_by_trees(_model(), value), expected)


def test_room_for_more_nodes_changes_nothing() -> None:
    model, value = _model(), _values()
    np.testing.assert_array_equal(_by_trees(model, value, 63), _by_trees(model, value))


def test_what_is_unknown_has_no_points() -> None:
    nothing = np.full((1, len(NAMES)), np.nan, np.float32)
    assert _by_trees(_model(), nothing)[0] == 0


def test_points_of_stays_are_those_of_what_was_charted_last() -> None:
    own, model = stays(30), _model()
    found = chart.points_of(own, model)
    assert len(found) == len(own.label)
    first = own.starts
    np.testing.assert_array_equal(found[first], _by_trees(model, own.value["vitals"][first]))
    assert len(np.unique(found)) > 5
