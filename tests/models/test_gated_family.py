"""What a configuration of the gated family may say, and that it does what it says."""

from __future__ import annotations

import msgspec
import pytest
import torch

from models.families.gated import build
from models.fusion_model import ComposedModel
from models.linear import example_spec
from models.spec import ModelSpec
from models.testbed.planted import plant, redundant, spec_of
from models.testbed.trial import SMALL, area, trained
from models.training.recipe import Recipe
from streams.errors import ConfigError
from tests.models.contract import model_kit as kit

SIZES = {"width": 8, "static_width": 4, "hidden": 8}


def spec(horizons: int = 3, **config: object) -> ModelSpec:
    plain = example_spec("fusion.gated", {**SIZES, **config})
    return msgspec.structs.replace(plain, horizons_s=tuple(3600.0 * 2**i for i in range(horizons)))


def said(model: ComposedModel) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model.forward(kit.history(model.spec)).logit


@pytest.mark.parametrize("head", ["event", "hazard"])
def test_a_longer_horizon_is_never_less_likely(head: str) -> None:
    logit = said(build(spec(head=head)))
    assert (logit.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("loss", ["bce", "hazard", "ranking", "utility"])
def test_every_loss_reaches_every_parameter(loss: str) -> None:
    torch.manual_seed(0)
    model = build(spec(head="hazard", loss=loss))
    seq = kit.history(model.spec, patients=16, steps=8)
    target = kit.target(model.spec, seq)
    target.label.copy_(target.label.cummax(dim=-1).values)
    model.loss(seq, target)["total"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_loss_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="hazard"):
        build(spec(loss="hazzard"))


def test_stages_must_name_every_modality_once() -> None:
    plain = example_spec("fusion.progressive", {**SIZES, "order": [["vitals"], ["vitals", "labs"]]})
    with pytest.raises(ValueError, match="once"):
        build(plain)


@pytest.mark.parametrize("change", [{"width": "wide"}, {"depth": 3}, {"head": "hydra"}])
def test_a_configuration_of_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        build(spec(**change))


def test_the_recipe_sizes_stay_under_300_000_numbers() -> None:
    """8 vitals, 26 laboratory values and 2 static facts, the default widths."""
    plain = spec_of("fusion.gated", {"vitals": 8, "labs": 26, "static": 2})
    assert sum(p.numel() for p in build(plain).parameters()) < 300_000


@pytest.mark.parametrize("loss", ["ranking", "utility"])
def test_other_losses_learn_the_planted_truth_too(loss: str) -> None:
    train, test = plant(redundant, 96, 12, seed=1), plant(redundant, 96, 12, seed=2)
    recipe = Recipe(epochs=12, batch=16, learning_rate=1e-2)
    model = trained(
        spec_of("fusion.gated", {"a": 2, "b": 2}, {**SMALL, "loss": loss}), train, recipe
    )
    assert area(model, test) > 0.9
