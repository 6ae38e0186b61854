"""`boosted`: rolling statistics kept per patient, read by boosted trees; early and late fusion.

Three forests: one over everything (early fusion), one per modality that changes with time, both
with the static facts. Where both modalities are there, their logits are averaged with learned
weights; where one is absent, the forest that never knew it speaks alone, so that what is absent
costs nothing beyond its own information. Each of these is calibrated by itself, so that a
threshold means the same whatever is there. Static facts alone say a constant.

With a clock, what the time somebody has been followed says by itself is taken from every forest's
logit: for wards whose stays end for other reasons than those that trained it (ADR 0115).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.knots import Knots, Line
from models.encoders.rolling import RollingEncoder
from models.fusion_model import ComposedModel, Parts, shapley, state_of, unknown
from models.linear import example_spec
from models.losses import WeightedBCE
from models.parts import Encoder, Normalizer
from models.spec import ModelSpec
from models.tensors import ModelScore
from models.trees import Trees

FAMILY: Final = "boosted"
WIDE: Final = 60.0  # robust z-scores: trees need no protection from outliers, only from nonsense
SHARES: Final = (0.5, 0.25, 0.25)  # of the joint forest and the others, where training starts


class Forest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of one forest, see `models.trees`."""

    trees: int = 8
    nodes: int = 15
    depth: int = 3


class BoostedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the network is built from."""

    joint: Forest = Forest()
    single: dict[str, Forest] = {}  # by modality that is not static; the usual size if left out
    pairs: dict[str, tuple[tuple[str, str], ...]] = {}  # see `RollingEncoder`, by modality
    counts: tuple[str, ...] = ()  # modalities of which it is told how often they were measured
    knots: int = 2  # of the calibration
    clock: int = 0  # knots of what the time followed says alone, taken away; 0: nothing is


class Grown(NamedTuple):
    """What training gives a committee: by "joint" and by modality."""

    forests: Mapping[str, Mapping[str, NDArray[Any]]]  # see `Trees.take`
    shares: Mapping[str, float]  # of the mixed logit
    whole: Line
    alone: Mapping[str, Line]
    nothing: float  # logit where nothing is known
    clock: Mapping[str, Line] = {}  # raw logit by hours followed, taken away; see `BoostedConfig`


class WideNormalizer(Normalizer):
    """Robust z-scores that are clipped only where nothing can be a measurement."""

    clip = WIDE


class Columns(nn.Module):
    """Vectors one after the other, NaN where absent, and then 0/1 per modality."""

    def __init__(self, widths: dict[str, int]) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.width = sum(widths.values()) + len(widths)

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """See `models.parts.Fuser`."""
        there = [present[name][..., None] for name in self.names]
        known = [
            torch.where(flag > 0, vectors[name], torch.nan)
            for name, flag in zip(self.names, there, strict=True)
        ]
        return torch.cat([*known, *there], dim=-1)


class Clock(Knots):
    """A line over the hours somebody has been followed, level beyond its knots."""

    def forward(self, hours: Tensor) -> Tensor:
        """Logit [...] that the time alone says."""
        return super().forward(hours.clamp(self.raw[0], self.raw[-1]))


class Committee(nn.Module):
    """The forests' logits, mixed by which modalities are there; see the module.

    `hours` are the places in the vector of how long each modality has been followed.
    """

    hours: Tensor

    def __init__(
        self, config: BoostedConfig, spec: ModelSpec, width: int, hours: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.register_buffer("hours", torch.tensor(hours, dtype=torch.int64), persistent=False)
        self.names = [m.name for m in spec.modalities]
        self.members = [m.name for m in spec.modalities if m.kind != "static"]
        self.joint = _trees(config.joint, width)
        self.single = nn.ModuleDict(
            {name: _trees(config.single.get(name, Forest()), width) for name in self.members}
        )
        rest = (1 - SHARES[0]) / len(self.members)
        self.weight = nn.Parameter(torch.tensor([SHARES[0], *([rest] * len(self.members))]))
        self.whole = Knots(config.knots)
        self.alone = nn.ModuleDict({name: Knots(config.knots) for name in self.members})
        self.nothing = nn.Parameter(torch.zeros(1))  # what is said when nothing is known
        told = ("joint", *self.members) if config.clock else ()
        self.clock = nn.ModuleDict({name: Clock(config.clock) for name in told})

    def forward(self, fused: Tensor) -> Tensor:
        """See `models.parts.Head`; [..., 1], calibrated."""
        return self.blended(*self.opinions(fused))[..., None]

    def opinions(self, fused: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Raw logits of the joint forest and of each member, and which members are there."""
        vector, flags = fused[..., : -len(self.names)], fused[..., -len(self.names) :]
        each = [self.single[name](vector) for name in self.members]
        joint = self.joint(vector)
        if len(self.clock):
            known = vector[..., self.hours]
            hours = torch.where(torch.isnan(known), 0.0, known).amax(dim=-1)
            joint = joint - self.clock["joint"](hours)
            each = [x - self.clock[n](hours) for n, x in zip(self.members, each, strict=True)]
        there = torch.stack([flags[..., self.names.index(n)] for n in self.members], dim=-1)
        return joint, each, there

    def blended(self, joint: Tensor, each: list[Tensor], there: Tensor) -> Tensor:
        """Calibrated logit [...] when the members of `there` [..., members] are heard."""
        known = there.sum(dim=-1)
        alone = torch.stack(
            [self.alone[n](x) for n, x in zip(self.members, each, strict=True)], dim=-1
        )
        some = (alone * there).sum(dim=-1) / known.clamp(min=1.0)
        partly = torch.where(known > 0, some, self.nothing)
        every = self.whole(self.mixed(joint, each))
        logit: Tensor = torch.where(known == len(self.members), every, partly)
        return logit

    def take(self, grown: Grown) -> None:
        """Take what training came to."""
        forests = {"joint": self.joint, **self.single}
        for name, forest in forests.items():
            assert isinstance(forest, Trees)
            forest.take(grown.forests[name])
        shares = [grown.shares[name] for name in ("joint", *self.members)]
        with torch.no_grad():
            self.weight.copy_(torch.tensor(shares))
        self.read_as(grown)

    def read_as(self, grown: Grown) -> None:
        """Take what the forests' logits mean, and leave the forests."""
        self.whole.take(grown.whole)
        for name in self.members:
            own = self.alone[name]
            assert isinstance(own, Knots)
            own.take(grown.alone[name])
        for name, clock in self.clock.items():
            assert isinstance(clock, Clock)
            clock.take(grown.clock[name])
        with torch.no_grad():
            self.nothing.fill_(grown.nothing)

    def mixed(self, joint: Tensor, each: list[Tensor]) -> Tensor:
        """Raw logit [...] where every modality is there."""
        total = self.weight[0] * joint
        for weight, one in zip(self.weight[1:], each, strict=True):
            total = total + weight * one
        return total


class BoostedModel(ComposedModel):
    """A composed model whose absent modalities are unknown, not a learned embedding.

    Shares are Shapley values over the modalities that change with time, for which every forest is
    asked once. Static facts are context of both and have a share of 0.
    """

    def __init__(self, spec: ModelSpec, parts: Parts, committee: Committee) -> None:
        super().__init__(spec, parts)
        for absent in self.absent.values():  # `Columns` writes NaN in its place
            absent.requires_grad_(requires_grad=False)
            absent.zero_()
        self.normalizers = nn.ModuleDict({m.name: WideNormalizer(m) for m in spec.modalities})
        self._committee = [committee]  # the head, typed; in a list so that it is registered once

    @property
    def committee(self) -> Committee:
        """The head."""
        return self._committee[0]

    def _said(self, vectors: Mapping[str, Tensor], present: Tensor, *, explain: bool) -> ModelScore:
        there = {n: present[..., i].to(torch.float32) for i, n in enumerate(self.names)}
        fused = self.fuser(dict(vectors), there)
        joint, each, heard = self.committee.opinions(fused)
        logit = self.committee.blended(joint, each, heard)
        share = unknown(present)
        if explain:
            members = self.committee.members
            worth = {(1 << len(members)) - 1: logit}

            def value(coalition: int) -> Tensor:
                if coalition not in worth:
                    flags = [float(coalition >> i & 1) for i in range(len(members))]
                    only = heard * torch.tensor(flags, device=heard.device)
                    worth[coalition] = self.committee.blended(joint, each, only)
                return worth[coalition]

            found = dict(zip(members, shapley(value, len(members)), strict=True))
            nothing = torch.zeros_like(logit)
            share = torch.stack([found.get(name, nothing) for name in self.names], dim=-1)
        logit = logit[..., None]
        std = unknown(logit)
        return ModelScore(torch.sigmoid(logit), logit, std, share, present)


def encoders_of(spec: ModelSpec) -> dict[str, RollingEncoder]:
    """The encoders of a spec; training reads their columns' names.

    Raises
    ------
    ValueError
        If a pair names a feature that its modality does not have.
    """
    config = msgspec.convert(spec.config, BoostedConfig)
    return {
        m.name: RollingEncoder(m, config.pairs.get(m.name, ()), counts=m.name in config.counts)
        for m in spec.modalities
    }


def build(spec: ModelSpec) -> BoostedModel:
    """The network of a spec, with random trees.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not a `BoostedConfig`.
    ValueError
        If nothing changes with time, there is more than one horizon, or a pair is unknown.
    """
    config = msgspec.convert(spec.config, BoostedConfig)
    if all(m.kind == "static" for m in spec.modalities) or len(spec.horizons_s) != 1:
        raise ValueError("boosted needs one horizon and a modality that is not static")
    own = encoders_of(spec)
    encoders: dict[str, Encoder] = dict(own)
    fuser = Columns({name: encoder.width for name, encoder in own.items()})
    committee = Committee(config, spec, fuser.width - len(own), _hours(own))
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    parts = Parts(encoders, fuser, committee, nn.Identity(), WeightedBCE())
    return BoostedModel(spec, parts, committee)


def example() -> ModelSpec:
    """A small spec, for the contract suite."""
    pairs = {"vitals": [["hr", "spo2"]]}
    return example_spec(FAMILY, {"counts": ["vitals"], "pairs": pairs, "clock": 3})


def _hours(encoders: Mapping[str, RollingEncoder]) -> tuple[int, ...]:
    """Places of the hours followed in the vectors one after the other."""
    found, start = [], 0
    for encoder in encoders.values():
        if "hours" in encoder.names:
            found.append(start + encoder.names.index("hours"))
        start += encoder.width
    return tuple(found)


def _trees(forest: Forest, width: int) -> Trees:
    return Trees(forest.trees, forest.nodes, forest.depth, width)
