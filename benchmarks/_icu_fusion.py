"""Stays of CinC 2012 as hourly histories, and the gated GRU-D fusion model trained on them.

Death in hospital is asked for at hour 48; earlier hours count a little in the loss, more the later
they are, so that the state means something all the way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.families.gated import GATED, build
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from models.tensors import SequenceBatch, Target
from models.training.batches import Histories
from models.training.loop import Trainer
from models.training.recipe import Recipe
from service.datasets.cinc2012 import HOURS, RANGES, STATIC, VARIABLES, Stays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
BEDSIDE: Final = (
    "HR",
    "SysABP",
    "DiasABP",
    "MAP",
    "NISysABP",
    "NIDiasABP",
    "NIMAP",
    "RespRate",
    "Temp",
    "SaO2",
    "GCS",
    "Urine",
    "MechVent",
    "FiO2",
)
LABS: Final = tuple(name for name in VARIABLES if name not in (*BEDSIDE, "Weight"))
EARLY: Final = 0.3  # weight of the hour before the last; falls with the square of the time left
MAX_AGE_S: Final = {"bedside": 24 * 3600.0, "labs": 48 * 3600.0, "static": 1e9}
RECIPE: Final = Recipe(
    epochs=8, batch=64, learning_rate=2e-3, modality_dropout=0.1, average=0.99, weight_decay=2e-2
)
_START_US: Final = 1_577_836_800_000_000
_HOUR_US: Final = 3_600_000_000


def spec(seed: int = 0) -> ModelSpec:
    """What the network takes."""
    wards = tuple(FeatureSpec(f"ICUType{k}", "1", 0.0, 1.0) for k in range(1, 5))
    people = (
        FeatureSpec("Age", "a", 0, 120),
        FeatureSpec("Gender", "1", 0, 1),
        FeatureSpec("Height", "cm", 100, 230),
        FeatureSpec("Weight", "kg", 20, 350),
    )
    modalities = (
        _modality("bedside", BEDSIDE),
        _modality("labs", LABS),
        ModalitySpec("static", "static", (*people, *wards), MAX_AGE_S["static"]),
    )
    config = {"width": 64, "static_width": 16, "hidden": 64, "head_dropout": (0.4, 0.3)}
    return ModelSpec(
        "cinc2012", str(seed), GATED, "death", (3600.0,), 3600.0, 0.0, modalities, config=config
    )


def histories(stays: Stays) -> Histories:
    """Hourly as-of values of every stay, their ages, and whether they are new."""
    count = len(stays.ids)
    value, age, fresh = {}, {}, {}
    for name, variables in (("bedside", BEDSIDE), ("labs", LABS)):
        value[name], age[name], fresh[name] = _held(stays, variables)
    static = _static(stays)
    value["static"] = np.repeat(static[:, None], HOURS, axis=1)
    age["static"] = np.zeros_like(value["static"])
    fresh["static"] = np.zeros_like(value["static"])
    fresh["static"][:, 0] = ~np.isnan(static)
    held, old, new = (
        {n: torch.from_numpy(x) for n, x in each.items()} for each in (value, age, fresh)
    )
    quality = {n: torch.from_numpy((~np.isnan(x)).astype(np.float32)) for n, x in value.items()}
    time_us = torch.from_numpy(np.tile(_START_US + _HOUR_US * np.arange(HOURS), (count, 1)))
    seq = SequenceBatch(time_us, torch.full((count,), HOURS), held, old, new, quality)
    label = np.repeat(stays.died[:, None, None], HOURS, axis=1).astype(np.float32)
    weight = EARLY * (np.arange(HOURS, dtype=np.float32) / (HOURS - 1)) ** 2
    weight[-1] = 1.0
    weights = np.tile(weight[None, :, None], (count, 1, 1))
    return Histories(seq, Target(torch.from_numpy(label), torch.from_numpy(weights)))


def fused(data: Histories, train: Bools, seed: int) -> Floats:
    """Logit at hour 48 of every stay, by a network that saw the training stays only."""
    torch.manual_seed(seed)
    model = build(spec(seed))
    rows = np.flatnonzero(train)
    own = _some(data, rows)
    model.fit_inputs(
        {n: x.reshape(-1, x.shape[-1]).double().numpy() for n, x in own.seq.value.items()}
    )
    trainer = Trainer(model, own, RECIPE)
    while not trainer.finished:
        trainer.run_epoch()
    trainer.finish()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(train), 500):
            batch, _ = data.batch(np.arange(start, min(start + 500, len(train))))
            parts.append(model(batch).logit[:, -1, 0].double().numpy())
    return np.concatenate(parts)


def _some(data: Histories, rows: Ints) -> Histories:
    seq, target = data.batch(rows)
    return Histories(seq, target)


def _modality(name: str, variables: tuple[str, ...]) -> ModalitySpec:
    features = tuple(FeatureSpec(v, "1", *map(float, RANGES[v])) for v in variables)
    return ModalitySpec(name, "dense", features, MAX_AGE_S[name])


def _held(
    stays: Stays, variables: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Last value of each hour carried on, its age in seconds at the hour's end, newness."""
    count, width = len(stays.ids), len(variables)
    value = np.full((count, HOURS, width), np.nan, np.float32)
    minute = np.full((count, HOURS, width), np.nan)
    for column, name in enumerate(variables):
        own = stays.variable == VARIABLES.index(name)
        hour = np.minimum(stays.minute[own] // 60, HOURS - 1)
        value[stays.stay[own], hour, column] = stays.value[own]
        minute[stays.stay[own], hour, column] = stays.minute[own]
    fresh = (~np.isnan(value)).astype(np.float32)
    for hour in range(1, HOURS):
        gone = np.isnan(value[:, hour])
        value[:, hour] = np.where(gone, value[:, hour - 1], value[:, hour])
        minute[:, hour] = np.where(gone, minute[:, hour - 1], minute[:, hour])
    ends = 60.0 * np.arange(1, HOURS + 1)[:, None]
    age = np.nan_to_num(60.0 * np.maximum(ends - minute, 0.0)).astype(np.float32)
    return value, age, fresh


def _static(stays: Stays) -> NDArray[np.float32]:
    column = {name: stays.static[:, i] for i, name in enumerate(STATIC)}
    ward = column["ICUType"]
    wards = [np.where(np.isnan(ward), np.nan, ward == k) for k in range(1, 5)]
    people = [column[name] for name in ("Age", "Gender", "Height", "Weight")]
    return np.stack([*people, *wards], axis=1).astype(np.float32)
