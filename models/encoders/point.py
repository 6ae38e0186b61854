"""One modality as it stands now, without memory of earlier rows: static facts, slow context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.parts import Inputs
from models.spec import ModalitySpec
from models.tensors import State

_DAY_S = 86_400.0
_AGE_CAP_DAYS = 30.0  # static facts may be years old; older than a month is just old
_AGE_SCALE = 4.0


class Point(nn.Module):
    """Values, what is missing, and ages of the last row, through one layer."""

    def __init__(self, modality: ModalitySpec, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.state: dict[str, tuple[int, ...]] = {"h": (width,)}
        channels = 3 * len(modality.features)
        self.mix = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Dropout(dropout))

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """See `models.parts.Encoder`."""
        return {"h": self.scan(inputs, passed_s)}

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        return state["h"]

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        age = torch.log1p((inputs.age_s / _DAY_S).clamp(max=_AGE_CAP_DAYS)) / _AGE_SCALE
        vector: Tensor = self.mix(torch.cat([inputs.value, inputs.mask, age], dim=-1))
        return vector
