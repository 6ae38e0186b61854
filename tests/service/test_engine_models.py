"""Models inside the engine: the same laws as everything else, and faults that cost only a score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from models.score import Score
from models.seat import Seat
from service import artifacts
from service.build import build_engine
from service.config import Config, ModelConfig
from service.engine import Engine
from service.results import Results
from service.settle import USE_MODEL
from streams.processor import Output
from streams.records import ANYONE, LogRecord
from tests.service import model_kit as kit
from tests.service.engine_kit import collected, command, event, handed_over, log_of, patient

SECONDS = 200.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One version of the model."""
    place = tmp_path_factory.mktemp("one")
    kit.artifact(place)
    return place


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another version."""
    place = tmp_path_factory.mktemp("two")
    kit.artifact(place, "2", seed=2)
    return place


@pytest.fixture(scope="module")
def log() -> list[LogRecord]:
    """Two patients with facts, one of them late."""
    facts = [
        event("p1", "lactate", 4.0, "mmol/L", 20.0, 21.0),
        event("p1", "sbp", 92.0, "mmHg", 100.0, 132.0),  # known after windows it concerns
        event("p2", "sbp", 120.0, "mmHg", 5.0, 6.0),
    ]
    return log_of(
        [patient("p1", SECONDS, rate_bpm=110, spo2=91), patient("p2", SECONDS, rate_bpm=65), facts]
    )


def fed(
    engine: Engine, log: Sequence[LogRecord], sizes: Iterable[int] = (1 << 30,)
) -> list[Output]:
    said: list[Output] = []
    remaining = iter(log)
    for size in cycle(sizes):
        part = list(islice(remaining, size))
        if not part:
            return said
        said.extend(engine.feed(part).messages)
    return said


def run(config: Config, log: Sequence[LogRecord], sizes: Iterable[int] = (1 << 30,)) -> Results:
    return collected(fed(build_engine(config), log, sizes))


def of(results: Results, scorer: str, who: str = "") -> list[Score]:
    found = [s for s in results.scores if s.scorer == scorer]
    return [s for s in found if s.patient_id == who] if who else found


@pytest.fixture(scope="module")
def whole(folder: Path, log: list[LogRecord]) -> Results:
    """The log in one go, with the model."""
    return run(kit.config(folder), log)


@pytest.fixture(scope="module")
def rules(log: list[LogRecord]) -> Results:
    """The log in one go, without models."""
    return run(kit.config(), log)


def bytes_of(results: Results) -> tuple[object, ...]:
    return results.features, results.scores, results.alerts


def test_every_window_gets_a_score_with_all_a_score_has(whole: Results) -> None:
    results = whole
    first = [s for s in of(results, kit.NAME, "p1") if s.revision == 0]
    assert len(first) == len([s for s in of(results, "news2", "p1") if s.revision == 0])
    last = first[-1]
    assert last.value is not None
    assert last.value == round(last.value, 4)
    assert last.model.startswith("tiny/1/")
    assert last.present == {"vitals": True, "labs": True}
    assert set(last.share) == {"vitals", "labs"}
    assert {e.code for e in last.evidence} == {"ecg_hr_bpm", "spo2_mean_pct", "lactate", "sbp"}
    assert (last.completeness, last.horizon_s) == (1.0, 3600.0)
    assert first[0].cold is True
    assert last.cold is False


def test_the_rules_say_the_same_with_and_without_a_model(whole: Results, rules: Results) -> None:
    with_model, without = whole, rules
    assert of(with_model, "news2") == of(without, "news2")
    assert with_model.alerts == without.alerts
    assert not of(without, kit.NAME)


@pytest.mark.parametrize("sizes", [(1,), (7, 2, 31), (400,)])
def test_2_any_split_of_the_log_gives_the_same_scores(
    folder: Path, log: list[LogRecord], whole: Results, sizes: tuple[int, ...]
) -> None:
    assert bytes_of(run(kit.config(folder), log, sizes)) == bytes_of(whole)


def test_4_patients_do_not_know_of_one_another(folder: Path) -> None:
    both = log_of([patient("p1", 150.0), patient("p2", 150.0, rate_bpm=120)])
    alone = log_of([patient("p1", 150.0)])
    config = kit.config(folder)
    assert of(run(config, both), kit.NAME, "p1") == of(run(config, alone), kit.NAME, "p1")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.62])
def test_7_a_snapshot_anywhere_changes_nothing(
    folder: Path, log: list[LogRecord], whole: Results, share: float
) -> None:
    config = kit.config(folder)
    cut = int(len(log) * share)
    first = build_engine(config)
    said = fed(first, log[:cut])
    second = handed_over(first, build_engine(config), log, kit.PARTITIONS)
    said += fed(second, log[cut:])
    assert bytes_of(collected(said)) == bytes_of(whole)


def test_2_a_late_fact_scores_its_windows_again(whole: Results) -> None:
    results = whole
    revised = [s for s in of(results, kit.NAME, "p1") if s.revision > 0]
    assert revised
    before = {s.end_us: s for s in of(results, kit.NAME, "p1") if s.revision == 0}
    for score in revised:
        assert "sbp" in {e.code for e in score.evidence}
        assert "sbp" not in {e.code for e in before[score.end_us].evidence}


def test_2_a_late_fact_leaves_the_state_it_would_have_left_in_time(folder: Path) -> None:
    """Known in time or within the patience: the windows decided afterwards say the same."""
    base = patient("p1", SECONDS, rate_bpm=110)
    ends = {}
    for name, known_s in (("in time", 100.5), ("late", 132.0)):
        facts = [event("p1", "sbp", 80.0, "mmHg", 100.0, known_s)]
        results = run(kit.config(folder), log_of([base, facts]))
        last: dict[int, Score] = {}
        for score in of(results, kit.NAME):
            last[score.end_us] = score
        ends[name] = [s.value for t, s in sorted(last.items()) if t > base[0][0] + 150_000_000]
    assert ends["late"] == ends["in time"]


def use(version: str, at_s: float, who: str = ANYONE) -> list[tuple[int, object]]:
    return [command(who, USE_MODEL, f"{kit.NAME}@{version}", at_s, reason="new release")]


def digests(*folders: Path) -> list[str]:
    return [artifacts.read_artifact(folder).digest for folder in folders]


def test_22_a_swap_happens_at_its_place_in_the_log(folder: Path, second: Path) -> None:
    old, new = digests(folder, second)
    people = [patient("p1", SECONDS), patient("late", 60.0, spans_s=((30.0, 60.0),))]
    log = log_of([*people, use(new, 150.0)])  # type: ignore[list-item]
    results = run(kit.config(folder, second), log)
    models = [(s.known_us, s.model.rpartition("/")[2]) for s in of(results, kit.NAME, "p1")]
    changed = [known for known, version in models if version == new]
    assert {version for _, version in models} == {old, new}
    assert max(known for known, version in models if version == old) < min(changed)
    again = run(kit.config(folder, second), log, (13, 4))
    assert bytes_of(again) == bytes_of(results)


def test_22_the_new_version_was_kept_warm(folder: Path, second: Path) -> None:
    _, new = digests(folder, second)
    log = log_of([patient("p1", SECONDS), use(new, 170.0)])  # type: ignore[list-item]
    swapped = [s for s in of(run(kit.config(folder, second), log), kit.NAME) if new in s.model]
    always = {s.end_us: s for s in of(run(kit.config(second), log), kit.NAME)}
    assert swapped
    assert all(s.cold is False for s in swapped)
    assert [s.value for s in swapped] == [always[s.end_us].value for s in swapped]


def test_22_who_comes_after_the_swap_has_the_new_version(folder: Path, second: Path) -> None:
    _, new = digests(folder, second)
    late = patient("late", 200.0, spans_s=((100.0, 200.0),))
    log = log_of([patient("p1", 200.0), late, use(new, 50.0)])  # type: ignore[list-item]
    config = kit.config(folder, second)
    assert {s.model.rpartition("/")[2] for s in of(run(config, log), kit.NAME, "late")} == {new}
    first = build_engine(config)
    cut = next(i for i, r in enumerate(log) if r.append_us > log[0].append_us + 60_000_000)
    said = fed(first, log[:cut])
    other = handed_over(first, build_engine(config), log, kit.PARTITIONS)
    assert bytes_of(collected([*said, *fed(other, log[cut:])])) == bytes_of(run(config, log))


def test_22_one_patient_alone_may_be_given_another_version(folder: Path, second: Path) -> None:
    _, new = digests(folder, second)
    log = log_of([patient("p1", 200.0), patient("p2", 200.0), use(new, 60.0, "p1")])  # type: ignore[list-item]
    results = run(kit.config(folder, second), log)
    assert any(new in s.model for s in of(results, kit.NAME, "p1"))
    assert not any(new in s.model for s in of(results, kit.NAME, "p2"))


def test_22_a_version_that_is_not_loaded_is_refused(folder: Path) -> None:
    log = log_of([patient("p1", 100.0), use("0123456789abcdef", 50.0, "p1")])  # type: ignore[list-item]
    results = run(kit.config(folder), log)
    assert [letter.reason for letter in results.dead] == ["bad_command"]
    assert "loaded: risk@" in results.dead[0].detail
    assert of(results, kit.NAME)[-1].value is not None


class Breaking:
    """A runtime that fails on purpose, from one call to another."""

    def __init__(self, real: object, error: Exception | None, calls: range) -> None:
        self._real, self._error, self._calls, self.asked = real, error, calls, 0

    def __call__(self, state, rows, clock):  # type: ignore[no-untyped-def]
        self.asked += 1
        said = self._real(state, rows, clock)  # type: ignore[operator]
        if self.asked not in self._calls:
            return said
        if self._error is not None:
            raise self._error
        return said._replace(logit=np.full_like(said.logit, np.nan))


def broken(config: Config, error: Exception | None, calls: range) -> Engine:
    engine = build_engine(config)
    (seat,) = engine._judges.seats
    assert isinstance(seat, Seat)
    for scorer in seat._scorers.values():
        scorer._trusted_step = Breaking(scorer._trusted_step, error, calls)
    return engine


@pytest.mark.parametrize("error", [None, RuntimeError("CUDA error"), MemoryError()])
def test_21_a_model_that_fails_costs_its_score_and_nothing_else(
    folder: Path, error: Exception | None
) -> None:
    log = log_of([patient("p1", SECONDS + 40, rate_bpm=140, spo2=88)])
    config = kit.config(folder)
    failed = collected(fed(broken(config, error, range(5, 12)), log, (40,)))
    healthy = run(config, log)
    assert of(failed, "news2") == of(healthy, "news2")
    assert of(failed, "limits") == of(healthy, "limits")
    assert any(s.value is None for s in of(failed, kit.NAME))
    assert of(failed, kit.NAME)[-1].value is not None
    said = [(str(a.phase), a.condition.code) for a in failed.alerts if "model" in a.condition.code]
    assert said[:2] == [("raised", "model_lost:risk"), ("cleared", "model_lost:risk")]
    rules = [a for a in failed.alerts if "model" not in a.condition.code]
    assert [(a.phase, a.condition.code) for a in rules] == [
        (a.phase, a.condition.code) for a in healthy.alerts
    ]


def test_21_a_model_that_cannot_be_loaded_is_told_and_the_rules_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit.artifact(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"rubbish")
    log = log_of([patient("p1", 150.0, rate_bpm=140, spo2=88)])
    results = run(kit.config(tmp_path), log)
    assert "sha256" in caplog.text
    told = [a for a in results.alerts if a.condition.code == "model_lost:risk"]
    assert [str(a.phase) for a in told] == ["raised"]
    assert "it could not be loaded; the rules watch on" in told[0].text.summary
    assert of(results, "news2") == of(run(kit.config(), log), "news2")
    assert all(s.value is None for s in of(results, kit.NAME))


def test_a_shipped_model_that_this_build_lacks_leaves_rules_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(artifacts, "SHIPPED", ("nonesuch",))
    assert artifacts.open_seats(Config(models=(ModelConfig("m", "nonesuch"),))) == ()


def test_state_of_another_version_is_never_used(folder: Path, second: Path) -> None:
    log = log_of([patient("p1", SECONDS)])
    cut = len(log) // 2
    first = build_engine(kit.config(folder))
    fed(first, log[:cut])
    other = handed_over(first, build_engine(kit.config(second)), log, kit.PARTITIONS)
    scores = of(collected(fed(other, log[cut:])), kit.NAME)
    assert scores[0].cold is True
    assert scores[-1].cold is False


def test_a_policy_reads_a_model_and_its_alerts_carry_the_version(
    folder: Path, second: Path, tmp_path: Path
) -> None:
    from alerts.policy import default_policy_text

    head = default_policy_text()
    more = (
        '\n[condition.model_risk]\ndisplay = "Risk"\nlabel = "Risk"\nsource = "risk.value"\n'
        'levels = [{ priority = "medium", hi = 0.05, lo = 0.01 }]\nfor_s = 0\n'
    )
    path = tmp_path / "policy.toml"
    path.write_text(head + more)
    log = log_of([patient("p1", 200.0, rate_bpm=110, spo2=92)])
    ids = []
    for own in (folder, second):
        results = run(kit.config(own, policy=str(path)), log)
        raised = [a for a in results.alerts if a.condition.code == "model_risk"]
        assert raised
        model = raised[0].model
        assert model is not None
        assert f"{model.name}/{model.version}/{model.digest}" == of(results, kit.NAME)[-1].model
        ids.append(raised[0].occurrence_id)
    assert ids[0] != ids[1]
