"""PhysioNet/CinC Challenge 2019: hourly rows of stays in intensive care, by concept code.

What is read is what a bedside would know at that hour: a row holds what was measured in it, NaN
otherwise, and nothing is filled. The label is 1 from six hours before the onset of sepsis, so
onset is the first label plus `LABEL_LEAD_H`. Which unit a stay was in is kept apart from the
inputs: it is for splits; the hour of the stay (`ICULOS`) is kept to measure what it gives away.

Data: CC BY 4.0, doi:10.13026/v64v-d857; Reyna et al. 2020, Crit Care Med 48:210.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.concepts import Concept, find
from service.datasets.packed import packed_in, unpacked
from streams.errors import ConfigError

Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ANY: Final = "set*.npz"
ARCHIVE: Final = "cinc2019_setA"
LABEL: Final = "SepsisLabel"
LICENCE: Final = "CC BY 4.0"
CITATION: Final = "PhysioNet/CinC Challenge 2019 set A, doi:10.13026/v64v-d857"
LABEL_LEAD_H: Final = 6.0
HOUR_US: Final = 3_600_000_000

VITALS: Final = {
    "HR": "hr",
    "O2Sat": "spo2",
    "Temp": "temp",
    "Resp": "resp_rate",
    "SBP": "sbp",
    "MAP": "map",
    "DBP": "dbp",
}  # EtCO2 is empty in set A
LABS: Final = {
    "BaseExcess": "base_excess",
    "HCO3": "hco3",
    "FiO2": "fio2",
    "pH": "ph",
    "PaCO2": "pco2",
    "SaO2": "sao2",
    "AST": "ast",
    "BUN": "bun",
    "Alkalinephos": "alp",
    "Calcium": "ca",
    "Chloride": "cl",
    "Creatinine": "creatinine",
    "Bilirubin_direct": "bilirubin_direct",
    "Glucose": "glucose",
    "Lactate": "lactate",
    "Magnesium": "mg",
    "Phosphate": "phos",
    "Potassium": "k",
    "Bilirubin_total": "bilirubin",
    "TroponinI": "troponin_i",
    "Hct": "hct",
    "Hgb": "hb",
    "PTT": "ptt",
    "WBC": "wbc",
    "Fibrinogen": "fibrinogen",
    "Platelets": "plt",
}
STATIC: Final = {"Age": "age_years", "Gender": "sex", "HospAdmTime": "admitted_before_h"}
MODALITIES: Final = {"vitals": VITALS, "labs": LABS, "static": STATIC}
_FACTOR: Final = {
    "FiO2": 100.0,  # charted as a fraction; the concept is in per cent
    "HospAdmTime": -1.0,  # charted as the time of admission after the stay began
}
UNITS: Final = ("unknown", "medical", "surgical")  # Unit1 is the medical ICU, Unit2 the surgical


class Stays(NamedTuple):
    """Stays one after the other, P of them with N hours; a row's patient is `stay[row]`."""

    ids: tuple[str, ...]
    lengths: Ints  # [P] hours
    value: dict[str, Floats32]  # modality -> [N, d], NaN = not measured in that hour
    label: Bools  # [N]
    unit: Ints  # [P] place in UNITS
    hour: Ints  # [N] of the stay (ICULOS); never an input

    @property
    def stay(self) -> Ints:
        """Stay of every row, [N]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def starts(self) -> Ints:
        """First row of every stay, [P]."""
        first: Ints = np.cumsum(self.lengths) - self.lengths
        return first

    @property
    def septic(self) -> Bools:
        """Stays with sepsis, [P]."""
        found: Bools = np.maximum.reduceat(self.label, self.starts).astype(bool)
        return found


def features(modality: str) -> tuple[Concept, ...]:
    """Concepts of a modality, in the order of its columns."""
    found = (find(code) for code in MODALITIES[modality].values())
    return tuple(concept for concept in found if concept is not None)


def load(path: Path) -> Stays:
    """Read the set, or another one of the same form.

    Parameters
    ----------
    path : Path
        An npz of any name, a folder that holds one or the published `.psv` files at any depth, the
        packed archive, or a folder that holds that. Of several npz in a folder a `set*.npz` is
        meant.

    Raises
    ------
    ConfigError
        If it is not there, or it has other columns.
    """
    values, lengths, ids, names = _read(path)
    column = {name: values[i] for i, name in enumerate(names)}
    wanted = [name for table in MODALITIES.values() for name in table]
    if missing := [name for name in (*wanted, LABEL) if name not in column]:
        raise ConfigError(f"{path}: columns are missing: {', '.join(missing)}")
    lengths = lengths.astype(np.int64)
    if len(ids) != len(lengths) or (lengths < 1).any() or lengths.sum() != values.shape[1]:
        raise ConfigError(f"{path}: lengths, ids and hours do not belong together")
    first = np.cumsum(lengths) - lengths
    none = np.zeros(len(lengths), bool)
    places = [column[name][first] == 1 if name in column else none for name in ("Unit1", "Unit2")]
    row = np.arange(values.shape[1]) - np.repeat(first, lengths)
    return Stays(
        tuple(str(i) for i in ids),
        lengths,
        {name: _columns(name, table, column) for name, table in MODALITIES.items()},
        column[LABEL] > 0,
        np.select(places, [1, 2], 0).astype(np.int64),
        column["ICULOS"].astype(np.int64) if "ICULOS" in column else row + 1,
    )


Table = tuple[Floats32, Ints, list[str], list[str]]  # [columns, N], [P], stays, columns


def _read(path: Path) -> Table:
    """Values, lengths, stays and columns of whichever form is there."""
    if path.is_file() and path.suffix == ".npz":
        return _npz(path)
    if not path.exists():
        raise ConfigError(f"no CinC 2019 data: {path} is absent (give --data, or set VIGIL_DATA)")
    if path.is_dir():
        inside = sorted(path.rglob("*.npz"))
        inside = [p for p in inside if p.match(ANY)] or inside
        if len(inside) > 1:
            names = ", ".join(str(p.relative_to(path)) for p in inside)
            raise ConfigError(f"{path} holds {names}: name one of them")
        if inside:
            return _npz(inside[0])
        if stays := sorted(path.rglob("*.psv")):
            return _psv(stays)
    packed = packed_in(path, ARCHIVE)
    if packed is None:
        raise ConfigError(f"no {ANY} or other npz, .psv or {ARCHIVE} archive in {path}")
    with unpacked(packed, ARCHIVE, "*.npz") as folder:
        return _read(folder)


def _npz(path: Path) -> Table:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as packed:
            names = [str(name) for name in packed["columns"]]
            ids = [str(i) for i in packed["ids"]]
            return packed["values"], packed["lengths"], ids, names
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: not a set in NumPy's form (.npz, see FORMAT.txt)") from error


def _psv(stays: list[Path]) -> Table:
    """The published form: a file of hours a stay, columns divided by `|`."""
    parts: list[Floats32] = []
    names: list[str] = []
    for path in stays:
        try:
            with path.open(encoding="utf-8") as lines:
                own = lines.readline().strip().split("|")
                table = np.loadtxt(lines, delimiter="|", ndmin=2, dtype=np.float32)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as a stay") from error
        names = names or own
        if own != names or table.shape[1] != len(names):
            raise ConfigError(f"{path}: other columns than {stays[0].name}")
        parts.append(table)
    lengths = np.array([len(table) for table in parts], np.int64)
    return np.concatenate(parts).T, lengths, [path.stem for path in stays], names


def _columns(modality: str, table: dict[str, str], column: dict[str, Floats32]) -> Floats32:
    """Columns of one modality in the concepts' units; what cannot be a measurement is NaN."""
    out = []
    for name, concept in zip(table, features(modality), strict=True):
        value = column[name] * np.float32(_FACTOR.get(name, 1.0))
        out.append(np.where((value >= concept.lo) & (value <= concept.hi), value, np.nan))
    return np.stack(out, axis=1).astype(np.float32)
