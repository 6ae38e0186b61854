"""The ways in which such figures are usually too good, each shown not to be one of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from models.evaluation.ranking import auroc
from models.families.boosted import BoostedModel
from models.registry import family, names
from models.training.ragged import carried, vectors
from service import train
from service.datasets.cinc2019 import Stays
from service.training import boost
from service.training import cinc2019 as recipe
from tests.service.training.made_up import stays

SMALL = boost.Recipe(rounds=3, min_data_in_leaf=10, keep=1.0)


def _relabelled(own: Stays, which: np.ndarray, seed: int = 1) -> Stays:
    """The same stays, with other outcomes for some of them."""
    rows = np.repeat(which, own.lengths)
    other = np.random.default_rng(seed).random(len(own.label)) < 0.5
    return own._replace(label=np.where(rows, other, own.label))


def test_what_happened_to_others_moves_no_forest() -> None:
    pytest.importorskip("lightgbm")
    own = stays(60)
    inside = np.arange(60) < 40
    grown = [
        recipe.grow(recipe.prepare(x, inside, (1,)), x, "joint", 0, SMALL)
        for x in (own, _relabelled(own, ~inside))
    ]
    assert grown[0] == grown[1]


def test_no_stay_is_scored_by_a_forest_that_knew_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightgbm")
    monkeypatch.setattr(recipe.grow, "__defaults__", (SMALL,))
    own = stays(60)
    job = train.Job(tmp_path, tmp_path, folds=2)
    fold = train.folds_of(own, job)
    found = []
    for number, x in enumerate((own, _relabelled(own, fold == 0))):
        stages = train.Stages(tmp_path / str(number), train.SILENT)
        found.append(train.held_out(stages, x, fold, job))
    first = np.repeat(fold == 0, own.lengths)
    np.testing.assert_array_equal(found[0].joint[first], found[1].joint[first])
    assert not np.array_equal(found[0].joint[~first], found[1].joint[~first])


def test_normalisation_knows_nothing_of_who_does_not_train() -> None:
    own = stays(40)
    inside = np.arange(40) < 30
    rows = np.repeat(inside, own.lengths)[:, None]
    other = {name: np.where(rows, x, 999.0) for name, x in own.value.items()}
    one, two = (recipe.fitted(recipe.blank(), x, inside) for x in (own, own._replace(value=other)))
    for name in one.names:
        a, b = one.normalizers[name].state_dict(), two.normalizers[name].state_dict()
        assert all((a[key] == b[key]).all() for key in a)


def test_how_long_a_stay_will_be_is_in_no_hour_before_its_end() -> None:
    own = stays(10)
    model = recipe.fitted(recipe.blank(), own, np.ones(10, bool))
    whole = vectors(model, carried(own.value, own.lengths))
    half = own.lengths // 2
    first = np.concatenate(
        [np.arange(start, start + n) for start, n in zip(own.starts, half, strict=True)]
    )
    cut = vectors(model, carried({k: x[first] for k, x in own.value.items()}, half))
    for name, x in cut.items():
        np.testing.assert_array_equal(x, whole[name][first])


def test_an_index_that_gives_the_outcome_away_is_no_input() -> None:
    own = stays(200)
    assert auroc(own.label, own.hour.astype(float)) > 0.6  # the leak is there to be had
    inputs = {f.name for m in recipe.modalities() for f in m.features}
    assert not inputs & {"hour", "iculos", "unit", "unit1", "unit2"}
    assert not [
        name for name in recipe.column_names() if name.startswith("labs") and "count" in name
    ]


@pytest.mark.parametrize("name", names("models"))
def test_no_model_normalises_by_its_batch(name: str) -> None:
    found = family(name)
    model = found.build(found.example())
    assert isinstance(model, nn.Module)
    kinds = (nn.modules.batchnorm._NormBase,)
    assert [key for key, part in model.named_modules() if isinstance(part, kinds)] == []


def test_the_default_network_is_of_the_family_its_spec_names() -> None:
    assert isinstance(recipe.blank(), BoostedModel)
    assert recipe.blank().spec.family == "boosted"
