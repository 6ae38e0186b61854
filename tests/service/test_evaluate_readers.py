"""Other people's data in the form of a known set are read whatever their files are called."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.datasets import cinc2019
from service.datasets.cinc2019 import Stays
from service.evaluate_readers import READERS, cohort_of
from streams.errors import ConfigError
from tests.service.test_evaluate_data import COLUMNS, write_2019


def same(one: Stays, other: Stays) -> bool:
    """Whether everything but the names of the stays is the same."""
    arrays: list[tuple[Any, Any]] = [(one.value[name], other.value[name]) for name in one.value]
    arrays += [(one.label, other.label), (one.lengths, other.lengths), (one.unit, other.unit)]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)


@pytest.fixture
def known(tmp_path: Path) -> Stays:
    (tmp_path / "known").mkdir()
    return cinc2019.load(write_2019(tmp_path / "known" / "setA.npz"))


@pytest.mark.parametrize("name", ["setB.npz", "hospital-9.npz", "deep/down/other.npz"])
def test_a_set_of_another_name_is_read_as_a_file_and_as_its_folder(
    name: str, tmp_path: Path, known: Stays
) -> None:
    path = tmp_path / "theirs" / name
    path.parent.mkdir(parents=True)
    write_2019(path)
    assert same(cinc2019.load(path), known)
    assert same(cinc2019.load(tmp_path / "theirs"), known)
    assert cohort_of(f"cinc2019:{tmp_path / 'theirs'}").event_h.tolist() == [18.0] * 6


def test_a_packed_set_of_another_name_is_read(tmp_path: Path, known: Stays) -> None:
    path = write_2019(tmp_path / "theirs.npz")
    packed = tmp_path / "theirs.tar.xz"
    with tarfile.open(packed, "w:xz") as tar:
        tar.add(path, "cinc2019/theirs.npz")
    assert same(cinc2019.load(packed), known)


def test_a_folder_that_holds_the_packed_archive_is_enough(tmp_path: Path, known: Stays) -> None:
    path = write_2019(tmp_path / "setA.npz")
    (tmp_path / "handed").mkdir()
    with tarfile.open(tmp_path / "handed" / "cinc2019_setA.tar.xz", "w:xz") as tar:
        tar.add(path, "cinc2019_setA/setA.npz")
    assert same(cinc2019.load(tmp_path / "handed"), known)


def test_the_published_files_of_stays_give_the_same_stays(tmp_path: Path, known: Stays) -> None:
    with np.load(write_2019(tmp_path / "set.npz")) as packed:
        values, lengths, ids = packed["values"], packed["lengths"], packed["ids"]
    folder = tmp_path / "training_setB"
    folder.mkdir()
    ends = np.cumsum(lengths)
    for name, end, hours in zip(ids, ends, lengths, strict=True):
        rows = values[:, end - hours : end].T
        lines = ["|".join(COLUMNS), *("|".join(str(x) for x in row) for row in rows)]
        (folder / f"{name}.psv").write_text("\n".join(lines).replace("nan", "NaN") + "\n")
    found = cinc2019.load(folder)
    assert same(found, known)
    assert found.ids == known.ids


def test_units_and_hours_of_the_stay_may_be_unknown(tmp_path: Path, known: Stays) -> None:
    with np.load(write_2019(tmp_path / "a.npz")) as packed:
        kept = [i for i, c in enumerate(COLUMNS) if c not in ("Unit1", "Unit2", "ICULOS", "EtCO2")]
        less = {**packed, "values": packed["values"][kept], "columns": np.array(COLUMNS)[kept]}
    np.savez(tmp_path / "less.npz", **less)
    found = cinc2019.load(tmp_path / "less.npz")
    assert set(found.unit.tolist()) == {0}
    assert found.hour[:3].tolist() == [1, 2, 3]
    assert np.array_equal(found.label, known.label)


def test_of_two_sets_in_a_folder_one_must_be_named(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        write_2019(tmp_path / name)
    with pytest.raises(ConfigError, match=r"one\.npz, two\.npz: name one"):
        cinc2019.load(tmp_path)
    write_2019(tmp_path / "setB.npz")
    assert len(cinc2019.load(tmp_path).ids) == 24


def test_a_file_that_is_no_set_is_refused_with_its_name(tmp_path: Path) -> None:
    path = write_2019(tmp_path / "whole.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(path.read_bytes()[:5000])
    other = tmp_path / "other.npz"
    np.savez(other, values=np.zeros(3))
    for bad in (cut, other):
        with pytest.raises(ConfigError, match=bad.name):
            cinc2019.load(bad)
    with np.load(path) as packed:
        np.savez(tmp_path / "short.npz", **{**packed, "lengths": packed["lengths"][:-1]})
    with pytest.raises(ConfigError, match="do not belong together"):
        cinc2019.load(tmp_path / "short.npz")


def test_hours_of_the_eicu_have_onset_six_hours_after_the_first_label(tmp_path: Path) -> None:
    place = tmp_path / "demo_data" / "sepsis" / "eicu_demo"
    place.mkdir(parents=True)
    stay, hours = [5] * 9 + [8] * 3, [*range(9), *range(3)]
    keys = {"stay_id": pa.array(stay, pa.int32())}
    keys["time"] = pa.array([h * 3600 for h in hours], pa.duration("s"))
    dyn = {**keys, "resp": pa.array([18.0] * 12), "bicar": pa.array([24.0] * 12)}
    pq.write_table(pa.table(dyn), place / "dyn.parquet")
    ill = [s == 5 and h >= 4 for s, h in zip(stay, hours, strict=True)]
    pq.write_table(pa.table({**keys, "label": ill}), place / "outc.parquet")
    static = {"stay_id": [5, 8], "age": [60.0, 20.0], "sex": ["Male", "Female"]}
    nothing = pa.array([None, None], pa.float64())
    pq.write_table(
        pa.table({**static, "height": nothing, "weight": nothing}), place / "sta.parquet"
    )
    cohort = cohort_of(f"yaib_eicu:{tmp_path}")
    assert cohort.patients == ("5", "8")
    assert cohort.event_patient.tolist() == [0]
    assert cohort.event_h.tolist() == [10.0]
    assert cohort.utility
    vitals, labs = cohort.inputs["vitals"], cohort.inputs["labs"]
    assert vitals.value[:, vitals.names.index("resp_rate")].tolist() == [18.0] * 12
    assert labs.value[:, labs.names.index("hco3")].tolist() == [24.0] * 12
    assert cohort.groups["sex"] == ("male", "female")


def test_amounts_between_two_readings_add_up_and_an_episode_is_one_event(tmp_path: Path) -> None:
    readings = ["10:00,6.0", "10:05,5.0", "10:10,3.5", "10:15,3.4", "10:20,5.0", "10:25,5.5"]
    (tmp_path / "Glucose Data").mkdir()
    (tmp_path / "Glucose Data" / "UoMGlucose1.csv").write_text(
        "bg_ts,value\n" + "".join(f"02/03/2024 {r}\n" for r in readings)
    )
    (tmp_path / "Insulin Data" / "Bolus Data").mkdir(parents=True)
    (tmp_path / "Insulin Data" / "Bolus Data" / "UoMBolus1.csv").write_text(
        "bolus_ts,bolus_dose\n02/03/2024 10:02,1.5\n02/03/2024 10:04,2\n"
    )
    cohort = cohort_of(f"t1d_uom_30:{tmp_path}")
    found = dict(zip(cohort.inputs["all"].names, cohort.inputs["all"].value.T, strict=True))
    assert cohort.label.tolist() == [True, True]  # after the low nobody knows what follows
    assert found["cgm_glucose"].tolist() == pytest.approx([108.096, 90.08])
    assert np.isnan(found["insulin_bolus"][0])
    assert found["insulin_bolus"][1] == 3.5
    assert cohort.event_patient.tolist() == [0]
    assert cohort.event_h.tolist() == pytest.approx([1 / 6])


ARCHIVES = {
    "cinc2019": ("cinc2019_setA", 20_336, 1_790),
    "cinc2012": ("cinc2012_seta", 4_000, 0),
    "yaib_eicu": ("yaib_eicu_demo", 896, 63),
    "yaib_eicu_aki": ("yaib_eicu_demo", 1_988, 698),
    "yaib_eicu_mortality24": ("yaib_eicu_demo", 1_367, 0),
    "t1d_uom": ("t1d_uom", 11, 1_029),
    "t1d_uom_30": ("t1d_uom", 11, 1_029),
    "stress_predict_e4": ("stress_predict_e4", 23, 0),
}
RARE, OFTEN = (0.01, 0.15), (0.3, 0.35)  # share of judged rows; a third of a session is stress
LONG = {"stress_predict_e4"}  # whole waveforms are read


@pytest.mark.data
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in READERS]
)
def test_every_data_set_is_read_from_its_folder(name: str, archive: Callable[[str], Path]) -> None:
    packed, patients, events = ARCHIVES[name]
    cohort = cohort_of(f"{name}:{archive(packed)}")
    assert len(cohort.patients) == patients
    assert len(cohort.event_patient) == events
    assert cohort.lengths.sum() == len(cohort.time_h) == len(cohort.label)
    least, most = OFTEN if name in LONG else RARE
    assert least < cohort.label[cohort.judged].mean() < most
