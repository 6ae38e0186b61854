"""What MIMIC-III items are: `mimic3.toml` and the data set's own dictionaries, as one lookup."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from features import concepts
from service.csv_records import read_records
from service.importers import files
from streams.errors import SourceError

HOUR_US: Final = 3_600_000_000


class Item(NamedTuple):
    """One item: its codings, and how its values are written."""

    codings: tuple[str, ...]
    concept: str
    blank: str = ""  # unit of a value written without one
    units: Mapping[str, str] = {}  # written unit -> what it means here
    words: Mapping[str, str] = {}  # written word -> word of the concept
    leave: frozenset[str] = frozenset()  # words with no place on the concept


class Rules(NamedTuple):
    """`mimic3.toml`."""

    items: Mapping[str, Item]
    delay_us: Mapping[str, int]  # by table


@functools.cache
def rules() -> Rules:
    """The package's table of items."""
    text = importlib.resources.files("service.importers").joinpath("mimic3.toml")
    tree = tomllib.loads(text.read_text(encoding="utf-8"))
    items = {
        str(item_id): Item(
            (f"mimic3|{item_id}", f"vigil|{row['concept']}"),
            row["concept"],
            row.get("blank", ""),
            row.get("units", {}),
            row.get("words", {}),
            frozenset(row.get("leave", ())),
        )
        for row in tree["item"]
        for item_id in row["ids"]
    }
    delay = {table: round(hours * HOUR_US) for table, hours in tree["delay_h"].items()}
    return Rules(items, delay)


def lab_items(folder: Path) -> dict[str, Item]:
    """Items of the laboratory: those of the table, and blood tests by the LOINC code they have."""
    found = dict(rules().items)
    for row in rows_of(folder, "d_labitems"):
        item_id, loinc = row.get("itemid", ""), row.get("loinc_code", "")
        if item_id in found or row.get("fluid", "").casefold() != "blood":
            continue
        concept = concepts.coded("loinc", loinc)
        if concept is not None:
            found[item_id] = Item((f"mimic3|{item_id}", f"loinc|{loinc}"), concept.code)
    return found


def labels(folder: Path) -> dict[str, str]:
    """Label of every item, for people and for the names of medications."""
    found: dict[str, str] = {}
    for name in ("d_items", "d_labitems"):
        for row in rows_of(folder, name):
            found[row["itemid"]] = row.get("label", "")
    return found


def table_path(folder: Path, table: str) -> Path | None:
    """File of a table in either case, packed or not; None if there is none."""
    for name in (f"{table}.csv", f"{table.upper()}.csv"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def rows_of(folder: Path, table: str) -> Iterator[dict[str, str]]:
    """Rows of a small table by column; none if there is no such file."""
    path = table_path(folder, table)
    if path is None:
        return
    with files.text(path) as handle:
        records = read_records(handle)
        header = header_of(path, next(records, None))
        for record in records:
            if record.fields is not None and len(record.fields) == len(header):
                yield dict(zip(header, record.fields, strict=True))


def header_of(path: Path, record: Any) -> list[str]:
    """Column names in lower case.

    Raises
    ------
    SourceError
        If the file is empty or its first line is not a header.
    """
    if record is None or record.fields is None:
        raise SourceError(f"{path}: line 1: no header")
    return [name.strip().casefold() for name in record.fields]
