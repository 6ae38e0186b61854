"""`fusion.gated`, the default: a stateful GRU-D per modality, gates over all, one trunk.

Modalities of kind "static" have no memory. Every other one also has a head of its own in the
loss, so that each must be of use by itself.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from models.calibration.module import calibrator_of
from models.encoders.gru_d import GruD
from models.encoders.point import Point
from models.fusers.concat import Concat
from models.fusers.gated import Gated
from models.fusers.progressive import Progressive
from models.fusion_model import ComposedModel, Parts, state_of
from models.heads.event import EventHead, LinearHead
from models.heads.hazard import HazardHead
from models.linear import example_spec
from models.parts import Encoder, Fuser
from models.registry import load
from models.spec import ModelSpec

PROGRESSIVE = "fusion.progressive"
CONCAT = "fusion.concat"
GATED = "fusion.gated"


class GatedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes; those of the sepsis recipe by default."""

    width: int = 96  # hidden state per modality
    static_width: int = 16
    hidden: int = 64  # of the trunk
    dropout: float = 0.2  # before the GRU
    head_dropout: tuple[float, float] = (0.3, 0.2)
    trend: bool = True  # change and deviation from the patient's own start as inputs
    quality: bool = False  # signal quality as inputs: for wearables, not for charted values
    head: Literal["event", "hazard"] = "event"  # "hazard": horizons are ends of intervals
    loss: str = "bce"  # a registered loss, of the trunk and of every modality's own head
    order: tuple[tuple[str, ...], ...] = ()  # stages, `fusion.progressive` only; () = as listed
    node_width: int = 64  # `fusion.progressive` only


def encoders_of(spec: ModelSpec, config: GatedConfig) -> dict[str, Encoder]:
    """GRU-D for what changes, a layer for what does not."""
    return {
        m.name: Point(m, config.static_width)
        if m.kind == "static"
        else GruD(m, config.width, config.dropout, trend=config.trend, quality=config.quality)
        for m in spec.modalities
    }


def build(spec: ModelSpec) -> ComposedModel:
    """The network of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not a `GatedConfig`.
    ConfigError
        If there is no such loss.
    ValueError
        If the stages of a progressive fusion do not name every modality once.
    """
    config = msgspec.convert(spec.config, GatedConfig)
    encoders = encoders_of(spec, config)
    horizons = len(spec.horizons_s)
    fuser = _fuser(spec, config, {name: encoder.width for name, encoder in encoders.items()})
    own = {
        m.name: LinearHead(config.width, horizons) for m in spec.modalities if m.kind != "static"
    }
    make_head = HazardHead if config.head == "hazard" else EventHead
    head = make_head(fuser.width, horizons, config.hidden, config.head_dropout)
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    calibrator = calibrator_of(spec.calibration, horizons)
    return ComposedModel(
        spec, Parts(encoders, fuser, head, calibrator, load("losses", config.loss)(), own)
    )


def _fuser(spec: ModelSpec, config: GatedConfig, widths: dict[str, int]) -> Fuser:
    """The fuser that a family's name stands for."""
    if spec.family == PROGRESSIVE:
        order = config.order or tuple((m.name,) for m in spec.modalities)
        return Progressive(widths, config.node_width, order)
    return Concat(widths) if spec.family == CONCAT else Gated(widths)


def example() -> ModelSpec:
    """A small spec, for the contract suite."""
    return example_spec(GATED, {"width": 8, "static_width": 4, "hidden": 8})
