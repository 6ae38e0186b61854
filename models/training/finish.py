"""Before and after the loop: a network from a seed, its logits on flat rows, its calibration."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.cuda_runtime import exact
from models.fusion_model import FusionModel
from models.registry import family
from models.spec import CalibrationSpec, ModelSpec
from models.tensors import SequenceBatch
from models.training.flat import FlatHistories, Ints
from models.training.loop import Trainer
from models.training.recipe import Recipe
from streams.errors import ConfigError

Floats = NDArray[np.float64]
_AT_ONCE = 256  # histories


def started(
    spec: ModelSpec, data: FlatHistories, values: dict[str, Floats], recipe: Recipe, device: str
) -> Trainer:
    """A trainer of a new network, normalised by the training rows; no figure is judged yet.

    Parameters
    ----------
    spec : ModelSpec
    data : FlatHistories
        Training histories.
    values : dict of (N, d) float64
        Their measurements, NaN = missing, for the normalisers.
    recipe : Recipe
    device : str
        "cpu" or a CUDA device.

    Raises
    ------
    ConfigError
        If there is no such family or loss, or no such device.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"no CUDA device here to train on; use device cpu, not {device!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = family(spec.family).build(spec)
    model.fit_inputs(values)
    assert isinstance(model, nn.Module)
    model.to(device)
    return Trainer(model, data, recipe, device)


def logits_of(model: FusionModel, data: FlatHistories, device: str = "cpu") -> Floats:
    """Logits [N, H] of every step of the histories that belong to `data`, one after the other."""
    found = told_of(data, lambda seq: model.forward(seq).logit, device)
    return found if found.size else np.zeros((0, len(model.spec.horizons_s)))


def told_of(
    data: FlatHistories, ask: Callable[[SequenceBatch], torch.Tensor], device: str = "cpu"
) -> Floats:
    """What a model answers [B, T, ...] at every step of histories, one after the other [N, ...]."""
    found = [np.zeros(0)]
    with torch.no_grad(), exact():
        for start in range(0, len(data.rows), _AT_ONCE):
            some: Ints = np.arange(start, min(start + _AT_ONCE, len(data.rows)))
            seq, _ = data.batch(some)
            inside = torch.arange(seq.time_us.shape[1]) < seq.length[:, None]
            if device != "cpu":
                fields = ({k: x.to(device) for k, x in f.items()} for f in seq[2:])
                seq = type(seq)(seq.time_us.to(device), seq.length.to(device), *fields)
            found.append(ask(seq).cpu()[inside].double().numpy())
    return np.concatenate(found[1:] or found)


def calibrated(model: FusionModel, calibration: CalibrationSpec) -> FusionModel:
    """The same weights with a calibration in them, on the CPU and ready to score."""
    return rebuilt(model, msgspec.structs.replace(model.spec, calibration=calibration))


def rebuilt(model: FusionModel, spec: ModelSpec) -> FusionModel:
    """The same weights under another specification, on the CPU and ready to score."""
    assert isinstance(model, nn.Module)
    new = family(spec.family).build(spec)
    assert isinstance(new, nn.Module)
    new.load_state_dict({k: x.cpu() for k, x in model.state_dict().items()})
    new.eval()
    return new
