"""A network on the compiled loops inside the engine: any split of the log, the same bytes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from models.families.gated import GATED, build
from models.weights import files_of
from service.artifacts import described_models, open_seats, write_artifact
from service.build import build_engine
from service.config import Config
from service.results import Results
from streams.processor import Output
from streams.records import LogRecord
from tests.service import model_kit as kit
from tests.service.engine_kit import collected, event, log_of, patient

pytest.importorskip("numba", reason="numba is an extra")

SECONDS = 200.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small gated network over what the kit's model reads."""
    sizes = {"width": 8, "static_width": 4, "hidden": 8}
    torch.manual_seed(3)
    model = build(msgspec.structs.replace(kit.spec(), family=GATED, config=sizes)).eval()
    place = tmp_path_factory.mktemp("gated")
    write_artifact(place, files_of(model))
    return place


@pytest.fixture(scope="module")
def log() -> list[LogRecord]:
    facts = [
        event("p1", "lactate", 4.0, "mmol/L", 20.0, 21.0),
        event("p1", "sbp", 92.0, "mmHg", 100.0, 132.0),  # known after windows it concerns
    ]
    return log_of([patient("p1", SECONDS, rate_bpm=110, spo2=91), patient("p2", SECONDS), facts])


def on(device: str, folder: Path) -> Config:
    found = kit.config(folder)
    model = msgspec.structs.replace(found.models[0], device=device)
    return msgspec.structs.replace(found, models=(model,))


def run(config: Config, log: list[LogRecord], size: int = 1 << 30) -> Results:
    engine, said = build_engine(config), list[Output]()
    for start in range(0, len(log), size):
        said.extend(engine.feed(log[start : start + size]).messages)
    return collected(said)


def test_any_split_of_the_log_gives_the_same_bytes(folder: Path, log: list[LogRecord]) -> None:
    config = on("compiled", folder)
    whole = run(config, log)
    assert any(score.scorer == kit.NAME and score.value is not None for score in whole.scores)
    assert described_models(config)[kit.NAME][0]["runtime"] == "compiled cpu"
    for size in (1, 7, 50):
        part = run(config, log, size)
        assert (part.scores, part.alerts) == (whole.scores, whole.alerts)


def test_its_scores_are_torchs_to_the_last_published_place(
    folder: Path, log: list[LogRecord]
) -> None:
    ours, theirs = (run(on(device, folder), log).scores for device in ("compiled", "torch"))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.scorer, one.patient_id, one.end_us) == (
            other.scorer,
            other.patient_id,
            other.end_us,
        )
        assert (one.value is None) == (other.value is None)
        if one.value is not None and other.value is not None:
            assert abs(one.value - other.value) <= 1.01e-4


def test_a_device_nobody_knows_is_told(folder: Path) -> None:
    seats = open_seats(on("abacus", folder))
    assert [seat.versions for seat in seats] == [()]
    assert "abacus" in seats[0].detail
