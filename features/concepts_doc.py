"""The table of concepts as a page for people: `docs/concepts.md` is its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from features.concepts import CONCEPTS, Concept

_HEAD: Final = """# Clinical concepts

Generated from `features/concepts.toml` by `features.concepts_doc.render`; a test compares. Do not
edit. How a fact gets here: [importers](importers.md), [CSV](events-csv.md).

A fact is taken under its code, an alias or a LOINC code, in any case, and is converted to the unit
shown: UCUM and the usual spellings (`mmHg`, `bpm`, `°F`, `mcg/min`) are read, `K/uL` is thousands
per microlitre and never kelvin. Mass and amount convert where the molar mass is given, equivalents
and amount where the charge is; everything else is refused with a reason, never guessed. A value
outside the range is refused as implausible. Older than *valid for* is missing; *half-life* is for
models that weigh by age. No code was verified where a coding is empty.
"""
_COLUMNS: Final = (
    "code",
    "what",
    "unit",
    "range",
    "valid for",
    "half-life",
    "converts by",
    "codings",
    "aliases",
)
_TITLES: Final = {
    "vital": "Vital signs",
    "lab": "Laboratory",
    "med": "Medication",
    "intake": "Intake",
    "activity": "Activity and sleep",
    "note": "Words",
    "static": "Statics",
}


def render(concepts: Sequence[Concept] = CONCEPTS) -> str:
    """The concepts as Markdown, one table per modality.

    Parameters
    ----------
    concepts : sequence of Concept

    Returns
    -------
    str
        Ends with a newline; the same table gives the same text.
    """
    lines = [_HEAD]
    for modality, title in _TITLES.items():
        rows = [c for c in concepts if c.modality == modality]
        if not rows:
            continue
        lines += [
            f"## {title}",
            f"| {' | '.join(_COLUMNS)} |",
            "|---" * len(_COLUMNS) + "|",
            *(_row(concept) for concept in rows),
            "",
        ]
    return "\n".join(lines)


def _row(concept: Concept) -> str:
    """One line of a table; a bar inside a cell is escaped."""
    cells = (
        f"`{concept.code}`",
        concept.label,
        concept.unit,
        _range(concept),
        _hours(concept.max_age_s),
        _hours(concept.half_life_s),
        _conversion(concept),
        _codings(concept),
        ", ".join(concept.aliases),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _range(concept: Concept) -> str:
    if concept.is_text:
        return "text"
    if not concept.words:
        return f"{concept.lo:g} to {concept.hi:g}"
    values = sorted(set(concept.words.values()))
    first = [
        next(w for w, v in concept.words.items() if v == value and len(w) > 1) for value in values
    ]
    return ", ".join(f"{value:g} {word}" for value, word in zip(values, first, strict=True))


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    if hours < 1:
        return f"{seconds / 60:g} min"
    if hours < 48:
        return f"{hours:g} h"
    return f"{hours / 24:g} d" if hours < 24 * 365 else f"{hours / 24 / 365:g} a"


def _conversion(concept: Concept) -> str:
    parts = []
    if concept.molar_mass:
        parts.append(f"{concept.molar_mass:g} g/mol")
    if concept.charge:
        parts.append(f"charge {concept.charge}")
    return ", ".join(parts)


def _codings(concept: Concept) -> str:
    parts = [
        f"{name} {' '.join(map(str, codes))}"
        for name, codes in (
            ("LOINC", concept.loinc),
            ("SNOMED", concept.snomed),
            ("OMOP", concept.omop),
        )
        if codes
    ]
    return "; ".join(parts)
