"""Models for the engine's tests: small artifacts in folders, and configurations that name them."""

from __future__ import annotations

from pathlib import Path

import torch

from models.artifact import decode
from models.export import to_onnx
from models.linear import build
from models.spec import FeatureSpec, ModalitySpec, ModelSpec, OperatingPoint
from models.weights import files_of
from service.artifacts import write_artifact
from service.config import Config, KafkaConfig, ModelConfig
from tests.service.engine_kit import PARTITIONS

NAME = "risk"


def spec(version: str = "1", cadence_s: float = 30.0, warmup_s: float = 90.0) -> ModelSpec:
    """Two wearable vitals and two charted facts, on a grid of half a minute."""
    return ModelSpec(
        name="tiny",
        version=version,
        family="linear",
        task="test",
        horizons_s=(3600.0,),
        cadence_s=cadence_s,
        warmup_s=warmup_s,
        modalities=(
            ModalitySpec(
                "vitals",
                "dense",
                (FeatureSpec("hr", "/min", 0, 300), FeatureSpec("spo2", "%", 30, 100)),
                600.0,
            ),
            ModalitySpec(
                "labs",
                "event",
                (FeatureSpec("lactate", "mmol/L", 0, 50), FeatureSpec("sbp", "mm[Hg]", 0, 300)),
                86_400.0,
            ),
        ),
        config={"width": 4},
        operating=(OperatingPoint("test", 3600.0, 0.5),),
    )


def artifact(folder: Path, version: str = "1", seed: int = 1, *, onnx: bool = True) -> str:
    """Write a model to `folder`; returns its digest."""
    torch.manual_seed(seed)
    model = build(spec(version)).eval()
    for name, center in (("vitals", [80.0, 96.0]), ("labs", [2.0, 110.0])):
        model.normalizers[name].center.copy_(torch.tensor(center))  # type: ignore[operator,union-attr]
        model.normalizers[name].scale.copy_(torch.tensor([10.0, 5.0]))  # type: ignore[operator,union-attr]
    files = files_of(model, onnx=to_onnx(model) if onnx else b"")
    write_artifact(folder, files)
    return decode(files).digest


def config(*folders: Path, policy: str = "", partitions: int = PARTITIONS) -> Config:
    """A configuration with these versions of one model."""
    return Config(
        kafka=KafkaConfig(partitions=partitions),
        models=tuple(ModelConfig(NAME, str(folder)) for folder in folders),
        policy=policy,
    )
