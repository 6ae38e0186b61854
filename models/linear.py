"""The smallest model there is: decayed linear features, added up. A reference, and a baseline.

Per modality a leaky sum of the inputs, h <- h * exp(-passed / tau) + W [value, mask, fresh], tau
learned per unit; the heads' logits of all modalities add up. Exactly explainable, O(1) per step,
and simple enough to check by hand.
"""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor, nn

from models.fusion_model import ComposedModel, Parts, state_of
from models.losses import WeightedBCE
from models.parts import Inputs
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from models.tensors import State

_TAU_S = 6 * 3600.0  # where training starts


class LinearConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units per modality."""

    width: int = 8


class DecayEncoder(nn.Module):
    """Leaky sum of one modality's inputs; see the module."""

    def __init__(self, modality: ModalitySpec, width: int) -> None:
        super().__init__()
        self.width = width
        self.state: dict[str, tuple[int, ...]] = {"h": (width,)}
        self.weigh = nn.Linear(3 * len(modality.features), width)
        self.log_tau = nn.Parameter(torch.zeros(width))

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """See `models.parts.Encoder`."""
        news = self.weigh(torch.cat([inputs.value, inputs.mask, inputs.fresh], dim=-1))
        return {"h": state["h"] * self._kept(passed_s) + news}

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        return torch.tanh(state["h"] * self._kept(waited_s))

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        news = self.weigh(torch.cat([inputs.value, inputs.mask, inputs.fresh], dim=-1))
        kept = self._kept(passed_s)  # [B, T, width]
        h, out = torch.zeros_like(news[:, 0]), []
        for t in range(news.shape[1]):
            h = h * kept[:, t] + news[:, t]
            out.append(h)
        return torch.tanh(torch.stack(out, dim=1))

    def _kept(self, passed_s: Tensor) -> Tensor:
        """Share of the sum that is left after a while, [..., width]."""
        return torch.exp(-passed_s[..., None] / (_TAU_S * torch.exp(self.log_tau)))


class Sum(nn.Module):
    """A linear map per modality, added: late fusion of logits when followed by nothing."""

    def __init__(self, widths: dict[str, int], width: int) -> None:
        super().__init__()
        self.width = width
        self.each = nn.ModuleDict({name: nn.Linear(w, width) for name, w in widths.items()})

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """See `models.parts.Fuser`."""
        terms = [layer(vectors[name]) for name, layer in self.each.items()]
        return torch.stack(terms).sum(dim=0)


def build(spec: ModelSpec) -> ComposedModel:
    """The network of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not a `LinearConfig`.
    """
    config = msgspec.convert(spec.config, LinearConfig)
    encoders = {m.name: DecayEncoder(m, config.width) for m in spec.modalities}
    fuser = Sum(dict.fromkeys(encoders, config.width), len(spec.horizons_s))
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    parts = Parts(encoders, fuser, nn.Identity(), nn.Identity(), WeightedBCE())
    return ComposedModel(spec, parts)


def example() -> ModelSpec:
    """A small spec, for the contract suite."""
    return example_spec("linear", {"width": 8})


def example_spec(family: str, config: dict[str, object]) -> ModelSpec:
    """Two vitals, two laboratory values and age, hourly: what every family is tested on."""
    return ModelSpec(
        name=f"example-{family}",
        version="1",
        family=family,
        task="deterioration",
        horizons_s=(43_200.0,),
        cadence_s=3600.0,
        warmup_s=6 * 3600.0,
        modalities=(
            ModalitySpec(
                "vitals",
                "dense",
                (
                    FeatureSpec("hr", "/min", 0.0, 300.0),
                    FeatureSpec("spo2", "%", 30.0, 100.0),
                ),
                43_200.0,
            ),
            ModalitySpec(
                "labs",
                "event",
                (
                    FeatureSpec("lactate", "mmol/L", 0.0, 50.0),
                    FeatureSpec("creatinine", "mg/dL", 0.0, 30.0),
                ),
                172_800.0,
            ),
            ModalitySpec("static", "static", (FeatureSpec("age_years", "a", 0.0, 120.0),), 1e9),
        ),
        config=config,
    )
