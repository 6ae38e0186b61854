"""Ensembles: the mean of members, their spread, and trained ones put together unchanged."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from models.artifact import decode
from models.evaluation.ranking import auroc
from models.families.ensemble import EnsembleModel, assemble, build, example
from models.fusion_model import ComposedModel
from models.registry import family
from models.spec import CalibrationSpec, ModelSpec
from models.testbed.planted import plant, redundant, spec_of
from models.testbed.trial import SMALL, trained
from models.training.recipe import Recipe
from models.weights import files_of, network
from tests.models.contract import model_kit as kit

SPEC = spec_of("fusion.gated", {"a": 2, "b": 2}, SMALL)


def members(n: int = 3) -> list[ComposedModel]:
    found = []
    for seed in range(n):
        torch.manual_seed(seed)
        found.append(family("fusion.gated").build(SPEC).eval())
    return found


def test_the_logit_is_the_mean_and_the_spread_is_the_members() -> None:
    own = members()
    whole = assemble(SPEC, own).eval()
    seq = kit.history(SPEC)
    with torch.no_grad():
        each = torch.stack([m.forward(seq).logit for m in own])
        said = whole.forward(seq)
    torch.testing.assert_close(said.logit, each.mean(dim=0))
    torch.testing.assert_close(said.std, torch.sigmoid(each).std(dim=0))


def test_the_spread_grows_away_from_what_was_seen() -> None:
    planted = plant(redundant, 64, 8, seed=1)
    own = [
        trained(SPEC, planted, Recipe(epochs=6, batch=16, learning_rate=1e-2, seed=seed))
        for seed in range(4)
    ]
    whole = assemble(SPEC, own).eval()
    seq = plant(redundant, 64, 8, seed=2).histories.seq
    torn = {"a": seq.value["a"] + 4.0, "b": seq.value["b"] - 4.0}  # they never contradicted so
    with torch.no_grad():
        usual, strange = (whole.forward(s).std.mean() for s in (seq, seq._replace(value=torn)))
    assert strange > 1.5 * usual


def test_the_mean_is_no_worse_than_the_members_mean_figure() -> None:
    planted, test = plant(redundant, 64, 8, seed=1), plant(redundant, 200, 8, seed=2)
    recipes = [Recipe(epochs=5, batch=16, learning_rate=1e-2, seed=seed) for seed in range(3)]
    own = [trained(SPEC, planted, recipe) for recipe in recipes]
    label = test.label.ravel()

    def figure(model: ComposedModel | EnsembleModel) -> float:
        with torch.no_grad():
            logit = model.forward(test.histories.seq).logit
        return auroc(label, logit.double().numpy().ravel())

    assert figure(assemble(SPEC, own)) >= np.mean([figure(m) for m in own])


def test_an_ensemble_is_an_artifact_like_any_other() -> None:
    whole = assemble(SPEC, members()).eval()
    again = network(decode(files_of(whole)))
    seq = kit.history(SPEC)
    assert kit.same(kit.stream(whole, seq)[0], kit.stream(again, seq)[0])


def test_a_temperature_of_the_whole_keeps_the_parts_sum() -> None:
    hot = msgspec.structs.replace(
        SPEC, calibration=CalibrationSpec("platt", values={"slope": (0.5,), "bias": (-1.0,)})
    )
    own = members(2)
    plain, whole = assemble(SPEC, own).eval(), assemble(hot, own).eval()
    seq = kit.history(SPEC)
    with torch.no_grad():
        before, said = plain.forward(seq, explain=True), whole.forward(seq, explain=True)
    torch.testing.assert_close(said.logit, 0.5 * before.logit - 1.0)
    moved = said.logit[..., 0] - whole.bias()[0]
    torch.testing.assert_close(said.share.sum(dim=-1), moved, atol=1e-5, rtol=0)


def with_members(
    *parts: dict[str, object], calibration: CalibrationSpec | None = None
) -> ModelSpec:
    spec = msgspec.structs.replace(example(), config={"members": list(parts)})
    return msgspec.structs.replace(spec, calibration=calibration or CalibrationSpec())


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "members"),
        ([{"family": "ensemble"}], "no ensembles"),
        ([{"family": "linear", "weight": 0.0}], "above 0"),
        ([{"family": "linear"}] * 17, "1 to 16"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(parts: list[dict[str, object]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build(with_members(*parts))


def test_a_bent_calibration_of_the_whole_is_refused() -> None:
    bent = CalibrationSpec("isotonic", values={"x0": (0.0, 1.0), "y0": (0.0, 2.0)})
    with pytest.raises(ValueError, match="Platt"):
        build(with_members({"family": "linear"}, calibration=bent))


def test_a_member_of_other_inputs_is_refused() -> None:
    other = family("fusion.gated").build(spec_of("fusion.gated", {"a": 2, "b": 3}, SMALL))
    with pytest.raises(ValueError, match="other inputs"):
        assemble(SPEC, [*members(1), other])


def test_networks_and_trees_are_one_ensemble() -> None:
    gated = {"family": "fusion.gated", "config": {"width": 8, "static_width": 4, "hidden": 8}}
    torch.manual_seed(0)
    whole = build(with_members(gated, {"family": "boosted"})).eval()
    seq = kit.history(whole.spec)
    with torch.no_grad():
        said = whole.forward(seq, explain=True)
    for t, step in enumerate(kit.stream(whole, seq)[0]):
        torch.testing.assert_close(step.logit, said.logit[:, t], atol=1e-5, rtol=0)
    moved = said.logit[..., 0] - whole.bias()[0]
    torch.testing.assert_close(said.share.sum(dim=-1), moved, atol=1e-5, rtol=0)
