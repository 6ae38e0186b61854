"""Serving and training on a GPU: the CPU's scores, a row's own bits, and what a fault leaves.

What needs a device is skipped where there is none; the first law is its rehearsal on a CPU.
"""

from __future__ import annotations

import copy
import logging
import os
import subprocess
import sys
import textwrap
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models.artifact import Artifact, decode
from models.cuda_runtime import DEVICE_BUCKETS, Constants, CudaRuntime, WithFallback, exact
from models.evaluation.ranking import auroc
from models.export import to_onnx
from models.fusion_model import FusionModel
from models.layout import Layout
from models.open import open_blocks
from models.packed import PackedModel, Rowwise
from models.runtime import OUTPUTS, Blocks, Floats, Said, settled
from models.slab import Slab
from models.testbed.planted import plant, redundant, spec_of
from models.torch_runtime import TorchRuntime
from models.training.finish import calibrated, logits_of, started
from models.training.flat import FlatHistories
from models.training.ragged import Hourly
from models.training.recipe import Recipe
from models.weights import files_of, network
from service.artifacts import read_artifact, shipped_folder
from streams.errors import ConfigError
from tests.models.contract import model_kit as kit
from tests.models.contract.test_serving_laws import packed, taken

PARITY = 1e-4  # of logits on made-up rows; products are added up in another order
SIZES = (1, 5, 31, 32, 100, 256, 257, 700, 2048, 2500)
every = pytest.mark.parametrize("name", kit.FAMILIES)
needs_cuda = kit.needs_cuda


class HostWaits(TorchDispatchMode):
    """Notes what a capture refuses: numbers copied from the host, or asked for by it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = str(func)
        masked = named.startswith("aten.index") and any(
            isinstance(x, torch.Tensor) and x.dtype == torch.bool
            for x in (args[1] if isinstance(args[1], (list, tuple)) else ())
        )
        refused = ("lift_fresh", "_local_scalar_dense", "nonzero", "masked_select", "_unique")
        if masked or any(part in named for part in refused):
            self.found.append(named)
        return func(*args, **(kwargs or {}))


@every
def test_a_step_after_the_first_needs_nothing_of_the_host(name: str) -> None:
    model = kit.build(name)
    step = PackedModel(model).eval()
    given = [torch.from_numpy(x) for x in packed(model, 8)]
    constants, waits = Constants(), HostWaits()
    with torch.inference_mode(), constants:
        first = step(*given)
    with torch.inference_mode(), constants, waits:
        again = step(*given)
    assert waits.found == []
    assert kit.same(first, again)


@every
def test_a_step_on_a_device_takes_nothing_from_the_cpu(name: str) -> None:
    model = kit.build(name)
    given = [torch.from_numpy(x).to("meta") for x in packed(model, 8)]
    elsewhere = copy.deepcopy(model).to("meta")  # type: ignore[attr-defined]
    with torch.inference_mode():
        said = PackedModel(elsewhere)(*given)  # raises where two devices meet
    assert all(part.device.type == "meta" for part in said)


def test_products_are_exact_inside_and_as_before_outside() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        with exact():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_training_on_a_device_that_is_not_there_is_refused_in_words() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    spec = spec_of("fusion.gated", {"a": 2, "b": 2}, {})
    data, values, _ = histories(4)
    with pytest.raises(ConfigError, match="no CUDA device"):
        started(spec, data, values, Recipe(), "cuda")


def artifact_of(name: str) -> Artifact:
    model = kit.build(name)
    logging.disable(logging.CRITICAL)  # the exporter logs thousands of lines of its own
    onnx = to_onnx(model) if isinstance(model, Rowwise) else b""
    logging.disable(logging.NOTSET)
    return decode(files_of(model, onnx=onnx))


def close(one: Said, other: Said) -> None:
    for field, a, b in zip(OUTPUTS, one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=PARITY, rtol=PARITY, err_msg=field)


TILES = """
    import torch
    from models.tiles import linear
    for rows, inner, outputs in ((1, 3, 1), (32, 40, 8), (70, 129, 96), (65, 24, 16), (5, 8, 200)):
        x, weight = torch.randn(rows, inner), torch.randn(outputs, inner)
        for bias in (None, torch.randn(outputs)):
            found = linear(x, weight, bias)
            assert (found - torch.nn.functional.linear(x, weight, bias)).abs().max() < 1e-4
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="no Triton here")
@pytest.mark.skipif(torch.cuda.is_available(), reason="the device itself is asked below")
def test_tiles_are_linear_layers() -> None:
    interpreted = {**os.environ, "TRITON_INTERPRET": "1"}  # by NumPy: no device is needed
    ran(TILES, interpreted)


def ran(source: str, env: dict[str, str] | None = None) -> str:
    """What a program of its own prints."""
    command = [sys.executable, "-c", textwrap.dedent(source)]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=env)
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


@needs_cuda
@pytest.mark.parametrize(("inner", "outputs"), [(3, 1), (41, 8), (64, 2), (129, 96), (195, 195)])
def test_a_rows_products_have_the_same_bits_among_any_number_of_rows(
    inner: int, outputs: int
) -> None:
    from models.tiles import linear

    x, weight = (torch.randn(n, inner, device="cuda") for n in (2500, outputs))
    bias = torch.randn(outputs, device="cuda")
    whole = linear(x, weight, bias)
    assert (whole - (x.double() @ weight.double().T + bias)).abs().max() < 1e-4
    for rows in (slice(0, 1), slice(5, 37), slice(3, 259), slice(1, 2049)):
        assert torch.equal(linear(x[rows], weight, bias), whole[rows])


@needs_cuda
@every
def test_a_gpu_says_what_the_cpu_says(name: str) -> None:
    model = kit.build(name)
    given = packed(model, 32)
    close(CudaRuntime(model)(*given), TorchRuntime(model)(*given))
    assert next(iter(model.parameters())).device.type == "cpu"  # type: ignore[attr-defined]


@needs_cuda
@every
def test_a_row_has_the_same_bits_in_every_block_of_a_gpu(name: str) -> None:
    artifact = artifact_of(name)
    said: list[str] = []
    blocks = open_blocks(artifact, "cuda", said.append)
    assert (blocks.runtime.name, said) == ("torch cuda", [])
    assert not blocks.alone
    given = packed(kit.build(name), max(SIZES))
    whole = blocks(*given)
    for size in SIZES:
        for start in (0, 1, max(SIZES) - size):
            rows = slice(start, start + size)
            part = blocks(*(x[rows] for x in given))
            assert taken(part, slice(None)) == taken(whole, rows), (size, start, blocks.buckets)


@needs_cuda
def test_the_shipped_model_says_on_a_gpu_what_it_says_on_a_cpu() -> None:
    folder = shipped_folder("default")
    assert folder is not None
    artifact = read_artifact(folder)
    given = packed(network(artifact), 300)
    close(open_blocks(artifact, "cuda")(*given), open_blocks(artifact, "cpu")(*given))


@needs_cuda
def test_a_state_stored_and_loaded_goes_on_as_if_nothing_had_been() -> None:
    model = kit.build("fusion.gated")
    blocks = open_blocks(artifact_of("fusion.gated"), "cuda")
    state, rows, clock = packed(model, 40)
    width, columns = state.shape[1], rows.shape[1] * rows.shape[2]

    def run(slab: Slab, steps: range) -> Floats:
        slots = slab.slots([str(i) for i in range(40)])
        for step in steps:
            now = clock + np.array([float(step), 0.0], np.float32)
            after = blocks(slab.state[slots], rows, now).after
            end_us = np.full(40, step + 1, np.int64)
            slab.take_in(slots, end_us, rows.reshape(40, -1), after)
        return slab.state[slots]

    whole, first, second = (Slab("d", width, columns, 2) for _ in range(3))
    expected = run(whole, range(6))
    run(first, range(3))
    for i in range(40):
        stored = first.store(str(i))
        assert stored is not None
        second.load(str(i), stored)
    assert run(second, range(3, 6)).tobytes() == expected.tobytes()


class Starved:
    """A device that has no memory left from some block on: the error is the driver's own."""

    name = "torch cuda"
    smallest = 32

    def __init__(self, model: FusionModel, good: int) -> None:
        self._device, self._good = CudaRuntime(model), good

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        self._good -= 1
        if self._good < 0:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        return self._device(state, rows, clock)


@needs_cuda
def test_a_device_without_memory_hands_over_and_says_so() -> None:
    model = kit.build("fusion.gated")
    said: list[str] = []
    cpu = settled(TorchRuntime(model), model.spec)
    both = WithFallback(Blocks(Starved(model, 2), DEVICE_BUCKETS), cpu, said.append)
    given = packed(model, 30)
    close(both(*given), cpu(*given))
    close(both(*given), cpu(*given))
    for _ in range(3):
        assert taken(both(*given), slice(None)) == taken(cpu(*given), slice(None))
    assert len(said) == 1
    assert "torch cuda failed" in said[0]


FAULT = """
    import sys
    import torch
    from models.cuda_runtime import CudaRuntime, WithFallback, DEVICE_BUCKETS
    from models.fusion_scorer import FusionScorer, Opened
    from models.runtime import Blocks, settled
    from models.torch_runtime import TorchRuntime
    from tests.models.contract import model_kit as kit
    from tests.models.contract.test_serving_laws import packed, taken

    class Broken(CudaRuntime):
        asked = 0
        def __call__(self, *given):
            Broken.asked += 1
            if Broken.asked == 3:
                FAULT
            return super().__call__(*given)

    model, said = kit.build("fusion.gated"), []
    cpu = settled(TorchRuntime(model), model.spec)
    both = WithFallback(Blocks(Broken(model), DEVICE_BUCKETS), cpu, said.append)
    given = packed(model, 300)
    before = [both(*given) for _ in range(2)]
    assert both.runtime.name == "torch cuda", said
    for _ in range(3):
        assert taken(both(*given), slice(None)) == taken(cpu(*given), slice(None))
    assert both.runtime.name == "torch cpu" and Broken.asked == 3
    assert abs(before[1].logit - cpu(*given).logit).max() < 1e-4
    try:
        torch.ones(1, device="cuda").cpu()
    except RuntimeError:
        print("the device is gone")
    print(said)
"""
FAULTS = {
    "assertion": "torch._assert_async(torch.zeros(1, device='cuda'))",
    "index": "torch.zeros(4, device='cuda')[torch.full((9,), 1 << 40, device='cuda')]",
}


@needs_cuda
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_process_whose_device_is_lost_goes_on_on_its_cpu(fault: str) -> None:
    told = ran(FAULT.replace("FAULT", FAULTS[fault]))
    assert "the device is gone" in told
    assert "torch cuda failed, scoring on torch cpu" in told


def histories(patients: int) -> tuple[FlatHistories, dict[str, np.ndarray], np.ndarray]:
    """Planted histories as flat rows, the values that normalise them, and labels."""
    steps = 10
    made = plant(redundant, patients=patients, steps=steps, seed=1)
    seq, target = made.histories

    def flat(x: torch.Tensor) -> np.ndarray:
        return x.flatten(0, 1).numpy().astype(np.float32)

    hourly = Hourly(
        np.full(patients, steps),
        *({k: flat(x) for k, x in field.items()} for field in (seq.value, seq.age_s, seq.fresh)),
    )
    data = FlatHistories(hourly, flat(target.label), flat(target.weight), np.arange(patients))
    values = {k: x.astype(np.float64) for k, x in hourly.value.items()}
    return data, values, made.label.ravel()


@needs_cuda
def test_a_network_trained_on_a_gpu_learns_resumes_to_the_bit_and_opens_on_a_cpu() -> None:
    data, values, label = histories(64)
    config = {"width": 8, "hidden": 8, "dropout": 0.1, "head_dropout": [0.1, 0.1]}
    recipe = Recipe(epochs=12, batch=8, learning_rate=1e-2)
    spec = spec_of("fusion.gated", {"a": 2, "b": 2}, config)
    begin = partial(started, spec, data, values, recipe, "cuda")
    whole, first, second = begin(), begin(), begin()
    while not whole.finished:
        whole.run_epoch()
    for _ in range(5):
        first.run_epoch()
    second.resume(first.checkpoint())
    while not second.finished:
        second.run_epoch()
    assert second.checkpoint() == whole.checkpoint()
    assert whole.history[-1].losses["joint"] < 0.7 * whole.history[0].losses["joint"]
    whole.finish()
    there = logits_of(whole.model, data, "cuda")
    assert auroc(label, there[:, 0]) > 0.85
    home = calibrated(whole.model, spec.calibration)
    assert np.abs(logits_of(home, data) - there).max() < 1e-3
    blocks = open_blocks(decode(files_of(home)), "cpu")
    given = packed(home, 9)
    close(blocks(*given), TorchRuntime(home)(*given))
    assert Layout.of(home.spec).state_width == given[0].shape[1]
