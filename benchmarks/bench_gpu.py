"""A GPU beside one core of the same machine: rows a second, waits, parity, bits, training.

    python -m benchmarks.bench_gpu [serve | train [PATH OF cinc2019]]

Serving: update, score and shares from a slab of 100,000 patients, gather and scatter included, CUDA
graphs against ONNX Runtime on one thread. Wall time, for a GPU is waited for. Training: the gated
recipe on challenge data, the second of two epochs over the same patients, on the GPU if there is
one.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch

from benchmarks._common import heading
from benchmarks.bench_serving import Spend, artifact_of, followed, gated, network, waits
from models.artifact import Artifact
from models.cuda_runtime import DEVICE_BUCKETS, CudaRuntime
from models.open import Device, open_blocks
from models.runtime import Blocks, Said, probe
from models.spec import ModelSpec
from models.training.finish import started
from models.training.recipe import Recipe
from models.weights import network as network_of
from service.artifacts import read_artifact, shipped_folder
from service.train_network import part, spec_of
from service.training.tasks import TASKS

SIZES = (1, 32, 256, 2048, 16384)
SECONDS = 1.0
TRAINED = 2560  # histories of a timed epoch: 40 steps


class Line(NamedTuple):
    """One measured figure."""

    size: int
    p50_us: float
    p99_us: float
    per_s: float


def models() -> list[tuple[str, Artifact]]:
    """What is measured."""
    found = [(f"gated h{w}, shares", artifact_of(network(gated(w)))) for w in (64, 96)]
    folder = shipped_folder("default")
    if folder is not None:
        held = read_artifact(folder)
        found.append((f"shipped {held.ref.rpartition('/')[0]}, shares", held))
    return found


def measured(spec: ModelSpec, step: Blocks, size: int) -> Line:
    """Wall time of a size."""
    took = waits(followed(spec), step, size, Spend(time.perf_counter, SECONDS, 8))
    p50, p99 = np.quantile(took, [0.5, 0.99])
    return Line(size, p50 * 1e6, p99 * 1e6, size / float(took.mean()))


def parity(spec: ModelSpec, one: Blocks, other: Blocks) -> str:
    """Largest differences of what two runtimes say of the same rows."""
    given = probe(spec, 4096)
    a, b = one(*given), other(*given)
    there = (
        f"{field} {np.nanmax(np.abs(getattr(a, field) - getattr(b, field))):.1e}"
        for field in ("after", "logit", "prob", "share")
    )
    return ", ".join(there)


def agreement(artifact: Artifact) -> str:
    """Which sizes of block give rows the bits of the largest, and of the same block shifted."""
    device = CudaRuntime(network_of(artifact))
    given = probe(artifact.spec, DEVICE_BUCKETS[-1] + 3)
    told = []
    for measure in DEVICE_BUCKETS:
        whole = device(*(x[:measure] for x in given))
        for size in (s for s in DEVICE_BUCKETS if s <= measure):
            start = 3 if size == measure else 3 % size
            some = device(*(np.ascontiguousarray(x[start : start + size]) for x in given))
            n = min(size, measure - start)
            differing = [
                field
                for field, a, b in zip(Said._fields, some, whole, strict=True)
                if a[:n].tobytes() != b[start : start + n].tobytes()
            ]
            told.append(f"{size}/{measure}: {'same' if not differing else ' '.join(differing)}")
    return "; ".join(told)


def serve() -> None:
    """Print the tables of serving."""
    for name, artifact in models():
        print(f"\n{name}")
        opened: dict[Device, Blocks] = {}
        devices: list[Device] = ["cpu"]
        if torch.cuda.is_available():
            print(f"  size/measure, what differs: {agreement(artifact)}")
            torch.cuda.empty_cache()
            devices = ["cuda", "cpu"]
        for device in devices:
            began = time.perf_counter()
            blocks = open_blocks(artifact, device, print)
            took = time.perf_counter() - began
            opened[device] = blocks
            print(f"  {blocks.runtime.name}: opened in {took:.2f} s, blocks {blocks.buckets}")
        if len(opened) == 2:
            print(f"  memory {torch.cuda.memory_reserved() / 2**20:.0f} MiB")
            print(f"  differs at most by: {parity(artifact.spec, *opened.values())}")
        for blocks in opened.values():
            for size in SIZES:
                line = measured(artifact.spec, blocks, size)
                print(
                    f"  {blocks.runtime.name:16s} {line.size:6d} {line.p50_us:9.0f} us p50 "
                    f"{line.p99_us:9.0f} us p99 {line.per_s:12,.0f} rows/s"
                )


def train(path: Path) -> None:
    """Print what an epoch takes."""
    task = TASKS["cinc2019"](path)
    parted = part(task, 0)
    flat = parted.of(*range(3, 10))
    some = flat._replace(rows=flat.rows[:TRAINED])
    values = {name: x[:100_000].astype(np.float64) for name, x in task.value.items()}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for count in (1, 8) if device == "cpu" else (1,):
        torch.set_num_threads(count)
        spec = spec_of("fusion.gated", {}, task)
        trainer = started(spec, some, values, Recipe(epochs=3), device)
        trainer.run_epoch()
        began = time.perf_counter()
        losses = trainer.run_epoch().losses
        took = time.perf_counter() - began
        whole = len(flat.rows) / len(some.rows) * took
        print(
            f"  {device}, {count} threads: {took / trainer.steps * 1e3:.1f} ms a step of 64, "
            f"{whole:.1f} s an epoch of {len(flat.rows)}, loss {losses['total']:.4f}"
        )


def main() -> None:
    """Print what is asked for."""
    asked = sys.argv[1:] or ["serve"]
    torch.set_num_threads(1)
    print(heading("A GPU beside one core"))
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    print(f"{card}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
    print(f"load {os.getloadavg()[0]:.1f}")
    if "serve" in asked:
        serve()
    if "train" in asked:
        train(Path(asked[-1] if asked[-1] != "train" else os.environ["VIGIL_DATA"]))


if __name__ == "__main__":
    main()
