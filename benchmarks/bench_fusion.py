"""Which fusion captures what: every family on patients whose truth is planted.

    python -m benchmarks.bench_fusion [SEEDS]

AUROC on patients that trained nothing, mean over the seeds (3 by default) and the range. About
three minutes on one core for three seeds.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import numpy as np
import torch

from benchmarks._common import heading
from models.evaluation.ranking import auroc
from models.late.confidence import ConfidenceWeighted, inverse_variance
from models.late.fused import Floats
from models.late.mean import MeanLogit
from models.late.out_of_fold import StackedRows
from models.late.stack import fit_stack
from models.late.vcdn import fit_vcdn
from models.late.weighted import fit_weights
from models.testbed.planted import MAKERS, only, plant, spec_of
from models.testbed.pulses import pulse_arrival, stacked_arrival, wave_spec
from models.testbed.trial import SMALL, area, parameters, trained
from models.training.recipe import Recipe

LATE: Final[dict[str, object]] = {"width": 16, "dropout": 0.0}
FAMILIES: Final[dict[str, dict[str, object]]] = {
    "fusion.early": {"hidden": 32, "dropout": [0.0, 0.0]},
    "fusion.concat": SMALL,
    "fusion.gated": SMALL,
    "fusion.progressive": {**SMALL, "node_width": 32},
    "late.mean": {**LATE, "rule": {"type": "mean"}},
    "late.confidence": {**LATE, "rule": {"type": "confidence"}},
}


def _shown(figures: list[float]) -> str:
    """Mean and range."""
    return f"{np.mean(figures):.3f} ({min(figures):.3f}-{max(figures):.3f})"


def _recipe(seed: int) -> Recipe:
    return Recipe(epochs=15, batch=32, learning_rate=1e-2, seed=seed)


def stages(modalities: list[str]) -> list[list[str]]:
    """The first two together, then the rest: the close pair first."""
    return [modalities[:2], modalities[2:]] if len(modalities) > 2 else [modalities]


def series(seeds: int) -> None:
    """Families by kind of planted truth."""
    print(heading("planted truth: AUROC on new patients, mean (range) over seeds"))
    columns = ("all there", "without a", "without b")
    print(f"{'planted':16s}{'family':22s}" + "".join(f"{c:24s}" for c in columns) + " numbers")
    for kind, make in MAKERS.items():
        train, test = plant(make, seed=1), plant(make, seed=2)
        sizes = {name: x.shape[-1] for name, x in train.histories.seq.value.items()}
        for family, config in FAMILIES.items():
            if family == "fusion.progressive":
                config = {**config, "order": stages(list(sizes))}
            models = [
                trained(spec_of(family, sizes, config), train, _recipe(s)) for s in range(seeds)
            ]
            cells = [_shown([area(m, test, gone) for m in models]) for gone in (None, "a", "b")]
            print(
                f"{kind:16s}{family:22s}"
                + "".join(f"{c:24s}" for c in cells)
                + f"{parameters(models[0]):8d}"
            )
        for name in sizes:
            own, new = only(train, name), only(test, name)
            spec = spec_of("fusion.gated", {name: sizes[name]}, SMALL)
            found = [area(trained(spec, own, _recipe(s)), new) for s in range(seeds)]
            print(f"{kind:16s}{'specialist of ' + name:22s}{_shown(found)}")


def waveforms(seeds: int) -> None:
    """A delay between two waveforms: stacked channels against a member each."""
    print(heading("pulse arrival: AUROC on new windows"))
    sizes: dict[str, object] = {"width": 16, "hidden": 16, "dropout": [0.0, 0.0]}
    late: dict[str, object] = {**LATE, "rule": {"type": "mean"}}
    found: dict[str, list[float]] = {"fusion.conv": [], "late.mean": []}
    for seed in range(seeds):
        recipe = Recipe(epochs=12, batch=32, learning_rate=5e-3, modality_dropout=0.0, seed=seed)
        stacked = wave_spec("fusion.conv", {"waves": ("ecg", "ppg")}, sizes)
        model = trained(stacked, plant(stacked_arrival, 1000, 1, seed=1), recipe)
        found["fusion.conv"].append(area(model, plant(stacked_arrival, 600, 1, seed=2)))
        apart = wave_spec("late.mean", {"a": ("ecg",), "b": ("ppg",)}, late)
        model = trained(apart, plant(pulse_arrival, 1000, 1, seed=1), recipe)
        found["late.mean"].append(area(model, plant(pulse_arrival, 600, 1, seed=2)))
    for family, areas in found.items():
        print(f"{family:22s}{_shown(areas)}")


def _members(rng: np.random.Generator, n: int, snr: tuple[float, ...]) -> tuple[Floats, Floats]:
    target = (rng.random(n) < 0.3).astype(np.float64)
    return (target - 0.5)[:, None] * np.array(snr) + rng.normal(size=(n, len(snr))), target


def rules() -> None:
    """Late rules on members whose knowledge is known."""
    print(heading("late rules on planted members"))
    rng = np.random.default_rng(5)
    logit, target = _members(rng, 40_000, (3.0, 1.0))
    weight = fit_weights(logit, target).weight
    print(f"weights of members of SNR 3 : 1            {weight[0] / weight[1]:.2f} : 1")
    logit, target = _members(rng, 20_000, (2.0, 2.0))
    moving = rng.random(len(target)) < 0.5
    noisy, std = logit.copy(), np.ones_like(logit)
    noisy[moving, 1] += 6.0 * rng.normal(size=int(moving.sum()))
    std[moving, 1] = np.sqrt(37.0)
    label = target > 0.5
    before = auroc(label, MeanLogit().fuse(logit).logit)
    lost = before - auroc(label, MeanLogit().fuse(noisy).logit)
    fused = ConfidenceWeighted().fuse(noisy, inverse_variance(std)).logit
    print(f"noise in one member: AUROC lost, mean      {lost:.4f}")
    print(f"noise in one member: AUROC lost, confidence {before - auroc(label, fused):.4f}")
    a, b = rng.random((2, 6000)) < 0.5
    opinions = 2.0 * (2.0 * np.column_stack([a, b]) - 1.0) + rng.normal(size=(6000, 2))
    disagree, group = (a ^ b).astype(np.float64), np.arange(6000)
    half = group < 3000
    rows = StackedRows(opinions[half], group[half] % 5, group[half])
    for name, rule in (
        ("stack", fit_stack(rows, disagree[half])),
        ("vcdn", fit_vcdn(rows, disagree[half])),
    ):
        found = auroc(a[~half] ^ b[~half], rule.fuse(opinions[~half]).logit)
        print(f"event where two opinions differ: {name:10s}{found:.3f}")


def main() -> None:
    """Print every table."""
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    began = time.process_time()
    series(seeds)
    waveforms(seeds)
    rules()
    print(f"\n{time.process_time() - began:.0f} CPU-s, torch {torch.__version__}, one thread")


if __name__ == "__main__":
    main()
