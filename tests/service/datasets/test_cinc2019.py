"""CinC 2019 set A as it is published, by concept, with nothing filled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.concepts import find
from service.datasets import cinc2019
from streams.errors import ConfigError


@pytest.fixture(scope="module")
def stays(archive: Callable[[str], Path]) -> cinc2019.Stays:
    return cinc2019.load(archive("cinc2019_setA"))


@pytest.mark.data
def test_the_set_has_the_stays_hours_and_cases_of_its_description(stays: cinc2019.Stays) -> None:
    assert len(stays.ids) == 20_336
    assert len(stays.label) == stays.lengths.sum() == 790_215
    assert stays.septic.sum() == 1_790


@pytest.mark.data
def test_units_are_apart_and_half_of_them_unknown(stays: cinc2019.Stays) -> None:
    assert np.bincount(stays.unit).tolist() == [9_522, 5_344, 5_470]


@pytest.mark.data
def test_values_are_in_the_range_of_their_concept_and_almost_all_were_kept(
    stays: cinc2019.Stays,
) -> None:
    for modality, x in stays.value.items():
        for column, concept in enumerate(cinc2019.features(modality)):
            known = x[np.isfinite(x[:, column]), column]
            assert len(known) > 0
            assert concept.lo <= known.min() <= known.max() <= concept.hi
    filled = np.isfinite(np.concatenate([stays.value["vitals"], stays.value["labs"]], axis=1))
    assert 0.208 < filled.mean() * 33 / 34 + 0.003 < 0.212


@pytest.mark.data
def test_oxygen_is_in_per_cent_and_the_label_never_ends_within_a_stay(
    stays: cinc2019.Stays,
) -> None:
    fio2 = stays.value["labs"][:, list(cinc2019.LABS.values()).index("fio2")]
    assert 40 <= np.nanmedian(fio2) <= 60
    falls = stays.label[:-1] & ~stays.label[1:]
    assert not (falls & (stays.stay[:-1] == stays.stay[1:])).any()


def test_every_column_is_a_concept_with_that_code() -> None:
    for table in cinc2019.MODALITIES.values():
        assert [code for code in table.values() if find(code) is None] == []


def test_neither_the_hour_of_the_stay_nor_the_unit_is_an_input() -> None:
    inputs = {name for table in cinc2019.MODALITIES.values() for name in table}
    assert not inputs & {"ICULOS", "Unit1", "Unit2", "SepsisLabel"}


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        cinc2019.load(tmp_path / "nothing.npz")
    with pytest.raises(ConfigError, match="no set"):
        cinc2019.load(tmp_path)
