"""Tensors a fusion model takes and gives. float32; NaN = missing; times int64 µs UTC.

`N` rows of any mix of patients, `B` patients over `T` steps, `M` modalities, `H` horizons, `d`
features of a modality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

State = dict[str, Tensor]  # [slots, ...] float32 each; all zeros = a patient never seen
LossDict = dict[str, Tensor]  # "total" and its parts, scalars

_HOUR_US = 3_600_000_000


class SampleBatch(NamedTuple):
    """The rows one feed made due, each for another slot of the state."""

    slot: Tensor  # [N] int64 row in the state
    time_us: Tensor  # [N] int64 decision time
    revision: Tensor  # [N] int64
    value: dict[str, Tensor]  # modality -> [N, d], NaN = missing
    age_s: dict[str, Tensor]  # [N, d] seconds since it was true
    fresh: dict[str, Tensor]  # [N, d] 1 = new since the last row, else 0
    quality: dict[str, Tensor]  # [N, d] 0-1
    whole: Tensor | None = None  # [N, 4, D] the same, all modalities in the order of the spec


class SequenceBatch(NamedTuple):
    """Whole histories on the cadence grid, padded at the end; `length` steps of each count."""

    time_us: Tensor  # [B, T] int64, ascending within `length`
    length: Tensor  # [B] int64
    value: dict[str, Tensor]  # modality -> [B, T, d]
    age_s: dict[str, Tensor]
    fresh: dict[str, Tensor]
    quality: dict[str, Tensor]


class ModelScore(NamedTuple):
    """What a model says; of a sequence every field has [B, T] instead of [N]."""

    prob: Tensor  # [N, H] calibrated
    logit: Tensor  # [N, H] calibrated: prob = sigmoid(logit)
    std: Tensor  # [N, H] epistemic, of prob; NaN = the model does not estimate it
    share: Tensor  # [N, M] of logit[:, 0]; sums to logit - bias; NaN = not asked for
    present: Tensor  # [N, M] bool, which modalities had a value not too old


class Target(NamedTuple):
    """What happened; weight 0 = unknown, or a padded step."""

    label: Tensor  # [B, T, H] 0-1
    weight: Tensor  # [B, T, H]


def clock(time_us: Tensor) -> Tensor:
    """Time as float32 that loses nothing that matters: whole hours, seconds within the hour.

    Parameters
    ----------
    time_us : (...) int64
        µs UTC.

    Returns
    -------
    (..., 2) float32
        Hours since 1970 (exact below 2**24) and seconds (to 0.3 ms).

    Examples
    --------
    >>> clock(torch.tensor([3_600_000_000 * 5 + 1_500_000])).tolist()
    [[5.0, 1.5]]
    """
    hours = torch.div(time_us, _HOUR_US, rounding_mode="floor")
    seconds = (time_us - hours * _HOUR_US).to(torch.float32) / 1e6
    return torch.stack([hours.to(torch.float32), seconds], dim=-1)


def elapsed_s(before: Tensor, now: Tensor) -> Tensor:
    """Seconds between two clocks [..., 2]; 0 where `before` is all zeros: nothing was before."""
    if before is now:
        return torch.zeros_like(now[..., 0])
    apart = now - before
    passed = apart[..., 0] * 3600.0 + apart[..., 1]
    return torch.where(before[..., 0] > 0, passed, torch.zeros_like(passed)).clamp(min=0.0)


def steps_s(time_us: Tensor) -> Tensor:
    """Seconds since the previous step, [B, T]; 0 for the first."""
    passed = torch.zeros_like(time_us, dtype=torch.float32)
    passed[:, 1:] = (time_us[:, 1:] - time_us[:, :-1]).to(torch.float32) / 1e6
    return passed.clamp(min=0.0)


def step_of(seq: SequenceBatch, t: int) -> SampleBatch:
    """Step `t` of every history, patient i in slot i."""
    rows = seq.time_us.shape[0]
    return SampleBatch(
        torch.arange(rows),
        seq.time_us[:, t],
        torch.zeros(rows, dtype=torch.int64),
        _each(seq.value, lambda x: x[:, t]),
        _each(seq.age_s, lambda x: x[:, t]),
        _each(seq.fresh, lambda x: x[:, t]),
        _each(seq.quality, lambda x: x[:, t]),
    )


def rows_of(batch: SampleBatch, rows: Tensor) -> SampleBatch:
    """Some rows of a batch, in that order."""
    return SampleBatch(
        batch.slot[rows],
        batch.time_us[rows],
        batch.revision[rows],
        _each(batch.value, lambda x: x[rows]),
        _each(batch.age_s, lambda x: x[rows]),
        _each(batch.fresh, lambda x: x[rows]),
        _each(batch.quality, lambda x: x[rows]),
    )


def _each(tensors: dict[str, Tensor], do: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    return {name: do(tensor) for name, tensor in tensors.items()}
