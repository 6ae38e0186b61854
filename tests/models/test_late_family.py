"""Late models: the rules of `models.late` in tensors; members do not hear of each other."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from models.families.late import LateConfig, LateModel
from models.fusers.opinions import Opinions
from models.late.confidence import ConfidenceWeighted, DempsterShafer
from models.late.mean import MeanLogit, Vote
from models.late.out_of_fold import StackedRows
from models.late.rules import LateRule
from models.late.stack import LogisticStack
from models.late.vcdn import fit_vcdn
from models.late.weighted import WeightedLogit
from models.registry import family
from models.spec import ModelSpec
from models.testbed.planted import plant, redundant, spec_of
from models.training.loop import fit
from models.training.recipe import Recipe
from streams.errors import ConfigError

RNG = np.random.default_rng(0)
LOGIT = np.where(RNG.random((64, 3)) < 0.3, np.nan, 2.0 * RNG.normal(size=(64, 3)))
VARIANCE = RNG.random((64, 3)) + 0.1
ROWS = StackedRows(LOGIT, np.arange(64) % 4, np.arange(64))
RULES: dict[str, LateRule] = {
    "mean": MeanLogit(),
    "vote": Vote(2, (0.0, 0.5, -0.5)),
    "weighted": WeightedLogit((0.6, 0.4, 0.0)),
    "confidence": ConfidenceWeighted(),
    "dempster_shafer": DempsterShafer((0.9, 0.5, 0.7)),
    "stack": LogisticStack((1.0, -0.5, 2.0), (0.3, 0.0, -1.0), 0.2),
    "vcdn": fit_vcdn(ROWS, (np.nansum(LOGIT, axis=1) > 0).astype(float)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_rule_says_the_same_as_tensors_and_as_arrays(rule: LateRule) -> None:
    part = Opinions({"a": 1, "b": 1, "c": 1}, 1, rule)
    there = torch.from_numpy(~np.isnan(LOGIT)).float()
    logit = torch.from_numpy(np.nan_to_num(LOGIT)).float()
    got = part._rule(logit, torch.from_numpy(VARIANCE).float(), there).numpy()
    expected = rule.fuse(LOGIT, 1.0 / VARIANCE if rule == ConfidenceWeighted() else None).logit
    heard = ~np.isnan(expected)
    np.testing.assert_allclose(got[heard], expected[heard], atol=1e-5)


def config(rule: LateRule, **more: object) -> dict[str, object]:
    plain = msgspec.json.decode(msgspec.json.encode(rule))
    return {"width": 8, "rule": plain, "dropout": 0.0, **more}


def built(modalities: dict[str, int], rule: LateRule, **more: object) -> LateModel:
    spec = spec_of("late.mean", modalities, config(rule, **more))
    torch.manual_seed(0)
    model = family("late.mean").build(spec)
    assert isinstance(model, LateModel)
    return model


def test_nobody_present_says_the_prior() -> None:
    model = built({"a": 2, "b": 2}, MeanLogit(), prior=-4.0)
    seq = plant(redundant, patients=3, steps=2).histories.seq
    nothing = seq._replace(value={k: torch.full_like(x, torch.nan) for k, x in seq.value.items()})
    with torch.no_grad():
        assert torch.equal(model.forward(nothing).logit, torch.full((3, 2, 1), -4.0))
    assert model.bias().tolist() == [-4.0]


@pytest.mark.parametrize("rule", [MeanLogit(), ConfidenceWeighted()])
def test_no_members_loss_moves_another_member(rule: LateRule) -> None:
    model = built({"a": 2, "b": 2}, rule)
    data = plant(redundant, patients=8, steps=5).histories
    model.loss(data.seq, data.target)["a"].backward()
    moved = {k for k, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert not any(".b." in name for name in moved)


def test_the_rules_loss_moves_no_member() -> None:
    model = built({"a": 2, "b": 2}, ConfidenceWeighted())
    data = plant(redundant, patients=8, steps=5).histories
    model.loss(data.seq, data.target)["rule"].backward()
    moved = {k for k, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all("unsure" in name for name in moved)


def member_bytes(model: nn.Module, name: str) -> dict[str, bytes]:
    return {k: x.numpy().tobytes() for k, x in model.state_dict().items() if f".{name}." in k}


def test_a_third_modality_leaves_the_first_twos_weights_as_they_were() -> None:
    """Trained members move into a model of three; only the new one and the rule are new."""
    recipe = Recipe(epochs=2, batch=8, modality_dropout=0.0)
    data = plant(redundant, patients=16, steps=6).histories
    two = built({"a": 2, "b": 2}, MeanLogit())
    fit(two, data, recipe)
    before = {name: member_bytes(two, name) for name in ("a", "b")}
    three = built({"a": 2, "b": 2, "c": 2}, WeightedLogit((0.4, 0.4, 0.2)))
    missing, unexpected = three.load_state_dict(two.state_dict(), strict=False)
    assert not unexpected
    assert all(".c" in name for name in missing)
    for name, weight in three.named_parameters():
        weight.requires_grad_(requires_grad=weight.requires_grad and ".c" in name)
    value = {**data.seq.value, "c": data.seq.value["a"] ** 2}
    fields = ({**f, "c": f["a"]} for f in (data.seq.age_s, data.seq.fresh, data.seq.quality))
    seq = data.seq._replace(value=value)._replace(
        **dict(zip(("age_s", "fresh", "quality"), fields, strict=True))
    )
    fit(three, data._replace(seq=seq), recipe)
    assert {name: member_bytes(three, name) for name in ("a", "b")} == before


@pytest.mark.parametrize(
    "rule", [WeightedLogit((1.0,)), Vote(1, (0.0,)), DempsterShafer((0.5,) * 3)]
)
def test_a_rule_for_another_number_of_modalities_is_refused(rule: LateRule) -> None:
    with pytest.raises(ValueError, match="2 numbers"):
        built({"a": 2, "b": 2}, rule)


def test_an_unknown_rule_is_refused() -> None:
    spec = spec_of("late.mean", {"a": 2}, {"rule": {"type": "magic"}})
    with pytest.raises(msgspec.ValidationError, match="magic"):
        family("late.mean").build(spec)
    with pytest.raises(ConfigError, match=r"late\.mean"):
        family("late.meen")


def test_a_member_that_knows_when_it_is_blind_is_heard_less_then() -> None:
    """Half of the patients move all day: b is noise there, and says so by its quality."""
    planted = plant(redundant, patients=128, steps=12, seed=3)
    draw = torch.Generator().manual_seed(0)
    seq = planted.histories.seq
    blind = (torch.rand(128, 1, generator=draw) < 0.5).expand(128, 12)
    noise = 3.0 * torch.randn(seq.value["b"].shape, generator=draw)
    b = torch.where(blind[..., None], noise, seq.value["b"])
    quality = {**seq.quality, "b": torch.where(blind[..., None], 0.1, seq.quality["b"])}
    seq = seq._replace(value={**seq.value, "b": b}, quality=quality)
    model = built({"a": 2, "b": 2}, ConfidenceWeighted(), trend=False)
    recipe = Recipe(epochs=40, batch=16, learning_rate=1e-2)
    fit(model, planted.histories._replace(seq=seq), recipe)
    with torch.no_grad():
        vectors, _ = model.encode(seq)
        variance = model._opinions._variance(vectors)
    assert variance is not None
    of_b = variance[..., 1, 0]
    assert of_b[blind].log().mean() > of_b[~blind].log().mean() + 0.3


def test_the_configuration_says_what_it_does_not_know() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"rule": {"type": "mean"}, "depth": 3}, LateConfig)


def test_example_specs_name_their_own_family() -> None:
    names = [f"late.{rule}" for rule in RULES]
    examples: list[ModelSpec] = [family(name).example() for name in names]
    assert [spec.family for spec in examples] == names
