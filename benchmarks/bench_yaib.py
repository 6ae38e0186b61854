"""Four tasks on the eICU demo cohorts of YAIB: one network for all of them beside one for each.

Stays are divided once, over all tasks; nobody is on both sides. The network is a GRU-D per modality
(vital signs, laboratory), concatenated with age, sex, height and weight, and a head with a logit
per task. Alone, the same network sees the loss of one task. Tasks: death in the unit, asked at hour
24; sepsis and kidney injury within 6 h, hourly; still there in 48 h, hourly, from the hours left.

    python -m benchmarks.bench_yaib [seeds]
"""

from __future__ import annotations

import sys
import time
from typing import Final, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks._common import data_folder, heading
from models.encoders.gru_d import GruD
from models.encoders.point import Point
from models.evaluation.bootstrap import bootstrap
from models.evaluation.ranking import Ranking
from models.fusers.concat import Concat
from models.fusion_model import ComposedModel, Parts, state_of
from models.heads.tasks import TaskHead
from models.losses import WeightedBCE
from models.parts import Encoder
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from models.tensors import SequenceBatch, Target
from models.training.batches import Histories
from models.training.loop import Trainer
from models.training.recipe import Recipe
from service.datasets.yaib_eicu import STATIC, TASKS, VITALS, Rows, Task, folds_of, read

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
FOLDS: Final = 3
WIDTH: Final = 48
LONGEST: Final = 96  # hours; later rows of a stay are left out
STAYS_ON_H: Final = 48.0
RECIPE: Final = Recipe(epochs=6, batch=64, learning_rate=3e-3, modality_dropout=0.1, average=0.98)
_HOUR_US: Final = 3_600_000_000
_START_US: Final = 1_577_836_800_000_000


class Data(NamedTuple):
    """All stays with the labels of all tasks."""

    histories: Histories
    fold: Ints  # [P]
    label: Floats  # [P, T, K] NaN where a task is not asked


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    print(heading("YAIB eICU demo: one network for four tasks, and one for each"))
    data = load()
    began = time.process_time()
    together = np.mean([judged(data, None, seed) for seed in range(seeds)], axis=0)
    print("| task | rows asked | positive | AUROC together | alone | together less alone |")
    print("|---|---|---|---|---|---|")
    for k, task in enumerate(TASKS):
        alone = np.mean([judged(data, k, seed) for seed in range(seeds)], axis=0)
        print(line(data, k, task, together[..., k], alone[..., k]), flush=True)
    print(f"{time.process_time() - began:.0f} s of CPU, {FOLDS} folds, {seeds} seeds")


def load() -> Data:
    """Histories over the longest of the cohorts, in which every stay is."""
    folder = data_folder("yaib_eicu_demo") / "yaib_demo" / "demo_data"
    rows = {task: read(folder, task) for task in TASKS}
    fold_of = folds_of(list(rows.values()), FOLDS)
    whole = rows["los"]
    stays = np.unique(whole.stay)
    number = np.searchsorted(stays, whole.stay)
    inside = whole.hour < LONGEST
    length = np.minimum(np.bincount(number), LONGEST)
    shape = (len(stays), LONGEST)
    label = np.full((*shape, len(TASKS)), np.nan)
    for k, task in enumerate(TASKS):
        put(label[..., k], rows[task], stays, task)
    value = {}
    for name, chosen in modalities(whole).items():
        table = np.full((*shape, len(chosen)), np.nan, np.float32)
        at = (number[inside], whole.hour[inside])
        table[at] = whole.value[inside][:, chosen]
        value[name] = table
    static = np.full((len(stays), len(STATIC)), np.nan, np.float32)
    static[number] = whole.static
    seq = sequences(value, static, length)
    weight = np.where(np.isnan(label), 0.0, 1.0)
    weight /= np.sqrt(np.maximum(weight.sum(axis=(0, 1)), 1.0))  # between rows and tasks alike
    target = Target(
        torch.from_numpy(np.nan_to_num(label).astype(np.float32)),
        torch.from_numpy(weight.astype(np.float32)),
    )
    fold = np.array([fold_of[int(s)] for s in stays])
    return Data(Histories(seq, target), fold, label)


def put(label: Floats, rows: Rows, stays: Ints, task: Task) -> None:
    """Labels of one task at their stays and hours."""
    asked = ~np.isnan(rows.label) & (rows.hour < LONGEST)
    value = rows.label[asked]
    if task == "los":
        value = (value > STAYS_ON_H).astype(float)
    label[np.searchsorted(stays, rows.stay[asked]), rows.hour[asked]] = value


def modalities(rows: Rows) -> dict[str, Ints]:
    """Columns by modality."""
    vital = np.array([name in VITALS for name in rows.names])
    return {"vitals": np.flatnonzero(vital), "labs": np.flatnonzero(~vital)}


def sequences(value: dict[str, Floats32], static: Floats32, length: Ints) -> SequenceBatch:
    """As-of values with their ages."""
    fields: list[dict[str, torch.Tensor]] = [{}, {}, {}, {}]
    for name, table in value.items():
        fresh = ~np.isnan(table)
        held, age = table.copy(), np.zeros_like(table)
        for hour in range(1, table.shape[1]):
            gone = ~fresh[:, hour]
            held[:, hour] = np.where(gone, held[:, hour - 1], held[:, hour])
            age[:, hour] = np.where(gone, age[:, hour - 1] + 3600.0, 0.0)
        there = ~np.isnan(held)
        for field, array in zip(fields, (held, age, fresh, there), strict=True):
            field[name] = torch.from_numpy(array.astype(np.float32))
    repeated = np.repeat(static[:, None], LONGEST, axis=1)
    first = np.zeros_like(repeated)
    first[:, 0] = 1.0
    arrays = (repeated, np.zeros_like(repeated), first, (~np.isnan(repeated)).astype(np.float32))
    for field, array in zip(fields, arrays, strict=True):
        field["static"] = torch.from_numpy(array)
    time_us = torch.from_numpy(np.tile(_START_US + _HOUR_US * np.arange(LONGEST), (len(static), 1)))
    return SequenceBatch(time_us, torch.from_numpy(length), *fields)


def network(columns: dict[str, int]) -> ComposedModel:
    """GRU-D per modality, concatenated, a logit per task."""
    parts = tuple(
        ModalitySpec(
            name,
            "static" if name == "static" else "dense",
            tuple(FeatureSpec(f"{name}{i}", "1", -1e9, 1e9) for i in range(width)),
            1e9 if name == "static" else 48 * 3600.0,
        )
        for name, width in columns.items()
    )
    horizons = tuple(3600.0 * (k + 1) for k in range(len(TASKS)))
    spec = ModelSpec("yaib", "1", "bench", "four tasks", horizons, 3600.0, 0.0, parts)
    encoders: dict[str, Encoder] = {
        m.name: Point(m, 16) if m.kind == "static" else GruD(m, WIDTH, 0.2) for m in parts
    }
    fuser = Concat({name: each.width for name, each in encoders.items()})
    head = TaskHead(fuser.width, len(TASKS), 64, (0.3, 0.2))
    built = Parts(encoders, fuser, head, nn.Identity(), WeightedBCE())
    spec = msgspec.structs.replace(spec, state=state_of(spec, encoders))
    return ComposedModel(spec, built)


def judged(data: Data, task: int | None, seed: int) -> Floats:
    """Logits [P, T, K] of networks that saw the other folds; one task's loss, or all."""
    out = np.full(data.label.shape, np.nan)
    for fold in range(FOLDS):
        train, test = np.flatnonzero(data.fold != fold), np.flatnonzero(data.fold == fold)
        seq, target = data.histories.batch(train)
        if task is not None:
            weight = torch.zeros_like(target.weight)
            weight[..., task] = target.weight[..., task]
            target = target._replace(weight=weight)
        torch.manual_seed(seed)
        model = network({name: x.shape[-1] for name, x in seq.value.items()})
        rows = {n: x.reshape(-1, x.shape[-1]).double().numpy() for n, x in seq.value.items()}
        model.fit_inputs(rows)
        trainer = Trainer(model, Histories(seq, target), msgspec.structs.replace(RECIPE, seed=seed))
        while not trainer.finished:
            trainer.run_epoch()
        trainer.finish()
        with torch.inference_mode():
            for start in range(0, len(test), 256):
                some = test[start : start + 256]
                batch, _ = data.histories.batch(some)
                logit = model(batch).logit.double().numpy()
                out[some, : logit.shape[1]] = logit
    return out


def line(data: Data, k: int, task: str, together: Floats, alone: Floats) -> str:
    """One row of the table."""
    asked = ~np.isnan(data.label[..., k])
    patient = np.nonzero(asked)[0]
    label = data.label[..., k][asked] > 0
    areas = [Ranking(label, s[asked], patient, len(data.fold)) for s in (together, alone)]

    def statistic(drawn: Floats) -> Floats:
        a, b = (ranking.areas(drawn).auroc for ranking in areas)
        return np.stack([a, b, a - b], axis=1)

    cells = bootstrap(statistic, len(data.fold))
    shown = " | ".join(f"{c.value:.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells)
    return f"| {task} | {asked.sum():,} | {100 * label.mean():.1f} % | {shown} |"


if __name__ == "__main__":
    main()
