"""A cohort through a model as it is served: row after row from kept state, many patients at once.

The runtime is the one that `vigil run` scores with, so what is measured is what would have been
said. Torch is not imported here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.layout import Layout
from models.runtime import Blocks
from models.spec import ModelSpec
from service.evaluate_data import Cohort, Inputs

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
EPOCH_H: Final = 438_288.0  # 2020-01-01: a clock that is not 0, which means "never seen"
DIGITS: Final = 4  # probabilities are rounded as score records are


class Scored(NamedTuple):
    """What a model said of every row."""

    prob: Floats  # [N] first horizon, calibrated
    std: Floats  # [N] NaN: not estimated
    share: Floats  # [N, M]
    present: Bools  # [N, M]
    seconds: float  # CPU time of the runtime alone
    state_bytes: int


def score(
    cohort: Cohort,
    spec: ModelSpec,
    blocks: Blocks,
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> Scored:
    """Score every row of a cohort.

    Parameters
    ----------
    cohort : Cohort
        Inputs by concept code; a concept that the model wants and nobody measured is missing.
    spec : ModelSpec
        Of the model.
    blocks : Blocks
        Its runtime.
    tell : callable
        Told of rows done and in all.
    """
    layout = Layout.of(spec)
    feed = _Feed(cohort, spec)
    order = np.argsort(-cohort.lengths, kind="stable")  # whoever stays longest comes first
    lengths, starts = cohort.lengths[order], cohort.starts[order]
    rows, horizons = len(cohort.time_h), len(spec.modalities)
    prob, std = np.full(rows, np.nan), np.full(rows, np.nan)
    share, present = np.full((rows, horizons), np.nan), np.zeros((rows, horizons), bool)
    state = np.zeros((len(lengths), layout.state_width), np.float32)
    spent, done = 0.0, 0
    for hour in range(int(lengths.max(initial=0))):
        active = int(np.searchsorted(-lengths, -hour, side="left"))
        at = starts[:active] + hour
        block, clock = feed.rows(order[:active], at)
        began = time.process_time()
        said = blocks(state[:active], block, clock)
        spent += time.process_time() - began
        state[:active] = said.after
        prob[at] = np.round(said.prob[:, 0].astype(np.float64), DIGITS)
        std[at], share[at], present[at] = said.std[:, 0], said.share, said.present > 0
        done += active
        tell(done, rows)
    return Scored(prob, std, share, present, spent, spec.state_bytes)


class _Feed:
    """Rows as the runtime wants them: value, age, freshness, quality of every input."""

    def __init__(self, cohort: Cohort, spec: ModelSpec) -> None:
        where = {
            name: (inputs, place)
            for inputs in cohort.inputs.values()
            for place, name in enumerate(inputs.names)
        }
        wanted = [f.name for m in spec.modalities for f in m.features]
        self._source: list[tuple[Inputs, int] | None] = [where.get(name) for name in wanted]
        self._time_h = cohort.time_h
        count = len(cohort.lengths)
        self._last = np.full((count, len(wanted)), np.nan, np.float32)
        self._at_h = np.full((count, len(wanted)), np.nan)
        limits = [(f.lo, f.hi) for m in spec.modalities for f in m.features]
        self._lo, self._hi = (np.array(x, np.float32) for x in zip(*limits, strict=True))
        self._max_age_s = np.array(
            [m.max_age_s for m in spec.modalities for _ in m.features], np.float32
        )

    def rows(self, who: Ints, at: Ints) -> tuple[Floats32, Floats32]:
        """Rows [n, 4, D] and clocks [n, 2] of patients at rows of the cohort."""
        new = np.full((len(at), len(self._source)), np.nan, np.float32)
        for column, source in enumerate(self._source):
            if source is not None:
                new[:, column] = source[0].value[at, source[1]]
        new[(new < self._lo) | (new > self._hi)] = np.nan
        now_h = self._time_h[at][:, None]
        fresh = ~np.isnan(new)
        once = [s is not None and s[0].once for s in self._source]
        seen = ~np.isnan(self._last[who])
        fresh[:, once] &= ~seen[:, once]
        self._last[who] = np.where(np.isnan(new), self._last[who], new)
        self._at_h[who] = np.where(np.isnan(new), self._at_h[who], now_h)
        age_s = ((now_h - self._at_h[who]) * 3600).astype(np.float32)
        usable = ~np.isnan(self._last[who]) & (age_s <= self._max_age_s)
        block = np.zeros((len(at), 4, new.shape[1]), np.float32)
        block[:, 0] = np.where(usable, self._last[who], np.nan)
        block[:, 1] = np.where(usable, age_s, 0.0)
        block[:, 2] = fresh & usable
        block[:, 3] = usable
        clock = np.zeros((len(at), 2), np.float32)
        clock[:, 0] = EPOCH_H + now_h[:, 0]
        return block, clock
