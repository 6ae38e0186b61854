"""A data set held as flat rows, hour after hour: padded only for the batch that is asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.tensors import SequenceBatch, Target
from models.training.ragged import Hourly

Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
_HOUR_US = 3_600_000_000
_EPOCH_US = 400_000 * _HOUR_US  # any whole hour: only differences are inputs


class FlatHistories(NamedTuple):
    """A `models.training.batches.Dataset` of `Hourly` rows with labels.

    `rows` says which histories belong to it, so that folds share the arrays.
    """

    hourly: Hourly
    label: Floats32  # [N, H]
    weight: Floats32  # [N, H] 0 = unknown
    rows: Ints  # [P] of the histories of `hourly`

    def lengths(self) -> Ints:
        """Steps of each history, [P]."""
        return self.hourly.lengths[self.rows]

    def batch(self, rows: Ints) -> tuple[SequenceBatch, Target]:
        """See `Dataset`; quality is 1 wherever there is a value."""
        which = self.rows[rows]
        lengths = self.hourly.lengths[which]
        starts = (np.cumsum(self.hourly.lengths) - self.hourly.lengths)[which]
        step = np.arange(int(lengths.max()) if len(lengths) else 0)
        inside = step < lengths[:, None]  # [B, T]
        at = np.where(inside, starts[:, None] + step, 0)

        def padded(x: Floats32, nothing: float) -> torch.Tensor:
            taken = np.where(inside[..., None], x[at], np.float32(nothing))
            return torch.from_numpy(np.ascontiguousarray(taken))

        value = {name: padded(x, np.nan) for name, x in self.hourly.value.items()}
        time_us = torch.from_numpy(_EPOCH_US + self._since_us(step, at))
        seq = SequenceBatch(
            time_us,
            torch.from_numpy(lengths.copy()),
            value,
            {name: padded(x, 0.0) for name, x in self.hourly.age_s.items()},
            {name: padded(x, 0.0) for name, x in self.hourly.fresh.items()},
            {name: torch.isfinite(x).float() for name, x in value.items()},
        )
        return seq, Target(padded(self.label, 0.0), padded(self.weight, 0.0))

    def _since_us(self, step: Ints, at: Ints) -> Ints:
        """Time of rows [B, T] since their histories began; an hour a step where none is told."""
        if self.hourly.time_s is None:
            return np.broadcast_to(_HOUR_US * step, at.shape).copy()
        since: Ints = np.rint(self.hourly.time_s[at] * 1e6).astype(np.int64)
        return np.maximum.accumulate(since, axis=1)  # padding stands at the last row's time
