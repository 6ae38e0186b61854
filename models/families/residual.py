"""`residual`: a deep logit on top of a monotone rule score, logit = a + softplus(b) rule + f(x).

"NEWS2 is 7, and the heart rate's course adds 1.2": the rule's part is exact, never lowers the
logit when it rises, and with f = 0 the model is a recalibrated NEWS2. The network f never sees the
rule. Source of the idea: stacking on a clinical baseline as an offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.fusion_model import CLOCK, ComposedModel
from models.linear import example_spec
from models.rowwise import RowwiseModel
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from models.tensors import (
    LossDict,
    ModelScore,
    SampleBatch,
    SequenceBatch,
    State,
    Target,
    elapsed_s,
)

RULE, RULE_LEFT = "rule", "rule.left_s"
_FIRST_SLOPE = -1.0  # softplus gives 0.31 per scale: where training starts


class ResidualConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Family and configuration of f; `rule` names the modality of kind "score"."""

    family: str = "fusion.gated"
    config: dict[str, Any] = {}
    rule: str = "rule"


class ResidualModel(RowwiseModel):
    """The rule's part beside an inner model; see the module.

    Invariant: shares are those of f and the rule's own, and sum to logit - bias exactly.
    """

    scale: Tensor

    def __init__(self, spec: ModelSpec, inner: ComposedModel, rule: ModalitySpec) -> None:
        super().__init__()
        self.inner = inner
        self.rule = rule
        self.names = tuple(m.name for m in spec.modalities)
        self.offset = nn.Parameter(torch.zeros(len(spec.horizons_s)))
        self.slope = nn.Parameter(torch.full((len(spec.horizons_s),), _FIRST_SLOPE))
        self.register_buffer("scale", torch.ones(1))
        self.shapes = {**inner.shapes, RULE: (1,), RULE_LEFT: (1,)}
        self.spec = msgspec.structs.replace(spec, state=self.shapes)

    def advance(self, rows: State, batch: SampleBatch, now: Tensor) -> State:
        """See `RowwiseModel`."""
        after = self.inner.advance(rows, batch, now)
        points, there = self._points(batch)
        age_s = batch.age_s[self.rule.name][..., :1].clamp(min=0.0)  # a clock ahead: it is new
        left_s = self.rule.max_age_s - age_s + 1.0
        after[RULE] = points
        after[RULE_LEFT] = torch.where(there, left_s, torch.zeros_like(points))
        return after

    def judge(self, rows: State, now: Tensor, *, explain: bool) -> ModelScore:
        """See `RowwiseModel`."""
        waited_s = elapsed_s(rows[CLOCK], now)[..., None]
        there = (rows[RULE_LEFT] - waited_s) >= 1.0
        points = torch.where(there, rows[RULE], torch.zeros_like(rows[RULE]))
        return self._joined(self.inner.judge(rows, now, explain=explain), points, there)

    def forward(self, seq: SequenceBatch, *, explain: bool = False) -> ModelScore:
        """See `models.fusion_model.FusionModel`."""
        points, there = self._points(seq)
        return self._joined(self.inner.forward(seq, explain=explain), points, there)

    def loss(self, seq: SequenceBatch, target: Target) -> LossDict:
        """See `models.fusion_model.FusionModel`; f learns what the rule leaves."""
        points, _ = self._points(seq)
        return self.inner.loss_beside(seq, target, self.offset + self._added(points))

    def bias(self) -> Tensor:
        """See `models.fusion_model.FusionModel`."""
        return self.inner.bias() + self.offset

    def fit_inputs(self, value: Mapping[str, NDArray[np.float64]]) -> None:
        """See `models.fusion_model.FusionModel`; points are scaled, never moved: 0 stays 0."""
        self.inner.fit_inputs({k: x for k, x in value.items() if k != self.rule.name})
        points = value[self.rule.name][:, 0]
        known = points[np.isfinite(points)]
        spread = float(known.std()) if known.size else 0.0
        self.scale.fill_(spread or 1.0)

    def _points(self, batch: SampleBatch | SequenceBatch) -> tuple[Tensor, Tensor]:
        """Scaled points of the rule [..., 1], 0 where it is missing, and where it is there."""
        value, age_s = batch.value[self.rule.name][..., :1], batch.age_s[self.rule.name][..., :1]
        there = torch.isfinite(value) & (age_s <= self.rule.max_age_s)
        return torch.where(there, value / self.scale, torch.zeros_like(value)), there

    def _added(self, points: Tensor) -> Tensor:
        """What the rule adds to the logits [..., H]."""
        return nn.functional.softplus(self.slope) * points

    def _joined(self, said: ModelScore, points: Tensor, there: Tensor) -> ModelScore:
        added = self._added(points)
        logit = said.logit + self.offset + added
        columns, place = [], 0
        present = []
        for name in self.names:
            if name == self.rule.name:
                columns.append(added[..., 0] + 0.0 * said.share.sum(dim=-1))  # NaN: not asked for
                present.append(there[..., 0])
            else:
                columns.append(said.share[..., place])
                present.append(said.present[..., place])
                place += 1
        share, shown = torch.stack(columns, dim=-1), torch.stack(present, dim=-1)
        return ModelScore(torch.sigmoid(logit), logit, said.std, share, shown)


def build(spec: ModelSpec) -> ResidualModel:
    """The network of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not a `ResidualConfig`.
    ValueError
        If f is no composed model, or there is no modality of that name with one input.
    """
    from models.registry import family

    config = msgspec.convert(spec.config, ResidualConfig)
    rule = next((m for m in spec.modalities if m.name == config.rule), None)
    if rule is None or len(rule.features) != 1:
        names = ", ".join(m.name for m in spec.modalities)
        raise ValueError(f"rule: {config.rule!r}, a score, must be an input; there are {names}")
    others = tuple(m for m in spec.modalities if m.name != config.rule)
    if config.family == "residual":
        raise ValueError("residual: f cannot be residual itself")
    inner = family(config.family).build(
        msgspec.structs.replace(
            spec, family=config.family, config=config.config, modalities=others, monotone=()
        )
    )
    if not isinstance(inner, ComposedModel):
        raise ValueError(f"residual: family {config.family!r} is no composed model")  # noqa: TRY004
    return ResidualModel(spec, inner, rule)


def example() -> ModelSpec:
    """A small spec, for the contract suite."""
    sizes = {"width": 8, "static_width": 4, "hidden": 8}
    config: dict[str, object] = {"family": "fusion.gated", "config": sizes}
    base = example_spec("residual", config)
    rule = ModalitySpec("rule", "score", (FeatureSpec("news2", "{score}", 0, 20),), 43_200.0)
    return msgspec.structs.replace(
        base, modalities=(*base.modalities, rule), monotone=("rule.news2",)
    )
