"""Stored scores as columns: what `vigil replay` left, or any Parquet with a score per row.

Not here: judging them (`service.backtest_exact`, `service.backtest_light`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.score import Evidence, RuleScore, Score
from service.results import SOMETIMES
from streams.errors import SourceError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
FILE: Final = "scores.parquet"
_RULE: Final = msgspec.json.Decoder(RuleScore | None)
_EVIDENCE: Final = msgspec.json.Decoder(tuple[Evidence, ...])
_MAP: Final = msgspec.json.Decoder(dict[str, Any])
_NUMBERS: Final = ("value", "lower", "upper", "std", "completeness", "horizon_s")


class ScoreTable(NamedTuple):
    """Scores of many patients; a patient's rows are together and in the order they were made.

    `patients[patient[i]]` and `scorers[scorer[i]]` are the names of row i. Absent numbers are
    NaN. `texts` holds the columns that are there of news2, evidence, share, present (JSON) and of
    `SOMETIMES`.
    """

    patients: tuple[str, ...]
    scorers: tuple[str, ...]
    patient: Ints  # [n] rising
    scorer: Ints
    start_us: Ints
    end_us: Ints
    known_us: Ints
    revision: Ints
    numbers: dict[str, Floats]  # value, lower, upper, std, completeness, horizon_s
    calibrated: NDArray[np.bool_]
    models: Sequence[str]
    texts: dict[str, pa.ChunkedArray]

    @property
    def size(self) -> int:
        """How many scores."""
        return len(self.patient)

    def bounds(self) -> Ints:
        """Where each patient's rows begin, and the end: patient p has bounds[p]:bounds[p+1]."""
        return np.searchsorted(self.patient, np.arange(len(self.patients) + 1))

    def of_patients(self, names: Collection[str]) -> ScoreTable:
        """The scores of some patients."""
        kept = np.array([name in names for name in self.patients], np.bool_)
        rows = np.flatnonzero(kept[self.patient])
        number = np.cumsum(kept) - 1
        return ScoreTable(
            tuple(name for name in self.patients if name in names),
            self.scorers,
            number[self.patient[rows]],
            self.scorer[rows],
            self.start_us[rows],
            self.end_us[rows],
            self.known_us[rows],
            self.revision[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            self.calibrated[rows],
            [self.models[row] for row in rows.tolist()],
            {name: column.take(pa.array(rows)) for name, column in self.texts.items()},
        )

    def rule(self, row: int) -> RuleScore | None:
        """The rule score of a row, if it is one's."""
        text = self._text("news2", row)
        return None if text is None else _RULE.decode(text)

    def evidence(self, row: int) -> tuple[Evidence, ...]:
        """The inputs of a row."""
        text = self._text("evidence", row)
        return () if text is None else _EVIDENCE.decode(text)

    def score(self, row: int) -> Score:
        """A row as the live engine's record: the same that was stored."""
        numbers = {name: _number(self.numbers[name][row]) for name in _NUMBERS}
        completeness, horizon_s = numbers.pop("completeness"), numbers.pop("horizon_s")
        return Score(
            patient_id=self.patients[self.patient[row]],
            scorer=self.scorers[self.scorer[row]],
            model=self.models[row],
            start_us=int(self.start_us[row]),
            end_us=int(self.end_us[row]),
            known_us=int(self.known_us[row]),
            revision=int(self.revision[row]),
            calibrated=bool(self.calibrated[row]),
            completeness=1.0 if completeness is None else completeness,
            horizon_s=horizon_s or 0.0,
            share=_MAP.decode(self._text("share", row) or "{}"),
            present=_MAP.decode(self._text("present", row) or "{}"),
            news2=self.rule(row),
            evidence=self.evidence(row),
            **self._sometimes(row),
            value=numbers["value"],
            lower=numbers["lower"],
            upper=numbers["upper"],
            std=numbers["std"],
        )

    def _sometimes(self, row: int) -> dict[str, Any]:
        """What only some scorers say."""
        cells = {name: self.texts[name][row].as_py() for name in SOMETIMES if name in self.texts}
        return {
            name: tuple(cell) if isinstance(cell, list) else cell
            for name, cell in cells.items()
            if cell is not None
        }

    def _text(self, name: str, row: int) -> str | None:
        column = self.texts.get(name)
        return None if column is None else column[row].as_py()


def score_files(source: Path) -> list[Path]:
    """The score files a source names: a Parquet file, or a folder that a replay wrote."""
    if source.is_dir():
        return [source / FILE] if (source / FILE).is_file() else []
    return [source] if source.suffix == ".parquet" and _has_scores(source) else []


def read_scores(paths: Sequence[Path]) -> ScoreTable:
    """Read score files as one table.

    Parameters
    ----------
    paths : sequence of Path
        With at least the columns patient_id, end_us and value. Without `known_us` a score was
        known at its end, without `scorer` it is called "score", without `start_us` its window is
        a minute.

    Raises
    ------
    SourceError
        If a file cannot be read or lacks a column.
    """
    tables = []
    for path in paths:
        try:
            tables.append(pq.read_table(path))
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path}: cannot be read as Parquet") from error
        missing = {"patient_id", "end_us", "value"} - set(tables[-1].column_names)
        if missing:
            raise SourceError(f"{path}: no scores: column {', '.join(sorted(missing))} is absent")
    return from_arrow(pa.concat_tables(tables, promote_options="default"))


def from_arrow(table: pa.Table) -> ScoreTable:
    """A table of Arrow columns as scores; rows of a patient keep their order."""
    patients, patient = _coded(table.column("patient_id"))
    order = np.argsort(patient, kind="stable")
    table = table.take(pa.array(order))
    count = len(order)
    end_us = _ints(table, "end_us", np.zeros(count, np.int64))
    scorers, scorer = (
        _coded(table.column("scorer"))
        if "scorer" in table.column_names
        else (("score",), np.zeros(count, np.int64))
    )
    numbers = {name: _floats(table, name) for name in _NUMBERS}
    for name in ("lower", "upper"):
        if name not in table.column_names:
            numbers[name] = numbers["value"]
    calibrated = np.zeros(count, np.bool_)
    if "calibrated" in table.column_names:
        column = table.column("calibrated").combine_chunks()
        calibrated = column.to_numpy(zero_copy_only=False).astype(np.bool_)
    models: Sequence[str] = ["stored"] * count
    if "model" in table.column_names:
        models = table.column("model").to_pylist()
    return ScoreTable(
        patients,
        scorers,
        patient[order],
        scorer,
        _ints(table, "start_us", end_us - 60_000_000),
        end_us,
        _ints(table, "known_us", end_us),
        _ints(table, "revision", np.zeros(count, np.int64)),
        numbers,
        calibrated,
        models,
        {
            name: table.column(name)
            for name in ("news2", "evidence", "share", "present", *SOMETIMES)
            if name in table.column_names
        },
    )


def only(table: ScoreTable, rows: Ints) -> Iterator[tuple[int, str | None, str | None]]:
    """Rows with their news2 and evidence texts, read in bulk."""
    texts = [
        table.texts[name].take(pa.array(rows)).to_pylist()
        if name in table.texts
        else [None] * len(rows)
        for name in ("news2", "evidence")
    ]
    yield from zip(rows.tolist(), *texts, strict=True)


def _coded(column: pa.ChunkedArray) -> tuple[tuple[str, ...], Ints]:
    """Names in the order they first come, and a number per row."""
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    return tuple(coded.dictionary.to_pylist()), coded.indices.to_numpy().astype(np.int64)


def _ints(table: pa.Table, name: str, default: Ints) -> Ints:
    if name not in table.column_names:
        return default
    found: Ints = table.column(name).cast(pa.int64()).combine_chunks().to_numpy()
    return found


def _floats(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    column = table.column(name).cast(pa.float64()).combine_chunks()
    found: Floats = column.to_numpy(zero_copy_only=False)
    return found


def _number(value: float) -> float | None:
    return None if value != value else float(value)


def _has_scores(path: Path) -> bool:
    try:
        names = set(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return False
    return {"patient_id", "end_us", "value"} <= names
