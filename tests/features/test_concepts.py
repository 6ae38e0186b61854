"""Clinical concepts: the table's own laws and the unit traps."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.concepts import CONCEPTS, INDEX, Concept, Normalised, coded, find, normalise, word_of
from streams.records import Reason

# fmt: off
REQUIRED = [
    "sbp", "dbp", "map", "hr", "resp_rate", "spo2", "temp", "consciousness", "oxygen",
    "o2_flow", "fio2", "spo2_scale", "gcs", "lactate", "creatinine", "bun", "wbc", "hb",
    "plt", "k", "na", "glucose", "bilirubin", "crp", "ph", "pco2", "po2", "hco3",
    "urine_output", "medication", "note",
]
CINC_2019 = (
    "HR O2Sat Temp SBP MAP DBP Resp EtCO2 BaseExcess HCO3 FiO2 pH PaCO2 SaO2 AST BUN Alkalinephos "
    "Calcium Chloride Creatinine Bilirubin_direct Glucose Lactate Magnesium Phosphate Potassium "
    "Bilirubin_total TroponinI Hct Hgb PTT WBC Fibrinogen Platelets Age Gender"
)
CINC_2012 = (
    "Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR "
    "K Lactate Mg MAP MechVent Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH Platelets RespRate SaO2 "
    "SysABP Temp TroponinI TroponinT Urine WBC Weight Age Gender Height"
)
YAIB = (
    "alb alp alt ast be bicar bili bili_dir bnd bun ca cai ck ckmb cl crea crp dbp fgn fio2 glu "
    "hgb hr inr_pt k lact lymph map mch mchc mcv methb mg na neut o2sat pco2 ph phos plt po2 ptt "
    "resp sbp temp tnt urine wbc age sex height weight"
)
# fmt: on


def test_every_required_concept_is_there_once() -> None:
    assert set(REQUIRED) <= {c.code for c in CONCEPTS}
    assert list(INDEX.values()) == list(range(len(CONCEPTS)))


@pytest.mark.parametrize("columns", [CINC_2019, CINC_2012, YAIB], ids=["2019", "2012", "yaib"])
def test_the_columns_of_public_data_sets_are_names_of_concepts(columns: str) -> None:
    names = columns.split()
    assert [name for name in names if find(name) is None] == []
    found = [concept.code for concept in map(find, names) if concept is not None]
    merged = {"sbp", "dbp", "map"}  # invasive and cuff pressures are one concept
    assert {code for code in found if found.count(code) > 1} <= merged


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda c: c.code)
def test_a_concept_says_how_long_it_holds_and_where_it_belongs(concept: Concept) -> None:
    assert 0 < concept.half_life_s <= concept.max_age_s
    assert concept.modality in {"vital", "lab", "med", "intake", "activity", "note", "static"}


def test_a_terminology_is_asked_for_its_own_codes() -> None:
    found = coded("loinc", "8480-6")
    assert found is not None
    assert found.code == "sbp"
    assert coded("snomed", "8480-6") is None
    assert coded("omop", "4152194") == found


def test_codes_of_the_terminologies_have_their_form_and_no_second_owner() -> None:
    loinc = [code for c in CONCEPTS for code in c.loinc]
    assert [code for code in loinc if not re.fullmatch(r"\d{1,6}-\d", code)] == []
    assert [code for code in loinc if not _loinc_check_digit(code)] == []
    for codes in (
        loinc,
        [x for c in CONCEPTS for x in c.snomed],
        [x for c in CONCEPTS for x in c.omop],
    ):
        assert len(codes) == len(set(codes))


def _loinc_check_digit(code: str) -> bool:
    """Mod 10 of LOINC's users' guide, appendix C: a mistyped code rarely passes."""
    body, check = code.split("-")
    odd = "".join(body[::-1][::2][::-1])
    total = sum(map(int, str(int(odd) * 2))) + sum(map(int, body[::-1][1::2]))
    return (10 - total % 10) % 10 == int(check)


def test_no_two_concepts_share_a_name() -> None:
    names = [n.casefold() for c in CONCEPTS for n in (c.code, *c.aliases, *c.loinc)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda c: c.code)
def test_a_concept_has_range_age_and_its_own_unit_unchanged(concept: Concept) -> None:
    assert concept.lo <= concept.hi
    assert concept.max_age_s > 0
    if not concept.is_text:
        result = normalise(concept.code, concept.hi, concept.unit, "")
        if concept.unit == "1":  # a bare number: of spo2_scale only
            assert concept.code == "spo2_scale"
        assert result == Normalised(concept.code, concept.hi, concept.unit, "")


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        ("wbc", 12.5, "K/uL", 12.5),  # not kelvin per microlitre
        ("plt", 250.0, "k/µl", 250.0),  # U+00B5
        ("plt", 250.0, "K/μL", 250.0),  # U+03BC
        ("plt", 250_000.0, "/uL", 250.0),
        ("wbc", 7.1, "10^9/L", 7.1),
        ("wbc", 7.1, "x10e9/L", 7.1),
        ("sbp", 120.0, "mmHg", 120.0),
        ("sbp", 120.0, "mm Hg", 120.0),
        ("sbp", 120.0, "MMHG", 120.0),
        ("sbp", 16.0, "kPa", 120.009852),
        ("pco2", 5.3, "kPa", 39.753264),
        ("temp", 98.6, "°F", 37.0),
        ("temp", 310.15, "K", 37.0),
        ("temp", 37.2, "°C", 37.2),
        ("hr", 72.0, "bpm", 72.0),
        ("hr", 72.0, "1/min", 72.0),
        ("fio2", 0.4, "1", 40.0),
        ("fio2", 40.0, "%", 40.0),
        ("spo2", 0.97, "fraction", 97.0),
        ("glucose", 5.5, "mmol/L", 99.0858),
        ("glucose", 99.0, "mg/dL", 99.0),
        ("creatinine", 88.4, "umol/L", 0.999963),
        ("bun", 5.0, "mmol/L", 14.0067),
        ("bilirubin", 17.1, "µmol/L", 0.999772),
        ("lactate", 18.0, "mg/dL", 1.998268),
        ("hb", 140.0, "g/L", 14.0),
        ("crp", 1.5, "mg/dL", 15.0),
        ("k", 4.1, "mEq/L", 4.1),
        ("ph", 7.35, "", 7.35),
        ("gcs", 15.0, "", 15.0),
        ("urine_output", 0.3, "L", 300.0),
        ("o2_flow", 2.0, "l/min", 2.0),
    ],
)
def test_a_listed_unit_is_converted(code: str, value: float, unit: str, expected: float) -> None:
    result = normalise(code, value, unit, "")
    assert isinstance(result, Normalised)
    assert result.value == pytest.approx(expected, abs=1e-6)
    assert result.unit == CONCEPTS[INDEX[code]].unit


@pytest.mark.parametrize(
    ("code", "value", "unit", "text", "reason"),
    [
        ("nonsense", 1.0, "", "", Reason.UNKNOWN_CONCEPT),
        ("", 1.0, "", "", Reason.UNKNOWN_CONCEPT),
        ("sbp", 120.0, "", "", Reason.BAD_UNIT),  # a quantity needs its unit
        ("sbp", 120.0, "furlong", "", Reason.BAD_UNIT),
        ("fio2", 40.0, "", "", Reason.BAD_UNIT),
        ("hb", 8.7, "mmol/L", "", Reason.BAD_UNIT),  # monomer or tetramer?
        ("k", 16.0, "mg/dL", "", Reason.BAD_UNIT),
        ("urine_output", 50.0, "mL/h", "", Reason.BAD_UNIT),  # a rate is no volume
        ("consciousness", 1.0, "%", "", Reason.BAD_UNIT),
        ("sbp", 16.0, "kPa ", "", None),
        ("sbp", 301.0, "mmHg", "", Reason.IMPLAUSIBLE),
        ("temp", 98.6, "Cel", "", Reason.IMPLAUSIBLE),  # Fahrenheit under a Celsius label
        ("temp", 37.0, "°F", "", Reason.IMPLAUSIBLE),
        ("fio2", 0.4, "%", "", Reason.IMPLAUSIBLE),  # a fraction under a percent label
        ("fio2", 40.0, "1", "", Reason.IMPLAUSIBLE),
        ("spo2", 0.97, "%", "", Reason.IMPLAUSIBLE),
        ("consciousness", 5.0, "", "", Reason.IMPLAUSIBLE),
        ("consciousness", 0.5, "", "", Reason.IMPLAUSIBLE),
        ("spo2_scale", 3.0, "", "", Reason.IMPLAUSIBLE),
        ("sbp", None, "mmHg", "", Reason.BAD_FIELD),
        ("sbp", None, "mmHg", "120", Reason.BAD_FIELD),  # a number hidden in text is not read
        ("sbp", math.nan, "mmHg", "", Reason.BAD_FIELD),
        ("sbp", math.inf, "mmHg", "", Reason.BAD_FIELD),
        ("consciousness", None, "", "drowsy-ish", Reason.BAD_FIELD),
        ("consciousness", 0.0, "", "pain", Reason.BAD_FIELD),  # they contradict each other
        ("medication", None, "", "  ", Reason.BAD_FIELD),
        ("note", math.nan, "", "seen", Reason.BAD_FIELD),
    ],
)
def test_what_cannot_be_read_gets_its_reason(
    code: str, value: float | None, unit: str, text: str, reason: Reason | None
) -> None:
    result = normalise(code, value, unit, text)
    assert (result if isinstance(result, Reason) else None) == reason


@pytest.mark.parametrize(
    ("code", "text", "value"),
    [
        ("consciousness", "Alert", 0.0),
        ("consciousness", "A", 0.0),
        ("acvpu", "new  Confusion", 1.0),
        ("avpu", "v", 2.0),
        ("67775-7", "PAIN", 3.0),
        ("consciousness", "unresponsive", 4.0),
        ("oxygen", "room air", 0.0),
        ("oxygen", "O2", 1.0),
        ("oxygen", "Oxygen", 1.0),
    ],
)
def test_a_category_is_read_from_its_word(code: str, text: str, value: float) -> None:
    result = normalise(code, None, "", text)
    assert isinstance(result, Normalised)
    assert result.value == value


@pytest.mark.parametrize("code", ["consciousness", "oxygen", "spo2_scale"])
def test_a_category_value_reads_back_from_its_word(code: str) -> None:
    concept = CONCEPTS[INDEX[code]]
    for value in sorted(set(concept.words.values())):
        result = normalise(code, None, "", word_of(concept, value))
        assert isinstance(result, Normalised)
        assert result.value == value


def test_a_medication_is_its_text_and_its_dose_unit_is_not_read() -> None:
    assert normalise("medication", 40.0, "mg", "furosemide") == Normalised(
        "medication", 1.0, "", "furosemide"
    )


@pytest.mark.parametrize("name", ["8480-6", "76534-7", "SBP", " Systolic "])
def test_alias_loinc_and_any_case_find_the_concept(name: str) -> None:
    concept = find(name)
    assert concept is not None
    assert concept.code == "sbp"


@given(
    st.sampled_from([c.code for c in CONCEPTS]) | st.text(max_size=12),
    st.none() | st.floats(),
    st.text(max_size=8) | st.sampled_from(["%", "mmHg", "mmol/L", "1", ""]),
    st.text(max_size=12),
)
@settings(deadline=None)
def test_normalise_never_raises_and_stays_inside_the_range(
    code: str, value: float | None, unit: str, text: str
) -> None:
    result = normalise(code, value, unit, text)
    if isinstance(result, Normalised):
        concept = CONCEPTS[INDEX[result.code]]
        assert concept.lo <= result.value <= concept.hi
        assert result.unit == concept.unit
        assert normalise(*result) == result  # doing it twice changes nothing
    else:
        assert isinstance(result, Reason)
