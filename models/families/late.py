"""The late family: a model per modality that never hears of the others, and one of seven rules.

Each member learns from its own loss alone, so a modality can be added, or its member trained
again, without a bit of the others changing. The rule's numbers stand in the spec; those that are
learned (`weighted`, `stack`, `vcdn`, reliabilities) are fitted by `models.late` out of fold.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final

import msgspec
import torch
from torch import Tensor, nn

from models.calibration.module import calibrator_of
from models.encoders.conv import Conv
from models.encoders.gru_d import GruD
from models.encoders.point import Point
from models.fusers.opinions import Opinions
from models.fusion_model import ComposedModel, Parts, state_of
from models.late.confidence import ConfidenceWeighted, DempsterShafer
from models.late.mean import MeanLogit, Vote
from models.late.rules import LateRule
from models.late.stack import LogisticStack
from models.late.vcdn import OPINIONS, Vcdn
from models.late.weighted import WeightedLogit
from models.linear import example_spec
from models.losses import WeightedBCE
from models.parts import Encoder
from models.spec import ModalitySpec, ModelSpec
from models.tensors import LossDict, SequenceBatch, Target


class LateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of the members, and the rule. `prior` is the logit when nobody is present."""

    rule: LateRule
    width: int = 64
    static_width: int = 16
    dropout: float = 0.2
    trend: bool = True
    quality: bool = True  # signal quality as an input: a member may know that it cannot see
    prior: float = 0.0
    channels: dict[str, int] = {}  # modalities of waveforms, and how many signals each has


class LateModel(ComposedModel):
    """Independent members and a rule; absent members are left out, not embedded."""

    def __init__(self, spec: ModelSpec, parts: Parts, opinions: Opinions) -> None:
        super().__init__(spec, parts)
        self._opinions = opinions
        for embedding in self.absent.values():
            embedding.requires_grad_(requires_grad=False).zero_()

    def said(self, seq: SequenceBatch) -> Tensor:
        """Logits of the members by themselves [B, T, M, H]; NaN where one is absent."""
        vectors, present = self.encode(seq)
        return self._opinions.opinions(vectors).masked_fill(~present[..., None], torch.nan)

    def loss(self, seq: SequenceBatch, target: Target) -> LossDict:
        """See `FusionModel`: the sum of what each member loses by itself, where it is present.

        Variances of the confidence rule learn from the fused logit, which moves no member.
        """
        vectors, present = self.encode(seq)
        logit = self._opinions.opinions(vectors)
        there = present.to(logit.dtype)  # [B, T, M]
        found: LossDict = {}
        total = torch.zeros((), dtype=logit.dtype, device=logit.device)
        for i, name in enumerate(self.names):
            own = Target(target.label, target.weight * there[..., i, None])
            found[name] = self.criterion(logit[..., i, :], own)
            total = total + found[name]
        if self._opinions.uncertain:
            flags = dict(zip(self.names, there.unbind(dim=-1), strict=True))
            found["rule"] = self.criterion(self._opinions.held_still(vectors, flags), target)
            total = total + found["rule"]
        return {**found, "total": total}


def build(spec: ModelSpec) -> ComposedModel:
    """The network of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not a `LateConfig`.
    ValueError
        If the rule is made for another number of modalities.
    """
    config = msgspec.convert(spec.config, LateConfig)
    encoders = {m.name: _member(m, config) for m in spec.modalities}
    horizons = len(spec.horizons_s)
    widths = {name: encoder.width for name, encoder in encoders.items()}
    fuser = Opinions(widths, horizons, config.rule, config.prior)
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    calibrator = calibrator_of(spec.calibration, horizons)
    parts = Parts(encoders, fuser, nn.Identity(), calibrator, WeightedBCE())
    return LateModel(spec, parts, fuser)


def _member(modality: ModalitySpec, config: LateConfig) -> Encoder:
    """Encoder of one member."""
    if modality.name in config.channels:
        return Conv(modality, config.width, config.channels[modality.name])
    if modality.kind == "static":
        return Point(modality, config.static_width)
    return GruD(modality, config.width, config.dropout, trend=config.trend, quality=config.quality)


_EXAMPLES: Final[dict[str, LateRule]] = {
    "late.mean": MeanLogit(),
    "late.vote": Vote(2, (0.0, 0.1, -0.1)),
    "late.weighted": WeightedLogit((0.5, 0.3, 0.2)),
    "late.confidence": ConfidenceWeighted(),
    "late.dempster_shafer": DempsterShafer((0.9, 0.8, 0.3)),
    "late.stack": LogisticStack((1.0, 0.8, 0.3), (0.0, -0.2, 0.1), -0.5),
    "late.vcdn": Vcdn(
        tuple(tuple((i * j) % 7 / 7.0 for i in range(OPINIONS**3)) for j in (1, 2, 3)),
        (0.1, -0.4, 0.0),
        (1.0, -1.0, 0.5),
        -0.2,
    ),
}


def _family(name: str) -> SimpleNamespace:
    """What the registry calls a family: the same networks, an example of its own rule."""

    def example() -> ModelSpec:
        rule = msgspec.json.decode(msgspec.json.encode(_EXAMPLES[name]))  # as a file has it
        return example_spec(name, {"width": 8, "static_width": 4, "rule": rule})

    return SimpleNamespace(build=build, example=example)


MEAN, VOTE, WEIGHTED, CONFIDENCE = (
    _family(f"late.{rule}") for rule in ("mean", "vote", "weighted", "confidence")
)
DEMPSTER_SHAFER, STACK, VCDN = (
    _family(f"late.{rule}") for rule in ("dempster_shafer", "stack", "vcdn")
)
