"""The last few rows of something that is computed at a fixed pace: every 5 minutes, every hour.

Long windows are views over such rows, never over samples, so a day costs kilobytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.intervals import Floats


class Steps:
    """Rows of numbers by the time they end at; what is older than `n_rows` steps is gone.

    Examples
    --------
    >>> steps = Steps(3, 1, 10)
    >>> steps.put(20, np.array([1.0]))
    >>> steps.put(40, np.array([2.0]))
    >>> steps.until(40)[:, 0].tolist()
    [1.0, nan, 2.0]
    """

    __slots__ = ("_end_us", "_rows", "step_us")

    def __init__(self, n_rows: int, n_columns: int, step_us: int) -> None:
        self.step_us = step_us
        self._end_us = 0  # of the newest row; 0 before the first
        self._rows = np.full((n_rows, n_columns), np.nan, np.float32)

    def put(self, end_us: int, row: Floats) -> None:
        """Keep a row; one that ends before the newest goes to its own place, if that is still held.

        Parameters
        ----------
        end_us : int
            A multiple of the step.
        row : (n_columns,) float
        """
        if self._end_us == 0:
            self._end_us = end_us
        ahead = (end_us - self._end_us) // self.step_us
        if ahead > 0:
            self._rows = self._shifted(ahead)
            self._end_us = end_us
        place = len(self._rows) - 1 + min(ahead, 0)
        if place >= 0:
            self._rows[place] = row

    def until(self, end_us: int) -> Floats:
        """Rows that end by `end_us`, oldest first; NaN where there was none.

        Returns
        -------
        (n_rows, n_columns) float64
        """
        ahead = (end_us - self._end_us) // self.step_us if self._end_us else len(self._rows)
        rows: Floats = self._shifted(ahead).astype(np.float64)
        return rows

    def _shifted(self, by: int) -> Any:
        """The rows as seen `by` steps later (earlier if negative)."""
        n = len(self._rows)
        out = np.full_like(self._rows, np.nan)
        if 0 <= by < n:
            out[: n - by] = self._rows[by:]
        elif -n < by < 0:
            out[-by:] = self._rows[:by]
        return out

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        used = np.flatnonzero(~np.isnan(self._rows).all(axis=1))
        first = int(used[0]) if used.size else len(self._rows)
        return [self._end_us, self._rows[first:].astype("<f4").tobytes()]

    def load(self, state: Any) -> None:
        """Become what gave the state; ValueError if it is of another size."""
        end_us, packed = state
        rows = np.frombuffer(packed, "<f4").reshape(-1, self._rows.shape[1])
        self._rows[:] = np.nan
        if len(rows):
            self._rows[-len(rows) :] = rows
        self._end_us = int(end_us)
