"""How likely a stay ends in collapse, learned from other stays that carry no outcome.

The 20,336 stays of CinC 2019 set A come without death or survival, but their last hours show how
they end: a stay whose last hours hold at least two of very low blood pressure, heart rate, oxygen
saturation and breathing rate ends badly, whatever followed. Boosted trees learn that from what was
known six or eighteen hours before the end, on window statistics of the 24 variables that both sets
chart, hour by hour. Their mean log-odds at hour 48 is an input for stays of CinC 2012: no outcome
of those is used to make it. Ends of 2, 4, 8 and 12 hours are learned apart and averaged.

Both sets come from one hospital and share stays, whose end in the one would tell of death in the
other: `apart` leaves out every stay of 2019 that may be one of 2012, rather too many than too few.
"""

from __future__ import annotations

from typing import Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks._icu_clinical import hourly
from benchmarks._icu_windows import stay_features
from service.datasets import cinc2012, cinc2019

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SHARED: Final = {  # CinC 2019 -> CinC 2012
    "HR": "HR",
    "SBP": "SysABP",
    "MAP": "MAP",
    "DBP": "DiasABP",
    "Resp": "RespRate",
    "Temp": "Temp",
    "SaO2": "SaO2",
    "HCO3": "HCO3",
    "FiO2": "FiO2",
    "pH": "pH",
    "PaCO2": "PaCO2",
    "AST": "AST",
    "BUN": "BUN",
    "Alkalinephos": "ALP",
    "Creatinine": "Creatinine",
    "Glucose": "Glucose",
    "Lactate": "Lactate",
    "Magnesium": "Mg",
    "Potassium": "K",
    "Bilirubin_total": "Bilirubin",
    "TroponinI": "TroponinI",
    "Hct": "HCT",
    "WBC": "WBC",
    "Platelets": "Platelets",
}
CUFF: Final = {"SysABP": "NISysABP", "DiasABP": "NIDiasABP", "MAP": "NIMAP"}  # one column in 2019
COLLAPSE: Final = {"MAP": 50.0, "SBP": 65.0, "HR": 45.0, "O2Sat": 80.0, "Resp": 6.0}  # below
SIGNS: Final = 2  # of COLLAPSE
TELLING: Final = ("Platelets", "WBC", "Glucose", "Hct", "BUN")  # of many different values
FEWEST_SHARED: Final = 3
AGE_APART: Final = 1.1  # years; one set has whole years
OLD: Final = 88.0  # ages above are not told
MOST_TENTHS: Final = 25_001
LAST_H: Final = (2, 4, 8, 12)
BEFORE_END_H: Final = (6, 18)
SHORTEST_H: Final = 10
# A short stay has fewer of everything: what counts the stay's length is left out.
LENGTH: Final = ("count_48h", "count_24h", "first", "change", "ever")
FOREST: Final = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.12,
    "bagging_fraction": 0.4,
    "bagging_freq": 1,
    "lambda_l2": 20,
    "max_bin": 63,
    "num_threads": 1,
    "seed": 0,
    "verbose": -1,
}
TREES: Final = 120
_ROWS: Final = 2_000  # at a time


def collapse_odds(stays: cinc2012.Stays, others: cinc2019.Stays) -> Floats:
    """Log-odds that a stay would end in collapse, standardised per length of end and averaged.

    Parameters
    ----------
    stays : cinc2012.Stays
        S stays that are scored; their outcome is not looked at.
    others : cinc2019.Stays
        Stays that are learned from.

    Returns
    -------
    (S,) float64
        A score without unit; higher is worse.
    """
    stay, end = windows(others.lengths)
    unrelated = apart(stays, others)[stay]
    stay, end = stay[unrelated], end[unrelated]
    x = _table(_grid_2019(others, stay, end), _people_2019(others)[stay])
    asked = _table(_grid_2012(stays), stays.static[:, :2])
    said = []
    for hours in LAST_H:
        label = ends_badly(others, hours)[stay].astype(int)
        model = lgb.train(dict(FOREST), lgb.Dataset(x, label), TREES)
        odds = np.asarray(model.predict(asked, raw_score=True), np.float64)
        said.append((odds - odds.mean()) / odds.std())
    return np.asarray(np.mean(said, axis=0), np.float64)


def apart(stays: cinc2012.Stays, others: cinc2019.Stays) -> Bools:
    """Stays of 2019 that are none of 2012, [P]: enough is known, and with nobody is it the same.

    The same is: of one sex and age, at least half of the distinct laboratory values of `TELLING`
    shared by whoever has fewer, and `FEWEST_SHARED` of them. Stays with fewer values are left out.
    """
    here, there = _tokens_2012(stays), _tokens_2019(others)
    people = _people_2019(others)
    enough = np.asarray(there.sum(axis=1)).ravel()
    related = np.zeros(len(others.lengths), bool)
    for at in range(len(stays.ids)):
        shared = np.asarray(there @ here[[at]].toarray().ravel()).ravel()
        fewer = np.minimum(enough, here[at].sum())
        age, sex = stays.static[at, :2]
        old = (people[:, 0] >= OLD) & (age >= OLD)
        known = old | ~(np.abs(people[:, 0] - age) > AGE_APART)
        known &= ~(np.abs(people[:, 1] - sex) > 0)
        related |= known & (shared >= FEWEST_SHARED) & (2 * shared >= fewer)
    return np.asarray((enough >= FEWEST_SHARED + 1) & ~related)


def _tokens_2012(stays: cinc2012.Stays) -> csr_array:
    """Which values of `TELLING` each stay holds, [S, T] of 0 and 1."""
    variable = np.array([cinc2012.VARIABLES.index(SHARED[name]) for name in TELLING])
    own = np.isin(stays.variable, variable)
    which = np.argmax(stays.variable[own][:, None] == variable, axis=1)
    return _tokens(stays.stay[own], which, stays.value[own], len(stays.ids))


def _tokens_2019(others: cinc2019.Stays) -> csr_array:
    """The same, [P, T]."""
    value = np.stack([_column(others, name) for name in TELLING], axis=1).astype(np.float64)
    row, which = np.nonzero(~np.isnan(value))
    return _tokens(others.stay[row], which, value[row, which], len(others.lengths))


def _tokens(stay: Ints, which: Ints, value: Floats, count: int) -> csr_array:
    tenth = np.minimum(np.rint(value * 10).astype(np.int64), MOST_TENTHS - 1)
    size = (count, len(TELLING) * MOST_TENTHS)
    found = np.unique(stay * size[1] + which * MOST_TENTHS + tenth)
    at = (found // size[1], found % size[1])
    return csr_array((np.ones(len(found), np.int32), at), shape=size)


def windows(lengths: Ints) -> tuple[Ints, Ints]:
    """Stay and hour at which each window ends, [W] each; nothing from that hour on is looked at."""
    found = [(at, lengths[at] - back) for back in BEFORE_END_H for at in range(len(lengths))]
    kept = np.array([row for row in found if row[1] >= SHORTEST_H], np.int64).reshape(-1, 2)
    return kept[:, 0], kept[:, 1]


def ends_badly(others: cinc2019.Stays, hours: int) -> Bools:
    """Stays whose last hours hold at least `SIGNS` signs of collapse, [P]."""
    until_end = np.repeat(others.lengths, others.lengths) - _hour_of(others)
    signs = np.zeros(len(others.lengths), np.int64)
    for name, limit in COLLAPSE.items():
        with np.errstate(invalid="ignore"):
            below = (_column(others, name) < limit) & (until_end <= hours)
        signs += np.maximum.reduceat(below, others.starts)
    return np.asarray(signs >= SIGNS)


def _hour_of(others: cinc2019.Stays) -> Ints:
    """Row of its stay, from 0, [N]."""
    hour: Ints = np.arange(len(others.label)) - np.repeat(others.starts, others.lengths)
    return hour


def _column(others: cinc2019.Stays, name: str) -> NDArray[np.float32]:
    for modality, columns in cinc2019.MODALITIES.items():
        if name in columns:
            found: NDArray[np.float32] = others.value[modality][:, list(columns).index(name)]
            return found
    raise KeyError(name)


def _people_2019(others: cinc2019.Stays) -> Floats:
    """Age and gender, [P, 2]."""
    columns = [_column(others, name)[others.starts] for name in ("Age", "Gender")]
    return np.stack(columns, axis=1).astype(np.float64)


def _grid_2019(others: cinc2019.Stays, stay: Ints, end: Ints) -> NDArray[np.float32]:
    """The 48 hours before each window's end, [W, 48, 24]; NaN before the stay began."""
    back = end[:, None] - cinc2012.HOURS + np.arange(cinc2012.HOURS)
    row = others.starts[stay][:, None] + np.maximum(back, 0)
    grid = np.empty((*row.shape, len(SHARED)), np.float32)
    for at, (name, other) in enumerate(SHARED.items()):
        low, high = cinc2012.RANGES[other]
        value = _column(others, name) / np.float32(100.0 if name == "FiO2" else 1.0)
        value = np.where((value >= low) & (value <= high), value, np.float32(np.nan))
        grid[:, :, at] = np.where(back >= 0, value[row], np.float32(np.nan))
    return grid


def _grid_2012(stays: cinc2012.Stays) -> NDArray[np.float32]:
    """Hourly means of the shared variables, by cuff where there is no line, [S, 48, 24]."""
    hours = hourly(stays)
    columns = []
    for name in SHARED.values():
        own = hours[name]
        columns.append(np.where(np.isnan(own), hours[CUFF[name]], own) if name in CUFF else own)
    return np.stack(columns, axis=2).astype(np.float32)


def _table(grid: NDArray[np.float32], people: Floats) -> Floats:
    """Window statistics of hourly values as for any stay of 2012, [W, F]."""
    return np.concatenate(
        [
            _statistics(grid[at : at + _ROWS], people[at : at + _ROWS])
            for at in range(0, len(grid), _ROWS)
        ]
    )


def _statistics(grid: NDArray[np.float32], people: Floats) -> Floats:
    row, hour, column = np.nonzero(~np.isnan(grid))
    variable = np.array([cinc2012.VARIABLES.index(name) for name in SHARED.values()])
    static = np.full((len(grid), len(cinc2012.STATIC)), np.nan)
    static[:, :2] = people
    events = cinc2012.Stays(
        tuple(map(str, range(len(grid)))),
        static,
        np.zeros(len(grid), bool),
        row,
        hour * 60 + 30,
        variable[column],
        grid[row, hour, column].astype(np.float64),
    )
    names, x = stay_features(events)
    return x[:, [at for at, name in enumerate(names) if _kept(name)]]


def _kept(name: str) -> bool:
    if name in ("shock_index", "urea_creatinine", *cinc2012.STATIC[:2]):
        return True
    variable, _, statistic = name.partition("_")
    return variable in SHARED.values() and not statistic.endswith(LENGTH)
