"""Runtimes: a device that fails hands over to the CPU for good; buckets that change bits go."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.artifact import decode
from models.cuda_runtime import WithFallback
from models.open import open_blocks
from models.runtime import BUCKETS, Blocks, Floats, Said, settled
from models.torch_runtime import TorchRuntime
from models.weights import files_of
from streams.errors import ConfigError
from tests.models.contract import model_kit as kit
from tests.models.contract.test_serving_laws import packed, taken


class Faulty:
    """A device that answers so many blocks and then fails."""

    name = "faulty device"
    smallest = 8

    def __init__(self, good: int, error: Exception) -> None:
        self._good, self._error = good, error
        self._cpu = TorchRuntime(kit.build("linear"))
        self.asked = 0

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        self.asked += 1
        if self.asked > self._good:
            raise self._error
        return self._cpu(state, rows, clock)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("out of memory"),
        RuntimeError("CUDA error: an illegal memory access\nCompile with ..."),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_device_that_fails_costs_no_score(good: int, error: Exception) -> None:
    said: list[str] = []
    device = Faulty(good, error)
    cpu = Blocks(TorchRuntime(kit.build("linear")), (32,))
    both = WithFallback(Blocks(device, (16,)), cpu, said.append)
    given = packed(kit.build("linear"), 24)  # two blocks of the device, one of the CPU
    for _ in range(5):
        assert taken(both(*given), slice(None)) == taken(cpu(*given), slice(None))
    assert device.asked == good + 1  # never again
    assert len(said) == 1
    assert "faulty device failed, scoring on torch cpu" in said[0]
    assert "\n" not in said[0]
    assert (both.runtime.name, both.buckets) == ("torch cpu", (32,))


class Positional:
    """Bits that depend on the block's size, or on the place in it."""

    name = "positional"
    smallest = 8

    def __init__(self, *, by_place: bool) -> None:
        self._cpu, self._by_place = TorchRuntime(kit.build("linear")), by_place

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        said = self._cpu(state, rows, clock)
        off = np.arange(len(state)) if self._by_place else np.full(len(state), len(state) == 64)
        return said._replace(logit=said.logit + off[:, None].astype(np.float32))


def test_a_bucket_that_changes_bits_is_not_used() -> None:
    blocks = settled(Positional(by_place=False), kit.build("linear").spec)
    assert 64 not in blocks.buckets
    assert blocks.buckets[-1] == BUCKETS[-1]


def test_when_places_change_bits_every_row_stands_alone() -> None:
    model = kit.build("linear")
    blocks = settled(Positional(by_place=True), model.spec)
    assert blocks.alone
    given = packed(model, 5)
    whole = blocks(*given)
    for i in range(5):
        one = blocks(*(x[i : i + 1] for x in given))
        assert taken(one, slice(None)) == taken(whole, slice(i, i + 1))


def test_more_rows_than_the_largest_bucket_go_in_blocks() -> None:
    model = kit.build("linear")
    given = packed(model, 600)
    few, many = (Blocks(TorchRuntime(model), (size,)) for size in (64, 256))
    assert taken(few(*given), slice(None)) == taken(many(*given), slice(None))


def test_a_gpu_that_is_not_there_is_said_or_done_without() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    artifact = decode(files_of(kit.build("linear")))
    assert open_blocks(artifact, "auto").runtime.name == "torch cpu"
    with pytest.raises(ConfigError, match="no CUDA device"):
        open_blocks(artifact, "cuda")
