"""Waveforms of one rate side by side, through 1-D convolutions: early fusion of ECG, PPG, motion.

A filter sees all channels at once, so it can read what lies between them: how long a pulse takes
to arrive, how motion moves the light. The modality's features are the samples, channel after
channel: `channels` times `length` of them. A missing sample is 0 and its mask says so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.parts import Inputs
from models.spec import ModalitySpec
from models.tensors import State


class Conv(nn.Module):
    """Three strided convolutions, means and maxima over time, one layer; no memory.

    Parameters
    ----------
    modality : ModalitySpec
        `channels` x length features.
    width : int
        Of the vector.
    channels : int
        Signals; each also has a channel of masks.
    filters : int
        Per layer.

    Raises
    ------
    ValueError
        If the features do not divide into so many channels of at least 8 samples.
    """

    def __init__(
        self, modality: ModalitySpec, width: int, channels: int, filters: int = 16
    ) -> None:
        super().__init__()
        samples = len(modality.features)
        if channels < 1 or samples % channels or samples // channels < 8:
            raise ValueError(f"{samples} samples are not {channels} channels of 8 or more")
        self.channels, self.width = channels, width
        self.state: dict[str, tuple[int, ...]] = {"h": (width,)}
        self.waves = nn.Sequential(
            nn.Conv1d(2 * channels, filters, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.Conv1d(filters, filters, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.Conv1d(filters, filters, 5, stride=2, padding=2),
            nn.ReLU(),
        )
        self.mix = nn.Sequential(nn.Linear(2 * filters, width), nn.ReLU())

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """See `models.parts.Encoder`."""
        return {"h": self._vector(inputs.value, inputs.mask)}

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        return state["h"]

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        histories, steps, _ = inputs.value.shape
        flat = self._vector(inputs.value.flatten(0, 1), inputs.mask.flatten(0, 1))
        return flat.view(histories, steps, self.width)

    def _vector(self, value: Tensor, mask: Tensor) -> Tensor:
        """Vectors [N, width] of samples [N, channels * length]."""
        length = value.shape[-1] // self.channels
        waves = torch.stack([value, mask], dim=1).view(-1, 2 * self.channels, length)
        seen = self.waves(waves)  # [N, filters, length / 8]
        vector: Tensor = self.mix(torch.cat([seen.mean(dim=-1), seen.amax(dim=-1)], dim=-1))
        return vector
