"""Inputs of a model that are no measurement: care that may move a sign, and notes as numbers."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from features.align import AlignedBatch
from features.asof import AsOf, FactsAt, facts_at
from features.facts import N_CONCEPTS
from features.text import embedding
from features.vectors import LOCAL, MOST_DIMENSIONS
from models.inputs import AGE, FRESH, VALUE, Feed
from models.schema import misfits, schema_hash, source_of
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from streams.records import ClinicalEvent
from tests.models.conftest import END_US, Case, _batch

S = 1_000_000
NOTE = ClinicalEvent(
    "n", 1, "final", "p", "note", None, "", "Febrile, cough", END_US - 60 * S, END_US - 60 * S, ""
)
DOSE = msgspec.structs.replace(NOTE, event_id="d", code="medication", text="Paracetamol")


def modality(*names: str) -> ModalitySpec:
    features = tuple(FeatureSpec(name, "1", -1.0, 1.0) for name in names)
    return ModalitySpec("m", "embedding", features, 72 * 3600.0)


def feed(*names: str) -> Feed:
    return Feed(ModelSpec("m", "1", "f", "t", (60.0,), 60.0, 0.0, (modality(*names),)))


def aligned(*events: ClinicalEvent) -> AlignedBatch:
    """One row of a patient with these events and nothing else."""
    store = AsOf()
    for event in events:
        assert store.insert(event, event.known_time_us) is None
    batch = _batch([Case()])
    window = batch.features.windows[0]
    found: FactsAt = facts_at([store], np.array([window.end_us]), np.array([window.known_us]))
    return batch._replace(
        effect_value=found.value[:, N_CONCEPTS:],
        effect_time_us=found.time_us[:, N_CONCEPTS:],
        stores=(store,),
    )


def test_a_notes_numbers_reach_the_model_that_asks_for_them() -> None:
    names = [f"{LOCAL}#{i}" for i in range(32)]
    packed = feed(*names).rows(aligned(NOTE)).packed[0]
    assert packed[VALUE].tolist() == embedding("Febrile, cough").tolist()
    assert set(packed[AGE].tolist()) == {60.0}


def test_without_a_note_every_number_is_missing() -> None:
    for batch in (aligned(), _batch([Case()])):
        rows = feed(f"{LOCAL}#0").rows(batch)
        assert np.isnan(rows.packed[0, VALUE]).all()
        assert rows.member[0, 0] == -1


def test_a_note_is_no_evidence_number_by_number() -> None:
    own = feed(f"{LOCAL}#0", "effect:antipyretic")
    rows = own.rows(aligned(NOTE, DOSE))
    told = own.told(rows, [END_US], [np.zeros(2, np.float32)])[0]
    assert [(item.code, item.label, item.source) for item in told] == [
        ("effect:antipyretic", "Antipyretic", "med")
    ]


def test_an_effect_is_one_while_it_may_be_at_work() -> None:
    own = feed("effect:antipyretic", "effect:opioid")
    packed = own.rows(aligned(DOSE)).packed[0]
    assert packed[VALUE, 0] == 1.0
    assert np.isnan(packed[VALUE, 1])
    assert packed[AGE, 0] == 60.0
    assert packed[FRESH].tolist() == [0.0, 0.0]
    old = msgspec.structs.replace(DOSE, event_time_us=END_US - 7 * 3600 * S)
    assert np.isnan(own.rows(aligned(old)).packed[0, VALUE]).all()


def test_a_corrected_note_changes_the_rows_of_a_model() -> None:
    fixed = msgspec.structs.replace(NOTE, version=2, status="corrected", text="Afebrile")
    own = feed(f"{LOCAL}#0")
    before, after = own.rows(aligned(NOTE)), own.rows(aligned(NOTE, fixed))
    assert before.packed.tobytes() != after.packed.tobytes()


@pytest.mark.parametrize(
    "name",
    ["effect:nonsense", f"{LOCAL}#32", f"{LOCAL}#-1", "bert#0", f"b/1/{MOST_DIMENSIONS + 1}#0"],
)
def test_what_is_no_input_is_refused(name: str) -> None:
    assert source_of(name) is None
    assert misfits([modality(name)])


def test_another_encoder_or_number_is_another_schema() -> None:
    names = ("bert/1/768#0", "bert/2/768#0", "bert/1/768#1", "effect:insulin", "effect:opioid")
    assert len({schema_hash([modality(name)]) for name in names}) == len(names)
