"""Which modality moved a logit: integrated gradients from "everything absent", completed.

Costs a few gradients whatever the number of modalities; `ComposedModel` has exact Shapley shares
for up to five. Late and residual fusion need neither: their parts add up as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_AT: Final = tuple((0.5 * (_NODES + 1.0)).tolist())  # on [0, 1]
_MASS: Final = tuple((0.5 * _WEIGHTS).tolist())
_TINY: Final = 1e-12


def integrated_gradients(
    logit_of: Callable[[dict[str, Tensor]], Tensor],
    vectors: Mapping[str, Tensor],
    baseline: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Share of each modality in logit(vectors) - logit(baseline).

    Parameters
    ----------
    logit_of : callable
        Vectors {modality: [N, width]} to logits [N]; rows independent, differentiable.
    vectors : mapping of str to Tensor
        What each modality says; an absent one equals its baseline.
    baseline : mapping of str to Tensor
        The absent embeddings, [width] or [N, width].

    Returns
    -------
    dict of str to Tensor
        [N] each. They sum to the difference to rounding: what eight nodes miss is shared out in
        proportion to the parts' sizes, so an absent modality still gets exactly 0.

    Notes
    -----
    Source: Sundararajan, Taly and Yan (2017), ICML; Gauss-Legendre nodes on a straight path.
    Checked by deletion in ``tests/models/calibration/test_attribution.py``.
    """
    with torch.no_grad():
        start = {k: baseline[k].expand_as(x).clone() for k, x in vectors.items()}
        whole = logit_of(dict(vectors)) - logit_of(dict(start))
    step = {k: vectors[k].detach() - start[k] for k in vectors}
    parts = {k: torch.zeros_like(whole) for k in vectors}
    for at, mass in zip(_AT, _MASS, strict=True):
        point = {k: (start[k] + at * step[k]).requires_grad_() for k in vectors}
        with torch.enable_grad():
            total = logit_of(point).sum()
        slopes = torch.autograd.grad(total, list(point.values()), allow_unused=True)
        for name, slope in zip(point, slopes, strict=True):
            if slope is not None:
                parts[name] += mass * (slope * step[name]).sum(dim=-1)
    return _completed(parts, whole)


def _completed(parts: dict[str, Tensor], whole: Tensor) -> dict[str, Tensor]:
    """Parts that sum to the whole; the rest goes where the parts are large."""
    stacked = torch.stack(list(parts.values()), dim=-1)
    rest = whole - stacked.sum(dim=-1)
    size = stacked.abs()
    share = size / size.sum(dim=-1, keepdim=True).clamp(min=_TINY)
    completed = stacked + rest[..., None] * share
    return dict(zip(parts, completed.unbind(dim=-1), strict=True))
