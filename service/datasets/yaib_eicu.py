"""YAIB's eICU demo cohorts: hourly vital signs and laboratory values, four tasks on shared stays.

van de Water et al. 2024, ICLR (data ODbL, from the eICU demo). Traps: a row is an hour of the stay
and the label of its task; sepsis and kidney injury are true from 6 h before to 6 h after onset, and
rows end there, so how long a record is tells its label; remaining length of stay counts down to the
record's end. A stay is in several tasks: folds are made over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from streams.errors import SourceError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Task = Literal["mortality24", "sepsis", "aki", "los"]
TASKS: Final[tuple[Task, ...]] = ("mortality24", "sepsis", "aki", "los")
COHORT: Final = "eicu_demo"
VITALS: Final = ("hr", "resp", "o2sat", "temp", "sbp", "dbp", "map")
STATIC: Final = ("age", "male", "height", "weight")
_KEYS: Final = ("stay_id", "time")


class Rows(NamedTuple):
    """Hours of one task, stays together and in time order."""

    task: str
    stay: Ints  # [N] eICU's number
    hour: Ints  # [N]
    names: tuple[str, ...]
    value: Floats  # [N, V], NaN = not measured
    static: Floats  # [N, 4] as STATIC
    label: Floats  # [N]; of mortality24 only at the last hour, NaN before; hours left for los


def read(folder: Path, task: Task) -> Rows:
    """Rows of one task.

    Parameters
    ----------
    folder : Path
        `demo_data`.
    task : str
        One of TASKS.

    Raises
    ------
    SourceError
        If a file or column is absent, or an hour twice.
    """
    place = folder / task / COHORT
    dyn, outcome, static = (_table(place / f"{name}.parquet") for name in ("dyn", "outc", "sta"))
    names = tuple(n for n in dyn.column_names if n not in _KEYS)
    stay, hour = _ints(dyn, "stay_id"), _hours(dyn)
    order = np.lexsort((hour, stay))
    stay, hour = stay[order], hour[order]
    if ((stay[1:] == stay[:-1]) & (hour[1:] == hour[:-1])).any():
        raise SourceError(f"{place}: an hour of a stay is there twice")
    value = np.stack([_floats(dyn.column(n)) for n in names], axis=1)[order]
    label = _label(outcome, stay, hour)
    return Rows(task, stay, hour, names, value, _static(static, stay), label)


def folds_of(rows: Sequence[Rows], folds: int, seed: int = 0) -> dict[int, int]:
    """Fold of every stay of any task: a stay is in one fold in all of them."""
    stays = np.unique(np.concatenate([r.stay for r in rows]))
    number = np.random.default_rng(seed).permutation(len(stays)) % folds
    return {int(stay): int(fold) for stay, fold in zip(stays, number, strict=True)}


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: cannot be read as Parquet") from error


def _label(outcome: pa.Table, stay: Ints, hour: Ints) -> Floats:
    """The outcome of every row; of one label per stay, at its last row."""
    of, value = _ints(outcome, "stay_id"), _floats(outcome.column("label"))
    found = np.full(len(stay), np.nan)
    if "time" in outcome.column_names:
        known = dict(
            zip(zip(of.tolist(), _hours(outcome).tolist(), strict=True), value, strict=True)
        )
        keys = zip(stay.tolist(), hour.tolist(), strict=True)
        return np.array([known.get(key, np.nan) for key in keys])
    last = np.append(stay[1:] != stay[:-1], True)
    whole = dict(zip(of.tolist(), value, strict=True))
    found[last] = [whole.get(s, np.nan) for s in stay[last].tolist()]
    return found


def _static(table: pa.Table, stay: Ints) -> Floats:
    """Age, sex, height and weight of every row's stay."""
    of = _ints(table, "stay_id")
    sex = table.column("sex").to_pylist()
    male = [1.0 if s == "Male" else 0.0 if s == "Female" else np.nan for s in sex]
    columns = [_floats(table.column("age")), np.array(male)]
    columns += [_floats(table.column(n)) for n in ("height", "weight")]
    order = np.argsort(of)
    place = order[np.minimum(np.searchsorted(of[order], stay), len(of) - 1)]
    found: Floats = np.where((of[place] == stay)[:, None], np.stack(columns, 1)[place], np.nan)
    return found


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table.column(name).cast(pa.int64()).to_numpy()
    return found


def _floats(column: pa.ChunkedArray) -> Floats:
    found: Floats = column.cast(pa.float64()).to_numpy()
    return found


def _hours(table: pa.Table) -> Ints:
    seconds: Ints = table.column("time").cast(pa.duration("s")).cast(pa.int64()).to_numpy()
    return seconds // 3600
