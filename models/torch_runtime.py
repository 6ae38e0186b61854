"""A packed model on torch on a CPU, where ONNX Runtime or the graph is missing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.fusion_model import FusionModel
from models.packed import PackedModel
from models.runtime import Floats, Said

_NARROW = 16  # outputs; measured: from 2 to 9 a row's bits depend on its place


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
