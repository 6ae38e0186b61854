"""GRU-D with decay on the inputs only: trained by the fused kernel, served one step at a time.

An input that is not new fades from its last value to the training patients' median as it ages,
x <- x * exp(-relu(w * hours + b)), which is a function of the row alone; so the recurrence is a
plain GRU and whole histories run through `nn.GRU`. Source: Che et al. (2018), Sci. Rep. 8:6085;
decay of the hidden state is left out for the kernel's sake.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.encoders.trend import Trend
from models.parts import Inputs
from models.spec import ModalitySpec
from models.tensors import State

_HOUR_S = 3600.0
_AGE_SCALE = 4.0  # log(1 + 54 h) = 4: keeps ages near 1
_FADE_PER_HOUR = 0.05  # where training starts: half after 14 h


class GruD(nn.Module):
    """One modality over time to its hidden state; dropout is in training only.

    `trend` adds change and deviation from the patient's start, `quality` how far to believe each.
    """

    def __init__(
        self,
        modality: ModalitySpec,
        width: int,
        dropout: float = 0.0,
        *,
        trend: bool = True,
        quality: bool = False,
    ) -> None:
        super().__init__()
        d = len(modality.features)
        self.width = width
        self.fade = nn.Parameter(torch.full((d,), _FADE_PER_HOUR))
        self.fade_bias = nn.Parameter(torch.full((d,), 0.01))
        self.trend = Trend(d, full=False) if trend else None
        self.quality = quality
        channels = (5 if quality else 4) * d + 1 + (self.trend.width if self.trend else 0)
        self.mix = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Dropout(dropout))
        self.gru = nn.GRU(width, width, batch_first=True)
        self.state: dict[str, tuple[int, ...]] = {"h": (width,)}
        if self.trend:
            self.state["trend"] = self.trend.shape

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """See `models.parts.Encoder`."""
        after, moving = {}, None
        if self.trend:
            after["trend"] = self.trend.step(state["trend"], inputs, passed_s)
            moving = self.trend.channels(after["trend"], inputs)
        x = self.mix(self._channels(inputs, passed_s, moving))
        after["h"] = gru_step(self.gru, x, state["h"])
        return after

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`; the state holds until the next row."""
        return state["h"]

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        moving = self.trend.scan(inputs, passed_s) if self.trend else None
        x = self.mix(self._channels(inputs, passed_s, moving))  # [B, T, width]
        vectors: Tensor = self.gru(x)[0]
        return vectors

    def _channels(self, inputs: Inputs, passed_s: Tensor, moving: Tensor | None) -> Tensor:
        """What the network is shown of a row, [..., channels]."""
        age_h = inputs.age_s / _HOUR_S
        # What is new keeps exp(0) of itself: in a graph two products are half of a comparison.
        fading = torch.relu(self.fade * age_h + self.fade_bias)
        faded = inputs.value * torch.exp((inputs.fresh - 1.0) * fading)
        age = torch.log1p(age_h) / _AGE_SCALE
        passed = torch.log1p(passed_s[..., None] / _HOUR_S)
        shown = [faded, inputs.mask, inputs.fresh, age, passed]
        if self.quality:
            shown.append(inputs.quality)
        if moving is not None:
            shown.append(moving)
        return torch.cat(shown, dim=-1)


def gru_step(gru: nn.GRU, x: Tensor, h: Tensor) -> Tensor:
    """One step of a one-layer GRU with its own weights, [N, width].

    Source: Cho et al. (2014); gates in the order torch keeps them: reset, update, new.
    """
    weight_x, weight_h, bias_x, bias_h = gru.all_weights[0]
    width = gru.hidden_size
    both = 2 * width  # reset and update: one product of what is shown and what is remembered
    weight = torch.cat([weight_x[:both], weight_h[:both]], dim=1)
    gates = nn.functional.linear(torch.cat([x, h], dim=-1), weight, bias_x[:both] + bias_h[:both])
    reset, update = torch.split(torch.sigmoid(gates), width, dim=-1)
    remembered = nn.functional.linear(h, weight_h[both:], bias_h[both:])
    new = torch.tanh(nn.functional.linear(x, weight_x[both:], bias_x[both:]) + reset * remembered)
    return new + update * (h - new)
