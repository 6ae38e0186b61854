"""A gated or plain fusion network as flat arrays, in the order the loops read them. numba-free."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Columns of `Network.parts`, one row a modality.
START, INPUTS, WIDTH, VECTOR, H, TREND, QUALITY, MIX = range(8)
RESET_X, RESET_H, UPDATE_X, UPDATE_H, NEW_X, NEW_H, OUTER = range(8, 15)
PART: Final = 15
NONE: Final = -1  # in TREND: it has none; in RESET_X: no memory, the modality as it stands now

# Columns of `Network.layers`, one row a product: where its weight and its bias begin in `w`, how
# many inputs and blocks of columns it has.
WEIGHT, BIAS, INNER, BLOCKS = range(4)
LAYER: Final = 4

CHUNK: Final = 64  # rows at once: what lies between layers stays in the nearest cache

# Rows of `Network.columns`, one column an input.
CENTER, SCALE, CLIP, OLDEST, FADE, FADE_BIAS = range(6)
COLUMN: Final = 6

# Rows of `Network.outer`: the layer behind the fused vector with every modality absent, then by
# modality what its learned absent vector adds.
BASE: Final = 0

# Places of `Network.sizes`.
STATE, COLUMNS, JOINED, GATED, HIDDEN, OUT, HORIZONS, CLOCK, LEFT, CURVED = range(10)
SIZE: Final = 10


class Network(NamedTuple):
    """What the loops are given; numbers are indices into each other."""

    w: Floats  # packed weights and biases
    parts: Ints  # [M, PART]
    layers: Ints  # [L, LAYER]
    columns: Floats  # [COLUMN, CHUNK * padded inputs], once for each row of a chunk
    absent: Floats  # [widths of the vectors side by side] learned absent vectors
    outer: Floats  # [1 + M, padded width]
    sizes: Ints  # [SIZE]
    curve: Floats  # [H, knots, 3] or [H, 1, 3]: see `loops.calibrated`
    coalitions: Ints  # [C, M] 1 = heard; the first is everybody
    weights: Floats  # [M, C + 1] of a coalition's logit in a share; the last of nobody's
    nobody: Floats  # [1] calibrated logit with every modality absent
