"""One trial on made-up patients: train a family on some, judge it on others."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import torch

from models.evaluation.ranking import auroc
from models.fusion_model import ComposedModel
from models.late.fused import Floats
from models.registry import family
from models.spec import ModelSpec
from models.testbed.planted import Planted, without
from models.training.loop import fit
from models.training.recipe import Recipe

SMALL: Final[dict[str, object]] = {
    "width": 16,
    "hidden": 16,
    "dropout": 0.0,
    "head_dropout": [0.0, 0.0],
}
RECIPE: Final = Recipe(epochs=15, batch=32, learning_rate=1e-2)


def trained(spec: ModelSpec, planted: Planted, recipe: Recipe = RECIPE) -> ComposedModel:
    """A model of a spec, trained on planted histories; the same bits every time."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = cast(ComposedModel, family(spec.family).build(spec))
    values = planted.histories.seq.value
    model.fit_inputs({k: x.flatten(0, 1).double().numpy() for k, x in values.items()})
    fit(model, planted.histories, recipe)
    return model


def logits(model: ComposedModel, planted: Planted, absent: str | None = None) -> Floats:
    """Logits of every hour of every patient, flat; with one modality taken away if named."""
    seq = without(planted.histories, absent) if absent else planted.histories.seq
    with torch.no_grad():
        found: Floats = model.forward(seq).logit[..., 0].double().numpy().ravel()
    return found


def area(model: ComposedModel, planted: Planted, absent: str | None = None) -> float:
    """AUROC over every hour of every patient."""
    return auroc(planted.label.ravel(), logits(model, planted, absent))


def shares(model: ComposedModel, planted: Planted) -> dict[str, float]:
    """Each modality's part of the movement of the logit: mean |share|, scaled to sum to 1."""
    with torch.no_grad():
        share = model.forward(planted.histories.seq, explain=True).share
    size = share.abs().mean(dim=(0, 1)).double().numpy()
    return dict(zip(model.names, (size / np.maximum(size.sum(), 1e-12)).tolist(), strict=True))


def parameters(model: ComposedModel) -> int:
    """Numbers that training moves."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
