"""Which source each input of a rule score is taken from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from features.align import AlignedBatch
from models.rule_inputs import PARAMETERS, evidence, modalities, select
from models.score import Evidence

Aligned = Callable[..., AlignedBatch]
END_US = 1_700_000_000_000_000


def chosen(batch: AlignedBatch, parameter: str) -> Evidence | None:
    inputs = select(batch)
    column = PARAMETERS.index(parameter)
    if np.isnan(inputs.value[0, column]):
        return None
    present = [p for i, p in enumerate(PARAMETERS) if not np.isnan(inputs.value[0, i])]
    return evidence(inputs, [END_US], np.ones((1, 7), dtype=np.int64))[0][present.index(parameter)]


@pytest.mark.parametrize(
    ("parameter", "order", "fact"),
    [
        ("resp_rate", ["resp_rate_per_min", "resp_device_per_min"], "resp_rate"),
        ("spo2", ["spo2_mean_pct"], "spo2"),
        (
            "pulse",
            ["ecg_hr_bpm", "ppg_pulse_rate_bpm", "hr_mean_bpm", "pulse_mean_bpm"],
            "hr",
        ),
        ("temp", ["temp_mean_c"], "temp"),
    ],
)
def test_the_first_source_present_is_taken(
    aligned: Aligned, parameter: str, order: list[str], fact: str
) -> None:
    for start in range(len(order) + 1):
        features = {name: 36.0 + i for i, name in enumerate(order) if i >= start}
        found = chosen(aligned((features, {fact: 39.5})), parameter)
        assert found is not None
        assert found.code == (order[start] if start < len(order) else fact)
        assert found.source == ("wearable" if start < len(order) else "vital")


@pytest.mark.parametrize(
    ("value", "quality", "taken"),
    [
        (34.9, 1.0, False),
        (35.0, 1.0, False),  # would chart as hypothermia
        (35.04, 1.0, False),
        (35.05, 1.0, True),
        (37.0, 1.0, True),
        (37.0, 0.5, True),
        (37.0, 0.49, False),
        (42.0, 1.0, True),
        (42.05, 1.0, False),
        (30.0, 1.0, False),
    ],
)
def test_a_skin_temperature_never_stands_for_hypothermia(
    aligned: Aligned, value: float, quality: float, taken: bool
) -> None:
    alone = chosen(aligned(({"temp_mean_c": (value, quality)}, {})), "temp")
    assert (alone is not None) == taken
    charted = chosen(aligned(({"temp_mean_c": (value, quality)}, {"temp": 34.0})), "temp")
    assert charted is not None
    assert charted.code == ("temp_mean_c" if taken else "temp")


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        ({"oxygen": 0.0}, 0.0),
        ({"oxygen": 1.0}, 1.0),
        ({"o2_flow": 2.0}, 1.0),
        ({"o2_flow": 0.0}, 0.0),
        ({"fio2": 21.0}, 0.0),
        ({"fio2": 24.0}, 1.0),
        ({"oxygen": (0.0, 9000.0), "o2_flow": (4.0, 60.0)}, 1.0),  # the newer statement
        ({"oxygen": (0.0, 60.0), "o2_flow": (4.0, 9000.0)}, 0.0),
        ({"oxygen": 0.0, "o2_flow": 4.0}, 0.0),  # same time: the statement itself
        ({"o2_flow": 0.0, "fio2": 40.0}, 0.0),
        ({}, None),
    ],
)
def test_oxygen_is_the_newest_statement(
    aligned: Aligned, facts: Mapping[str, object], value: float | None
) -> None:
    found = select(aligned(({}, facts))).value[0, PARAMETERS.index("oxygen")]
    assert np.array_equal(found, np.nan if value is None else value, equal_nan=True)


def test_oxygen_from_a_flow_shows_the_flow(aligned: Aligned) -> None:
    found = chosen(aligned(({}, {"o2_flow": 4.0})), "oxygen")
    assert found is not None
    assert (found.code, found.value, found.unit) == ("o2_flow", 4.0, "L/min")


def test_consciousness_is_never_derived_from_gcs(aligned: Aligned) -> None:
    assert chosen(aligned(({}, {"gcs": 9.0})), "consciousness") is None


def test_a_category_is_shown_with_its_word(aligned: Aligned) -> None:
    found = chosen(aligned(({}, {"consciousness": 1.0})), "consciousness")
    assert found is not None
    assert found.label == "Consciousness: confusion"


def test_evidence_carries_time_age_and_quality(aligned: Aligned) -> None:
    batch = aligned(({"ecg_hr_bpm": (131.123456, 0.93)}, {"sbp": (98.0, 1800.0)}))
    pulse, sbp = chosen(batch, "pulse"), chosen(batch, "sbp")
    assert pulse is not None
    assert sbp is not None
    assert (pulse.value, pulse.unit, pulse.age_s, pulse.quality) == (131.1235, "1/min", 0.0, 0.93)
    assert (sbp.age_s, sbp.time_us, sbp.quality) == (1800.0, END_US - 1_800_000_000, 1.0)


def test_a_feature_without_a_reason_ok_is_not_used(aligned: Aligned) -> None:
    batch = aligned(({"ecg_hr_bpm": 80.0}, {}))
    batch.features.reason[:] = 4
    assert chosen(batch, "pulse") is None


def test_modalities_of_nothing_are_all_absent() -> None:
    assert modalities(()) == (
        {"wearable": 0.0, "vital": 0.0},
        {"wearable": False, "vital": False},
    )
