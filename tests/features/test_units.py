"""Units: the grammar, the traps of charts, and what is refused."""

from __future__ import annotations

import pytest

from features import units
from features.concepts import CONCEPTS, INDEX, conversion


@pytest.mark.parametrize(
    ("left", "right", "factor"),
    [
        ("mg/dL", "g/L", 0.01),
        ("10*3/uL", "10*9/L", 1.0),
        ("10*3.uL-1", "10*9/L", 1.0),
        ("mm[Hg]", "kPa", 0.133322387415),
        ("cm[H2O]", "Pa", 98.0665),
        ("1/min", "Hz", 1 / 60),
        ("/min", "min-1", 1.0),
        ("{beats}/min", "/min", 1.0),
        ("ug/kg/min", "mg/kg/h", 0.06),
        ("ug/(kg.min)", "ug/kg/min", 1.0),
        ("U/L", "ukat/L", 1 / 60),
        ("[lb_av]", "kg", 0.45359237),
        ("%", "1", 0.01),
        ("a", "d", 365.25),
    ],
)
def test_units_of_one_dimension_convert(left: str, right: str, factor: float) -> None:
    one, other = units.parse(left), units.parse(right)
    assert one is not None
    assert other is not None
    found = units.rule(one, other)
    assert found is not None
    assert found == (pytest.approx(factor, rel=1e-12), 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "furlong",
        "mg/",
        "/",
        "mg//dL",
        "mg dL",
        "(mg/dL",
        "mg/dL)",
        "()",
        "{score}",  # may stand for anything
        "Cel/min",  # an offset scale in a quotient
        "Cel2",
        "m99",
        "10*99",
        "0",
        "m9.m9",
        "(" * 40,
        "m" * 49,
        "mmHg",
        "bpm",
        "IU/L",
        "mcg/min",
    ],
)
def test_what_is_not_ucum_is_no_unit(text: str) -> None:
    assert units.parse(text) is None


@pytest.mark.parametrize(
    ("code", "unit", "factor"),
    [
        ("wbc", "K/uL", 1.0),  # kelvin per microlitre to a UCUM parser
        ("plt", "k/uL", 1.0),
        ("wbc", "K/mm3", 1.0),
        ("rbc", "m/uL", 1.0),  # metre per microlitre to a UCUM parser
        ("sbp", "mmHg", 1.0),
        ("hr", "bpm", 1.0),
        ("hr", "Hz", 60.0),
        ("alt", "IU/L", 1.0),
        ("alt", "ukat/L", 60.0),
        ("insulin_bolus", "U", 1.0),  # the enzyme unit to a UCUM parser
        ("insulin_basal_rate", "U/h", 1.0),
        ("norepinephrine", "mcg/kg/min", 1.0),
        ("norepinephrine", "mg/kg/h", 1000 / 60),
        ("peep", "cmH2O", 1.0),
        ("peep", "mbar", 1.0197162129779282),
        ("glucose", "mmol/L", 18.0156),
        ("cgm_glucose", "mmol/L", 18.0156),
        ("cholesterol", "mmol/L", 38.6654),
        ("lactate", "mg/dL", 10 / 90.078),
        ("ca", "mmol/L", 4.0078),
        ("ca", "mEq/L", 2.0039),  # two equivalents per mole
        ("ica", "mEq/L", 0.5),
        ("mg", "mmol/L", 2.4305),
        ("mg", "meq/L", 1.21525),
        ("k", "mEq/L", 1.0),
        ("phos", "mmol/L", 3.09738),
        ("troponin_i", "ng/L", 0.001),
        ("troponin_t", "ug/L", 1.0),
        ("hct", "L/L", 100.0),
        ("hct", "1", 100.0),
        ("fio2", "fraction", 100.0),
        ("mchc", "%", 1.0),
        ("weight", "lbs", 0.45359237),
        ("height", "m", 100.0),
        ("age_years", "mo", 1 / 12),
        ("d_dimer", "ug/mL FEU", 1000.0),
    ],
)
def test_a_trap_is_read_as_the_chart_means_it(code: str, unit: str, factor: float) -> None:
    found = conversion(code, unit)
    assert found is not None
    assert found == (pytest.approx(factor, rel=1e-9), 0.0)


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("glucose", "Mg/dL"),  # milligrams in a careless chart, megagrams in UCUM
        ("glucose", "Mmol/L"),
        ("urine_output", "ML"),
        ("k", "mg/dL"),
        ("phos", "mEq/L"),  # its charge depends on pH
        ("wbc", "%"),
        ("neut", "10*3/uL"),  # a count is not a share
        ("hb", "mmol/L"),  # monomer or tetramer
        ("norepinephrine", "mcg/min"),  # needs the weight
        ("insulin_bolus", "U/h"),
        ("insulin_bolus", "mL"),
        ("d_dimer", "ng/mL"),  # FEU or DDU, a factor of two
        ("d_dimer", "ng/mL DDU"),
        ("spo2", "{score}"),
        ("spo2", "mmHg"),
        ("gcs", "%"),
        ("temp", "Cel/h"),
        ("crp", "mmol/L"),
        ("hr", "ug/kg/min"),  # kilograms of the patient cancel nothing
        ("norepinephrine", "/min"),
        ("spo2", "mg/g"),
        ("hr", ""),
    ],
)
def test_what_has_two_meanings_or_none_is_refused(code: str, unit: str) -> None:
    assert conversion(code, unit) is None


def test_every_capital_spelling_of_a_listed_unit_is_the_same_unit_or_refused() -> None:
    for concept in CONCEPTS:
        for spelling, rule in concept.units.items():
            assert conversion(concept.code, spelling.upper()) in (rule, None)


def test_two_look_alikes_in_the_table_are_an_error() -> None:
    with pytest.raises(ValueError, match="two things"):
        units.read_spellings({"mg": "mg", "MG": "Mg"})
    with pytest.raises(ValueError, match="not a unit"):
        units.read_spellings({"x": "furlong"})
    with pytest.raises(ValueError, match="not a unit"):
        units.compile_rules("furlong", {})
    with pytest.raises(ValueError, match="two things"):
        units.compile_rules("mg", units.read_spellings({"MG": "Mg"}))


def test_the_table_and_the_parser_agree() -> None:
    for concept in CONCEPTS:
        if concept.ucum:
            assert conversion(concept.code, concept.unit) == (1.0, 0.0), concept.code
    assert INDEX["wbc"] != INDEX["plt"]
