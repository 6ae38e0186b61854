"""The training loop: the same bits however it is cut, and it learns what is planted."""

from __future__ import annotations

import msgspec
import pytest
import torch
from torch import nn

from models.evaluation.ranking import auroc
from models.fusion_model import FusionModel
from models.registry import family
from models.testbed.planted import plant, redundant, spec_of
from models.training.loop import Trainer, fit
from models.training.recipe import Recipe

CONFIG = {"width": 8, "hidden": 8, "dropout": 0.1, "head_dropout": [0.1, 0.1]}
DATA = plant(redundant, patients=48, steps=10, seed=1)
RECIPE = Recipe(epochs=4, batch=8, learning_rate=1e-2, average=0.9)


def fresh_model(seed: int = 0) -> FusionModel:
    torch.manual_seed(seed)
    model = family("fusion.gated").build(spec_of("fusion.gated", {"a": 2, "b": 2}, CONFIG))
    assert isinstance(model, nn.Module)
    values = {k: x.flatten(0, 1).double().numpy() for k, x in DATA.histories.seq.value.items()}
    model.fit_inputs(values)
    return model


def weights(model: FusionModel) -> dict[str, bytes]:
    assert isinstance(model, nn.Module)
    return {k: x.numpy().tobytes() for k, x in model.state_dict().items()}


def judged(model: FusionModel) -> float:
    logit = model.forward(DATA.histories.seq).logit[..., 0]
    return auroc(DATA.label.ravel(), logit.detach().double().numpy().ravel())


def test_the_same_recipe_gives_the_same_bits() -> None:
    one, other = fresh_model(), fresh_model()
    assert fit(one, DATA.histories, RECIPE, judged) == fit(other, DATA.histories, RECIPE, judged)
    assert weights(one) == weights(other)


@pytest.mark.parametrize("cut", [1, 3])
def test_a_run_resumed_from_a_checkpoint_ends_with_the_same_bits(cut: int) -> None:
    whole = fresh_model()
    fit(whole, DATA.histories, RECIPE, judged)
    first = Trainer(fresh_model(), DATA.histories, RECIPE, judge=judged)
    for _ in range(cut):
        first.run_epoch()
    torch.rand(3)  # whatever else drew numbers meanwhile
    resumed = fresh_model(seed=9)
    second = Trainer(resumed, DATA.histories, RECIPE, judge=judged)
    second.resume(first.checkpoint())
    while not second.finished:
        second.run_epoch()
    second.finish()
    assert weights(resumed) == weights(whole)


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    model = fresh_model()
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    fit(model, DATA.histories, msgspec.structs.replace(RECIPE, epochs=1))
    assert torch.equal(torch.rand(2), expected)


def test_it_learns_what_is_planted() -> None:
    model = fresh_model()
    before = judged(model)
    epochs = fit(model, DATA.histories, msgspec.structs.replace(RECIPE, epochs=20, average=0.0))
    assert epochs[-1].losses["joint"] < 0.6 * epochs[0].losses["joint"]
    assert judged(model) > max(before, 0.9)


def test_the_best_epoch_is_shipped_and_stale_ones_end_the_run() -> None:
    figures = iter([0.5, 0.9, 0.7, 0.6, 0.8])
    seen: list[dict[str, bytes]] = []

    def judge(model: FusionModel) -> float:
        seen.append(weights(model))
        return next(figures)

    model = fresh_model()
    recipe = msgspec.structs.replace(RECIPE, epochs=5, patience=2)
    epochs = fit(model, DATA.histories, recipe, judge)
    assert [epoch.best for epoch in epochs] == [True, True, False, False]
    assert weights(model) == seen[1]


def test_the_mean_of_the_weights_is_judged_and_training_goes_on_from_the_weights() -> None:
    plain, averaged = fresh_model(), fresh_model()
    one = Trainer(plain, DATA.histories, msgspec.structs.replace(RECIPE, average=0.0))
    other = Trainer(averaged, DATA.histories, RECIPE, judge=judged)
    one.run_epoch(), other.run_epoch()
    assert weights(plain) == weights(averaged)
    other.finish()
    assert weights(plain) != weights(averaged)


def test_a_checkpoint_of_another_recipe_or_network_is_refused() -> None:
    trainer = Trainer(fresh_model(), DATA.histories, RECIPE)
    data = trainer.checkpoint()
    slower = msgspec.structs.replace(RECIPE, learning_rate=1e-4)
    with pytest.raises(ValueError, match="another recipe"):
        Trainer(fresh_model(), DATA.histories, slower).resume(data)
    wider = family("fusion.gated").build(spec_of("fusion.gated", {"a": 2, "b": 2}))
    with pytest.raises(ValueError, match="another network"):
        Trainer(wider, DATA.histories, RECIPE).resume(data)


@pytest.mark.parametrize("junk", [b"", b"12345678", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_bytes_that_are_no_checkpoint_are_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        Trainer(fresh_model(), DATA.histories, RECIPE).resume(junk)


def test_a_step_is_told_to_whoever_shows_progress() -> None:
    told: list[tuple[int, int]] = []
    Trainer(fresh_model(), DATA.histories, RECIPE).run_epoch(lambda *step: told.append(step))
    assert told == [(i, 6) for i in range(1, 7)]
