"""Histories of different lengths through encoders, without padding: hour after hour, longest first.

The encoders make the same steps as in service, so what is trained on is what will be served.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fusion_model import ComposedModel
from models.parts import Encoder, Inputs
from models.tensors import SequenceBatch

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
HOUR_S = 3600.0
_HOUR_US = 3_600_000_000


class Hourly(NamedTuple):
    """Histories one after the other, a row an hour; what was measured before is carried on.

    With `time_s`, seconds since each history began, rows lie where that says.
    """

    lengths: Ints  # [P] rows
    value: dict[str, Floats32]  # modality -> [N, d], NaN = never measured so far
    age_s: dict[str, Floats32]  # 0 where missing
    fresh: dict[str, Floats32]  # 1 = measured in this hour
    time_s: Floats | None = None  # [N]


def carried(value: dict[str, Floats32], lengths: Ints, time_s: Floats | None = None) -> Hourly:
    """Carry every measurement on until the next one, within its history.

    Parameters
    ----------
    value : dict of (N, d) float32
        NaN = not measured in that hour.
    lengths : (P,) int64
        Rows of every history; they sum to N.
    time_s : (N,) float64, optional
        Seconds since the history began; left out, a row is an hour.

    Examples
    --------
    >>> x = np.array([[1.0], [np.nan], [np.nan]], np.float32)
    >>> carried({"a": x}, np.array([2, 1])).value["a"].ravel().tolist()
    [1.0, 1.0, nan]
    """
    hours = int(lengths.sum())
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)[:, None]
    row = np.arange(hours)[:, None]
    at_s = np.arange(hours) * HOUR_S if time_s is None else time_s
    now, age, fresh = {}, {}, {}
    for name, x in value.items():
        seen = np.isfinite(x)
        last = np.maximum.accumulate(np.where(seen, row, -1), axis=0)
        known = last >= first
        taken = np.take_along_axis(x, np.maximum(last, 0), axis=0)
        now[name] = np.where(known, taken, np.nan).astype(np.float32)
        passed_s = at_s[:, None] - at_s[np.maximum(last, 0)]
        age[name] = np.where(known, passed_s, 0.0).astype(np.float32)
        fresh[name] = seen.astype(np.float32)
    return Hourly(lengths, now, age, fresh, time_s)


def vectors(model: ComposedModel, hourly: Hourly) -> dict[str, Floats32]:
    """Vectors [N, width] of every modality and hour, NaN rows where it is absent.

    Parameters
    ----------
    model : ComposedModel
        With its normalisation fitted.
    hourly : Hourly
        Histories.
    """
    order = np.argsort(-hourly.lengths, kind="stable")
    lengths = hourly.lengths[order]
    starts = (np.cumsum(hourly.lengths) - hourly.lengths)[order]
    out = {}
    for name in model.names:
        encoder = cast(Encoder, model.encoders[name])
        normalizer = model.normalizers[name]
        columns = [torch.from_numpy(x[name]) for x in (hourly.value, hourly.age_s, hourly.fresh)]
        found = torch.full((int(lengths.sum()), encoder.width), torch.nan)
        state = {k: torch.zeros(len(lengths), *s) for k, s in encoder.state.items()}
        with torch.no_grad():
            for hour in range(int(lengths.max(initial=0))):
                active = int((lengths > hour).sum())
                state = {key: x[:active] for key, x in state.items()}
                rows = torch.from_numpy(starts[:active] + hour)
                value, age_s, fresh = (x[rows] for x in columns)
                inputs: Inputs = normalizer(value, age_s, fresh, torch.ones_like(value))
                passed = torch.full((active,), HOUR_S if hour else 0.0)
                state = encoder.step(state, inputs, passed)
                vector = encoder.read(state, torch.zeros(active))
                there = inputs.mask.amax(dim=-1, keepdim=True) > 0
                found[rows] = torch.where(there, vector, torch.nan)
        out[name] = found.numpy()
    return out


def padded(hourly: Hourly, which: Ints) -> SequenceBatch:
    """Some histories as one batch, padded at the end with missing values.

    Parameters
    ----------
    hourly : Hourly
        Histories.
    which : (B,) int64
        Which of them.
    """
    lengths = hourly.lengths[which]
    starts = (np.cumsum(hourly.lengths) - hourly.lengths)[which]
    steps = int(lengths.max(initial=1))
    hour = np.arange(steps)
    inside = hour < lengths[:, None]
    rows = np.where(inside, starts[:, None] + hour, 0)

    def laid(table: dict[str, Floats32], empty: float) -> dict[str, Tensor]:
        cut = inside[..., None]
        return {k: torch.from_numpy(np.where(cut, x[rows], empty)) for k, x in table.items()}

    value = laid(hourly.value, np.nan)
    one = {name: torch.ones_like(x) for name, x in value.items()}
    time_us = torch.from_numpy(np.broadcast_to((hour + 1) * _HOUR_US, rows.shape).copy())
    return SequenceBatch(
        time_us,
        torch.from_numpy(lengths),
        value,
        laid(hourly.age_s, 0.0),
        laid(hourly.fresh, 0.0),
        one,
    )
