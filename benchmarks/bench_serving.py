"""Update and score of models from state, one core: runtimes side by side, blocks, tails, shares.

    python -m benchmarks.bench_serving [SECONDS PER FIGURE [PART OF A NAME]]

Reference: two gated GRU branches of 96 over 8 vitals and 26 laboratory values beside 4 statics, the
sepsis recipe, from a slab of 100,000 patients: gather, update, score, scatter. CPU time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from benchmarks._common import heading
from models.artifact import Artifact, decode
from models.compiled_runtime import COMPILED_BUCKETS, CompiledRuntime
from models.export import to_onnx
from models.fusion_model import FusionModel
from models.layout import Layout
from models.onnx_runtime import OnnxRuntime
from models.registry import family
from models.runtime import Floats, Said, settled
from models.slab import Slab
from models.spec import FeatureSpec, Kind, ModalitySpec, ModelSpec
from models.torch_runtime import TorchRuntime
from models.weights import files_of
from service.artifacts import read_artifact, shipped_folder

SIZES = (1, 8, 32, 64, 128, 256, 512, 2048)
PATIENTS = 100_000
SIZED = (("vitals", "dense", 8), ("labs", "event", 26), ("static", "static", 4))
HOURS = 480_000.0
NOW = np.array([HOURS, 0.0], np.float32)
Rows = tuple[Floats, Floats, Floats]
Step = Callable[[Floats, Floats, Floats], Said]


class Line(NamedTuple):
    """One measured figure."""

    what: str
    size: int
    p50_us: float
    p99_us: float
    per_s: float


class Followed(NamedTuple):
    """A slab in which every patient was last scored an hour ago."""

    slab: Slab
    slots: NDArray[np.intp]  # of the patients
    columns: int  # of a row


class Spend(NamedTuple):
    """By which clock calls are timed, for how long, and how many at least."""

    clock_s: Callable[[], float]
    seconds: float
    fewest: int


def gated(width: int) -> ModelSpec:
    """The reference with so many units a branch."""
    kinds: dict[str, Kind] = {"dense": "dense", "event": "event", "static": "static"}
    modalities = tuple(
        ModalitySpec(
            name,
            kinds[kind],
            tuple(FeatureSpec(f"{name}{i}", "1", 0.0, 1.0) for i in range(d)),
            1e9 if kind == "static" else 172_800.0,
        )
        for name, kind, d in SIZED
    )
    config = {"width": width, "trend": False}
    return ModelSpec(
        f"gated-{width}", "1", "fusion.gated", "bench", (43_200.0,), 3600.0, 0.0, modalities,
        config=config,
    )  # fmt: skip


def network(spec: ModelSpec) -> FusionModel:
    """It, with random weights."""
    torch.manual_seed(0)
    model = family(spec.family).build(spec)
    assert isinstance(model, torch.nn.Module)
    model.eval()
    return model


class NumpyGated:
    """The reference in plain NumPy, without shares: what a runtime must beat."""

    name = "numpy"
    smallest = 8

    def __init__(self, model: FusionModel) -> None:
        assert isinstance(model, torch.nn.Module)
        self._w = {k: np.ascontiguousarray(x.numpy().T) for k, x in model.state_dict().items()}
        self._layout = Layout.of(model.spec)

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """Update and score."""
        joined, after = [], np.empty_like(state)
        state_at = {part.name: slice(part.start, part.stop) for part in self._layout.state}
        after[:, state_at["t"]] = clock
        passed = np.log1p(((clock - state[:, state_at["t"]]) @ _PASSED) / 3600)[:, None]
        present = np.ones((len(state), 3), np.float32)
        for i, part in enumerate(self._layout.inputs):
            value, age, fresh, _ = rows[:, :, part.start : part.stop].transpose(1, 0, 2)
            there = np.isfinite(value)
            z = np.where(there, np.clip(value, -6, 6), 0).astype(np.float32)
            present[:, i] = there.any(axis=1)
            shown = self._encoded(part.name, z, there.astype(np.float32), age, fresh, passed)
            if f"{part.name}.h" in state_at and part.name != "static":
                shown = self._gru(part.name, shown, state[:, state_at[f"{part.name}.h"]])
                after[:, state_at[f"{part.name}.h"]] = shown
            joined.append(np.where(present[:, i, None] > 0, shown, self._w[f"absent.{part.name}"]))
        fused = np.concatenate([*joined, present], axis=1)
        fused = fused * _sigmoid(self._linear("fuser.gate", fused))
        hidden = np.maximum(self._linear("head.hidden.1", fused), 0)
        logit = self._linear("head.out", hidden)
        return Said(after, logit, _sigmoid(logit), logit, present, present)

    def _encoded(self, name: str, z: Floats, mask: Floats, *rest: Floats) -> Floats:
        age, fresh, passed = rest
        key = f"encoders.{name}"
        if f"{key}.gru.weight_ih_l0" not in self._w:
            old = np.log1p(np.minimum(np.where(mask > 0, age, 0) / 86_400, 30)) / 4
            shown = np.concatenate([z, mask, old], axis=1).astype(np.float32)
            return np.maximum(self._linear(f"{key}.mix.0", shown), 0)
        age, fresh = np.where(mask > 0, age, 0), np.where(mask > 0, fresh > 0, 0)
        fading = self._w[f"{key}.fade"] * age / 3600 + self._w[f"{key}.fade_bias"]
        fade = np.exp(-np.maximum(fading, 0))
        faded = np.where(fresh > 0, z, z * fade)
        x = np.concatenate([faded, mask, fresh, np.log1p(age / 3600) / 4, passed], axis=1)
        return np.maximum(self._linear(f"{key}.mix.0", x.astype(np.float32)), 0)

    def _gru(self, name: str, x: Floats, h: Floats) -> Floats:
        key = f"encoders.{name}.gru."
        from_x = x @ self._w[f"{key}weight_ih_l0"] + self._w[f"{key}bias_ih_l0"]
        from_h = h @ self._w[f"{key}weight_hh_l0"] + self._w[f"{key}bias_hh_l0"]
        n = h.shape[1]
        gates = _sigmoid(from_x[:, : 2 * n] + from_h[:, : 2 * n])
        new = np.tanh(from_x[:, 2 * n :] + gates[:, :n] * from_h[:, 2 * n :])
        return np.asarray((1 - gates[:, n:]) * new + gates[:, n:] * h, np.float32)

    def _linear(self, key: str, x: Floats) -> Floats:
        return np.asarray(x @ self._w[f"{key}.weight"] + self._w[f"{key}.bias"], np.float32)


_PASSED = np.array([3600.0, 1.0], np.float32)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def followed(spec: ModelSpec) -> Followed:
    """Patients of a model."""
    layout = Layout.of(spec)
    columns = len(layout.features)
    slab = Slab("bench", layout.state_width, 4 * columns, 0)
    slots = slab.slots([str(i) for i in range(PATIENTS)])
    for part in layout.state:
        if part.name == "t":
            slab.state[:, part.start : part.stop] = NOW - np.array([1.0, 0.0], np.float32)
    return Followed(slab, slots, columns)


def waits(ward: Followed, step: Step, size: int, spend: Spend) -> NDArray[np.float64]:
    """Seconds of calls of so many rows: gather from the slab, step, scatter."""
    (slab, slots, columns), (clock_s, seconds, fewest) = ward, spend
    draw = np.random.default_rng(0)
    rows = draw.random((size, 4, columns), dtype=np.float32)
    rows[:, 0][draw.random((size, columns)) < 0.3] = np.nan
    clock = np.tile(NOW, (size, 1))
    times: list[float] = []
    end = clock_s() + seconds
    while len(times) < fewest or clock_s() < end:
        own = slots[draw.integers(0, PATIENTS, size)]
        began = clock_s()
        said = step(slab.held(own), rows, clock)
        slab.state[own] = said.after
        times.append(clock_s() - began)
    return np.array(times[3:])


def measured(what: str, spec: ModelSpec, step: Step, seconds: float) -> list[Line]:
    """CPU time of every size."""
    ward, spend = followed(spec), Spend(time.process_time, seconds, 20)
    lines = []
    for size in SIZES:
        took = waits(ward, step, size, spend)
        p50, p99 = np.quantile(took, [0.5, 0.99])
        lines.append(Line(what, size, p50 * 1e6, p99 * 1e6, size / float(took.mean())))
    return lines


def artifact_of(model: FusionModel) -> Artifact:
    """The reference as it would be shipped."""
    return decode(files_of(model, onnx=to_onnx(model)))


def cases() -> list[tuple[str, ModelSpec, Step]]:
    """What is measured."""
    found: list[tuple[str, ModelSpec, Step]] = []
    for width in (96, 64):
        model = network(gated(width))
        held = artifact_of(model)
        name = f"gated h{width}"
        for explain, shares in ((False, ""), (True, ", with shares")):
            own = settled(CompiledRuntime(model, explain=explain), held.spec, COMPILED_BUCKETS)
            found.append((f"{name}, compiled{shares}", held.spec, own))
        bare = OnnxRuntime(to_onnx(model, explain=False))
        found.append((f"{name}, ONNX Runtime", held.spec, settled(bare, held.spec)))
        with_shares = settled(OnnxRuntime(held.onnx), held.spec)
        found.append((f"{name}, ONNX Runtime, with shares", held.spec, with_shares))
        found.append((f"{name}, NumPy", held.spec, NumpyGated(model)))
        torch_step = settled(TorchRuntime(model), held.spec)
        found.append((f"{name}, torch eager, with shares", held.spec, torch_step))
    folder = shipped_folder("default")
    if folder is not None:
        held = read_artifact(folder)
        runtime = settled(OnnxRuntime(held.onnx), held.spec)
        found.append((f"shipped {held.ref}, with shares", held.spec, runtime))
    return found


def checked(model: FusionModel) -> float:
    """Largest difference of the NumPy twin's probabilities from torch's."""
    layout = Layout.of(model.spec)
    draw = np.random.default_rng(1)
    rows = draw.random((64, 4, len(layout.features)), dtype=np.float32)
    clock = np.tile(np.array([HOURS, 0.0], np.float32), (64, 1))
    state = draw.random((64, layout.state_width), dtype=np.float32)
    for part in layout.state:
        if part.name == "t":
            state[:, part.start : part.stop] = clock - np.array([1.0, 0.0], np.float32)
    one, other = NumpyGated(model)(state, rows, clock), TorchRuntime(model)(state, rows, clock)
    return float(np.abs(one.prob - other.prob).max())


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    torch.set_num_threads(1)
    print(heading("Serving: update and score from a slab of 100,000 patients, one core, CPU time"))
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
    print(f"load {os.getloadavg()[0]:.1f}")
    model = network(gated(96))
    print(f"NumPy twin against torch: {checked(model):.1e} at most")
    print(f"\n{'':44s} {'rows':>5s} {'p50 us':>8s} {'p99 us':>8s} {'rows/s':>9s}")
    for what, spec, step in (case for case in cases() if wanted in case[0]):
        for line in measured(what, spec, step, seconds):
            print(
                f"{line.what:44s} {line.size:5d} {line.p50_us:8.0f} {line.p99_us:8.0f} "
                f"{line.per_s:9,.0f}"
            )


if __name__ == "__main__":
    main()
