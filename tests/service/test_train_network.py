"""Any registered network from the command: resumed to the bit, honest folds, refused nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.weights import network
from service import train_network as own
from service.artifacts import read_artifact
from service.progress import Watcher
from service.training import tasks
from service.training.late_rule import to_fit, usual_config
from streams.errors import ConfigError
from tests.models.contract.model_kit import needs_cuda
from tests.service.training.made_up import stays

SETTINGS = """
[model]
width = 8
static_width = 4
hidden = 8

[training]
epochs = 3
batch = 16
average = 0.5
"""


class Stopped(Exception):  # noqa: N818 - a person pressed Ctrl-C
    """As if the process had been killed."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "load", lambda path: stays(200))


def job(
    folder: Path, text: str = SETTINGS, model: str = "fusion.gated", device: str = "cpu"
) -> own.NetworkJob:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.toml").write_text(text, encoding="utf-8")
    settings = folder / "settings.toml"
    return own.NetworkJob(Path("cinc2019"), folder / "out", model, settings, device=device)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_a_run_that_was_stopped_gives_the_bytes_of_one_that_was_not(
    tmp_path: Path, device: str
) -> None:
    own.train_network(job(tmp_path / "whole", device=device))
    steps: list[int] = []

    def step(count: int) -> None:
        steps.append(count)
        if len(steps) == 13:  # inside the second epoch
            raise Stopped

    cut = job(tmp_path / "cut", device=device)
    with pytest.raises(Stopped):
        own.train_network(cut, Watcher(lambda name, total: None, step))
    assert not (cut.out / "spec.json").exists()
    own.train_network(cut)
    assert files(cut.out) == files(tmp_path / "whole" / "out")


@pytest.mark.parametrize("cut", [0, 5, 900, -1])
def test_half_a_checkpoint_is_said_and_not_gone_on_with(tmp_path: Path, cut: int) -> None:
    given = job(tmp_path)

    def stopped(count: int) -> None:
        if (given.out / ".stages").is_dir() and list((given.out / ".stages").iterdir()):
            raise Stopped

    with pytest.raises(Stopped):
        own.train_network(given, Watcher(lambda name, total: None, stopped))
    (checkpoint,) = (given.out / ".stages").iterdir()
    checkpoint.write_bytes(checkpoint.read_bytes()[:cut])
    with pytest.raises(ConfigError, match="remove it to begin anew"):
        own.train_network(given)
    checkpoint.unlink()
    own.train_network(given)


def test_the_artifact_is_calibrated_has_a_threshold_and_says_where_it_comes_from(
    tmp_path: Path,
) -> None:
    given = job(tmp_path)
    own.train_network(given)
    spec = read_artifact(given.out).spec
    assert spec.calibration.kind == "isotonic"
    assert spec.operating[0].name == "utility"
    assert spec.training.command == "vigil train cinc2019 --model fusion.gated"
    assert {"auroc", "auprc", "utility"} == set(spec.training.metrics)
    record = json.loads((given.out / own.RECORD).read_text())
    assert [epoch["number"] for epoch in record["epochs"]] == [0, 1, 2]
    assert record["training"]["epochs"] == 3


def test_who_is_judged_chooses_neither_weights_nor_calibration_nor_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = stays(200)
    judged = own.part(tasks.of_stays(plain), seed=0).hours(own.JUDGE)
    septic = np.repeat(np.maximum.reduceat(plain.label, starts(plain.lengths)), plain.lengths) > 0
    label = plain.label.copy()
    label[judged] = septic[judged]  # ill from the first hour on; who is in which fold stays
    assert (label != plain.label).any()
    specs, weights = [], []
    for name, found in (("one", plain), ("other", plain._replace(label=label))):
        monkeypatch.setattr(tasks, "load", lambda path, found=found: found)
        given = job(tmp_path / name)
        own.train_network(given)
        specs.append(read_artifact(given.out).spec)
        weights.append(files(given.out)["model.safetensors"])
    assert weights[0] == weights[1]
    assert specs[0].calibration == specs[1].calibration
    assert specs[0].operating[0].threshold == specs[1].operating[0].threshold
    assert specs[0].training.metrics != specs[1].training.metrics  # they were judged by it


def starts(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths


def test_no_patient_does_two_things() -> None:
    parted = own.part(tasks.of_stays(stays(200)), seed=0)
    every = [parted.of(k).rows for k in range(own.FOLDS)]
    assert np.array_equal(np.sort(np.concatenate(every)), np.arange(200))
    hours = [set(parted.hours(k).tolist()) for k in range(own.FOLDS)]
    assert sum(map(len, hours)) == len(set.union(*hours)) == len(parted.task.label)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[modle]\n", r"no table \[modle\]"),
        ("[training]\nepoch = 3\n", "epoch"),
        ("[training]\nepochs = 0\n", "above 0"),
        ("[model]\nwidth = 'wide'\n", "width"),
        ("[model]\nloss = 'hazzard'\n", "hazard"),
        ("not toml", "settings.toml"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        own.train_network(job(tmp_path, text))


def test_an_unknown_family_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fusion\.gated"):
        own.train_network(job(tmp_path, "", model="fusion.gatet"))


def test_a_late_model_is_trained_by_the_same_command(tmp_path: Path) -> None:
    text = "[model]\nwidth = 8\nrule = {type = 'mean'}\n[training]\nepochs = 1\n"
    given = job(tmp_path, text, model="late.mean")
    own.train_network(given)
    assert read_artifact(given.out).spec.family == "late.mean"


@pytest.mark.parametrize(
    "rule", ["mean", "vote", "weighted", "confidence", "dempster_shafer", "stack", "vcdn"]
)
def test_a_late_family_needs_no_settings_and_ends_with_its_own_rule(
    tmp_path: Path, rule: str
) -> None:
    given = job(tmp_path, "[model]\nwidth = 8\n[training]\nepochs = 1\n", model=f"late.{rule}")
    own.train_network(given)
    artifact = read_artifact(given.out)
    assert artifact.spec.config["rule"]["type"] == rule
    network(artifact)


def test_an_ensemble_without_members_is_seeds_of_the_usual_network() -> None:
    config = usual_config("ensemble", {})
    assert [m["family"] for m in config["members"]] == ["fusion.gated"] * 3
    assert usual_config("ensemble", config) == config


def test_a_rule_that_is_given_stays() -> None:
    given = {"rule": {"type": "mean"}}
    assert usual_config("late.stack", given) == given
    assert not to_fit("late.stack", given)
    assert to_fit("late.stack", {})
    assert not to_fit("fusion.gated", {})


@pytest.mark.parametrize(
    ("model", "reason"), [("fusion.conv", "fusion.early reads tables"), ("residual", "a score")]
)
def test_a_family_whose_inputs_are_not_there_says_which(
    tmp_path: Path, model: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        own.train_network(job(tmp_path, "", model=model))
