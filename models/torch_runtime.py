"""A packed model on torch: CPU where ONNX Runtime or the graph is missing, GPU by CUDA graphs.

A GPU answers through one captured graph per bucket, with static addresses. Any error of the device
hands the block, and every later one, to the CPU: a score is late by one block, never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.fusion_model import FusionModel
from models.packed import PackedModel
from models.runtime import Floats, Runtime, Said

_NARROW = 16  # outputs; measured: from 2 to 9 a row's bits depend on its place
_WARM_UPS = 3  # before a capture: lazy initialisation must not be in the graph


class _WideLinear(TorchFunctionMode):
    """Layers with few outputs get zeros beside them: MKL's narrow kernels look at a row's place."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, `linear` with a wider weight."""
        given = kwargs or {}
        if func is nn.functional.linear and not given and args[1].shape[0] < _NARROW:
            return _widened(*args)
        return func(*args, **given)


def _widened(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`linear` over at least `_NARROW` outputs, the surplus cut off."""
    outputs = weight.shape[0]
    wide = nn.functional.pad(weight, (0, 0, 0, _NARROW - outputs))
    out = torch.matmul(x, wide.T)[..., :outputs]
    return out if bias is None else out + bias


class TorchRuntime:
    """Eager torch on one CPU thread's worth of rows.

    Parameters
    ----------
    model : FusionModel
        In evaluation mode, on the CPU.
    """

    name = "torch cpu"
    smallest = 32  # below, vector loops leave a tail that is computed in another way

    def __init__(self, model: FusionModel) -> None:
        self._packed = PackedModel(model).eval()

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `models.runtime.Runtime`."""
        with torch.inference_mode(), _WideLinear():
            said = self._packed(*(torch.from_numpy(x) for x in (state, rows, clock)))
        return Said(*(part.numpy() for part in said))


class CudaRuntime:
    """One captured CUDA graph per bucket; needs a device.

    Parameters
    ----------
    model : FusionModel
        Moved to the device.
    """

    name = "torch cuda"
    smallest = 32

    def __init__(self, model: FusionModel) -> None:
        self._packed = PackedModel(model).eval().to("cuda")
        self._captured: dict[int, Captured] = {}

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `models.runtime.Runtime`."""
        given = tuple(torch.from_numpy(x) for x in (state, rows, clock))
        size = len(state)
        if size not in self._captured:
            self._captured[size] = Captured(self._packed, given)
        return Said(*(part.cpu().numpy() for part in self._captured[size].replay(given)))


class Captured:
    """A graph of one shape."""

    def __init__(self, packed: PackedModel, given: tuple[Tensor, ...]) -> None:
        self._given = tuple(x.to("cuda") for x in given)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                packed(*self._given)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._said: tuple[Tensor, ...] = tuple(packed(*self._given))

    def replay(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run on new numbers; what it returns is overwritten by the next call."""
        for kept, new in zip(self._given, given, strict=True):
            kept.copy_(new)
        self._graph.replay()
        return self._said


class WithFallback:
    """A device as long as it works, the CPU from its first error on.

    Parameters
    ----------
    device : Runtime
        Tried first.
    cpu : Runtime
        Takes over for good: a device that failed once is not trusted with a patient again.
    tell : callable
        Told once, in words, when that happens.
    """

    def __init__(
        self, device: Runtime, cpu: Runtime, tell: Callable[[str], None] = lambda words: None
    ) -> None:
        self._now, self._cpu, self._tell = device, cpu, tell
        self.name, self.smallest = device.name, max(device.smallest, cpu.smallest)

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `models.runtime.Runtime`."""
        if self._now is not self._cpu:
            try:
                return self._now(state, rows, clock)
            except (RuntimeError, MemoryError) as error:  # torch's device errors are RuntimeErrors
                self._tell(f"{self._now.name} failed, scoring on {self._cpu.name}: {error}")
                self._now, self.name = self._cpu, self._cpu.name
        return self._cpu(state, rows, clock)
