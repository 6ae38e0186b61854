"""Panels inside the engine: they fuse what was just said, hear only the builds they know, and are
revised with their members."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.late.mean import MeanLogit
from models.late.panel import Panel, Seat, encode
from models.score import Score
from service.build import build_engine, judges_of, load_policy, model_names
from service.config import Config, load
from service.results import Results
from streams.errors import CheckpointMismatch, ConfigError
from streams.records import LogRecord
from tests.service import model_kit as kit
from tests.service.engine_kit import collected, event, handed_over, log_of, patient
from tests.service.test_engine_models import bytes_of, fed

NEWS = Seat("news2", "news2/1", probability=False, slope=0.4, bias=-5.0)
SECONDS = 160.0


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A small model and a panel of it and NEWS2."""
    folder = tmp_path_factory.mktemp("model")
    digest = kit.artifact(folder)
    path = folder / "both.json"
    path.write_bytes(encode(panel(Seat(kit.NAME, f"tiny/1/{digest}"))))
    return msgspec.structs.replace(kit.config(folder), panels=(str(path),))


def panel(*more: Seat) -> Panel:
    return Panel("both", "1", 3600.0, (NEWS, *more), MeanLogit())


@pytest.fixture(scope="module")
def log() -> list[LogRecord]:
    """A patient with facts, one of them late."""
    facts = [
        event("p1", "lactate", 4.0, "mmol/L", 20.0, 21.0),
        event("p1", "sbp", 92.0, "mmHg", 100.0, 132.0),  # known after windows it concerns
    ]
    return log_of([patient("p1", SECONDS, rate_bpm=110, spo2=91), facts])


@pytest.fixture(scope="module")
def whole(config: Config, log: list[LogRecord]) -> Results:
    return collected(fed(build_engine(config), log))


def by_window(results: Results, scorer: str) -> dict[tuple[int, int], Score]:
    return {(s.end_us, s.revision): s for s in results.scores if s.scorer == scorer}


def test_a_panel_speaks_of_every_window_its_members_spoke_of(whole: Results) -> None:
    both, news = by_window(whole, "both"), by_window(whole, "news2")
    risk = by_window(whole, kit.NAME)
    first = {key for key in news if key[1] == 0}
    assert first <= set(both)
    for key in first:
        there = [news[key].value, risk[key].value]
        logits = [] if there[0] is None else [0.4 * there[0] - 5.0]
        if there[1] is not None:
            logits.append(float(np.log(there[1] / (1 - there[1]))))
        expected = 1 / (1 + np.exp(-np.mean(logits))) if logits else None
        assert both[key].value == pytest.approx(expected, abs=2e-4)
        assert both[key].present == {"news2": there[0] is not None, kit.NAME: there[1] is not None}


def test_a_late_fact_revises_the_panel_with_its_members(whole: Results) -> None:
    both = by_window(whole, "both")
    revised = {key for key in both if key[1] > 0}
    members = {**by_window(whole, "news2"), **by_window(whole, kit.NAME)}
    assert revised
    assert revised == {key for key in members if key[1] > 0}
    assert any(both[key].value != both[key[0], 0].value for key in revised)


@pytest.mark.parametrize("size", [1, 7])
def test_how_the_log_is_cut_changes_nothing(
    config: Config, log: list[LogRecord], whole: Results, size: int
) -> None:
    assert bytes_of(collected(fed(build_engine(config), log, [size]))) == bytes_of(whole)


def test_handed_over_in_the_middle_it_says_the_same(
    config: Config, log: list[LogRecord], whole: Results
) -> None:
    engine = build_engine(config)
    said = fed(engine, log[:60])
    engine = handed_over(engine, build_engine(config), log[:60])
    assert bytes_of(collected([*said, *fed(engine, log[60:])])) == bytes_of(whole)


def test_a_policy_may_read_a_panel(config: Config, tmp_path: Path) -> None:
    assert model_names(config) == (kit.NAME, "both")
    text = """
[policy]
id = "panel"
version = "1"
[condition.risk]
display = "Both say so"
label = "Risk"
source = "both.value"
levels = [{ priority = "low", hi = 0.5, lo = 0.4 }]
"""
    path = tmp_path / "policy.toml"
    path.write_text(text)
    judges = judges_of(config, load_policy(str(path)))
    assert [panel.name for panel in judges.panels] == ["both"]


@pytest.mark.parametrize(
    ("seat", "error", "words_said"),
    [
        (Seat("nobody", "x/1"), ConfigError, "no scorer 'nobody'"),
        (Seat("limits", "limits/99"), CheckpointMismatch, "fitted on limits/99"),
    ],
)
def test_a_member_that_is_not_here_is_refused(
    seat: Seat, error: type[Exception], words_said: str, tmp_path: Path
) -> None:
    path = tmp_path / "panel.json"
    path.write_bytes(encode(panel(seat)))
    with pytest.raises(error, match=words_said):
        judges_of(Config(models=(), panels=(str(path),)), load_policy(""))


def test_a_rule_score_that_a_panel_wants_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "panel.json"
    judges = judges_of(Config(models=()), load_policy(""))
    assert "qsofa" not in [scorer.name for scorer in judges.scorers]
    path.write_bytes(encode(panel(Seat("qsofa", "qsofa/1", probability=False))))
    judges = judges_of(Config(models=(), panels=(str(path),)), load_policy(""))
    assert "qsofa" in [scorer.name for scorer in judges.scorers]


def test_files_that_are_no_panels_are_refused_by_name(tmp_path: Path) -> None:
    bad, absent = tmp_path / "bad.json", tmp_path / "absent.json"
    bad.write_text("{}")
    for path in (bad, absent):
        with pytest.raises(ConfigError, match=path.name):
            model_names(Config(panels=(str(path),)))
    good = tmp_path / "good.json"
    good.write_bytes(encode(panel()))
    with pytest.raises(ConfigError, match="another one named 'both'"):
        model_names(Config(panels=(str(good), str(good))))


def test_panels_are_configured_by_their_files(tmp_path: Path) -> None:
    path = tmp_path / "vigil.toml"
    path.write_text('panels = ["a.json"]\n')
    assert load(path, {}).panels == ("a.json",)
