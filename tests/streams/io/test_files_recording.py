"""Chunks of a recording: what comes out is what went in, in the order it was recorded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import chunk_fault
from streams.errors import ConfigError
from streams.io.files.recording import (
    DEFAULT_BASE_US,
    Recording,
    Signal,
    append_us,
    chunks,
    quantise,
)
from streams.records import MISSING_SAMPLE, Chunk

FS_HZ = (0.1, 1.0, 25.0, 64.0, 128.0, 359.9)


def rebuilt(parts: list[Chunk], n_samples: int) -> np.ndarray:
    out = np.full(n_samples, np.nan)
    for part in parts:
        data = np.frombuffer(part.data, "<i2")
        values = np.where(data == MISSING_SAMPLE, np.nan, data * part.scale + part.offset)
        out[part.first_sample : part.first_sample + len(data)] = values
    return out


def recording(*signals: Signal) -> Recording:
    return Recording("p", "d", "made.csv", signals)


samples = st.lists(
    st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6, allow_subnormal=False)),
    min_size=1,
    max_size=400,
)


@given(samples, st.sampled_from(FS_HZ), st.sampled_from((0.5, 1.0, 2.0, 7.3)))
def test_chunks_put_together_are_the_signal_within_half_a_step(values, fs_hz, chunk_s):
    signal = Signal("ppg", fs_hz, "1", DEFAULT_BASE_US, np.array(values))
    parts = list(chunks(recording(signal), chunk_s))
    back = rebuilt(parts, len(values))
    step = quantise(signal).scale
    np.testing.assert_array_equal(np.isnan(back), np.isnan(signal.samples))
    known = ~np.isnan(back)
    slack = 1e-9 * np.abs(signal.samples[known]) + 1e-12
    assert np.all(np.abs(back[known] - signal.samples[known]) <= step / 2 + slack)
    assert [chunk_fault(part) for part in parts] == [None] * len(parts)


@given(samples, st.sampled_from((1.0, 3.0)))
def test_chunk_length_does_not_change_a_sample(values, chunk_s):
    signal = Signal("ppg", 25.0, "1", DEFAULT_BASE_US, np.array(values))
    whole = rebuilt(list(chunks(recording(signal), 1e6)), len(values))
    cut = rebuilt(list(chunks(recording(signal), chunk_s)), len(values))
    np.testing.assert_array_equal(cut, whole)


def test_a_16_bit_source_keeps_its_digital_values_bit_for_bit():
    digital = np.array([-2048, -1, 0, 1, 2047, 1024])
    signal = Signal("ecg", 360.0, "mV", 0, (digital - 1024) / 200, 1 / 200, -1024 / 200)
    assert quantise(signal).data.tolist() == digital.tolist()


def test_whole_numbers_are_kept_as_they_are():
    digital = quantise(Signal("hr", 1.0, "1/min", 0, np.array([94.0, np.nan, 180.0])))
    assert (digital.scale, digital.offset) == (1.0, 0.0)
    assert digital.data.tolist() == [94, MISSING_SAMPLE, 180]


def test_a_24_bit_source_falls_back_to_its_range():
    signal = Signal("ecg", 250.0, "mV", 0, np.array([-8e6, 1.0, 8e6]) / 1e3, 1e-3, 0.0)
    assert quantise(signal).scale == pytest.approx(16e3 / 65000)


def test_a_constant_is_exact():
    digital = quantise(Signal("temp", 1.0, "Cel", 0, np.full(3, 36.6)))
    assert (digital.data * digital.scale + digital.offset).tolist() == [36.6] * 3


def test_infinite_samples_are_missing():
    digital = quantise(Signal("ecg", 1.0, "mV", 0, np.array([np.inf, 0.25, -np.inf])))
    assert digital.data.tolist() == [MISSING_SAMPLE, 0, MISSING_SAMPLE]


def test_chunks_come_in_the_order_of_their_end_then_of_their_name():
    slow = Signal("temp", 0.1, "Cel", 0, np.full(3, 36.6))
    first = Signal("ecg", 250.0, "mV", 0, np.zeros(2500))
    second = Signal("acc_x", 250.0, "g", 0, np.zeros(2500))
    parts = list(chunks(recording(slow, first, second), 1.0))
    keys = [(append_us(part), part.signal) for part in parts]
    assert keys == sorted(keys)
    assert [part.seq for part in parts] == list(range(len(parts)))


def test_a_stretch_without_samples_gives_no_chunk_but_counts():
    values = np.concatenate([np.ones(25), np.full(50, np.nan), np.ones(25)])
    parts = list(chunks(recording(Signal("resp", 25.0, "1", 0, values)), 1.0))
    assert [(part.first_sample, part.start_us) for part in parts] == [(0, 0), (75, 3_000_000)]


def test_start_of_a_chunk_is_rounded_once_and_does_not_drift():
    parts = list(chunks(recording(Signal("ppg", 64.1, "1", 7, np.zeros(64_100))), 1.0))
    assert parts[-1].start_us == 7 + round(parts[-1].first_sample * 1e6 / 64.1)


def test_a_slow_signal_has_one_sample_per_chunk():
    parts = list(chunks(recording(Signal("temp", 0.1, "Cel", 0, np.full(3, 36.6))), 1.0))
    assert [len(part.data) // 2 for part in parts] == [1, 1, 1]


def test_an_empty_signal_gives_nothing():
    assert list(chunks(recording(Signal("ecg", 250.0, "mV", 0, np.empty(0))), 1.0)) == []


@pytest.mark.parametrize("chunk_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_chunk_length_that_cannot_be_is_refused(chunk_s):
    with pytest.raises(ConfigError, match="chunk_s"):
        next(chunks(recording(Signal("ecg", 250.0, "mV", 0, np.zeros(5))), chunk_s))
