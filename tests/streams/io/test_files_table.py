"""CSV and Parquet tables: rates, gaps, units and patients; what breaks a rule is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from streams.errors import SourceError
from streams.io.files.recording import Recording
from streams.io.files.registry import open_source

T0_US = 1_714_550_400_000_000  # 2024-05-01T08:00:00Z


def only(path: Path) -> Recording:
    (recording,) = open_source(path)
    return recording


def table() -> pa.Table:
    """4 s of ECG at 250 Hz with a gap of one second, SpO2 at 1 Hz in the same rows."""
    times = np.arange(1000) * 4000 + T0_US
    ecg = np.sin(np.arange(1000) / 9)
    spo2 = np.where(np.arange(1000) % 250 == 0, 97.0, np.nan)
    keep = np.r_[0:250, 500:1000]
    columns = {"time_us": times[keep], "ecg": ecg[keep]}
    sparse = pa.array(spo2[keep], from_pandas=True)
    return pa.table(columns).append_column("spo2", sparse)


def write_csv(path: Path, content: pa.Table) -> Path:
    pyarrow.csv.write_csv(content, path)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_is_read_back_with_rates_and_gaps(tmp_path, ending):
    path = tmp_path / f"bed4.{ending}"
    write_csv(path, table()) if ending == "csv" else pq.write_table(table(), path)
    recording = only(path)
    ecg, spo2 = recording.signals
    assert (recording.patient_id, ecg.fs_hz, ecg.start_us, spo2.fs_hz) == ("bed4", 250, T0_US, 1)
    assert np.isnan(ecg.samples[250:500]).all()
    np.testing.assert_array_equal(ecg.samples[500:], np.sin(np.arange(500, 1000) / 9))
    np.testing.assert_array_equal(spo2.samples, [97, np.nan, 97, 97])


def test_one_recording_per_patient_and_device(tmp_path):
    rows = "".join(
        f"{T0_US + s * 1_000_000},{60 + s},{who},w\n" for s in range(3) for who in ("b", "a")
    )
    path = tmp_path / "ward.csv"
    path.write_text("time_us,hr,patient_id,device_id\n" + rows)
    found = list(open_source(path))
    assert [(one.patient_id, one.device_id) for one in found] == [("b", "w"), ("a", "w")]
    assert found[1].signals[0].samples.tolist() == [60, 61, 62]


def test_iso_times_with_a_zone_and_units_in_headings(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "time,temp [degF]\n2024-05-01T10:00:00+02:00,98.6\n2024-05-01T10:00:01+02:00,98.6\n"
    )
    (temp,) = only(path).signals
    assert (temp.start_us, temp.unit) == (T0_US, "Cel")
    assert temp.samples == pytest.approx([37.0, 37.0])


def test_parquet_units_may_stand_in_the_metadata(tmp_path):
    field = pa.field("ecg", pa.float64(), metadata={"unit": "uV"})
    schema = pa.schema([pa.field("time_us", pa.int64()), field])
    content = pa.table([[T0_US, T0_US + 4000], [100.0, 200.0]], schema=schema)
    pq.write_table(content, tmp_path / "t.parquet")
    (ecg,) = only(tmp_path / "t.parquet").signals
    assert ecg.samples == pytest.approx([0.1, 0.2])


def test_time_stamps_rounded_to_ms_still_give_the_whole_rate(tmp_path):
    times = np.round(np.arange(1280) * 1e3 / 128).astype(np.int64) * 1000 + T0_US
    path = write_csv(tmp_path / "t.csv", pa.table({"time_us": times, "ppg": np.ones(1280)}))
    (ppg,) = only(path).signals
    assert (ppg.fs_hz, len(ppg.samples)) == (128.0, 1280)


def test_a_slow_signal_gets_its_whole_period(tmp_path):
    times = np.arange(12) * 300_000_000 + T0_US
    path = write_csv(tmp_path / "t.csv", pa.table({"time_us": times, "hr": np.arange(12.0)}))
    assert only(path).signals[0].fs_hz == 1 / 300


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "header: needs a column time_us"),
        ("a,b\n1,2\n", "header: needs a column time_us"),
        ("time_us\n1\n", "header: needs a column time_us"),
        ("time_us,hr,hr\n1,2,3\n", "header: column 'hr' must not come twice"),
        ("time_us,weight\n1,2\n", "signals: none of the signals asked for; the file has weight"),
        ("time_us,hr\n1000000,60\n2000000\n", "rows: must be a whole CSV table"),
        ("time_us,hr\n1000000,60\n2000000,sixty\n", "rows: .*sixty"),
        ("time_us,hr\nnow,60\n", "rows: .*now"),
        ("time_us,hr\n,60\n", "column time_us, row 1: must not be empty"),
        ("time_us,hr\n1000000,\n2000000,\n", "rows: must hold a value"),
        ("time_us,hr\n1000000,60\n", "column hr: needs two values"),
        ("time_us,hr\n1000000,60\n1000000,61\n", "row 2: time must rise"),
        ("time_us,hr\n0,60\n1000000,61\n2000000,61\n3450000,61\n4000000,62\n", "regular"),
        ("time_us,hr\n0,60\n1,61\n2,61\n", "more than can be meant"),
        ("time_us,ecg\n0,1\n4000,1\n8000,1\n4000000000000,1\n", "more than can be meant"),
        ("time,hr\n2024-05-01T08:00:00,60\n2024-05-01T08:00:01,61\n", "time zone"),
        ("time,hr\nyesterday,60\ntoday,61\n", "column time: must be ISO 8601"),
        ("time_us,hr,patient_id\n0,60,\n1000000,61,a\n", "column patient_id, row 1"),
        ("time_us,temp [hPa]\n0,60\n1000000,61\n", "unit of temp: 'hPa'"),
    ],
)
def test_csv_that_breaks_a_rule_is_named(tmp_path, text, rule):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"(?s)t\.csv, .*{rule}"):
        list(open_source(tmp_path / "t.csv"))


def test_parquet_cut_in_half_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table(), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SourceError, match=r"t\.parquet, file: must be a whole Parquet file"):
        list(open_source(tmp_path))


def test_parquet_times_must_be_whole_microseconds(tmp_path):
    pq.write_table(pa.table({"time_us": [0.0, 1e6], "hr": [60.0, 61.0]}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"column time_us: must be whole µs, not double"):
        list(open_source(tmp_path / "t.parquet"))
