"""How each input has been moving: change, level against its own start, recent mean and spread.

All of it is held in a few numbers per input and renewed row by row, so a step costs the same after
an hour as after a year. Nothing here is learned. `Trend.scan` is `step` in a loop, bit by bit.

Only values that are new count; one that is carried forward changes nothing. Means and spreads are
weighted by exp(-age / span), so a gap in the rows makes old values count less, not more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.parts import Inputs

START = 6  # new values that make an input's own starting level
SPANS_S = (6 * 3600.0, 24 * 3600.0)  # recent, daily
_COUNT_SCALE = 4.0  # log(1 + 54 values) = 4: keeps the channel near 1

_SHORT = 4  # last, change, start, count
_PER_SPAN = 3  # effective count, mean, variance
_LONG = _SHORT + _PER_SPAN * len(SPANS_S) + 2  # and the recent extremes
SHORT_CHANNELS = 2  # change, deviation from the start
LONG_CHANNELS = SHORT_CHANNELS + 1 + 2 * len(SPANS_S) + 2


class Trend:
    """Running figures of `d` inputs; `full` adds means, spreads, extremes and counts.

    State is [..., rows * d], zeros before the first value. Channels are [..., channels * d].
    """

    def __init__(self, d: int, *, full: bool) -> None:
        self.d, self.full = d, full
        self.rows = _LONG if full else _SHORT
        self.shape = (self.rows * d,)
        self.width = (LONG_CHANNELS if full else SHORT_CHANNELS) * d

    def step(self, state: Tensor, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """State [N, rows * d] after one row of inputs [N, d], `passed_s` [N] after the last."""
        held = self._held(state)
        last, change, start, count = held[:_SHORT]
        z, new = inputs.value, inputs.fresh > 0
        moved = torch.where(count > 0, z - last, 0.0)
        settled = start + (z - start) / (count + 1.0)
        rows = [
            torch.where(new, z, last),
            torch.where(new, moved, change),
            torch.where(new & (count < START), settled, start),
            torch.where(new, count + 1.0, count),
        ]
        if self.full:
            for i, span_s in enumerate(SPANS_S):
                first = _SHORT + _PER_SPAN * i
                kept = torch.exp(-passed_s / span_s)[:, None]
                rows += _moments(held[first : first + _PER_SPAN], z, new, kept)
            kept = torch.exp(-passed_s / SPANS_S[0])[:, None]
            rows += _extremes(held[-2:], rows[0], new, kept, held)
        return torch.cat(rows, dim=-1)

    def channels(self, state: Tensor, inputs: Inputs) -> Tensor:
        """What a network is shown, [N, channels * d]; 0 for an input that is missing."""
        held = self._held(state)
        _, change, start, count = held[:_SHORT]
        shown = [change, inputs.value - start]
        if self.full:
            shown.append(torch.log1p(count) / _COUNT_SCALE)
            for i in range(len(SPANS_S)):
                _, mean, variance = held[_SHORT + _PER_SPAN * i :][:_PER_SPAN]
                shown += [mean, torch.sqrt(variance)]
            shown += held[-2:]
        known = inputs.mask * (count > 0)
        return torch.cat([channel * known for channel in shown], dim=-1)

    def _held(self, state: Tensor) -> list[Tensor]:
        """The rows of a state, [N, d] each."""
        return [state[:, i * self.d : (i + 1) * self.d] for i in range(self.rows)]

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """Channels [B, T, channels * d] of whole histories, from an empty state."""
        if not self.full:
            return self._scan_short(inputs)
        state = inputs.value.new_zeros(len(inputs.value), *self.shape)
        shown = []
        for t in range(inputs.value.shape[1]):
            row = Inputs(*(x[:, t] for x in inputs))
            state = self.step(state, row, passed_s[:, t])
            shown.append(self.channels(state, row))
        return torch.stack(shown, dim=1)

    def _scan_short(self, inputs: Inputs) -> Tensor:
        """`scan` of what depends on new values alone, all steps at once: the same bits."""
        z, new = inputs.value, inputs.fresh > 0
        step = torch.arange(z.shape[1], device=z.device)[:, None].expand_as(new)
        newest = torch.where(new, step, -1).cummax(dim=1).values  # [B, T, d] step; -1 = none yet
        count = new.to(z.dtype).cumsum(dim=1)
        last = _at(z, newest)
        moved = torch.where(_before(count) > 0, z - _before(last), 0.0)
        start, starts = torch.zeros_like(z[:, 0]), [torch.zeros_like(z[:, 0])]
        for taken in range(START):
            its = new & (count == taken + 1)
            found = (z * its).sum(dim=1)  # one term: a history has one such value, or none
            start = start + (found - start) / (taken + 1.0)
            starts.append(start)
        settled = torch.stack(starts, dim=1)  # [B, START + 1, d], by how many were taken
        start = torch.gather(settled, 1, count.clamp(max=START).to(torch.int64))
        known = inputs.mask * (count > 0)
        return torch.cat([_at(moved, newest) * known, (z - start) * known], dim=-1)


def _at(x: Tensor, step: Tensor) -> Tensor:
    """What `x` [B, T, d] was at a step of each column; 0 where that is none."""
    return torch.where(step >= 0, torch.gather(x, 1, step.clamp(min=0)), 0.0)


def _before(x: Tensor) -> Tensor:
    """What `x` [B, T, d] was a step earlier; 0 at first."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)


def _moments(held: Sequence[Tensor], z: Tensor, new: Tensor, kept: Tensor) -> list[Tensor]:
    """Effective count, mean and variance, each value weighted by exp(-age / span).

    Source: West (1979), Comm. ACM 22:532, with weights that fade: no sum grows without bound.
    """
    weight, mean, variance = held
    weight = weight * kept
    share = 1.0 / (weight + 1.0)
    off = z - mean
    return [
        torch.where(new, weight + 1.0, weight),
        torch.where(new, mean + share * off, mean),
        torch.where(new, (1.0 - share) * (variance + share * off * off), variance),
    ]


def _extremes(
    extremes: Sequence[Tensor], newest: Tensor, new: Tensor, kept: Tensor, held: Sequence[Tensor]
) -> list[Tensor]:
    """Highest and lowest of late, drawn towards the value before `newest` as time passes."""
    last, count = held[0], held[_SHORT - 1]
    high, low = (last + (x - last) * kept for x in extremes)
    first = new & (count == 0)
    risen = torch.where(new, torch.maximum(newest, high), high)
    fallen = torch.where(new, torch.minimum(newest, low), low)
    return [torch.where(first, newest, risen), torch.where(first, newest, fallen)]
