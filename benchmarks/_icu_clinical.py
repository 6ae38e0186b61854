"""What a clinician would read off a stay's chart, as one row per stay.

Components of SOFA and SAPS-I over time, PaO2/FiO2, shock indices, urine per kilogram, hours spent
beyond limits, worst values of each six hours, products with age. Beside the plain window statistics
of `_icu_windows`: these know which values belong together and which side is bad. NaN = not known.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.datasets.cinc2012 import HOURS, STATIC, VARIABLES, Stays

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BIN_H: Final = 6
DAY_H: Final = 24
BINNED: Final = ("hr", "map", "sbp", "rr", "temp", "gcs", "sao2", "pf", "glucose", "lactate", "ph")
BEYOND: Final = (
    ("map", "<", 65.0),
    ("map", "<", 55.0),
    ("sbp", "<", 90.0),
    ("hr", ">", 110.0),
    ("hr", ">", 130.0),
    ("rr", ">", 28.0),
    ("temp", "<", 36.0),
    ("temp", ">", 38.5),
    ("sao2", "<", 92.0),
    ("gcs", "<", 9.0),
    ("shock", ">", 0.9),
    ("pf", "<", 200.0),
    ("ph", "<", 7.3),
    ("lactate", ">", 2.5),
)
# Vincent et al. 1996, table 3: a point for every limit passed (vasopressors are not in this set)
SOFA: Final = {
    "pf": ("<", (400, 300, 200, 100)),
    "platelets": ("<", (150, 100, 50, 20)),
    "bilirubin": (">", (1.2, 2.0, 6.0, 12.0)),
    "map": ("<", (70,)),
    "gcs": ("<", (15, 13, 10, 6)),
    "creatinine": (">", (1.2, 2.0, 3.5, 5.0)),
}
# Le Gall et al. 1984, table 1: points above and below the range that scores none
SAPS: Final = {
    "hr": ((180, 140, 110), (40, 55, 70)),
    "sbp": ((190, 150), (55, 80)),
    "temp": ((41, 39, 38.5), (30, 32, 34, 36)),
    "rr": ((50, 35, 25), (6, 10, 12)),
    "bun": ((154, 101, 81, 21), (10,)),
    "hct": ((60, 50, 46), (20, 30)),
    "wbc": ((40, 20, 15), (1, 3)),
    "glucose": ((800, 500, 250), (29, 50, 70)),
    "potassium": ((7, 6, 5.5), (2.5, 3, 3.5)),
    "sodium": ((180, 161, 156, 151), (110, 120, 130)),
    "bicarbonate": ((40, 30), (5, 10, 20)),
}


def clinical_features(stays: Stays) -> tuple[list[str], Floats]:
    """Names and one row per stay of inputs as a clinician makes them.

    Parameters
    ----------
    stays : Stays
        Events of 48 h.

    Returns
    -------
    list of str, (S, F) float64
        NaN where nothing was measured to tell.
    """
    chart = _chart(hourly(stays), stays.static)
    held = {name: _held(series) for name, series in chart.items()}
    columns: dict[str, Floats] = {}
    columns.update(_worst_of_bins(chart))
    columns.update(_hours_beyond(held))
    columns.update(_points(held, stays.static))
    columns.update(_urine(chart["urine"], stays.static))
    columns.update(_course(chart, held))
    columns.update(_person(columns, held, stays.static))
    return list(columns), np.stack(list(columns.values()), axis=1)


def hourly(stays: Stays) -> dict[str, Floats]:
    """Mean of each hour and variable, (S, 48); urine is the sum."""
    found = {}
    for at, name in enumerate(VARIABLES):
        own = stays.variable == at
        cell = stays.stay[own] * HOURS + np.minimum(stays.minute[own] // 60, HOURS - 1)
        size = len(stays.ids) * HOURS
        total = np.bincount(cell, stays.value[own], size)
        count = np.bincount(cell, minlength=size)
        some = np.where(count > 0, 1.0 if name == "Urine" else count, np.nan)
        found[name] = (total / some).reshape(len(stays.ids), HOURS)
    return found


def _chart(hours: dict[str, Floats], static: Floats) -> dict[str, Floats]:
    """Series by the names used here, cuff where there is no line, and what follows from two."""
    chart = {
        "hr": hours["HR"],
        "map": _first_known(hours["MAP"], hours["NIMAP"]),
        "sbp": _first_known(hours["SysABP"], hours["NISysABP"]),
        "dbp": _first_known(hours["DiasABP"], hours["NIDiasABP"]),
        "rr": hours["RespRate"],
        "temp": hours["Temp"],
        "gcs": hours["GCS"],
        "sao2": hours["SaO2"],
        "urine": hours["Urine"],
        "fio2": hours["FiO2"],
        "ph": hours["pH"],
        "pco2": hours["PaCO2"],
        "lactate": hours["Lactate"],
        "platelets": hours["Platelets"],
        "bilirubin": hours["Bilirubin"],
        "creatinine": hours["Creatinine"],
        "bun": hours["BUN"],
        "hct": hours["HCT"],
        "wbc": hours["WBC"],
        "glucose": hours["Glucose"],
        "potassium": hours["K"],
        "sodium": hours["Na"],
        "bicarbonate": hours["HCO3"],
        "albumin": hours["Albumin"],
        "vent": np.nan_to_num(hours["MechVent"]),
    }
    chart["pf"] = hours["PaO2"] / _held(hours["FiO2"])
    chart["shock"] = chart["hr"] / _held(chart["sbp"])
    chart["pulse_pressure"] = chart["sbp"] - chart["dbp"]
    chart["gap"] = chart["sodium"] + _held(chart["potassium"]) - _held(chart["bicarbonate"])
    chart["bun_creatinine"] = chart["bun"] / _held(chart["creatinine"])
    chart["work"] = chart["hr"] * _held(chart["sbp"]) / 1000.0
    chart["age_shock"] = chart["shock"] * static[:, STATIC.index("Age")][:, None]
    return chart


def _worst_of_bins(chart: dict[str, Floats]) -> dict[str, Floats]:
    """Least and most of each six hours."""
    found = {}
    for name in BINNED:
        series = chart[name].reshape(len(chart[name]), -1, BIN_H)
        for at in range(series.shape[1]):
            found[f"{name}_least_{at}"] = _least(series[:, at])
            found[f"{name}_most_{at}"] = -_least(-series[:, at])
    return found


def _hours_beyond(held: dict[str, Floats]) -> dict[str, Floats]:
    """Hours beyond a limit, in all and of the last 12, of those where something is known."""
    found = {}
    for name, side, limit in BEYOND:
        beyond = _beyond(held[name], side, limit)
        unknown = np.isnan(held[name]).all(axis=1)
        for label, part in (("all", beyond), ("late", beyond[:, -12:])):
            found[f"{name}{side}{limit:g}_{label}"] = np.where(unknown, np.nan, part.sum(axis=1))
    return found


def _points(held: dict[str, Floats], static: Floats) -> dict[str, Floats]:
    """SOFA and SAPS-I components: worst of each day, at the end, sums and their change."""
    found: dict[str, Floats] = {}
    for score, tables in (
        ("sofa", {n: _sofa(held[n], *rule) for n, rule in SOFA.items()}),
        ("saps", {n: _saps(held[n], *rule) for n, rule in SAPS.items()}),
    ):
        days = []
        for day in range(HOURS // DAY_H):
            worst = {n: _most(t[:, day * DAY_H : (day + 1) * DAY_H]) for n, t in tables.items()}
            found.update({f"{score}_{n}_day{day}": v for n, v in worst.items()})
            days.append(np.nansum(list(worst.values()), axis=0))
            found[f"{score}_day{day}"] = days[-1]
        end = [t[:, -1] for t in tables.values()]
        found[f"{score}_end"] = np.nansum(end, axis=0)
        found[f"{score}_change"] = days[-1] - days[0]
        found[f"{score}_better"] = found[f"{score}_end"] - days[0]
    return found


def _urine(urine: Floats, static: Floats) -> dict[str, Floats]:
    """Millilitres per kilogram and hour of windows, and the poorest twelve hours."""
    weight = static[:, STATIC.index("Weight")]
    kilogram = np.where(np.isnan(weight), np.nanmedian(weight), weight)
    unknown = np.isnan(urine).all(axis=1)
    running = np.cumsum(np.nan_to_num(urine), axis=1)
    found = {}
    for length in (6, 12, 24, HOURS):
        before = running[:, -length - 1] if length < HOURS else 0.0
        rate = (running[:, -1] - before) / (length * kilogram)
        found[f"urine_kg_{length}h"] = np.where(unknown, np.nan, rate)
    poorest = np.min(running[:, 12:] - running[:, :-12], axis=1) / (12 * kilogram)
    found["urine_kg_poorest"] = np.where(unknown, np.nan, poorest)
    return found


def _course(chart: dict[str, Floats], held: dict[str, Floats]) -> dict[str, Floats]:
    """First day against second, end against worst, and breathing by machine."""
    found = {}
    for name, series in chart.items():
        if name in ("urine", "vent"):
            continue
        first, second = series[:, :DAY_H], series[:, DAY_H:]
        found[f"{name}_days"] = _mean(second) - _mean(first)
        found[f"{name}_above_least"] = held[name][:, -1] - _least(series)
        found[f"{name}_below_most"] = -_least(-series) - held[name][:, -1]
        if name not in VARIABLES:
            found[f"{name}_end"] = held[name][:, -1]
            found[f"{name}_swing"] = _mean(np.abs(np.diff(held[name], axis=1)))
    vent = chart["vent"] > 0
    found["vent_hours"] = vent.sum(axis=1).astype(float)
    found["vent_late"] = vent[:, -12:].sum(axis=1).astype(float)
    found["vent_last"] = np.where(
        vent.any(axis=1), np.argmax(vent[:, ::-1], axis=1).astype(float), np.nan
    )
    return found


def _person(
    columns: dict[str, Floats], held: dict[str, Floats], static: Floats
) -> dict[str, Floats]:
    """Products with age, body mass index."""
    age, height, weight = (static[:, STATIC.index(n)] for n in ("Age", "Height", "Weight"))
    found = {"bmi": weight / (height / 100.0) ** 2, "age_squared": age * age}
    for name in ("bun", "lactate", "rr", "creatinine"):
        found[f"age_{name}"] = age * held[name][:, -1]
    found["age_gcs"] = age * (15.0 - held["gcs"][:, -1])
    found["age_map"] = age / held["map"][:, -1]
    for name in ("sofa_end", "saps_end", "sofa_day0", "saps_day0", "urine_kg_24h", "vent_hours"):
        found[f"age_{name}"] = age * columns[name]
    found["gcs_bun"] = held["bun"][:, -1] * (15.0 - held["gcs"][:, -1])
    found["bun_albumin"] = held["bun"][:, -1] / held["albumin"][:, -1]
    return found


def _sofa(series: Floats, side: str, limits: tuple[float, ...]) -> Floats:
    points = np.sum([_beyond(series, side, limit) for limit in limits], axis=0)
    return np.where(np.isnan(series), np.nan, points)


def _saps(series: Floats, above: tuple[float, ...], below: tuple[float, ...]) -> Floats:
    points = np.sum([_beyond(series, ">", limit) for limit in above], axis=0)
    points = points + np.sum([_beyond(series, "<", limit) for limit in below], axis=0)
    return np.where(np.isnan(series), np.nan, points)


def _beyond(series: Floats, side: str, limit: float) -> Bools:
    """Where a known value lies beyond a limit."""
    with np.errstate(invalid="ignore"):
        found: Bools = series < limit if side == "<" else series > limit
    return found


def _held(series: Floats) -> Floats:
    """The last known value carried on."""
    at = np.where(np.isnan(series), -1, np.arange(series.shape[1]))
    at = np.maximum.accumulate(at, axis=1)
    held = np.take_along_axis(series, np.maximum(at, 0), axis=1)
    return np.where(at >= 0, held, np.nan)


def _first_known(one: Floats, other: Floats) -> Floats:
    return np.where(np.isnan(one), other, one)


def _least(series: Floats) -> Floats:
    least = np.min(np.where(np.isnan(series), np.inf, series), axis=1)
    return np.where(np.isinf(least), np.nan, least)


def _most(series: Floats) -> Floats:
    return -_least(-series)


def _mean(series: Floats) -> Floats:
    known = ~np.isnan(series)
    count = known.sum(axis=1)
    total = np.where(known, series, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
