"""Each modality's own verdict, and that a swapped sensor makes them contradict each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.calibration.disagreement import disagreement
from models.calibration.verdicts import verdicts
from models.families.late import LateModel
from models.fusion_model import ComposedModel
from models.registry import family
from models.testbed.planted import plant, redundant, spec_of, without
from models.testbed.trial import SMALL, trained
from models.training.recipe import Recipe
from tests.models.contract import model_kit as kit

LATE = {"width": 16, "dropout": 0.0, "rule": {"type": "mean"}}


def model(name: str) -> ComposedModel:
    config = SMALL if name == "fusion.gated" else LATE
    recipe = Recipe(epochs=10, batch=16, learning_rate=1e-2)
    planted = plant(redundant, 128, 12, seed=1)
    return trained(spec_of(name, {"a": 2, "b": 2}, config), planted, recipe)


@pytest.mark.parametrize("name", ["fusion.gated", "late.mean"])
def test_a_swapped_sensor_makes_the_verdicts_contradict_each_other(name: str) -> None:
    own = model(name)
    test = plant(redundant, 200, 12, seed=2)
    state = test.factors["state"].mean(axis=1)
    well, ill = np.argsort(state)[:20], np.argsort(state)[-20:]
    seq = test.histories.seq
    a = seq.value["a"].clone()
    a[well] = seq.value["a"][ill]  # the wearable of somebody very ill
    swapped = seq._replace(value={**seq.value, "a": a})
    before, after = (
        disagreement(verdicts(own, s)[well, -1].double().numpy()) for s in (seq, swapped)
    )
    assert np.median(after) > 0.2
    assert np.median(after) > 10 * np.median(before)


def test_who_is_absent_or_has_no_head_says_nothing() -> None:
    own = model("late.mean")
    assert isinstance(own, LateModel)
    test = plant(redundant, 5, 3, seed=2)
    said = verdicts(own, without(test.histories, "b"))
    assert torch.isnan(said[..., 1]).all()
    assert torch.isfinite(said[..., 0]).all()
    example = family("fusion.gated").build(family("fusion.gated").example()).eval()
    silent = verdicts(example, kit.history(example.spec))
    assert torch.isnan(silent[..., kit.index_of(example.spec, "static")]).all()
