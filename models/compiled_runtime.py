"""A packed model on loops of our own, compiled: for networks of gated recurrent branches.

Sums are chains in a fixed order, so every block keeps a row's bits by construction, down to a row
alone, and any machine has the same ones. Needs numba; the first call on a machine compiles for some
20 s, later ones read what numba kept on disk (`features.compiler`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from models.fusion_model import FusionModel
from models.kernels.loops import step
from models.kernels.pack import pack, runs
from models.runtime import BUCKETS, Floats, Said

COMPILED_BUCKETS: Final = (1, 2, *BUCKETS)


class CompiledRuntime:
    """One thread; keeps nothing between calls.

    Parameters
    ----------
    model : FusionModel
        In evaluation mode, on the CPU.
    explain : bool
        False leaves shares out (NaN).

    Raises
    ------
    ValueError
        If it has parts the loops do not know.
    """

    name = "compiled cpu"
    smallest = 1

    def __init__(self, model: FusionModel, *, explain: bool = True) -> None:
        if not runs(model):
            raise ValueError(f"{model.spec.name}: no compiled loops for all its parts")
        self._network: Any = pack(model)
        self._explain = explain
        self._widths = len(model.spec.horizons_s), len(model.spec.modalities)

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `models.runtime.Runtime`."""
        count, (horizons, modalities) = len(state), self._widths
        after = np.empty_like(state)
        logit, prob = (np.empty((count, horizons), np.float32) for _ in range(2))
        share, present = (np.empty((count, modalities), np.float32) for _ in range(2))
        step(self._network, state, rows, clock, self._explain, (after, logit, prob, share, present))
        return Said(after, logit, prob, np.full_like(logit, np.nan), share, present)
