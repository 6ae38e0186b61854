"""A packed model on a GPU: one captured CUDA graph per bucket, and the CPU behind it.

A graph begins and ends in page-locked memory of the host, so that a block is one launch and one
wait: nothing of it is left running when the call returns, and an error of the device is raised by
the block it belongs to. Not here: which buckets keep a row's bits (`models.runtime.settled`).
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.fusion_model import FusionModel
from models.packed import PackedModel
from models.runtime import Blocks, Floats, Said

DEVICE_BUCKETS: Final = (32, 256, 2048, 16384)
_WARM_UPS: Final = 3  # before a capture: lazy initialisation must not be in the graph
_IDLE_CLOCK: Final = 1.0  # of a warm-up; zeros stand for "never seen"


class Constants(TorchFunctionMode):
    """Numbers that a model writes into tensors are made once and kept.

    What `torch.tensor` does, a copy from ordinary memory, cannot be captured.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, `torch.tensor` only with what is new."""
        given = kwargs or {}
        if func is not torch.tensor:
            return func(*args, **given)
        key = repr((args, sorted(given.items())))
        if key not in self._made:
            self._made[key] = func(*args, **given)
        return self._made[key]


class CudaRuntime:
    """One graph per size of block; the first block of a size takes its capture.

    Parameters
    ----------
    model : FusionModel
        Copied to the device; the one given stays where it is.

    Raises
    ------
    RuntimeError
        Of the device, here and in every call.
    """

    name = "torch cuda"
    smallest = DEVICE_BUCKETS[0]

    def __init__(self, model: FusionModel) -> None:
        own = copy.deepcopy(cast(nn.Module, model)).requires_grad_(requires_grad=False)
        self._packed = PackedModel(cast(FusionModel, own)).eval().to("cuda")
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()  # graphs take turns, so they share memory
        self._constants, self._products = Constants(), _products()
        self._captured: dict[int, _Captured] = {}

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `models.runtime.Runtime`."""
        size = len(state)
        if size not in self._captured:
            self._captured[size] = self._capture(state.shape, rows.shape, clock.shape)
        return self._captured[size](state, rows, clock)

    def _capture(self, *shapes: tuple[int, ...]) -> _Captured:
        """A graph of one size of block."""
        given = [torch.zeros(shape, pin_memory=True) for shape in shapes]
        given[-1].fill_(_IDLE_CLOCK)
        there = [torch.empty(shape, device="cuda") for shape in shapes]
        torch.cuda.synchronize()

        def step() -> tuple[Tensor, ...]:
            for kept, new in zip(there, given, strict=True):
                kept.copy_(new, non_blocking=True)
            return tuple(self._packed(*there))

        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), exact(), self._constants, self._products:
            with torch.cuda.stream(self._stream):
                said = [step() for _ in range(_WARM_UPS)][-1]
                back = [torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in said]
                del said
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                for kept, new in zip(back, step(), strict=True):
                    kept.copy_(new, non_blocking=True)
        return _Captured(graph, self._stream, given, back, there)


class _Captured:
    """A graph with the memory it reads and writes."""

    def __init__(
        self,
        graph: torch.cuda.CUDAGraph,
        stream: torch.cuda.Stream,
        given: list[Tensor],
        back: list[Tensor],
        there: list[Tensor],
    ) -> None:
        self._graph, self._stream = graph, stream
        self._given = [x.numpy() for x in given]
        self._back = [x.numpy() for x in back]
        self._memory = (given, back, there)  # of the graph: its addresses must stay

    def __call__(self, *given: Floats) -> Said:
        """Run on new numbers, to the end."""
        for kept, new in zip(self._given, given, strict=True):
            np.copyto(kept, new)
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        self._stream.synchronize()
        return Said(*(x.copy() for x in self._back))


def _products() -> contextlib.AbstractContextManager[Any]:
    """Products whose bits do not depend on the number of rows, or cuBLAS's where Triton is not.

    With cuBLAS only the largest blocks agree, so that few rows wait for many.
    """
    try:
        from models.tiles import Tiled, linear

        linear(torch.ones(2, 2, device="cuda"), torch.ones(2, 2, device="cuda"))
        torch.cuda.synchronize()
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError):  # or no compiler
        return contextlib.nullcontext()
    return Tiled()


class WithFallback(Blocks):
    """A device as long as it works, the CPU from its first error on.

    A call in which the device fails is answered whole by the CPU. The device's memory is never
    given back: after an error the driver refuses even that, and torch ends the process for it.

    Parameters
    ----------
    device, cpu : Blocks
        The second takes over for good: a device that failed once is not trusted with a patient
        again.
    tell : callable
        Told once, in words, when that happens.
    """

    def __init__(
        self, device: Blocks, cpu: Blocks, tell: Callable[[str], None] = lambda words: None
    ) -> None:
        super().__init__(device.runtime, device.buckets, alone=device.alone)
        self._cpu, self._tell = cpu, tell

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `Blocks`."""
        if self.runtime is not self._cpu.runtime:
            try:
                return super().__call__(state, rows, clock)
            except (RuntimeError, MemoryError) as error:  # torch's device errors are RuntimeErrors
                self._tell(told_of(self.runtime.name, self._cpu.runtime.name, error))
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.runtime))
            self.runtime, self.buckets = self._cpu.runtime, self._cpu.buckets
            self.alone = self._cpu.alone
        return super().__call__(state, rows, clock)


def told_of(device: str, cpu: str, error: Exception) -> str:
    """A device's failure in one line; torch adds pages of advice."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{device} failed, scoring on {cpu} from now on: {first}"


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Products of float32 as float32: no TF32, no kernel picked by a race between several."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
