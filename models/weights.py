"""From a checked artifact to a network, and back. Nothing is allocated before the shapes fit."""

from __future__ import annotations

from typing import cast

import msgspec
import numpy as np
import torch
from torch import nn

from models.artifact import Artifact, Weights, encode
from models.fusion_model import FusionModel
from models.registry import family
from models.spec import ModelSpec
from streams.errors import CheckpointMismatch, ConfigError


def network(artifact: Artifact) -> FusionModel:
    """The model of an artifact, ready to score.

    Raises
    ------
    CheckpointMismatch
        If this build has no such family, its configuration is wrong, or the weights or the state
        have other names or shapes than the network of that configuration.
    """
    spec = artifact.spec
    with torch.device("meta"):  # a hostile width costs nothing here
        shape = _built(spec)
    wanted = {name: tuple(x.shape) for name, x in shape.state_dict().items()}
    given = {name: tuple(x.shape) for name, x in artifact.weights.items()}
    if wanted != given:
        raise CheckpointMismatch(f"weights do not fit the network: {_difference(wanted, given)}")
    kept = cast(FusionModel, shape).spec.state
    if kept != spec.state:
        raise CheckpointMismatch(f"state is declared as {spec.state}, the network has {kept}")
    model = _built(spec)
    tensors = {name: torch.from_numpy(np.array(x)) for name, x in artifact.weights.items()}
    model.load_state_dict(tensors)
    model.eval()
    model.requires_grad_(requires_grad=False)
    return cast(FusionModel, model)


def files_of(
    model: FusionModel, spec: ModelSpec | None = None, onnx: bytes = b""
) -> dict[str, bytes]:
    """Files of a trained model; `spec` replaces its own (training, operating points, metrics).

    Raises
    ------
    CheckpointMismatch
        If loading it would refuse it, weights that are not finite for example.
    """
    assert isinstance(model, nn.Module)
    weights: Weights = {k: x.detach().cpu().numpy() for k, x in model.state_dict().items()}
    own = msgspec.structs.replace(spec or model.spec, state=model.spec.state)
    return encode(own, weights, onnx)


def _built(spec: ModelSpec) -> nn.Module:
    """The untrained network of a spec."""
    try:
        found = family(spec.family).build(spec)
    except ConfigError as error:
        raise CheckpointMismatch(str(error)) from error
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        raise CheckpointMismatch(f"config does not fit family {spec.family!r}: {error}") from error
    if not isinstance(found, nn.Module):
        raise CheckpointMismatch(f"family {spec.family!r} has no weights to load")
    return found


def _difference(wanted: dict[str, tuple[int, ...]], given: dict[str, tuple[int, ...]]) -> str:
    """The first difference, in words."""
    for name in sorted({*wanted, *given}):
        if wanted.get(name) != given.get(name):
            return f"{name} is {given.get(name, 'missing')}, needs {wanted.get(name, 'none')}"
    return "none"
