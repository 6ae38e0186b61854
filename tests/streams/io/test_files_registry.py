"""Finding recordings in files, folders and archives; one bad file costs only itself."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from streams.errors import SourceError
from streams.io.files import registry
from streams.io.files.recording import chunks
from streams.io.files.registry import open_source

CSV = "time_us,hr\n1000000,60\n2000000,61\n"


def ids(path: Path, **options) -> list[str]:
    return [recording.patient_id for recording in open_source(path, **options)]


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_a_folder_gives_its_recordings_sorted_and_ignores_the_rest(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.csv", "a.csv", "sub/c.csv"):
        (tmp_path / name).write_text(CSV)
    (tmp_path / "notes.txt").write_text("not a recording")
    (tmp_path / "events.csv").write_text("patient_id,event_time,known_time,code\na,b,c,d\n")
    (tmp_path / "clock.csv").write_text("time,shift\n0,1\n")
    assert ids(tmp_path) == ["a", "b", "c"]


def test_equal_names_are_told_apart_by_as_many_folders_as_needed(tmp_path):
    for name in ("x/s1/final.csv", "x/s2/final.csv", "x/s2/mid.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(CSV)
    assert ids(tmp_path) == ["s1_final", "s2_final", "mid"]


def test_a_bad_file_costs_only_itself_if_errors_are_collected(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text(CSV)
    (tmp_path / "b.csv").write_text(CSV[:-4])
    errors: list[SourceError] = []
    assert ids(tmp_path, on_error=errors.append) == ["a", "c"]
    assert [str(error).split(": ")[0] for error in errors] == [f"{tmp_path}/b.csv, rows"]


def test_a_bad_file_raises_when_it_is_reached(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "b.csv").write_text(CSV[:-4])
    found = open_source(tmp_path)
    assert next(found).patient_id == "a"
    with pytest.raises(SourceError, match=r"b\.csv"):
        next(found)


def test_a_folder_without_recordings_lists_the_formats(tmp_path):
    with pytest.raises(SourceError, match=r"no recording in it; known are .*WFDB.*EDF.*CSV"):
        ids(tmp_path)


def test_an_unknown_file_lists_the_formats(tmp_path):
    (tmp_path / "scan.dcm").write_bytes(b"\0")
    with pytest.raises(SourceError, match=r"scan\.dcm, file name: not a known format"):
        ids(tmp_path / "scan.dcm")


def test_an_absent_source_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"gone: no such file or folder"):
        ids(tmp_path / "gone")


def test_an_archive_is_read_and_its_name_stands_in_messages(tmp_path):
    path = packed(
        tmp_path / "set.tar.xz",
        {"set/a.csv": CSV.encode(), "set/b.csv": b"time_us,hr\nx,1\n", "set/c.csv": CSV.encode()},
    )
    errors: list[SourceError] = []
    assert ids(path, on_error=errors.append) == ["a", "c"]
    assert str(errors[0]).startswith(f"{path}/set/b.csv, rows")


def test_an_archive_cannot_write_outside_its_folder(tmp_path):
    path = packed(tmp_path / "evil.tar.xz", {"../evil.csv": CSV.encode()})
    with pytest.raises(SourceError, match=r"evil\.tar\.xz, archive: must be a whole, safe tar"):
        ids(path)
    assert not list(tmp_path.rglob("evil.csv"))


def test_an_archive_cut_in_half_is_named(tmp_path):
    content = np.random.default_rng(1).bytes(20_000)
    path = packed(tmp_path / "set.tar.xz", {"a.bin": content, "b.csv": CSV.encode()})
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(SourceError, match=r"set\.tar\.xz, archive"):
        ids(path)


def test_an_archive_may_not_unpack_to_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "MAX_UNPACKED_BYTES", 1000)
    path = packed(tmp_path / "bomb.tar.xz", {"a.csv": bytes(2000)})
    with pytest.raises(SourceError, match=r"bomb\.tar\.xz, a\.csv: over 1000 bytes"):
        ids(path)


@pytest.mark.data
def test_every_bidmc_record_loads_within_two_seconds(archive):
    folder = archive("bidmc")
    begin_s = time.process_time()
    found = list(open_source(folder))
    assert time.process_time() - begin_s < 2
    assert len({recording.patient_id for recording in found}) == 35
    for recording in found:
        names = {signal.name for signal in recording.signals if "ecg_" not in signal.name}
        assert names == {"ecg", "ppg", "resp", "hr", "pulse", "resp_rate", "spo2"}


@pytest.mark.data
def test_a_bidmc_chunk_is_within_half_a_step_of_the_file(archive):
    folder = archive("bidmc")
    (recording,) = open_source(folder / "bidmc_01_Signals.npz", signals=frozenset({"ecg"}))
    with np.load(folder / "bidmc_01_Signals.npz") as raw:
        lead = raw["signals"][list(raw["channels"]).index("II")].astype(float)
    parts = list(chunks(recording, 1.0))
    data = np.concatenate([np.frombuffer(part.data, "<i2") for part in parts])
    back = data * parts[0].scale + parts[0].offset
    assert np.abs(back - lead).max() <= parts[0].scale * 0.500001


@pytest.mark.data
def test_real_wfdb_records_load_with_the_right_lead(archive):
    folder = archive("mitdb")
    (recording,) = open_source(folder / "114.hea")  # V5 stands before MLII
    ecg, other = sorted(recording.signals, key=lambda signal: signal.name)
    assert (ecg.name, other.name) == ("ecg", "ecg_v5")
    assert (ecg.fs_hz, ecg.unit, len(ecg.samples)) == (360.0, "mV", 650_000)
    assert ecg.samples[0] == pytest.approx(0.015)


@pytest.mark.data
def test_real_e4_sessions_load(archive):
    (recording,) = open_source(archive("stress_predict_e4") / "Raw_data" / "S16")
    found = {signal.name: signal for signal in recording.signals}
    assert recording.patient_id == "S16"
    assert (found["ppg"].fs_hz, found["acc_x"].fs_hz) == (64.0, 32.0)
    gravity = np.sqrt(sum(found[f"acc_{axis}"].samples ** 2 for axis in "xyz"))
    assert np.median(gravity) == pytest.approx(1.0, abs=0.1)


@pytest.mark.data
def test_real_e4_sessions_of_one_name_stay_apart(archive):
    found = ids(archive("exam_stress_e4"), signals=frozenset({"hr"}))
    assert len(set(found)) == len(found) == 30
    assert "S1_Midterm1" in found
