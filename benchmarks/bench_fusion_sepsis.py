"""Families of fusion on real stays: CinC 2019 set A, one split of patients, the same hours for all.

    python -m benchmarks.bench_fusion_sepsis [STAYS] [EPOCHS] [FAMILY ...]

A part of the stays (6,000 by default) and few epochs: an order of families, not a best figure of
any. Threshold, calibration and early stopping see validation patients only.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._common import ROOT, heading
from models.evaluation.bootstrap import Statistic, bootstrap
from models.evaluation.ranking import auprc, auroc
from models.evaluation.utility import (
    RowUtility,
    best_threshold,
    normalised,
    patient_utility,
    row_utility,
)
from models.fusion_model import ComposedModel, FusionModel
from models.registry import family
from models.spec import ModelSpec
from models.training.flat import FlatHistories
from models.training.loop import Trainer
from models.training.losses import utility_target
from models.training.ragged import carried
from models.training.recipe import Recipe
from service.datasets.cinc2019 import Stays, load
from service.training.cinc2019 import modalities

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STAYS: Final = 6000
EPOCHS: Final = 8
WIDTH: Final = 64

LATE: Final[dict[str, object]] = {"width": WIDTH, "quality": False}
FAMILIES: Final[dict[str, dict[str, object]]] = {
    "fusion.early": {"hidden": 128},
    "fusion.concat": {"width": WIDTH},
    "fusion.gated": {"width": WIDTH},
    "late.weighted": {**LATE, "rule": {"type": "weighted", "weight": [0.45, 0.45, 0.1]}},
}
ALONE: Final = ("vitals", "labs")  # each with the static facts, by the gated family


class Data(NamedTuple):
    """Stays as flat rows, and who trains, tunes and tests."""

    stays: Stays
    flat: FlatHistories
    train: Ints
    tune: Ints
    test: Ints


def data(count: int) -> Data:
    """The first `count` stays in a drawn order, 60 : 20 : 20."""
    source = Path(os.environ.get("VIGIL_DATA", ROOT.parent / "shared" / "data"))
    path = source / "cinc2019_setA.tar.xz"
    if not path.is_file():
        sys.exit(f"no recordings: {path} is absent (set VIGIL_DATA)")
    stays = load(path)
    worth = row_utility(stays.label, stays.lengths)
    label, weight = utility_target(worth.alarm - worth.quiet)
    order = np.random.default_rng(0).permutation(len(stays.lengths))[:count]
    flat = FlatHistories(
        carried(stays.value, stays.lengths),
        label[:, None].astype(np.float32),
        weight[:, None].astype(np.float32),
        order,
    )
    a, b = int(0.6 * len(order)), int(0.8 * len(order))
    return Data(stays, flat, order[:a], order[a:b], order[b:])


def without(found: Data, gone: str) -> Data:
    """The same stays, one modality missing throughout."""
    hourly = found.flat.hourly
    value = {**hourly.value, gone: np.full_like(hourly.value[gone], np.nan)}
    return found._replace(flat=found.flat._replace(hourly=hourly._replace(value=value)))


def said(model: FusionModel, found: Data, rows: Ints) -> Floats:
    """Logit of every hour of some stays, in their order."""
    whole = found.flat._replace(rows=rows)
    out = []
    with torch.no_grad():
        for start in range(0, len(rows), 256):
            seq, _ = whole.batch(np.arange(start, min(start + 256, len(rows))))
            inside = torch.arange(seq.time_us.shape[1]) < seq.length[:, None]
            out.append(model.forward(seq).logit[..., 0][inside].double().numpy())
    logit: Floats = np.concatenate(out)
    return logit


def hours(found: Data, rows: Ints) -> Ints:
    """Places of the hours of some stays, in their order."""
    starts = found.stays.starts
    return np.concatenate([np.arange(starts[r], starts[r] + found.stays.lengths[r]) for r in rows])


def trained(spec: ModelSpec, found: Data, epochs: int) -> ComposedModel:
    """A model of a spec; the epoch with the best validation AUPRC."""
    torch.manual_seed(0)
    model = family(spec.family).build(spec)
    assert isinstance(model, ComposedModel)
    at = hours(found, found.train)
    values = {name: x[at].astype(np.float64) for name, x in found.stays.value.items()}
    model.fit_inputs({name: values[name] for name in model.names})
    label = found.stays.label[hours(found, found.tune)]
    recipe = Recipe(epochs=epochs, average=0.99)
    trainer = Trainer(
        model,
        found.flat._replace(rows=found.train),
        recipe,
        judge=lambda m: auprc(label, said(m, found, found.tune)),
    )
    while not trainer.finished:
        trainer.run_epoch()
    trainer.finish()
    return model


def _rows(worth: RowUtility, at: Ints) -> RowUtility:
    """The worth of some hours."""
    return RowUtility(worth.alarm[at], worth.quiet[at], worth.wanted[at])


def judged(model: ComposedModel, found: Data) -> str:
    """Figures on the test stays, the threshold from the validation stays."""
    stays = found.stays
    worth = row_utility(stays.label, stays.lengths)
    tune, test = hours(found, found.tune), hours(found, found.test)
    mark = best_threshold(said(model, found, found.tune), _rows(worth, tune))
    logit, label = said(model, found, found.test), stays.label[test]
    sums = patient_utility(logit >= mark, _rows(worth, test), stays.lengths[found.test])

    def statistic(weight: Floats) -> Floats:
        return np.array([normalised(sums, row) for row in weight])

    value: Statistic = statistic
    worthwhile = bootstrap(value, len(found.test), 500)[0]
    return (
        f"{auroc(label, logit):.3f}  {auprc(label, logit):.3f}  {worthwhile.value:.3f} "
        f"[{worthwhile.low:.3f}, {worthwhile.high:.3f}]"
    )


def main() -> None:
    """Train and judge every family."""
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STAYS
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else EPOCHS
    wanted = sys.argv[3:]
    found = data(count)
    print(heading(f"{count} stays of CinC 2019 A, 60:20:20 by patient, {epochs} epochs"))
    print(f"{'model':34s}AUROC  AUPRC  utility [95 %]          CPU-s")
    inputs = modalities()
    runs = {name: (name, inputs, config) for name, config in FAMILIES.items()}
    for name in ALONE:
        some = tuple(m for m in inputs if m.name in (name, "static"))
        runs[f"fusion.gated, {name} and static only"] = ("fusion.gated", some, {"width": WIDTH})
    for title, (name, own, config) in runs.items():
        if wanted and title not in wanted:
            continue
        spec = ModelSpec(
            "sepsis", "1", name, "sepsis", (21_600.0,), 3600.0, 7200.0, own, config=config
        )
        began = time.process_time()
        model = trained(spec, found, epochs)
        spent = time.process_time() - began
        print(f"{title:34s}{judged(model, found)}  {spent:.0f}", flush=True)
        if len(own) == len(inputs):
            for gone in ALONE:
                print(
                    f"{'  ' + gone + ' absent':34s}{judged(model, without(found, gone))}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
