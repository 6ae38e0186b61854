"""Names and units of signals, whatever a file calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streams.errors import SourceError
from streams.io.files.names import canonical_names, in_default_unit
from streams.io.files.recording import Signal

FILE = Path("x.edf")


def one(name: str, unit: str, value: float) -> Signal:
    return Signal(name, 1.0, unit, 0, np.array([value]), 0.1, 0.0)


def test_lead_two_is_the_ecg_wherever_it_stands():
    assert canonical_names(["V5", "MLII"], [360, 360]) == ["ecg_v5", "ecg"]


def test_without_lead_two_the_first_lead_is_the_ecg():
    assert canonical_names(["V5", "V2"], [360, 360]) == ["ecg", "ecg_v2"]


def test_resp_as_a_number_is_a_rate():
    assert canonical_names(["RESP", "RESP"], [125, 1]) == ["resp", "resp_rate"]


def test_names_are_distinct_even_if_labels_are_not():
    assert canonical_names(["PLETH", "PPG", "bvp"], [64] * 3) == ["ppg", "ppg_2", "ppg_3"]


def test_edf_type_prefixes_are_no_part_of_the_lead():
    assert canonical_names(["ECG V1", "ECG II", "EEG Fpz-Cz"], [256] * 3) == [
        "ecg_v1",
        "ecg",
        "eeg_fpz_cz",
    ]


@pytest.mark.parametrize(
    ("name", "unit", "value", "expected"),
    [
        ("ecg", "uV", 500.0, 0.5),
        ("ecg_v5", "V", 0.001, 1.0),
        ("temp", "degF", 98.6, 37.0),
        ("temp", "K", 310.15, 37.0),
        ("acc_x", "m/s^2", 9.80665, 1.0),
        ("acc_x", "mg", 1000.0, 1.0),
        ("spo2", "", 97.0, 97.0),
        ("ppg", "adu", 5.0, 5.0),
    ],
)
def test_units_become_those_of_the_signal_table(name, unit, value, expected):
    assert in_default_unit(FILE, one(name, unit, value)).samples[0] == pytest.approx(expected)


def test_the_integer_grid_follows_the_unit():
    signal = in_default_unit(FILE, one("temp", "degF", 98.6))
    assert (signal.step, signal.zero) == pytest.approx((0.1 * 5 / 9, -160 / 9))


def test_a_number_in_an_unknown_unit_is_refused():
    with pytest.raises(SourceError, match=r"x\.edf, unit of temp: 'hPa' is not one of"):
        in_default_unit(FILE, one("temp", "hPa", 37.0))


def test_a_wave_in_a_unit_of_its_own_keeps_it():
    assert in_default_unit(FILE, one("ecg", "adu", 3.0)).unit == "adu"
