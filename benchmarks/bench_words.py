"""From aligned rows to published scores of the shipped model: a row's cost, the model's part in it.

    python -m benchmarks.bench_words [ROWS A CALL ...]

Calm rows with what a wearable measures. CPU time of the fastest of many calls.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from benchmarks._common import heading
from features.align import AlignedBatch, FeatureBatch
from features.catalog import CATALOG, INDEX, FeatureReason
from features.concepts import CONCEPTS
from models.fusion_scorer import FusionScorer, Opened
from models.open import open_blocks
from models.runtime import Floats, Said
from models.seat import Seat
from service.artifacts import read_artifact, shipped_folder
from streams.windows import Window

SIZES = (1, 17, 60, 256)
CALLS = 60
END_US = 1_700_000_000_000_000 // 3_600_000_000 * 3_600_000_000
CALM = {"ecg_hr_bpm": 72.0, "spo2_mean_pct": 97.0, "temp_mean_c": 36.8, "resp_rate_per_min": 15.0}


def rows(n: int, end_us: int) -> AlignedBatch:
    """One window of each of so many patients."""
    shape = (n, len(CATALOG))
    draw = np.random.default_rng(end_us % 1000 + n)
    value, quality = np.full(shape, np.nan), np.zeros(shape, np.float32)
    reason = np.full(shape, FeatureReason.NO_SIGNAL, np.uint8)
    for name, usual in CALM.items():
        column = INDEX.get(name, -1)
        if column >= 0:
            value[:, column] = usual * (1.0 + 0.02 * draw.standard_normal(n))
            quality[:, column], reason[:, column] = 0.9, FeatureReason.OK
    windows = tuple(
        Window(f"p{i}", "60s", end_us - 60_000_000, end_us, end_us + 5_000_000, 0) for i in range(n)
    )
    facts = np.full((n, len(CONCEPTS)), np.nan)
    batch = FeatureBatch(windows, value, quality, quality, np.zeros(shape, np.int32), reason)
    return AlignedBatch(batch, facts, np.zeros(facts.shape, np.int64))


class Timed:
    """A step that notes what it takes."""

    def __init__(self, step: object) -> None:
        assert callable(step)
        self._step, self.spent_s = step, 0.0

    def __call__(self, state: Floats, packed: Floats, clock: Floats) -> Said:
        """Run it."""
        began = time.process_time()
        said: Said = self._step(state, packed, clock)
        self.spent_s += time.process_time() - began
        return said


def main() -> None:
    """Print the table."""
    sizes = tuple(int(word) for word in sys.argv[1:]) or SIZES
    print(heading("Published scores of the shipped model, CPU time"))
    folder = shipped_folder("default")
    assert folder is not None
    artifact = read_artifact(folder)
    step = Timed(open_blocks(artifact))
    for n in sizes:
        scorer = FusionScorer(Opened("default", artifact.ref, artifact.spec, step))
        seat = Seat("default", [scorer])
        seat.words(rows(n, END_US), [""] * n)
        best = (np.inf, np.inf)
        for call in range(CALLS):
            batch, step.spent_s = rows(n, END_US + 10_000_000 * (1 + call % 50)), 0.0
            began = time.process_time()
            seat.words(batch, [""] * n)
            best = min(best, (time.process_time() - began, step.spent_s))
        print(f"{n:5d} rows: {best[0] / n * 1e6:7.1f} us a row, the model {best[1] / n * 1e6:7.1f}")


if __name__ == "__main__":
    main()
