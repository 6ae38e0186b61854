"""Irregular ICU events as one row per stay: statistics over the last windows, trends, ratios.

The recipe of 1,010 features: per variable mean, least, most, spread and count over the whole stay
and its last 24, 12 and 6 h; last, first, their difference, age of the last, median, slope, whether
it was ever measured; four ratios and sums that clinicians use.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.datasets.cinc2012 import HOURS, STATIC, VARIABLES, Stays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WINDOWS_H: Final = (48, 24, 12, 6)
PAIRS: Final = (
    ("shock_index", "HR", "SysABP"),
    ("shock_index_cuff", "HR", "NISysABP"),
    ("urea_creatinine", "BUN", "Creatinine"),
    ("pao2_fio2", "PaO2", "FiO2"),
)


def stay_features(stays: Stays, end_h: float = HOURS) -> tuple[list[str], Floats]:
    """Names and one row per stay, from events up to `end_h` only."""
    names: list[str] = []
    columns: list[Floats] = []
    n, m = len(stays.ids), len(VARIABLES)
    known = stays.minute <= end_h * 60
    key = stays.stay[known] * m + stays.variable[known]
    order = np.argsort(key, kind="stable")
    key, hour = key[order], stays.minute[known][order] / 60.0
    value = stays.value[known][order]

    def keep(name: str, table: Floats) -> None:
        for j, variable in enumerate(VARIABLES):
            names.append(f"{variable}_{name}")
            columns.append(table[:, j])

    for length in WINDOWS_H:
        inside = hour > end_h - length if length < end_h else np.ones(len(hour), bool)
        for name, table in _statistics(key[inside], value[inside], n, m).items():
            keep(f"{name}_{length}h", table)
    for name, table in _whole(key, hour, value, (n, m, end_h)).items():
        keep(name, table)
    last = dict(zip(names, columns, strict=True))
    for name, above, below in PAIRS:
        names.append(name)
        columns.append(
            last[f"{above}_last"]
            / np.where(last[f"{below}_last"] > 0, last[f"{below}_last"], np.nan)
        )
    for length in WINDOWS_H:
        names.append(f"urine_sum_{length}h")
        columns.append(last[f"Urine_mean_{length}h"] * last[f"Urine_count_{length}h"])
    names.extend(STATIC)
    columns.extend(stays.static.T)
    return names, np.stack(columns, axis=1)


def _statistics(key: Ints, value: Floats, n: int, m: int) -> dict[str, Floats]:
    count = np.bincount(key, minlength=n * m).astype(float)
    total = np.bincount(key, weights=value, minlength=n * m)
    some = np.where(count > 0, count, np.nan)
    mean = total / some
    square = np.bincount(key, weights=(value - mean[key]) ** 2, minlength=n * m)
    least, most = np.full(n * m, np.inf), np.full(n * m, -np.inf)
    np.minimum.at(least, key, value)
    np.maximum.at(most, key, value)
    tables = {
        "mean": mean,
        "min": np.where(count > 0, least, np.nan),
        "max": np.where(count > 0, most, np.nan),
        "sd": np.where(count > 1, np.sqrt(square / some), np.nan),
        "count": count,
    }
    return {name: table.reshape(n, m) for name, table in tables.items()}


def _whole(
    key: Ints, hour: Floats, value: Floats, shape: tuple[int, int, float]
) -> dict[str, Floats]:
    """First, last and between; events are sorted by key and time."""
    n, m, end_h = shape
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    last = np.append(first[1:], len(key)) - 1
    held = key[first]
    tables = {name: np.full(n * m, np.nan) for name in ("last", "first", "change", "age", "median")}
    tables["last"][held] = value[last]
    tables["first"][held] = value[first]
    tables["change"][held] = value[last] - value[first]
    tables["age"][held] = end_h - hour[last]
    ranked = np.lexsort((value, key))
    middle = (first + last) / 2
    tables["median"][held] = (
        value[ranked][np.floor(middle).astype(int)] + value[ranked][np.ceil(middle).astype(int)]
    ) / 2
    tables["slope"] = _slope(key, hour, value, n * m)
    tables["ever"] = np.zeros(n * m)
    tables["ever"][held] = 1.0
    return {name: table.reshape(n, m) for name, table in tables.items()}


def _slope(key: Ints, hour: Floats, value: Floats, size: int) -> Floats:
    count, t, v = (
        np.bincount(key, weights=w, minlength=size) for w in (np.ones(len(key)), hour, value)
    )
    tt, tv = (np.bincount(key, weights=w, minlength=size) for w in (hour * hour, hour * value))
    below = count * tt - t * t
    found: Floats = np.where(
        below > 1e-6, (count * tv - t * v) / np.where(below > 1e-6, below, 1), np.nan
    )
    return found
