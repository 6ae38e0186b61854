"""Training stopped anywhere goes on where it was, and ends with the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from service import train
from service.progress import Watcher
from service.training import boost
from service.training import cinc2019 as recipe
from streams.errors import ConfigError
from tests.service.training.made_up import stays

pytest.importorskip("lightgbm")
FILES = ("model.safetensors", "spec.json")


class Stopped(Exception):  # noqa: N818 - a person pressed Ctrl-C
    """As if the process had been killed."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "load", lambda path: stays(60))
    monkeypatch.setattr(recipe, "GROWN", boost.Recipe(rounds=3, min_data_in_leaf=10))
    monkeypatch.setattr(recipe.grow, "__defaults__", (boost.Recipe(rounds=3, min_data_in_leaf=10),))


def _bytes(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_a_run_that_was_stopped_gives_the_bytes_of_one_that_was_not(tmp_path: Path) -> None:
    train.train(train.Job(tmp_path, tmp_path / "whole", folds=2))
    seen: list[int] = []

    def step(count: int) -> None:
        seen.append(count)
        if len(seen) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        train.train(
            train.Job(tmp_path, tmp_path / "cut", folds=2), Watcher(lambda name, total: None, step)
        )
    assert not (tmp_path / "cut" / "spec.json").exists()
    train.train(train.Job(tmp_path, tmp_path / "cut", folds=2))
    assert _bytes(tmp_path / "cut") == _bytes(tmp_path / "whole")


def test_stages_of_another_seed_are_not_taken(tmp_path: Path) -> None:
    train.train(train.Job(tmp_path, tmp_path, folds=2))
    before = _bytes(tmp_path)
    train.train(train.Job(tmp_path, tmp_path, folds=2, seed=1))
    assert _bytes(tmp_path) != before


def test_half_a_stages_file_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    stages = train.Stages(tmp_path, train.SILENT)

    def broken() -> bytes:
        raise Stopped

    with pytest.raises(Stopped):
        stages.bytes_of("a", broken)
    assert stages.bytes_of("a", lambda: b"whole") == b"whole"
    assert stages.bytes_of("a", broken) == b"whole"


def test_without_lightgbm_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigError, match=r"vigil\[boost\]"):
        train.train(train.Job(tmp_path, tmp_path))
