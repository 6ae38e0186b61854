"""One modality as a table row: value, what is missing, ages, and how each input has been moving.

What boosted trees and early fusion read. Nothing is learned here. Inputs of kind "static" have no
movement. Not here: statistics over exact clock windows; the running ones of `trend` fade instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.encoders.trend import Trend
from models.parts import Inputs
from models.spec import ModalitySpec
from models.tensors import State

_HOUR_S = 3600.0
_AGE_SCALE = 4.0
_AGE_CAP_H = 30 * 24.0  # static facts may be years old


class Window(nn.Module):
    """[value, mask, fresh, log age, quality, trend channels] of the last row."""

    def __init__(self, modality: ModalitySpec) -> None:
        super().__init__()
        d = len(modality.features)
        self.trend = Trend(d, full=True) if modality.kind != "static" else None
        self.width = 5 * d + (self.trend.width if self.trend else 0)
        self.state: dict[str, tuple[int, ...]] = {"row": (self.width,)}
        if self.trend:
            self.state["trend"] = self.trend.shape

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """See `models.parts.Encoder`."""
        if self.trend is None:
            return {"row": _now(inputs)}
        moved = self.trend.step(state["trend"], inputs, passed_s)
        row = torch.cat([_now(inputs), self.trend.channels(moved, inputs)], dim=-1)
        return {"row": row, "trend": moved}

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`; the row stays as it was until the next."""
        return state["row"]

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        if self.trend is None:
            return _now(inputs)
        return torch.cat([_now(inputs), self.trend.scan(inputs, passed_s)], dim=-1)


def _now(inputs: Inputs) -> Tensor:
    """The row itself, [..., 5 d]."""
    age = torch.log1p((inputs.age_s / _HOUR_S).clamp(max=_AGE_CAP_H)) / _AGE_SCALE
    return torch.cat([inputs.value, inputs.mask, inputs.fresh, age, inputs.quality], dim=-1)
