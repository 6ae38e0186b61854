"""The simulated ward: the same for everyone who asks, in order, and with what it promises."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from service.sim_physiology import ON_OXYGEN, PLANTED, profile, vitals
from service.simulate import Ward
from streams.codec import decode, encode
from streams.errors import ConfigError
from streams.records import MISSING_SAMPLE, ClinicalEvent, DeviceStatus, SignalBundle


def log(**options):
    return list(Ward(**options))


def patient_of(record) -> str:
    return record.chunks[0].patient_id if isinstance(record, SignalBundle) else record.patient_id


def signals(entries, patient_id: str, start_us: int) -> dict[str, np.ndarray]:
    """Every signal of one patient on its own grid, NaN where nothing came."""
    parts = [
        chunk
        for _, record in entries
        if isinstance(record, SignalBundle)
        for chunk in record.chunks
        if chunk.patient_id == patient_id
    ]
    found = {}
    for name, chunks in itertools.groupby(
        sorted(parts, key=lambda c: c.signal), lambda c: c.signal
    ):
        chunks = list(chunks)
        n_samples = max(chunk.first_sample + len(chunk.data) // 2 for chunk in chunks)
        found[name] = np.full(n_samples, np.nan)
        for chunk in chunks:
            assert chunk.start_us == start_us + round(chunk.first_sample * 1e6 / chunk.fs_hz)
            data = np.frombuffer(chunk.data, "<i2")
            values = np.where(data == MISSING_SAMPLE, np.nan, data * chunk.scale)
            found[name][chunk.first_sample : chunk.first_sample + len(data)] = values
    return found


def test_a_seed_gives_the_same_log_twice():
    assert log(patients=2, seed=3, duration_s=130) == log(patients=2, seed=3, duration_s=130)


def test_another_seed_gives_another_log():
    assert log(patients=1, seed=3, duration_s=60) != log(patients=1, seed=4, duration_s=60)


def test_a_patient_is_the_same_in_a_small_and_in_a_large_ward():
    few = [entry for entry in log(patients=3, duration_s=130) if patient_of(entry[1]) == "sim-03"]
    many = [entry for entry in log(patients=12, duration_s=130) if patient_of(entry[1]) == "sim-03"]
    assert few == many


def test_chunk_length_changes_no_sample():
    short = log(patients=5, duration_s=120, chunk_s=1)
    long = log(patients=5, duration_s=120, chunk_s=10)
    for number in range(1, 6):
        one, other = (
            signals(entries, f"sim-{number:02d}", Ward().start_us) for entries in (short, long)
        )
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_longer_run_begins_like_a_shorter_one():
    short, long = log(patients=2, duration_s=90), log(patients=2, duration_s=240)
    assert [entry for entry in long if entry[0] <= short[-1][0]][: len(short)] == short


def test_append_times_never_go_back():
    times = [append_us for append_us, _ in Ward(patients=6, duration_s=400)]
    assert times == sorted(times)


def test_every_record_survives_the_codec():
    for _, record in Ward(patients=3, duration_s=65):
        read = decode(encode(record), 0, 0, 0)
        assert (read.record, read.rejected) == (record, ())


def test_facts_are_known_after_they_were_true_and_logged_after_they_were_known():
    facts = [e for e in Ward(patients=12, duration_s=1800) if isinstance(e[1], ClinicalEvent)]
    assert all(event.event_time_us < event.known_time_us <= at for at, event in facts)
    codes = {event.code for _, event in facts}
    assert codes == {"sbp", "dbp", "temp", "consciousness", "oxygen", "lactate", "wbc"}


def test_every_patient_has_blood_pressure_from_the_first_second():
    early = [
        record.patient_id
        for _, record in Ward(patients=12, duration_s=2)
        if isinstance(record, ClinicalEvent) and record.code == "sbp"
    ]
    assert sorted(early) == [f"sim-{number:02d}" for number in range(1, 13)]


def test_lead_off_is_told_by_the_device_and_seen_in_the_wave():
    entries = log(patients=5, duration_s=1080, chunk_s=10)
    said = [
        (record.signal, record.status)
        for _, record in entries
        if isinstance(record, DeviceStatus) and record.patient_id == "sim-05" and record.signal
    ]
    assert said == [("ecg", "lead_off"), ("ecg", "worn")]
    ecg = signals(entries, "sim-05", Ward().start_us)["ecg"][900 * 250 : 1020 * 250]
    assert set(ecg[~np.isnan(ecg)]) == {5.0}


def test_radio_loss_and_silence_leave_gaps():
    entries = log(patients=10, duration_s=1320, chunk_s=2)
    silent = signals(entries, "sim-10", Ward().start_us)["spo2"]
    assert np.isnan(silent[1080:1200]).all()
    lost = signals(entries, "sim-01", Ward().start_us)["spo2"]
    assert 0 < np.isnan(lost).sum() < 200


@pytest.mark.parametrize("number", sorted(PLANTED))
def test_planted_patients_end_where_news2_is_seven_or_more(number):
    now = vitals(profile(7, number), np.arange(720.0, 1800.0))
    bands = (
        np.digitize(np.round(now.hr_bpm), [91, 111, 131])
        + np.where(np.round(now.rr_per_min) >= 25, 3, 2 * (np.round(now.rr_per_min) >= 21))
        + 3
        - np.digitize(np.round(now.spo2_pct), [92, 94, 96])
        + np.digitize(np.round(now.temp_c, 1), [38.1, 39.1])
    )
    assert bands.min() >= 7


def test_stable_patients_stay_at_news2_zero_by_their_wearable():
    for seed, number in itertools.product(range(5), range(1, 13)):
        if number in PLANTED:
            continue
        who = profile(seed, number)
        now = vitals(who, np.arange(0.0, 7200.0, 10.0))
        assert now.hr_bpm.min() >= 51
        assert now.hr_bpm.max() <= 90
        assert now.rr_per_min.min() >= 12
        assert now.rr_per_min.max() <= 20
        assert now.spo2_pct.min() >= 96
        assert now.temp_c.min() >= 36.1
        assert now.temp_c.max() <= 38.0
        assert 111 <= who.sbp_mmhg <= 219
        assert who.on_oxygen == (number == ON_OXYGEN)


def test_beats_of_the_ecg_come_at_the_heart_rate():
    entries = log(patients=3, duration_s=900, chunk_s=10)
    for number in (1, 2, 3):
        ecg = signals(entries, f"sim-{number:02d}", Ward().start_us)["ecg"]
        minute = ecg[600 * 250 : 660 * 250]
        beats = np.sum((minute[1:] > 0.7) & (minute[:-1] <= 0.7))
        expected = vitals(profile(7, number), np.arange(600.0, 660.0)).hr_bpm.mean()
        assert beats == pytest.approx(expected, abs=6)


@pytest.mark.slow
def test_twelve_patients_are_made_a_hundred_times_faster_than_they_live():
    begin_s = time.process_time()
    assert sum(1 for _ in Ward(patients=12, duration_s=600)) > 3000
    assert time.process_time() - begin_s < 6


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"patients": 0}, "patients"),
        ({"seed": -1}, "seed"),
        ({"duration_s": 0.0}, "duration_s"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"chunk_s": 7}, "chunk_s"),
        ({"chunk_s": 0}, "chunk_s"),
    ],
)
def test_a_ward_that_cannot_be_is_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        Ward(**options)
