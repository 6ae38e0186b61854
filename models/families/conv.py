"""`fusion.conv`: synchronous waveforms stacked as channels of one convolution, early fusion.

Each modality is a set of waveforms of one rate, channel after channel; usually there is one, and
slow context beside it. Modalities of other kinds than "dense" are read as they stand now.
"""

from __future__ import annotations

import msgspec

from models.calibration.module import calibrator_of
from models.encoders.conv import Conv
from models.encoders.point import Point
from models.fusers.concat import Concat
from models.fusion_model import ComposedModel, Parts, state_of
from models.heads.event import EventHead
from models.losses import WeightedBCE
from models.parts import Encoder
from models.spec import FeatureSpec, ModalitySpec, ModelSpec

CONV = "fusion.conv"


class ConvConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Channels per waveform modality, and sizes."""

    channels: dict[str, int] = {}
    width: int = 32
    filters: int = 16
    hidden: int = 32
    dropout: tuple[float, float] = (0.1, 0.1)


def build(spec: ModelSpec) -> ComposedModel:
    """The network of a spec, untrained.

    Raises
    ------
    msgspec.ValidationError
        If `spec.config` is not a `ConvConfig`.
    ValueError
        If no modality is one of waveforms, or its features do not divide into its channels.
    """
    config = msgspec.convert(spec.config, ConvConfig)
    if not any(m.name in config.channels for m in spec.modalities):
        names = ", ".join(m.name for m in spec.modalities)
        raise ValueError(f"channels: none of {names} is of waveforms; fusion.early reads tables")
    encoders: dict[str, Encoder] = {
        m.name: Conv(m, config.width, config.channels[m.name], config.filters)
        if m.name in config.channels
        else Point(m, config.width)
        for m in spec.modalities
    }
    horizons = len(spec.horizons_s)
    fuser = Concat(dict.fromkeys(encoders, config.width))
    head = EventHead(fuser.width, horizons, config.hidden, config.dropout)
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    calibrator = calibrator_of(spec.calibration, horizons)
    return ComposedModel(spec, Parts(encoders, fuser, head, calibrator, WeightedBCE()))


def wave_modality(name: str, signals: tuple[str, ...], length: int) -> ModalitySpec:
    """A modality of synchronous waveforms, z-scored upstream: `signals` channels of `length`."""
    features = tuple(
        FeatureSpec(f"{signal}_{i}", "1", -100.0, 100.0)
        for signal in signals
        for i in range(length)
    )
    return ModalitySpec(name, "dense", features, 60.0)


def example() -> ModelSpec:
    """A small spec, for the contract suite: two signals of 16 samples, and age."""
    static = ModalitySpec("static", "static", (FeatureSpec("age_years", "a", 16.0, 110.0),), 1e9)
    return ModelSpec(
        name="example-conv",
        version="1",
        family=CONV,
        task="deterioration",
        horizons_s=(3600.0,),
        cadence_s=10.0,
        warmup_s=0.0,
        modalities=(wave_modality("waves", ("ecg", "ppg"), 16), static),
        config={"channels": {"waves": 2}, "width": 8, "filters": 4, "hidden": 8},
    )
