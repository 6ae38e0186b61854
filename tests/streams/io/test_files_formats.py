"""Every importer: what was written is read back, and what is malformed is named."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from streams.errors import SourceError
from streams.io.files.recording import DEFAULT_BASE_US, Recording, quantise
from streams.io.files.registry import open_source

T0_US = 1_714_550_400_000_000  # 2024-05-01T08:00:00Z


def only(path: Path, **options) -> Recording:
    (recording,) = open_source(path, **options)
    return recording


def samples(recording: Recording) -> dict[str, np.ndarray]:
    return {signal.name: signal.samples for signal in recording.signals}


def write_wfdb(folder: Path, name: str = "r1", **extra) -> Path:
    digital = np.stack([np.arange(720) % 200, np.arange(720) % 50 - 25], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, which wfdb uses in an old way
        import wfdb

        wfdb.wrsamp(
            name,
            fs=360,
            units=["mV", "NU"],
            sig_name=["MLII", "PLETH"],
            d_signal=digital.astype(np.int64),
            fmt=["16", "16"],
            adc_gain=[200.0, 100.0],
            baseline=[10, 0],
            write_dir=str(folder),
            **extra,
        )
    return folder / f"{name}.hea"


def write_edf(path: Path, **extra) -> Path:
    import edfio

    wave = np.round(np.sin(np.arange(1280) / 10) * 1000).astype(np.int16)
    ecg = edfio.EdfSignal.from_digital(
        wave, 128, label="ECG II", physical_dimension="uV", physical_range=(-3276.8, 3276.7)
    )
    spo2 = edfio.EdfSignal(np.full(10, 97.0), 1, label="SpO2", physical_dimension="%",
                           physical_range=(0, 100))  # fmt: skip
    edfio.Edf([ecg, spo2], **extra).write(path)
    return path


def write_e4(folder: Path) -> Path:
    folder.mkdir()
    (folder / "BVP.csv").write_text("1714550400.00\n64.000000\n" + "1.25\n-0.50\n" * 64)
    start, rate = ", ".join(["1714550400.000000"] * 3), ", ".join(["32.000000"] * 3)
    (folder / "ACC.csv").write_text(f"{start}\n{rate}\n" + "-64,32,16\n" * 64)
    (folder / "HR.csv").write_text("1714550410.000000\n1.000000\n60.00\n61.50\n")
    (folder / "IBI.csv").write_text("1714550400.000000, IBI\n20.531250,0.546875\n")
    (folder / "TEMP.csv").write_text("1714550400.000000\n4.000000\n")
    return folder


def write_bidmc(folder: Path, name: str = "bidmc_01", first_s: int = 0) -> Path:
    path = folder / f"{name}_Signals.npz"
    rows = np.arange(750, dtype=np.float32).reshape(3, 250) / 7
    np.savez(path, fs=125.0, channels=np.array(["RESP", "V", "II"]), signals=rows)
    lines = [f"{first_s + index},9{index},NaN,15,97" for index in range(3)]
    numerics = "\n".join(["Time [s], HR, PULSE, RESP, SpO2", *lines, ""])
    (folder / f"{name}_Numerics.csv").write_text(numerics)
    return path


# --- WFDB


def test_wfdb_is_read_back_with_its_digital_values(tmp_path):
    recording = only(write_wfdb(tmp_path))
    ecg, ppg = recording.signals
    assert (recording.patient_id, ecg.name, ecg.fs_hz, ecg.unit) == ("r1", "ecg", 360.0, "mV")
    assert quantise(ecg).data.tolist() == (np.arange(720) % 200).tolist()
    assert ppg.samples[0] == pytest.approx(-0.25)


def test_wfdb_start_comes_from_the_header_and_else_from_the_base(tmp_path):
    start = dt.datetime(2024, 5, 1, 8)  # noqa: DTZ001 - wfdb writes what it is given
    assert only(write_wfdb(tmp_path, base_datetime=start)).signals[0].start_us == T0_US
    assert only(write_wfdb(tmp_path, "r2"), base_us=5).signals[0].start_us == 5
    assert only(tmp_path / "r2.hea").signals[0].start_us == DEFAULT_BASE_US


def test_wfdb_segments_are_one_recording_with_its_gap(tmp_path):
    write_wfdb(tmp_path, "s1")
    write_wfdb(tmp_path, "s2")
    lines = ["lay 2 360 0", "~ 0 200(10)/mV 16 0 0 0 0 MLII", "~ 0 100(0)/NU 16 0 0 0 0 PLETH", ""]
    (tmp_path / "lay.hea").write_text("\n".join(lines))
    (tmp_path / "all.hea").write_text("all/4 2 360 1800\nlay 0\ns1 720\n~ 360\ns2 720\n")
    recording = only(tmp_path)
    ecg = samples(recording)["ecg"]
    assert (recording.patient_id, len(ecg)) == ("all", 1800)
    assert np.isnan(ecg[720:1080]).all()
    np.testing.assert_array_equal(ecg[:720], ecg[1080:])


def test_wfdb_numbers_beside_a_record_belong_to_it(tmp_path):
    write_wfdb(tmp_path, "a")
    (tmp_path / "an.hea").write_text("an 1 1 4\nan.dat 16 1(0)/bpm 16 0 0 0 0 HR\n")
    (tmp_path / "an.dat").write_bytes(np.array([80, 81, -32768, 82], "<i2").tobytes())
    recording = only(tmp_path)
    np.testing.assert_array_equal(samples(recording)["hr"], [80, 81, np.nan, 82])
    assert {signal.fs_hz for signal in recording.signals} == {360.0, 1.0}


def test_wfdb_data_cut_in_half_names_file_place_and_rule(tmp_path):
    header = write_wfdb(tmp_path)
    data = tmp_path / "r1.dat"
    data.write_bytes(data.read_bytes()[:1440])
    with pytest.raises(SourceError, match=r"r1\.dat, end of file: must be 2880 bytes .*1440"):
        list(open_source(header))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "header"),
        ("r1 one 360 720\n", "header"),
        ("r1 1 0 720\nr1.dat 16 200 16 0 0 0 0 II\n", "header: rate must be over 0"),
        ("r1 1 360 720\n../r1.dat 16 200 16 0 0 0 0 II\n", "header"),
        ("r1 1 360 720\nnone.dat 16 200 16 0 0 0 0 II\n", "file none.dat: must lie beside"),
        ("all/1 1 360 720\nnone 720\n", "segment none: none.hea must lie beside"),
    ],
)
def test_wfdb_header_that_breaks_a_rule_is_named(tmp_path, text, rule):
    (tmp_path / "r1.hea").write_text(text)
    with pytest.raises(SourceError, match=rf"r1\.hea, .*{rule}"):
        list(open_source(tmp_path / "r1.hea"))


# --- EDF


def test_edf_is_read_back_in_mv_with_its_digital_values(tmp_path):
    recording = only(write_edf(tmp_path / "night.edf"))
    ecg, spo2 = recording.signals
    assert (recording.patient_id, ecg.name, ecg.fs_hz, ecg.unit) == ("night", "ecg", 128.0, "mV")
    expected = np.round(np.sin(np.arange(1280) / 10) * 1000).astype(int)
    assert quantise(ecg).data.tolist() == expected.tolist()
    assert spo2.samples == pytest.approx(np.full(10, 97.0), abs=0.001)


def test_edf_start_and_patient_come_from_the_header(tmp_path):
    import edfio

    path = write_edf(
        tmp_path / "night.edf",
        patient=edfio.Patient(code="MRN-7"),
        recording=edfio.Recording(startdate=dt.date(2024, 5, 1)),
        starttime=dt.time(8),
    )
    recording = only(path)
    assert (recording.patient_id, recording.signals[0].start_us) == ("MRN-7", T0_US)


def test_edf_without_a_date_starts_at_the_base(tmp_path):
    assert only(write_edf(tmp_path / "n.edf")).signals[0].start_us == DEFAULT_BASE_US


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda raw: raw[: len(raw) // 2], "must be"),
        (lambda raw: raw[:100], "header"),
        (lambda raw: b"PK" + raw[2:], "byte 0: must be version '0'"),
        (lambda raw: raw[:192] + b"EDF+D".ljust(44) + raw[236:], "EDF.D"),
    ],
    ids=["half", "header only", "not EDF", "interrupted"],
)
def test_edf_that_breaks_a_rule_is_named(tmp_path, damage, rule):
    path = write_edf(tmp_path / "night.edf")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=rf"night\.edf, .*{rule}"):
        list(open_source(path))


# --- Empatica E4


def test_an_e4_folder_is_one_recording_named_after_it(tmp_path):
    recording = only(write_e4(tmp_path / "S07"))
    found = samples(recording)
    assert recording.patient_id == "S07"
    assert set(found) == {"ppg", "acc_x", "acc_y", "acc_z", "hr", "rr_interval"}
    rr = next(signal for signal in recording.signals if signal.name == "rr_interval")
    assert (rr.fs_hz, rr.unit, rr.samples.tolist()) == (8.0, "ms", [546.875])
    assert rr.start_us == T0_US + 20_500_000
    assert [found[name][0] for name in ("acc_x", "acc_y", "acc_z")] == [-1.0, 0.5, 0.25]
    starts = {signal.name: signal.start_us for signal in recording.signals}
    assert (starts["ppg"], starts["hr"]) == (T0_US, T0_US + 10_000_000)


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("BVP.csv", "", "line 1: must be one number"),
        ("BVP.csv", "noon\n64\n1\n", "line 1: must be one number"),
        ("BVP.csv", "-5\n64\n1\n", "line 1: must be the start in epoch seconds"),
        ("BVP.csv", "1714550400\n0\n1\n", "line 2: must be a rate over 0"),
        ("BVP.csv", "1714550400\n64\n1\nx\n", "samples from line 3: must be numbers"),
        ("BVP.csv", "1714550400\n64\n1,2\n3,4\n", "line 3: must have 1 columns"),
        ("ACC.csv", "1,1,1\n32,32,32\n1,2,3\n1,2\n", "samples from line 3"),
        ("ACC.csv", "1,1\n32,32\n1,2\n", "line 1: must be one number, written 3 times"),
    ],
)
def test_an_e4_file_that_breaks_a_rule_is_named(tmp_path, name, text, rule):
    folder = write_e4(tmp_path / "S07")
    (folder / name).write_text(text)
    with pytest.raises(SourceError, match=rf"S07/{name}, {rule}"):
        list(open_source(folder))


# --- BIDMC


def test_a_bidmc_record_has_lead_two_as_ecg_and_the_monitor_numbers(tmp_path):
    write_bidmc(tmp_path)
    recording = only(tmp_path)
    found = samples(recording)
    assert (recording.patient_id, found["ecg"][0]) == ("bidmc_01", np.float32(500) / np.float32(7))
    assert found["hr"].tolist() == [90, 91, 92]
    assert np.isnan(found["pulse"]).all()


def test_every_lead_is_read_and_only_what_is_asked_for(tmp_path):
    write_bidmc(tmp_path)
    assert "ecg_v" in samples(only(tmp_path))
    assert set(samples(only(tmp_path, signals=frozenset({"ecg"})))) == {"ecg"}


def test_bidmc_numbers_may_begin_before_the_waves(tmp_path):
    recording = only(write_bidmc(tmp_path, first_s=-1))
    starts = {signal.name: signal.start_us for signal in recording.signals}
    assert (starts["ecg"], starts["hr"]) == (DEFAULT_BASE_US, DEFAULT_BASE_US - 1_000_000)


@pytest.mark.parametrize(
    ("arrays", "rule"),
    [
        ({"fs": 125.0, "channels": ["II"]}, "arrays: signals missing"),
        ({"fs": 0.0, "channels": ["II"], "signals": np.ones((1, 9))}, "fs: must be one rate"),
        ({"fs": 1e9, "channels": ["II"], "signals": np.ones((1, 9))}, "fs: must be one rate"),
        ({"fs": 125.0, "channels": ["II"], "signals": np.ones((2, 9))}, "1 channels × samples"),
        ({"fs": 125.0, "channels": ["CVP"], "signals": np.ones((1, 9))}, "the file has cvp"),
    ],
)
def test_bidmc_arrays_that_break_a_rule_are_named(tmp_path, arrays, rule):
    path = tmp_path / "bidmc_09_Signals.npz"
    np.savez(path, **arrays)
    with pytest.raises(SourceError, match=rf"bidmc_09_Signals\.npz, .*{rule}"):
        list(open_source(path))


def test_bidmc_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "bidmc_09_Signals.npz"
    np.savez(path, fs=125.0, channels=np.array([object()]), signals=np.ones((1, 9)))
    with pytest.raises(SourceError, match=r"bidmc_09_Signals\.npz, archive"):
        list(open_source(path))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Time,HR\n0,60\n", "line 1: must be 'Time"),
        ("Time [s], HR\n0,60\n1\n", "line 3: must have 2 columns, not 1"),
        ("Time [s], HR\n0,sixty\n", "line 2: must be numbers"),
        ("Time [s], HR\n0,60\n2,60\n", "line 3: 'Time .s.' must go up by 1"),
    ],
)
def test_bidmc_numbers_that_break_a_rule_are_named(tmp_path, text, rule):
    path = write_bidmc(tmp_path)
    (tmp_path / "bidmc_01_Numerics.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"bidmc_01_Numerics\.csv, {rule}"):
        list(open_source(path))


# --- every format


def damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """Cut somewhere, or a few bytes of the beginning or anywhere replaced."""
    if rng.uniform() < 0.4:
        return raw[: rng.integers(len(raw))]
    changed = bytearray(raw)
    reach = int(rng.choice([100, 600, len(raw)]))
    for place in rng.integers(0, min(reach, len(raw)), 4):
        changed[place] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize(
    "damage", ["wfdb", "data", "edf", "csv", "parquet", "e4", "npz", "numerics"]
)
def test_whatever_is_damaged_the_error_names_the_file_or_the_rest_is_read(tmp_path, damage):
    files = {
        "wfdb": write_wfdb(tmp_path),
        "data": tmp_path / "r1.dat",
        "edf": write_edf(tmp_path / "night.edf"),
        "csv": tmp_path / "bed.csv",
        "parquet": tmp_path / "bed4.parquet",
        "e4": write_e4(tmp_path / "S07") / "ACC.csv",
        "npz": write_bidmc(tmp_path),
        "numerics": tmp_path / "bidmc_01_Numerics.csv",
    }
    table = pa.table({"time_us": np.arange(99) * 40_000, "resp": np.arange(99) / 7})
    pq.write_table(table, files["parquet"])
    pyarrow.csv.write_csv(table, files["csv"])
    path, rng = files[damage], np.random.default_rng(5)
    raw = path.read_bytes()
    for _ in range(40):
        path.write_bytes(damaged(raw, rng))
        errors: list[SourceError] = []
        found = list(open_source(tmp_path, on_error=errors.append))
        assert len(found) >= 5  # the neighbours
        assert all(str(tmp_path) in str(error) for error in errors)
        assert len(errors) <= 1
