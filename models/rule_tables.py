"""MEWS, qSOFA, SIRS and shock index as tables, with the bounds that missing inputs leave open.

Values are rounded half up to chart resolution first, as for NEWS2. Torch-free. Not here: where
inputs come from (`models.schema`), the records (`models.rule_scorer`).

Choices: an inclusive edge is the last value that still gets the points before it. Mentation of
qSOFA is altered at GCS below 15 (Singer 2016; others take 13 or less), or at any ACVPU but A. In
MEWS new confusion, which its AVPU does not know, counts as reacting to voice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.news2 import chart_round

Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """What a table says of N rows."""

    points: Floats  # [N, D] that each input carries; 0 where it is missing
    upper: Floats  # [N] the most that the missing inputs could make it; NaN = no bound


class Table(NamedTuple):
    """One rule score. `inputs` are concept codes; `judge` maps values [N, D], NaN = missing."""

    name: str
    version: str
    inputs: tuple[str, ...]
    units: tuple[str, ...]
    judge: Callable[[Floats], Judged]


def _banded(value: Floats, edges: tuple[float, ...], points: tuple[int, ...]) -> Floats:
    """Points of each value; `edges` are inclusive upper ends, the last points are above all."""
    found = np.array(points, dtype=np.float64)[np.searchsorted(edges, value, side="left")]
    return np.where(np.isfinite(value), found, np.nan)


def _charted(value: Floats, per_unit: int = 1) -> Floats:
    """Value at chart resolution; NaN stays."""
    known = np.isfinite(value)
    steps = chart_round(np.where(known, value, 0.0), per_unit) / per_unit
    return np.where(known, steps, np.nan)


_MEWS: Final = (  # edges, points of each input, in the order of the table
    ((70, 80, 100, 199), (3, 2, 1, 0, 2)),  # systolic pressure
    ((40, 50, 100, 110, 129), (2, 1, 0, 1, 2, 3)),  # heart rate
    ((8, 14, 20, 29), (2, 0, 1, 2, 3)),  # respiration
    ((34.9, 38.4), (2, 0, 2)),  # temperature
    ((0, 2, 3), (0, 1, 2, 3)),  # A; C and V; P; U
)
_MEWS_PER_UNIT: Final = (1, 1, 1, 10, 1)


def mews(value: Floats) -> Judged:
    """Modified Early Warning Score, 0 to 14, of sbp, hr, resp_rate, temp, consciousness.

    Notes
    -----
    Source: Subbe et al. (2001), QJM 94:521, table 1. Checked against every edge in
    ``tests/models/test_rule_tables.py``.

    Examples
    --------
    >>> judged = mews(np.array([[98.0, 112.0, 22.0, 38.5, np.nan]]))
    >>> judged.points.tolist(), judged.upper.tolist()
    ([[1.0, 2.0, 2.0, 2.0, 0.0]], [10.0])
    """
    columns = [
        _banded(_charted(value[:, i], _MEWS_PER_UNIT[i]), edges, points)
        for i, (edges, points) in enumerate(_MEWS)
    ]
    found = np.stack(columns, axis=1)
    most = np.array([max(points) for _, points in _MEWS], dtype=np.float64)
    missing = np.isnan(found)
    return Judged(np.where(missing, 0.0, found), np.where(missing, most, found).sum(axis=1))


def qsofa(value: Floats) -> Judged:
    """Quick SOFA, 0 to 3, of resp_rate, sbp, gcs, consciousness.

    Notes
    -----
    Source: Singer et al. (2016), JAMA 315:801, box 4: respiration 22 or more, systolic pressure
    100 or less, altered mentation.

    Examples
    --------
    >>> judged = qsofa(np.array([[22.0, 101.0, np.nan, np.nan]]))
    >>> judged.points.tolist(), judged.upper.tolist()
    ([[1.0, 0.0, 0.0, 0.0]], [2.0])
    """
    resp, sbp, gcs, acvpu = (_charted(column) for column in value.T)
    return _criteria(
        value.shape,
        ((0, resp >= 22),),
        ((1, sbp <= 100),),
        ((2, gcs < 15), (3, acvpu > 0)),
        known=np.isfinite(value),
        any_is_enough=True,
    )


def sirs(value: Floats) -> Judged:
    """Criteria of SIRS met, 0 to 4, of temp, hr, resp_rate, pco2, wbc, bands.

    Notes
    -----
    Source: Bone et al. (1992), Chest 101:1644: temperature above 38 or below 36 °C; heart rate
    above 90; respiration above 20 or PaCO2 below 32 mmHg; white cells above 12 or below 4 x 10^9/L
    or more than 10 % bands. A criterion is open until it is met or all its inputs are there.

    Examples
    --------
    >>> judged = sirs(np.array([[38.5, 80.0, 24.0, np.nan, np.nan, np.nan]]))
    >>> judged.points.tolist(), judged.upper.tolist()
    ([[1.0, 0.0, 1.0, 0.0, 0.0, 0.0]], [3.0])
    """
    temp, hr = _charted(value[:, 0], 10), _charted(value[:, 1])
    resp, pco2, wbc, bands = _charted(value[:, 2]), *value[:, 3:].T
    return _criteria(
        value.shape,
        ((0, (temp < 36) | (temp > 38)),),
        ((1, hr > 90),),
        ((2, resp > 20), (3, pco2 < 32)),
        ((4, (wbc < 4) | (wbc > 12)), (5, bands > 10)),
        known=np.isfinite(value),
    )


def shock_index(value: Floats) -> Judged:
    """Heart rate over systolic pressure; each input carries half.

    Notes
    -----
    Source: Allgöwer and Burri (1967), Dtsch Med Wochenschr 92:1947. Without both it has no value
    and no bounds; a systolic pressure of 0 has none either.

    Examples
    --------
    >>> shock_index(np.array([[120.0, 80.0]])).points.tolist()
    [[0.75, 0.75]]
    """
    ratio = np.where(
        value[:, 1] > 0, value[:, 0] / np.where(value[:, 1] > 0, value[:, 1], 1), np.nan
    )
    half = np.nan_to_num(ratio) / 2
    return Judged(np.stack([half, half], axis=1), ratio)


def _criteria(
    shape: tuple[int, ...],
    *criteria: tuple[tuple[int, NDArray[np.bool_]], ...],
    known: NDArray[np.bool_],
    any_is_enough: bool = False,
) -> Judged:
    """A point per criterion, carried by the first input that meets it; NaN meets none.

    `any_is_enough` closes a criterion with one input there: they measure the same thing.
    """
    points, upper = np.zeros(shape), np.zeros(shape[0])
    for ways in criteria:
        met = np.zeros(shape[0], dtype=bool)
        for column, here in ways:
            points[:, column] = here & ~met
            met |= here
        there = np.stack([known[:, column] for column, _ in ways])
        closed = there.any(axis=0) if any_is_enough else there.all(axis=0)
        upper += met | ~closed
    return Judged(points, upper)


_MMHG = "mm[Hg]"
TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        Table(
            "mews",
            "1",
            ("sbp", "hr", "resp_rate", "temp", "consciousness"),
            (_MMHG, "/min", "/min", "Cel", "{ACVPU}"),
            mews,
        ),
        Table(
            "qsofa",
            "1",
            ("resp_rate", "sbp", "gcs", "consciousness"),
            ("/min", _MMHG, "{score}", "{ACVPU}"),
            qsofa,
        ),
        Table(
            "sirs",
            "1",
            ("temp", "hr", "resp_rate", "pco2", "wbc", "bands"),
            ("Cel", "/min", "/min", _MMHG, "10*3/uL", "%"),
            sirs,
        ),
        Table("shock_index", "1", ("hr", "sbp"), ("/min", _MMHG), shock_index),
    )
}
