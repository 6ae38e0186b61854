"""`fusion.early`: everything about now in one vector, one network. The model to start with.

Values, masks, ages and running statistics of all modalities are joined before anything is learned,
so this is data-level fusion; memory lies in the statistics, not in the network.
"""

from __future__ import annotations

import msgspec

from models.calibration.module import calibrator_of
from models.encoders.window import Window
from models.fusers.concat import Concat
from models.fusion_model import ComposedModel, Parts, state_of
from models.heads.event import EventHead
from models.linear import example_spec
from models.parts import Encoder
from models.registry import load
from models.spec import ModelSpec

EARLY = "fusion.early"


class EarlyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size of the network's layer, and its dropout before and after."""

    hidden: int = 128
    dropout: tuple[float, float] = (0.1, 0.3)
    loss: str = "bce"  # a registered loss


def build(spec: ModelSpec) -> ComposedModel:
    """The network of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not an `EarlyConfig`.
    """
    config = msgspec.convert(spec.config, EarlyConfig)
    encoders: dict[str, Encoder] = {m.name: Window(m) for m in spec.modalities}
    horizons = len(spec.horizons_s)
    fuser = Concat({name: encoder.width for name, encoder in encoders.items()})
    head = EventHead(fuser.width, horizons, config.hidden, config.dropout)
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    calibrator = calibrator_of(spec.calibration, horizons)
    return ComposedModel(
        spec, Parts(encoders, fuser, head, calibrator, load("losses", config.loss)())
    )


def example() -> ModelSpec:
    """A small spec, for the contract suite."""
    return example_spec(EARLY, {"hidden": 16})
