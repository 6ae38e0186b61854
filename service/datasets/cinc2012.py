"""PhysioNet/CinC Challenge 2012: 48 h of an ICU stay as irregular events, and who died in hospital.

Silva et al. 2012. Traps: a negative number means "not known", and so does a weight of 0; several
values may carry one time; outcomes of another kind (scores, length of stay, survival days) lie
beside the label and are never inputs. Values outside what a body or a device can show are left
out, not repaired.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.errors import SourceError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOURS: Final = 48
STATIC: Final = ("Age", "Gender", "Height", "ICUType", "Weight")
RANGES: Final[dict[str, tuple[float, float]]] = {
    "Albumin": (0.5, 10),
    "ALP": (1, 5000),
    "ALT": (1, 20000),
    "AST": (1, 20000),
    "Bilirubin": (0, 80),
    "BUN": (1, 300),
    "Cholesterol": (10, 1000),
    "Creatinine": (0.05, 30),
    "DiasABP": (5, 250),
    "FiO2": (0.2, 1),
    "GCS": (3, 15),
    "Glucose": (5, 2500),
    "HCO3": (1, 70),
    "HCT": (5, 80),
    "HR": (5, 320),
    "K": (1, 15),
    "Lactate": (0.1, 40),
    "Mg": (0.1, 15),
    "MAP": (5, 320),
    "MechVent": (0, 1),
    "Na": (80, 210),
    "NIDiasABP": (5, 250),
    "NIMAP": (5, 320),
    "NISysABP": (20, 320),
    "PaCO2": (5, 200),
    "PaO2": (10, 700),
    "pH": (6.3, 8),
    "Platelets": (1, 2500),
    "RespRate": (1, 100),
    "SaO2": (10, 100),
    "SysABP": (20, 320),
    "Temp": (25, 45),
    "TroponinI": (0, 100),
    "TroponinT": (0, 50),
    "Urine": (0, 5000),
    "WBC": (0, 500),
    "Weight": (20, 350),
}
VARIABLES: Final = tuple(RANGES)
_STATIC_RANGES: Final = ((0, 120), (0, 1), (100, 230), (1, 4), (20, 350))


class Stays(NamedTuple):
    """Stays and their events; an event is a row of four columns, sorted by stay and time."""

    ids: tuple[str, ...]
    static: Floats  # [S, 5] as STATIC, NaN where not known
    died: Bools  # [S] in hospital
    stay: Ints  # [E] rising
    minute: Ints  # [E] since admission, rising within a stay
    variable: Ints  # [E] of VARIABLES
    value: Floats  # [E]


def read(folder: Path, part: str = "a") -> Stays:
    """Stays of one set with their outcome.

    Parameters
    ----------
    folder : Path
        With `set-a` and `Outcomes-a.txt`.
    part : str
        Letter of the set.

    Raises
    ------
    SourceError
        If a stay has no outcome, or a file is none of this set.
    """
    died = _outcomes(folder / f"Outcomes-{part}.txt")
    paths = sorted((folder / f"set-{part}").glob("*.txt"))
    if not paths:
        raise SourceError(f"{folder}: no stays in set-{part}")
    without = [path.stem for path in paths if path.stem not in died]
    if without:
        raise SourceError(f"{folder}: no outcome of {', '.join(without[:5])}")
    static = np.full((len(paths), len(STATIC)), np.nan)
    rows: list[tuple[int, int, int, float]] = []
    for number, path in enumerate(paths):
        rows.extend(_stay(path, number, static[number]))
    rows.sort(key=lambda row: row[:2])  # keeps the file's order at one time
    stay, minute, variable, value = zip(*rows, strict=True)
    return Stays(
        tuple(path.stem for path in paths),
        static,
        np.array([died[path.stem] for path in paths]),
        np.array(stay, np.int64),
        np.array(minute, np.int64),
        np.array(variable, np.int64),
        np.array(value),
    )


def until(stays: Stays, minute: int) -> Stays:
    """What was known by a minute of the stay."""
    kept = stays.minute <= minute
    return stays._replace(
        stay=stays.stay[kept],
        minute=stays.minute[kept],
        variable=stays.variable[kept],
        value=stays.value[kept],
    )


def _outcomes(path: Path) -> dict[str, bool]:
    if not path.is_file():
        raise SourceError(f"{path}: is absent")
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["RecordID"]: row["In-hospital_death"] == "1" for row in csv.DictReader(lines)}


def _stay(path: Path, number: int, static: Floats) -> list[tuple[int, int, int, float]]:
    """Events of one stay; what it brought at admission goes to `static`."""
    found = []
    lines = path.read_text("utf-8").splitlines()
    if not lines or lines[0].strip() != "Time,Parameter,Value":
        raise SourceError(f"{path}: no stay of the Challenge 2012")
    for line in lines[1:]:
        time, name, text = line.split(",")
        minute, value = int(time[:-3]) * 60 + int(time[-2:]), float(text)
        if minute == 0 and name in STATIC:
            at = STATIC.index(name)
            low, high = _STATIC_RANGES[at]
            if np.isnan(static[at]) and low <= value <= high:
                static[at] = value
        if name in RANGES and RANGES[name][0] <= value <= RANGES[name][1]:
            found.append((number, minute, VARIABLES.index(name), value))
    return found
