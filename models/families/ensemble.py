"""`ensemble`: several models of one task; their mean logit, and their spread as what is not known.

Members may be seeds of one family (a deep ensemble) or families (networks and trees). All see all
modalities and keep their own state. Calibration of the whole is a temperature or Platt's line:
anything bent would break the parts' sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.module import Affine, calibrator_of
from models.fusion_model import ComposedModel
from models.linear import example_spec
from models.registry import family
from models.rowwise import RowwiseModel
from models.spec import ModelSpec
from models.tensors import (
    LossDict,
    ModelScore,
    SampleBatch,
    SequenceBatch,
    State,
    Target,
)

ENSEMBLE: Final = "ensemble"
MOST_MEMBERS: Final = 16


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A family and its configuration; its own calibration, if it came with one."""

    family: str
    config: dict[str, Any] = {}
    weight: float = 1.0
    calibration: dict[str, Any] = {}  # a `CalibrationSpec`


class EnsembleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes part."""

    members: tuple[Member, ...]


class EnsembleModel(RowwiseModel):
    """Weighted mean of members' calibrated logits; `std` is the spread of their probabilities."""

    weight: Tensor

    def __init__(
        self, spec: ModelSpec, members: Sequence[ComposedModel], weight: Sequence[float]
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._each = list(members)  # the same modules, typed
        total = sum(weight)
        self.register_buffer("weight", torch.tensor([w / total for w in weight]), persistent=False)
        if spec.calibration.kind not in ("none", "temperature", "platt"):
            raise ValueError("an ensemble is calibrated by a temperature or Platt's line")
        self.calibrator = calibrator_of(spec.calibration, len(spec.horizons_s))
        self.shapes = {
            f"{i}.{key}": shape
            for i, member in enumerate(members)
            for key, shape in member.shapes.items()
        }
        self.spec = msgspec.structs.replace(spec, state=self.shapes)

    def advance(self, rows: State, batch: SampleBatch, now: Tensor) -> State:
        """See `RowwiseModel`."""
        after: State = {}
        for i, member in enumerate(self._each):
            own = {key: rows[f"{i}.{key}"] for key in member.shapes}
            for key, tensor in member.advance(own, batch, now).items():
                after[f"{i}.{key}"] = tensor
        return after

    def judge(self, rows: State, now: Tensor, *, explain: bool) -> ModelScore:
        """See `RowwiseModel`."""
        said = []
        for i, member in enumerate(self._each):
            own = {key: rows[f"{i}.{key}"] for key in member.shapes}
            said.append(member.judge(own, now, explain=explain))
        return self._together(said)

    def forward(self, seq: SequenceBatch, *, explain: bool = False) -> ModelScore:
        """See `FusionModel`."""
        return self._together([member.forward(seq, explain=explain) for member in self._each])

    def loss(self, seq: SequenceBatch, target: Target) -> LossDict:
        """See `FusionModel`: what each member loses by itself, added up."""
        found: LossDict = {}
        for i, member in enumerate(self._each):
            found[f"member{i}"] = member.loss(seq, target)["total"]
        return {**found, "total": torch.stack(list(found.values())).sum()}

    def bias(self) -> Tensor:
        """Calibrated logits [H] with every modality absent."""
        biases = [w * m.bias() for w, m in zip(self.weight, self._each, strict=True)]
        logit: Tensor = self.calibrator(torch.stack(biases).sum(dim=0))
        return logit

    def fit_inputs(self, values: Mapping[str, NDArray[np.float64]]) -> None:
        """Normalisers of every member, from training rows."""
        for member in self._each:
            member.fit_inputs(dict(values))

    def _together(self, said: Sequence[ModelScore]) -> ModelScore:
        """The members' scores as one."""
        raw = self._mean([score.logit for score in said])
        logit: Tensor = self.calibrator(raw)
        slope = self.calibrator.slope[0] if isinstance(self.calibrator, Affine) else 1.0
        share = slope * self._mean([score.share for score in said])
        prob = torch.stack([torch.sigmoid(self.calibrator(score.logit)) for score in said])
        middle = prob.mean(dim=0)
        spread = torch.sqrt(((prob - middle) ** 2).sum(dim=0) / max(len(said) - 1, 1))
        return ModelScore(torch.sigmoid(logit), logit, spread, share, said[0].present)

    def _mean(self, tensors: Sequence[Tensor]) -> Tensor:
        total = self.weight[0] * tensors[0]
        for weight, tensor in zip(self.weight[1:], tensors[1:], strict=True):
            total = total + weight * tensor
        return total


def member_specs(spec: ModelSpec) -> list[ModelSpec]:
    """Spec of each member: the whole's inputs and task, its own family and configuration.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not an `EnsembleConfig`.
    ValueError
        If there is no member, too many, an ensemble among them, or a weight is not above 0.
    """
    members = msgspec.convert(spec.config, EnsembleConfig).members
    if not 1 <= len(members) <= MOST_MEMBERS:
        raise ValueError(f"1 to {MOST_MEMBERS} members, got {len(members)}")
    if any(m.family == ENSEMBLE for m in members):
        raise ValueError("an ensemble has no ensembles among its members")
    if not all(0.0 < m.weight < float("inf") for m in members):
        raise ValueError("members' weights are above 0")
    plain = type(spec.calibration)
    return [
        msgspec.structs.replace(
            spec,
            family=m.family,
            config=m.config,
            state={},
            calibration=msgspec.convert(m.calibration, plain),
        )
        for m in members
    ]


def build(spec: ModelSpec) -> EnsembleModel:
    """The networks of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError, ValueError
        As `member_specs`.
    """
    members = [family(own.family).build(own) for own in member_specs(spec)]
    weight = [m.weight for m in msgspec.convert(spec.config, EnsembleConfig).members]
    return EnsembleModel(spec, cast(list[ComposedModel], members), weight)


def assemble(spec: ModelSpec, members: Sequence[ComposedModel]) -> EnsembleModel:
    """An ensemble of trained members; their families and configurations go into its spec.

    Parameters
    ----------
    spec : ModelSpec
        Of the whole: name, version, calibration; family and configuration are set here.
    members : sequence of ComposedModel
        Trained on the same modalities and horizons.

    Returns
    -------
    EnsembleModel

    Raises
    ------
    ValueError
        If a member has other inputs or horizons than the whole.
    """
    for member in members:
        own = member.spec
        if own.modalities != spec.modalities or own.horizons_s != spec.horizons_s:
            raise ValueError(f"member {own.name!r} has other inputs or horizons")
    parts = [
        Member(m.spec.family, m.spec.config, 1.0, msgspec.to_builtins(m.spec.calibration))
        for m in members
    ]
    config = msgspec.json.decode(msgspec.json.encode(EnsembleConfig(tuple(parts))))
    whole = msgspec.structs.replace(spec, family=ENSEMBLE, config=config)
    member_specs(whole)
    return EnsembleModel(whole, members, [1.0] * len(members))


def example() -> ModelSpec:
    """A small spec, for the contract suite: two seeds of a network, and the linear model."""
    gated = {"width": 8, "static_width": 4, "hidden": 8}
    members = [
        {"family": "fusion.gated", "config": gated},
        {"family": "fusion.gated", "config": gated},
        {"family": "linear", "config": {"width": 4}, "weight": 0.5},
    ]
    return example_spec(ENSEMBLE, {"members": members})
