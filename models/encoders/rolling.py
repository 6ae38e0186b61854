"""Rolling statistics of one modality, kept in O(1) state: what boosted trees and nets both read.

Per feature: last value, its age, how often it was measured, the change since the previous value,
and how long the patient has been followed; of a dense modality also mean, least, greatest and
standard deviation of 6 h, means of 12 and 24 h, the deviation from the patient's own first 6 h; and
differences of named pairs. Everything is in robust z-scores; what is not known is NaN, for readers
that know how to treat it.

One function makes a step and a scan is that function in a loop, so streams and batches agree to
the bit. Not here: normalisation (`models.parts.Normalizer`), what reads the vector.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from models.parts import Inputs
from models.spec import ModalitySpec
from models.tensors import State

HOUR_S: Final = 3600.0
RING: Final = 24  # hours kept; the longest window
SHORT: Final = 6  # hours: the window with spread, and the length of a patient's own baseline
MIDDLE: Final = 12


class RollingEncoder(nn.Module):
    """Vector of rolling statistics of one modality; nothing in it is learned.

    Parameters
    ----------
    modality : ModalitySpec
        "dense" gets windows and a baseline, "event" the last values, "static" the values alone.
    pairs : tuple of (str, str), optional
        Features whose difference of z-scores is a feature: heart rate and systolic pressure as a
        shock index, urea and creatinine, ...
    counts : bool
        Whether how often something was measured is told; a habit of the ward as much as of the
        patient.
    """

    def __init__(
        self,
        modality: ModalitySpec,
        pairs: tuple[tuple[str, str], ...] = (),
        *,
        counts: bool = True,
    ) -> None:
        super().__init__()
        own = [feature.name for feature in modality.features]
        self.kind = modality.kind
        self.counts = counts
        self.pairs = [(own.index(a), own.index(b)) for a, b in pairs]
        self.names = _names(own, self.kind, pairs, counts=counts)
        self.width = len(self.names)
        d = len(own)
        self.state: dict[str, tuple[int, ...]] = {"value": (d,), "mask": (d,)}
        if self.kind != "static":
            self.state |= {"age": (d,), "count": (d,), "delta": (d,), "known_delta": (d,)}
            self.state |= {"previous": (d,), "hours": (1,)}
        if self.kind == "dense":
            self.state |= {"ring": (RING, d), "held": (RING, d)}
            self.state |= {"early": (d,), "early_n": (d,)}

    def step(self, state: State, inputs: Inputs, passed_s: Tensor) -> State:
        """See `models.parts.Encoder`; time is counted in hours, rounded for the windows."""
        value, mask = inputs.value, inputs.mask
        after = {"value": value, "mask": mask}
        if self.kind == "static":
            return after
        new = inputs.fresh > 0
        again = new & (state["count"] > 0)
        after["age"] = inputs.age_s / HOUR_S
        after["count"] = state["count"] + new.to(value.dtype)
        after["delta"] = torch.where(again, value - state["previous"], state["delta"])
        after["known_delta"] = torch.where(again, torch.ones_like(mask), state["known_delta"])
        after["previous"] = torch.where(new, value, state["previous"])
        shift = torch.round(passed_s / HOUR_S)[..., None]
        first = (state["hours"] == 0).to(value.dtype)
        after["hours"] = state["hours"] + first + shift
        if self.kind == "dense":
            after |= self._windows(state, value, new, shift)
            use = new.to(value.dtype) * (after["hours"] <= SHORT).to(value.dtype)
            after["early"] = state["early"] + use * value
            after["early_n"] = state["early_n"] + use
        return after

    def read(self, state: State, waited_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`; NaN = not known."""
        there = state["mask"] > 0
        last = _known(state["value"], there)
        if self.kind == "static":
            return last
        parts = [last, _known(state["age"] + waited_s[..., None] / HOUR_S, there)]
        parts.append(_known(state["delta"], state["known_delta"] > 0))
        if self.counts:
            parts.append(state["count"])
        if self.kind == "dense":
            parts += _statistics(state["ring"], state["held"])
            parts.append(last - _mean(state["early"], state["early_n"]))
        parts.append(state["hours"])
        parts += [last[..., a : a + 1] - last[..., b : b + 1] for a, b in self.pairs]
        return torch.cat(parts, dim=-1)

    def scan(self, inputs: Inputs, passed_s: Tensor) -> Tensor:
        """See `models.parts.Encoder`."""
        rows, steps = passed_s.shape
        state = {key: inputs.value.new_zeros(rows, *shape) for key, shape in self.state.items()}
        now = torch.zeros_like(passed_s[:, 0])
        out = []
        for t in range(steps):
            state = self.step(state, Inputs(*(x[:, t] for x in inputs)), passed_s[:, t])
            out.append(self.read(state, now))
        return torch.stack(out, dim=1)

    def _windows(self, state: State, value: Tensor, new: Tensor, shift: Tensor) -> State:
        """Ring of hours after one row, `shift` [N, 1] whole hours later."""
        place = torch.arange(RING, device=value.device) - shift.clamp(0, RING).to(torch.int64)
        index = place.clamp(min=0)[..., None].expand(*place.shape, value.shape[-1])
        kept = (place >= 0).to(value.dtype)[..., None]
        held = torch.gather(state["held"], -2, index) * kept
        ring = torch.gather(state["ring"], -2, index) * kept
        newest = torch.where(new, value, ring[..., 0, :])
        there = torch.maximum(new.to(value.dtype), held[..., 0, :])
        return {
            "ring": torch.cat([newest[..., None, :], ring[..., 1:, :]], dim=-2),
            "held": torch.cat([there[..., None, :], held[..., 1:, :]], dim=-2),
        }


def _names(
    own: list[str], kind: str, pairs: tuple[tuple[str, str], ...], *, counts: bool
) -> tuple[str, ...]:
    """What each number of the vector is, `feature.statistic`."""
    if kind == "static":
        return tuple(own)
    parts = ["last", "age_h", "change", *(["count"] if counts else [])]
    if kind == "dense":
        parts += ["least_6h", "greatest_6h", "mean_6h", "sd_6h", "mean_12h", "mean_24h"]
        parts.append("from_first_6h")
    names = [f"{name}.{part}" for part in parts for name in own]
    return (*names, "hours", *(f"{a}-{b}" for a, b in pairs))


def _statistics(ring: Tensor, held: Tensor) -> list[Tensor]:
    """Statistics of the ring's windows, each [..., d]; sums run hour by hour, newest first."""
    total, n = torch.zeros_like(ring[..., 0, :]), torch.zeros_like(ring[..., 0, :])
    least, greatest = torch.full_like(total, torch.inf), torch.full_like(total, -torch.inf)
    means = {}
    for hour in range(RING):
        value, there = ring[..., hour, :], held[..., hour, :]
        total, n = total + value * there, n + there
        if hour < SHORT:
            least = torch.where(there > 0, torch.minimum(least, value), least)
            greatest = torch.where(there > 0, torch.maximum(greatest, value), greatest)
        if hour + 1 in (SHORT, MIDDLE, RING):
            means[hour + 1] = (_mean(total, n), n)
    mean, n = means[SHORT]
    square = torch.zeros_like(total)
    for hour in range(SHORT):
        away = torch.where(held[..., hour, :] > 0, ring[..., hour, :] - mean, 0.0)
        square = square + away * away
    spread = torch.sqrt(_mean(square, torch.where(n > 1, n - 1, 0.0)))
    some = n > 0
    return [
        _known(least, some),
        _known(greatest, some),
        mean,
        spread,
        means[MIDDLE][0],
        means[RING][0],
    ]


def _mean(total: Tensor, n: Tensor) -> Tensor:
    """Total over n, NaN where n is 0."""
    return torch.where(n > 0, total / n.clamp(min=1.0), torch.nan)


def _known(value: Tensor, there: Tensor) -> Tensor:
    return torch.where(there, value, torch.nan)
