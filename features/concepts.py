"""The table of clinical concepts, and the one gate every charted fact passes.

`concepts.toml` is the only list of concepts, `units.toml` of the spellings of units; both are
compiled into factor tables at import. Not here: what a concept means for a score (`models`), or
which of several facts is in force (`features.asof`).
"""

from __future__ import annotations

import functools
import importlib.resources
import math
import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from features import units
from streams.records import Reason

_HOUR_S: Final = 3600.0
_AGREE: Final = 1e-9  # two readings of a unit are the same one
_CACHED_UNITS: Final = 4096  # (concept, spelling) pairs remembered; texts come from outside


class Concept(NamedTuple):
    """One kind of clinical fact.

    `units` maps a folded spelling to (factor, offset): value in `unit` = value * factor + offset.
    `words` is not empty for categories: the text that may stand for each value.
    """

    code: str
    label: str
    unit: str
    modality: str  # vital, lab, med, intake, activity, note, static: the `source` of evidence
    lo: float
    hi: float
    max_age_s: float  # older than this (equal is still valid): missing
    half_life_s: float  # a value this old weighs half as much as a fresh one
    loinc: tuple[str, ...]
    snomed: tuple[str, ...]
    omop: tuple[int, ...]
    aliases: tuple[str, ...]
    units: Mapping[str, tuple[float, float]]
    ucum: bool  # units outside `units` are read as UCUM
    molar_mass: float  # g/mol; 0 = amount and mass do not convert
    charge: int  # equivalents per mole; 0 = they do not convert
    words: Mapping[str, float]
    is_text: bool  # the fact is its text; its value only says that it is there


class Normalised(NamedTuple):
    """A fact in the concept's canonical code and unit; `value` is finite."""

    code: str
    value: float
    unit: str
    text: str


def _read(name: str) -> dict[str, Any]:
    """One of the package's own tables."""
    text = importlib.resources.files("features").joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _concept(row: Mapping[str, Any], spellings: Mapping[str, units.Unit]) -> Concept:
    """Concept of one row of the table.

    Raises
    ------
    ValueError
        If its units cannot be read or mean two things.
    """
    lo, hi = row.get("range", (1, 1))
    return Concept(
        code=row["code"],
        label=row["label"],
        unit=row["unit"],
        modality=row["modality"],
        lo=float(lo),
        hi=float(hi),
        max_age_s=row["max_age_h"] * _HOUR_S,
        half_life_s=row["half_life_h"] * _HOUR_S,
        loinc=tuple(row.get("loinc", ())),
        snomed=tuple(row.get("snomed", ())),
        omop=tuple(row.get("omop", ())),
        aliases=tuple(row.get("aliases", ())),
        units=_units(row, spellings),
        ucum=not (row.get("text") or _is_bare(row) or "only" in row),
        molar_mass=float(row.get("molar_mass", 0.0)),
        charge=row.get("charge", 0),
        words={word: float(value) for word, value in row.get("words", {}).items()},
        is_text=row.get("text", False),
    )


def _is_bare(row: Mapping[str, Any]) -> bool:
    """Whether the concept is a number without dimension."""
    return "bare" in row or row["unit"] == "1" or row["unit"].startswith("{")


def _units(
    row: Mapping[str, Any], spellings: Mapping[str, units.Unit]
) -> dict[str, tuple[float, float]]:
    """Factor table of one row."""
    if row.get("text"):
        return {}
    if "only" in row:
        return {units.fold(name): (float(factor), 0.0) for name, factor in row["only"].items()}
    if _is_bare(row):
        names = (*row.get("bare", ("", "1")), row["unit"])
        return {units.fold(name): (1.0, 0.0) for name in names}
    own = units.read_spellings(row.get("units", {}))
    return units.compile_rules(
        row["unit"], {**spellings, **own}, row.get("molar_mass", 0.0), row.get("charge", 0)
    )


def _load() -> tuple[Concept, ...]:
    spellings = units.read_spellings(_read("units.toml")["spellings"])
    return tuple(_concept(row, spellings) for row in _read("concepts.toml")["concept"])


CONCEPTS: Final[tuple[Concept, ...]] = _load()
INDEX: Final[dict[str, int]] = {concept.code: i for i, concept in enumerate(CONCEPTS)}

_LOOKUP: Final[dict[str, Concept]] = {
    name.casefold(): concept
    for concept in CONCEPTS
    for name in (concept.code, *concept.aliases, *concept.loinc)
}
_CODED: Final[dict[tuple[str, str], Concept]] = {
    (system, str(code)): concept
    for concept in CONCEPTS
    for system in ("loinc", "snomed", "omop")
    for code in getattr(concept, system)
}


def find(code: str) -> Concept | None:
    """Concept of a canonical code, alias or LOINC code, in any case; None if there is none.

    Examples
    --------
    >>> find("8480-6").code, find("Heart_Rate").code, find("nonsense")
    ('sbp', 'hr', None)
    """
    return _LOOKUP.get(code.strip().casefold())


def coded(system: str, code: str) -> Concept | None:
    """Concept of a code in one terminology: "loinc", "snomed" or "omop"; None if there is none.

    Examples
    --------
    >>> coded("omop", "4152194").code, coded("snomed", "4152194")
    ('sbp', None)
    """
    return _CODED.get((system, code.strip()))


def normalise(code: str, value: float | None, unit: str, text: str) -> Normalised | Reason:
    """Charted fact in its concept's own code and unit, or why it cannot be.

    Parameters
    ----------
    code : str
        Canonical code, alias or LOINC code, in any case.
    value : float or None
        In `unit`; None when the fact is its text.
    unit : str
        As charted: UCUM or a listed spelling. Empty only where the concept has no unit.
    text : str
        Word of a category ("new confusion"), name of a medication, or a note.

    Returns
    -------
    Normalised or Reason
        UNKNOWN_CONCEPT; BAD_FIELD (neither value nor text, a value that is not finite, a word
        the category does not know or that contradicts the value); BAD_UNIT; IMPLAUSIBLE.

    Notes
    -----
    An unknown unit is refused, never guessed. The unit and dose of a medication are not read.
    Results are rounded to 1e-6 so that 98.6 °F is 37.0 °C. Checked against:
    ``tests/features/test_concepts.py``, ``tests/features/test_units.py``.

    Examples
    --------
    >>> normalise("8310-5", 98.6, "°F", "")
    Normalised(code='temp', value=37.0, unit='Cel', text='')
    >>> normalise("wbc", 12.0, "mg/dL", "")
    <Reason.BAD_UNIT: 'bad_unit'>
    """
    concept = find(code)
    if concept is None:
        return Reason.UNKNOWN_CONCEPT
    if value is not None and not math.isfinite(value):
        return Reason.BAD_FIELD
    if concept.is_text:
        if not text.strip():
            return Reason.BAD_FIELD
        return Normalised(concept.code, 1.0, concept.unit, text)
    if concept.words:
        return _category(concept, value, unit, text)
    if value is None:
        return Reason.BAD_FIELD
    rule = conversion(concept.code, unit)
    if rule is None:
        return Reason.BAD_UNIT
    converted = round(value * rule[0] + rule[1], 6)
    if not concept.lo <= converted <= concept.hi:
        return Reason.IMPLAUSIBLE
    return Normalised(concept.code, converted, concept.unit, text)


@functools.lru_cache(maxsize=_CACHED_UNITS)
def conversion(code: str, unit: str) -> tuple[float, float] | None:
    """(factor, offset) from `unit` to the unit of the concept `code`, None if there is none.

    Parameters
    ----------
    code : str
        Canonical code.
    unit : str
        A listed spelling in any case, or UCUM. Where a text is both and they disagree ("Mg/dL":
        milligrams in a careless chart, megagrams in UCUM) it is refused.

    Examples
    --------
    >>> conversion("glucose", "mmol/L"), conversion("wbc", "K/uL"), conversion("glucose", "Mg/dL")
    ((18.0156, 0.0), (1.0, 0.0), None)
    """
    concept = CONCEPTS[INDEX[code]]
    listed = concept.units.get(units.fold(unit))
    if not concept.ucum:
        return listed
    read = units.parse(unit)
    wanted = units.parse(concept.unit)
    exact = None
    if read is not None and wanted is not None:
        exact = units.rule(read, wanted, concept.molar_mass, concept.charge)
    if listed is None or exact is None:
        return listed or exact
    same = math.isclose(listed[0], exact[0], rel_tol=_AGREE) and listed[1] == exact[1]
    return listed if same else None


def _category(concept: Concept, value: float | None, unit: str, text: str) -> Normalised | Reason:
    """Fact of a category from its value, its word, or both when they agree."""
    if units.fold(unit) not in concept.units:
        return Reason.BAD_UNIT
    word = concept.words.get(" ".join(text.split()).casefold())
    if value is None:
        value = word
    if value is None or (word is not None and word != value):
        return Reason.BAD_FIELD
    if value not in concept.words.values():
        return Reason.IMPLAUSIBLE
    return Normalised(concept.code, float(value), concept.unit, text)


def word_of(concept: Concept, value: float) -> str:
    """Word for a value of a category, "" for a concept that is a quantity.

    Examples
    --------
    >>> word_of(CONCEPTS[INDEX["consciousness"]], 1.0)
    'confusion'
    """
    long = (w for w, number in concept.words.items() if number == value and len(w) > 2)
    return next(long, "")
