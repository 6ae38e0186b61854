"""THE table of clinical concepts: code, unit, range, maximum age, codings, unit conversion.

Every charted fact passes `normalise` before anything else sees it. Not here: what a concept
means for a score (`models`), or which of several facts is in force (`features.asof`).

Ranges say what can be a measurement at all; they are those of the ricu ICU library widened
where it would drop a survivable value (30 °C, haemoglobin 3 g/dL). LOINC codes are those seen
in mimic-code and FHIR vital-signs pages; where none was verified the tuple is empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from streams.records import Reason

_SPOT_S = 12 * 3600.0  # NEWS2 observes at least 12-hourly (RCP 2017): older is not an observation
_DAY_S = 86_400.0


class Concept(NamedTuple):
    """One kind of clinical fact. `units` maps a unit, folded, to (factor, offset).

    value in `unit` = value * factor + offset. `words` is not empty for categories: the text
    that may stand for each value. Facts whose `modality` is "med" or "note" are text; their
    value is 1.
    """

    code: str
    label: str
    unit: str
    modality: str  # vital, lab, med, note: the `source` of evidence
    lo: float
    hi: float
    max_age_s: float  # older than this (equal is still valid): missing
    loinc: tuple[str, ...]
    aliases: tuple[str, ...]
    units: Mapping[str, tuple[float, float]]
    words: Mapping[str, float] = {}

    @property
    def is_text(self) -> bool:
        """Whether the fact is its text, so that its value only says that it is there."""
        return self.modality in ("med", "note")


class Normalised(NamedTuple):
    """A fact in the concept's canonical code and unit; `value` is finite."""

    code: str
    value: float
    unit: str
    text: str


def _table(rows: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """One entry per spelling; '|' separates the spellings of a row."""
    return {_fold_unit(name): rule for names, rule in rows.items() for name in names.split("|")}


def _fold_unit(unit: str) -> str:
    """Unit without spaces, in one case, with one letter for micro."""
    return "".join(unit.split()).casefold().replace("\u03bc", "u")  # casefold: U+00B5 -> U+03BC


_MMHG_PER_KPA = 7.500615758  # 1 kPa / 133.322387415 Pa
_UREA_N_MG_DL = 2.80134  # 1 mmol/L urea: two nitrogen atoms of 14.0067 g/mol
_CREATININE_MG_DL = 11.3118  # 113.118 g/mol
_GLUCOSE_MG_DL = 18.0156  # 180.156 g/mol
_BILIRUBIN_MG_DL = 58.4662  # 584.662 g/mol
_LACTATE_MMOL_L = 10 / 90.078  # lactic acid 90.078 g/mol

_SAME = (1.0, 0.0)
_SCORE = _table({"|1|{score}": _SAME})  # the empty spelling: no unit given
_RATE = _table({"/min|1/min|min-1|bpm|beats/min|breaths/min|brpm|{beats}/min": _SAME})
_PRESSURE = _table({"mm[Hg]|mmHg|mm(Hg)|torr": _SAME, "kPa": (_MMHG_PER_KPA, 0.0)})
_PERCENT = _table({"%|pct|percent": _SAME, "1|fraction|{fraction}": (100.0, 0.0)})
_FLOW = _table({"L/min|lpm": _SAME, "mL/min": (0.001, 0.0)})
_VOLUME = _table({"mL|cc": _SAME, "L": (1000.0, 0.0)})
_TEMPERATURE = _table(
    {
        "Cel|°C|C|degC|degrees C": _SAME,
        "[degF]|°F|F|degF|degrees F": (5 / 9, -160 / 9),
        "K": (1.0, -273.15),
    }
)
_CELLS = _table(  # a UCUM parser reads K/uL as kelvin per microlitre: here it is thousands
    {
        "10*3/uL|10^3/uL|x10^3/uL|10e3/uL|K/uL|thou/uL|10*3/mm3": _SAME,
        "10*9/L|10^9/L|x10^9/L|10e9/L|x10e9/L": _SAME,
        "/uL|cells/uL|{cells}/uL|/mm3|/mcL": (0.001, 0.0),
    }
)
_MONOVALENT = _table({"mmol/L|mEq/L": _SAME})  # charge 1: one to one
_LACTATE = _table({"mmol/L": _SAME, "mg/dL": (_LACTATE_MMOL_L, 0.0)})
_CREATININE = _table(
    {
        "mg/dL": _SAME,
        "umol/L|mcmol/L": (_CREATININE_MG_DL / 1000, 0.0),
        "mmol/L": (_CREATININE_MG_DL, 0.0),
    }
)
_UREA = _table({"mg/dL": _SAME, "mmol/L": (_UREA_N_MG_DL, 0.0)})
_GLUCOSE = _table({"mg/dL": _SAME, "mmol/L": (_GLUCOSE_MG_DL, 0.0)})
_BILIRUBIN = _table({"mg/dL": _SAME, "umol/L|mcmol/L": (_BILIRUBIN_MG_DL / 1000, 0.0)})
_CRP = _table({"mg/L|ug/mL|mcg/mL": _SAME, "mg/dL": (10.0, 0.0)})
# mmol/L of haemoglobin may mean monomer or tetramer, a factor of four: refused.
_HAEMOGLOBIN = _table({"g/dL": _SAME, "g/L": (0.1, 0.0)})

_ACVPU = {
    **dict.fromkeys(("a", "alert", "awake"), 0.0),
    **dict.fromkeys(("c", "confusion", "confused", "new confusion"), 1.0),
    **dict.fromkeys(("v", "voice", "verbal", "responds to voice"), 2.0),
    **dict.fromkeys(("p", "pain", "responds to pain"), 3.0),
    **dict.fromkeys(("u", "unresponsive"), 4.0),
}
_OXYGEN = {
    **dict.fromkeys(("air", "room air", "ra", "no"), 0.0),
    **dict.fromkeys(("oxygen", "o2", "on oxygen", "supplemental oxygen", "yes"), 1.0),
}
_SCALE = {"scale 1": 1.0, "scale 2": 2.0}


# fmt: off
CONCEPTS: tuple[Concept, ...] = (
    # code, label, unit, modality, lo, hi, max_age_s,
    #     loinc, aliases, units, words
    Concept("sbp", "Systolic blood pressure", "mm[Hg]", "vital", 0, 300, _SPOT_S,
            ("8480-6", "76534-7"), ("systolic", "sysbp", "nibp_systolic"), _PRESSURE),
    Concept("dbp", "Diastolic blood pressure", "mm[Hg]", "vital", 0, 200, _SPOT_S,
            ("8462-4", "76535-4"), ("diastolic", "diasbp", "nibp_diastolic"), _PRESSURE),
    Concept("map", "Mean arterial pressure", "mm[Hg]", "vital", 0, 250, _SPOT_S,
            ("8478-0", "76536-2"), ("mean_bp", "nibp_mean"), _PRESSURE),
    Concept("hr", "Heart rate", "/min", "vital", 0, 300, _SPOT_S,
            ("8867-4",), ("heart_rate", "pulse", "pulse_rate"), _RATE),
    Concept("resp_rate", "Respiration rate", "/min", "vital", 0, 120, _SPOT_S,
            ("9279-1",), ("respiratory_rate", "respiration_rate", "resp"), _RATE),
    Concept("spo2", "SpO2", "%", "vital", 30, 100, _SPOT_S,
            ("59408-5", "2708-6"), ("oxygen_saturation", "o2sat"), _PERCENT),
    Concept("temp", "Temperature", "Cel", "vital", 25, 45, _SPOT_S,
            ("8310-5",), ("temperature", "body_temperature"), _TEMPERATURE),
    Concept("consciousness", "Consciousness", "{ACVPU}", "vital", 0, 4, _SPOT_S,
            ("67775-7",), ("acvpu", "avpu"), _table({"|{ACVPU}|1": _SAME}), _ACVPU),
    Concept("oxygen", "Air or oxygen", "{oxygen}", "vital", 0, 1, _SPOT_S,
            (), ("o2_therapy", "oxygen_therapy", "supplemental_oxygen"),
            _table({"|{oxygen}|1": _SAME}), _OXYGEN),
    Concept("o2_flow", "Oxygen flow", "L/min", "vital", 0, 100, _SPOT_S,
            ("3151-8",), ("oxygen_flow",), _FLOW),
    Concept("fio2", "Inspired oxygen", "%", "vital", 21, 100, _SPOT_S,
            ("3150-0",), (), _PERCENT),
    # A prescription, not an observation: it holds until changed, here a month.
    Concept("spo2_scale", "SpO2 scale", "1", "vital", 1, 2, 30 * _DAY_S,
            (), ("news2_spo2_scale",), _SCORE, _SCALE),
    Concept("gcs", "Glasgow Coma Scale", "{score}", "vital", 3, 15, _SPOT_S,
            ("9269-2",), ("gcs_total",), _SCORE),
    # Quantities that change within hours stay valid for one day, the others for two or three.
    Concept("lactate", "Lactate", "mmol/L", "lab", 0, 50, _DAY_S,
            ("32693-4",), (), _LACTATE),
    Concept("creatinine", "Creatinine", "mg/dL", "lab", 0, 30, 2 * _DAY_S,
            ("2160-0",), ("crea",), _CREATININE),
    # Urea in mg/dL is not urea nitrogen in mg/dL, hence no alias "urea".
    Concept("bun", "Urea nitrogen", "mg/dL", "lab", 0, 300, 2 * _DAY_S,
            ("3094-0",), ("urea_nitrogen",), _UREA),
    Concept("wbc", "White cells", "10*3/uL", "lab", 0, 1000, 2 * _DAY_S,
            ("6690-2",), ("leukocytes", "white_cells"), _CELLS),
    Concept("hb", "Haemoglobin", "g/dL", "lab", 1, 25, 2 * _DAY_S,
            ("718-7",), ("haemoglobin", "hemoglobin", "hgb"), _HAEMOGLOBIN),
    Concept("plt", "Platelets", "10*3/uL", "lab", 0, 3000, 2 * _DAY_S,
            ("777-3",), ("platelets",), _CELLS),
    Concept("k", "Potassium", "mmol/L", "lab", 0.5, 12, _DAY_S,
            ("2823-3", "6298-4"), ("potassium",), _MONOVALENT),
    Concept("na", "Sodium", "mmol/L", "lab", 80, 200, _DAY_S,
            ("2951-2", "2947-0"), ("sodium",), _MONOVALENT),
    Concept("hco3", "Bicarbonate", "mmol/L", "lab", 1, 60, _DAY_S,
            ("1963-8", "1959-6"), ("bicarbonate", "bicarb"), _MONOVALENT),
    Concept("glucose", "Glucose", "mg/dL", "lab", 0, 2000, _DAY_S,
            ("2345-7", "2339-0"), (), _GLUCOSE),
    Concept("bilirubin", "Bilirubin, total", "mg/dL", "lab", 0, 100, 3 * _DAY_S,
            ("1975-2",), ("bili", "bilirubin_total"), _BILIRUBIN),
    Concept("crp", "C-reactive protein", "mg/L", "lab", 0, 1000, 3 * _DAY_S,
            ("1988-5",), ("c_reactive_protein",), _CRP),
    Concept("ph", "Blood pH", "[pH]", "lab", 6.5, 8, _DAY_S,
            ("11558-4",), (), _table({"|[pH]|pH|1": _SAME})),
    Concept("pco2", "Carbon dioxide pressure", "mm[Hg]", "lab", 5, 250, _DAY_S,
            ("11557-6",), ("paco2",), _PRESSURE),
    Concept("po2", "Oxygen pressure", "mm[Hg]", "lab", 10, 700, _DAY_S,
            ("11556-8",), ("pao2",), _PRESSURE),
    # 9187-6 is in use for it but was not verified: no LOINC rather than a guessed one.
    Concept("urine_output", "Urine output", "mL", "vital", 0, 5000, _SPOT_S,
            (), ("urine",), _VOLUME),
    Concept("medication", "Medication", "", "med", 1, 1, _DAY_S,
            (), ("med", "drug"), {}),
    Concept("note", "Note", "", "note", 1, 1, 3 * _DAY_S,
            (), ("nursing_note", "clinical_note"), {}),
)
# fmt: on

INDEX: dict[str, int] = {concept.code: i for i, concept in enumerate(CONCEPTS)}

_LOOKUP: dict[str, Concept] = {
    name.casefold(): concept
    for concept in CONCEPTS
    for name in (concept.code, *concept.aliases, *concept.loinc)
}


def find(code: str) -> Concept | None:
    """Concept of a canonical code, alias or LOINC code, in any case; None if there is none.

    Examples
    --------
    >>> find("8480-6").code, find("Heart_Rate").code, find("nonsense")
    ('sbp', 'hr', None)
    """
    return _LOOKUP.get(code.strip().casefold())


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
    ``tests/features/test_concepts.py``.

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
    rule = concept.units.get(_fold_unit(unit))
    if rule is None:
        return Reason.BAD_UNIT
    converted = round(value * rule[0] + rule[1], 6)
    if not concept.lo <= converted <= concept.hi:
        return Reason.IMPLAUSIBLE
    return Normalised(concept.code, converted, concept.unit, text)


def _category(concept: Concept, value: float | None, unit: str, text: str) -> Normalised | Reason:
    """Fact of a category from its value, its word, or both when they agree."""
    if _fold_unit(unit) not in concept.units:
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
