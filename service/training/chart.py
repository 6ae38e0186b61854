"""NEWS2's chart as trees over the default's vector: what is known of vital signs everywhere.

Forests know the one hospital that grew them; the chart was made from many. As trees it needs
nothing of its own in the network, in an exported graph or in a state. A vital sign that is not
known has no points. Not here: oxygen and consciousness, which the vector does not have.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.families.boosted import BoostedModel
from models.news2 import VITAL_SIGNS
from models.parts import Normalizer
from models.trees import FAR, LEAF
from service.datasets.cinc2019 import MODALITIES, Stays
from service.training import cinc2019 as recipe

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]
MODALITY: Final = "vitals"
COUNT: Final = len(VITAL_SIGNS)  # trees, one each
DEPTH: Final = 1 + max(len(band.edges) for band, _ in VITAL_SIGNS.values())
NODES: Final = 2 * DEPTH + 1  # questions and leaves


def trees(model: BoostedModel, nodes: int = NODES) -> Arrays:
    """The chart's points as arrays of `models.trees.Trees`, one tree a vital sign.

    Parameters
    ----------
    model : BoostedModel
        With its normalisation: the vector's numbers are z-scores.
    nodes : int
        Room for so many nodes a tree.
    """
    names = recipe.column_names()
    out: Arrays = {
        "column": np.zeros((COUNT, nodes), np.int64),
        "threshold": np.full((COUNT, nodes), LEAF, np.float32),
        "after": np.broadcast_to(np.arange(nodes), (COUNT, nodes)).copy(),
        "value": np.zeros((COUNT, nodes), np.float32),
    }
    for i, name in enumerate(VITAL_SIGNS):
        column = names.index(f"{MODALITY}.{name}.last")
        _lay({k: x[i] for k, x in out.items()}, (column, len(names)), *_steps(model, name))
    return out


def _lay(row: Arrays, of: tuple[int, int], bounds: Floats32, points: Floats32) -> None:
    """Ask whether it is known, and then bound after bound whether it is above."""
    column, width = of
    row["column"][0], row["threshold"][0], row["after"][0] = column + width, FAR, 1  # unknown: to 2
    at, free = 1, 3
    for bound, worth in zip(bounds, points, strict=False):
        row["column"][at], row["threshold"][at], row["after"][at] = column, bound, free
        row["value"][free] = worth
        at, free = free + 1, free + 2
    row["value"][at] = points[-1]


def _steps(model: BoostedModel, name: str) -> tuple[Floats32, Floats32]:
    """Largest z-score within each of the chart's bands but the last, and the bands' points."""
    band, per_unit = VITAL_SIGNS[name]
    normal = model.normalizers[MODALITY]
    assert isinstance(normal, Normalizer)
    place = list(MODALITIES[MODALITY].values()).index(name)
    center, scale = (float(x[place]) for x in (normal.center, normal.scale))
    first = ((band.edges + 0.5) / per_unit - center) / scale  # of the next band: halves round up
    below = np.nextafter(first.astype(np.float32), np.float32(-np.inf))
    return below, band.points.astype(np.float32)


def points_of(stays: Stays, model: BoostedModel) -> Floats:
    """Points of every hour, as these trees say them, [N]."""
    names = recipe.column_names()
    rows = recipe.laid(model, stays.value, stays.lengths)
    total = np.zeros(len(rows))
    for name in VITAL_SIGNS:
        bounds, points = _steps(model, name)
        z = rows[:, names.index(f"{MODALITY}.{name}.last")]
        total += np.where(np.isnan(z), 0.0, points[np.searchsorted(bounds, z, side="left")])
    return total
