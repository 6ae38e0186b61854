"""Linear layers on a GPU in tiles of one shape: how many rows there are changes no row's bits.

cuBLAS picks another kernel, and another order of adding up, for 32, 256 and 2,048 rows. Here a
layer has one kernel, which adds a row's products in the order of its columns. Needs Triton, which
comes with torch for CUDA and asks for a C compiler. Not here: when it is used
(`models.cuda_runtime`).
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_ROWS: Final = 64  # of a tile; its columns depend on the layer alone
_DEPTH: Final = 32  # columns of the input that are in flight
_COLUMNS: Final = (16, 32, 64)


class Tiled(TorchFunctionMode):
    """Inside, `nn.functional.linear` of tensors on a GPU goes by tiles."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, `linear` as `linear` here."""
        given = kwargs or {}
        if func is nn.functional.linear and args[0].is_cuda:
            return linear(*args, **given)
        return func(*args, **given)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`nn.functional.linear` of float32; see the module.

    Parameters
    ----------
    input : [..., K]
    weight : [N, K]
    bias : [N], optional
    """
    outputs, inner = weight.shape
    rows = input.reshape(-1, inner).contiguous()
    out = torch.empty((rows.shape[0], outputs), dtype=rows.dtype, device=rows.device)
    columns = next((c for c in _COLUMNS if c >= outputs), _COLUMNS[-1])
    grid = (triton.cdiv(rows.shape[0], _ROWS), triton.cdiv(outputs, columns))
    added = weight if bias is None else bias.contiguous()  # any address where there is none
    _product[grid](
        rows, weight.contiguous(), added, out, rows.shape[0], outputs, inner,
        has_bias=bias is not None, tall=_ROWS, wide=columns, deep=_DEPTH,
    )  # fmt: skip
    return out.reshape(*input.shape[:-1], outputs)


@triton.jit(do_not_specialize=["rows"])  # type: ignore[untyped-decorator]
def _product(  # type: ignore[no-untyped-def]  # noqa: PLR0913 - its memory
    x, weight, bias, out, rows, outputs, inner,
    has_bias: tl.constexpr, tall: tl.constexpr, wide: tl.constexpr, deep: tl.constexpr,
):  # fmt: skip
    """One tile of `out` = `x` times `weight` transposed, plus `bias`."""
    row = tl.program_id(0) * tall + tl.arange(0, tall)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    place = tl.arange(0, deep)
    total = tl.zeros((tall, wide), tl.float32)
    for start in range(0, inner, deep):
        at = start + place
        left = tl.load(
            x + row[:, None] * inner + at[None, :],
            mask=(row[:, None] < rows) & (at[None, :] < inner),
            other=0.0,
        )
        right = tl.load(
            weight + column[None, :] * inner + at[:, None],
            mask=(column[None, :] < outputs) & (at[:, None] < inner),
            other=0.0,
        )
        total += tl.dot(left, right, input_precision="ieee")
    if has_bias:
        total += tl.load(bias + column, mask=column < outputs, other=0.0)[None, :]
    tl.store(
        out + row[:, None] * outputs + column[None, :],
        total,
        mask=(row[:, None] < rows) & (column[None, :] < outputs),
    )
