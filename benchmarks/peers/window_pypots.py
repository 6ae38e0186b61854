"""PyPOTS' GRU-D reads 48 h again at every update; a model with state reads the new row. One run.

The task of the design: 40 hourly inputs, a score after every row. PyPOTS 1.5 is asked as a user
asks it (`predict` on the last 48 rows of some patients) and its bare network on tensors already
made; ours takes one row each from a slab of 100,000 patients: gather, update, score, scatter. At
the largest size PyPOTS may choose its own. CPU time of one thread; every round measures all of
them, so that they share what disturbs the machine.

    benchmarks/peers/make-windows
    .vigil/window-peers/bin/python -m benchmarks.peers.window_pypots [rounds]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from pypots.classification import GRUD

from benchmarks._common import heading
from benchmarks.bench_serving import HOURS, PATIENTS, gated, network
from models.compiled_runtime import COMPILED_BUCKETS, CompiledRuntime
from models.export import to_onnx
from models.layout import Layout
from models.onnx_runtime import OnnxRuntime
from models.runtime import Blocks, settled
from models.slab import Slab
from models.spec import FeatureSpec, ModalitySpec, ModelSpec

STEPS, FEATURES, HIDDEN = 48, 40, 64
SIZES = (1, 32, 256)
OWN_CHOICE = (64, 128, 256, 512, 1024)  # windows at once, of which PyPOTS' fastest counts
SECONDS = 0.6
ABSENT = 0.7  # share of the values of a window that were not measured
Ask = Callable[[], object]
Rate = Callable[[], float]


def single() -> ModelSpec:
    """The same network's shape: one GRU-D branch of 64 over all 40 inputs."""
    features = tuple(FeatureSpec(f"x{i}", "1", -10.0, 10.0) for i in range(FEATURES))
    return ModelSpec(
        "single", "1", "fusion.concat", "bench", (43_200.0,), 3600.0, 0.0,
        (ModalitySpec("all", "dense", features, 172_800.0),),
        config={"width": HIDDEN, "trend": False},
    )  # fmt: skip


def windowed() -> GRUD:
    """PyPOTS' classifier; it must be trained once before it predicts."""
    torch.manual_seed(0)
    peer = GRUD(
        n_steps=STEPS, n_features=FEATURES, n_classes=2, rnn_hidden_size=HIDDEN, batch_size=64,
        epochs=1, num_workers=0, device="cpu", verbose=False,
    )  # fmt: skip
    rows = _windows(64)
    peer.fit({"X": rows, "y": np.arange(64) % 2})
    return peer


def _windows(size: int) -> np.ndarray:
    draw = np.random.default_rng(size)
    rows = draw.standard_normal((size, STEPS, FEATURES)).astype(np.float32)
    rows[draw.random(rows.shape) < ABSENT] = np.nan
    return rows


def predicting(peer: GRUD, size: int) -> Ask:
    """As a user asks."""
    rows = _windows(size)

    def ask() -> object:
        peer.batch_size = size
        return peer.predict({"X": rows})

    return ask


def bare(peer: GRUD, size: int) -> Ask:
    """The network alone, on tensors that its data pipeline has made."""
    from pypots.classification.grud.data import DatasetForGRUD

    whole = DatasetForGRUD({"X": _windows(size)}, return_y=False, file_type="hdf5")
    columns = [whole[i] for i in range(size)]
    batch = [torch.stack(list(parts)) for parts in zip(*columns, strict=True)]
    inputs = peer._assemble_input_for_testing(batch)

    def ask() -> object:
        with torch.inference_mode():
            return peer.model(inputs)

    return ask


def served(spec: ModelSpec, *, compiled: bool) -> tuple[ModelSpec, Blocks]:
    """A model on our own loops, or on ONNX Runtime."""
    model = network(spec)
    if compiled:
        runtime = CompiledRuntime(model, explain=False)
        return model.spec, settled(runtime, model.spec, COMPILED_BUCKETS)
    return model.spec, settled(OnnxRuntime(to_onnx(model, explain=False)), model.spec)


def stepping(model: tuple[ModelSpec, Blocks], size: int) -> Ask:
    """One row of each patient, from the slab and back."""
    spec, step = model
    layout = Layout.of(spec)
    columns = len(layout.features)
    slab = Slab("bench", layout.state_width, 4 * columns, 0)
    slots = slab.slots([str(i) for i in range(PATIENTS)])
    draw = np.random.default_rng(0)
    rows = draw.random((size, 4, columns), dtype=np.float32)
    rows[:, 0][draw.random((size, columns)) < ABSENT] = np.nan
    clock = np.tile(np.array([HOURS, 0.0], np.float32), (size, 1))

    def ask() -> object:
        own = slots[draw.integers(0, PATIENTS, size)]
        said = step(slab.held(own), rows, clock)
        slab.state[own] = said.after
        return said

    return ask


def per_second(ask: Ask, size: int) -> float:
    """Scores per second of CPU."""
    for _ in range(3):
        ask()
    count, began = 0, time.process_time()
    while time.process_time() - began < SECONDS:
        ask()
        count += size
    return count / (time.process_time() - began)


def main() -> None:
    """Print the table: the median of the rounds, and the ratio to PyPOTS within each."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.set_num_threads(1)
    print(heading("A score after every hourly row, 48 h x 40 inputs, one core, CPU time"))
    peer = windowed()
    models = {
        f"{name}, {'compiled' if compiled else 'ONNX Runtime'}": served(spec, compiled=compiled)
        for name, spec in {
            "one GRU-D branch h64": single(), "gated h64": gated(64), "gated h96": gated(96)
        }.items()
        for compiled in (True, False)
    }  # fmt: skip
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"{'':38s} {'rows':>5s} {'scores/s':>10s} {'x predict':>10s} {'x network':>10s}")
    for size in SIZES:
        windows = OWN_CHOICE if size == SIZES[-1] else (size,)
        rates: dict[str, Rate] = {
            "PyPOTS GRU-D h64, predict": fastest(predicting, peer, windows),
            "PyPOTS GRU-D h64, network alone": fastest(bare, peer, windows),
        }
        for name, model in models.items():
            rates[name] = partial(per_second, stepping(model, size), size)
        found = np.array([[rate() for rate in rates.values()] for _ in range(rounds)])
        middle = np.median(found, axis=0)
        ratio = np.median(found / found[:, :1], axis=0)
        network_ratio = np.median(found / found[:, 1:2], axis=0)
        for name, rate, one, other in zip(rates, middle, ratio, network_ratio, strict=True):
            print(f"{name:38s} {size:5d} {rate:10,.0f} {one:10.1f} {other:10.1f}")
    print(f"load {os.getloadavg()[0]:.1f}")


def fastest(make: Callable[[GRUD, int], Ask], peer: GRUD, sizes: tuple[int, ...]) -> Rate:
    """Scores per second at whichever size gives most."""
    asks = [(make(peer, size), size) for size in sizes]
    return lambda: max(per_second(ask, size) for ask, size in asks)


if __name__ == "__main__":
    main()
