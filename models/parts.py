"""What the parts of a fusion model must be: encoder, fuser, head, calibrator, loss.

A part is an `nn.Module` in a file of its own, named by a factory in `models.registry`. Rows never
influence each other inside a part: no batch norm, nothing over dimension 0.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.spec import ModalitySpec
from models.tensors import State, Target

CLIP = 6.0  # robust z-scores beyond are as good as artefacts


class Inputs(NamedTuple):
    """One modality, finite whatever was missing; [..., d] each, [...] = [N] or [B, T]."""

    value: Tensor  # robust z-score, 0 where missing
    mask: Tensor  # 1 = there, 0 = missing
    age_s: Tensor  # 0 where missing
    fresh: Tensor  # 1 = new since the last row; 0 where missing
    quality: Tensor  # 0 where missing


class Encoder(Protocol):
    """One modality: its inputs over time to a vector of `width`.

    `state` names what it keeps per patient. `scan` is `step` and `read` in a loop, to 1e-5.
    """

    width: int
    state: dict[str, tuple[int, ...]]

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """State [N, ...] after one row; `passed_s` [N] since the last one, 0 for the first."""
        ...

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """Vector [N, width] a state stands for, `waited_s` [N] after its last row."""
        ...

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """Vectors [B, T, width] of whole histories from an empty state."""
        ...


class Fuser(Protocol):
    """Vectors of all modalities to one of `width`. An absent one is its learned embedding."""

    width: int

    def __call__(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """Fused [..., width] of vectors [..., width of the modality] and present [...] 0/1."""
        ...


class Head(Protocol):
    """A fused vector to raw logits."""

    def __call__(self, fused: Tensor) -> Tensor:
        """Logits [..., H]."""
        ...


class Calibrator(Protocol):
    """A monotone map of logits, fitted on development data after training."""

    def __call__(self, logit: Tensor) -> Tensor:
        """Calibrated logits [..., H]."""
        ...


class Loss(Protocol):
    """How wrong raw logits are."""

    def __call__(self, logit: Tensor, target: Target) -> Tensor:
        """Scalar; steps of weight 0 do not count."""
        ...


class Normalizer(nn.Module):
    """Robust z-scores with statistics of the training patients; they travel with the weights."""

    clip: float = CLIP
    center: Tensor
    scale: Tensor

    def __init__(self, modality: ModalitySpec) -> None:
        super().__init__()
        d = len(modality.features)
        self.max_age_s = modality.max_age_s
        self.register_buffer("center", torch.zeros(d))
        self.register_buffer("scale", torch.ones(d))

    def fit(self, value: NDArray[np.float64]) -> None:
        """Take centre and scale from training rows.

        Parameters
        ----------
        value : (N, d) float64
            NaN = missing. Median and interquartile range / 1.349 (the standard deviation of a
            normal distribution); a column that never varies keeps its scale at the standard
            deviation, or 1.
        """
        for column in range(value.shape[1]):
            known = value[:, column][np.isfinite(value[:, column])]
            if known.size == 0:
                continue
            low, middle, high = np.percentile(known, [25.0, 50.0, 75.0])
            scale = (high - low) / 1.349 or known.std() or 1.0
            self.center[column] = float(middle)
            self.scale[column] = float(scale)

    def forward(self, value: Tensor, age_s: Tensor, fresh: Tensor, quality: Tensor) -> Inputs:
        """Inputs of raw columns [..., d]; what is missing or too old cannot leak through."""
        oldest, most = (torch.full_like(self.center, x) for x in (self.max_age_s, self.clip))
        raw = (value, age_s, fresh, quality)
        return normalised(raw, self.center, self.scale, oldest, most)


def normalised(
    raw: tuple[Tensor, ...], center: Tensor, scale: Tensor, oldest_s: Tensor, most: Tensor
) -> Inputs:
    """Inputs of raw columns; what is missing or too old cannot leak through.

    Parameters
    ----------
    raw : four tensors [..., d]
        Value, age in seconds, fresh, quality.
    center, scale : [d]
        Of the training patients.
    oldest_s : [d]
        What is older counts as missing.
    most : [d]
        Robust z-scores are clipped there.
    """
    value, age_s, fresh, quality = raw
    there = ((value - value) == 0) & (age_s <= oldest_s)  # finite, in two steps of a graph
    z = torch.clamp((value - center) / scale, -most, most)
    known = there & (fresh > 0)
    return Inputs(
        torch.where(there, z, 0.0),
        there.to(value.dtype),
        torch.where(there, age_s.clamp(min=0.0), 0.0),  # a clock ahead of ours: it is new
        known.to(value.dtype),  # new is 1; a selection would cost a graph ten times as much
        torch.where(there & (quality >= 0), quality.clamp(max=1.0), 0.0),  # NaN: unvouched
    )
