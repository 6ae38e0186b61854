"""Cadence, warm-up, corrections, evidence and memory of a model in service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from features.align import AlignedBatch
from models.fusion_scorer import FusionScorer, Opened
from models.open import open_blocks
from models.runtime import Said
from models.score import Score
from models.seat import RAISED, Seat
from models.slab import Slab
from models.spec import OperatingPoint
from models.words import NO_VALUE
from service.artifacts import read_artifact
from streams.windows import Window
from tests.models.conftest import END_US
from tests.service import model_kit

Aligned = Callable[..., AlignedBatch]
STEP_US = 10_000_000
GRID_US = 30_000_000
BASE_US = END_US // GRID_US * GRID_US


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("model")
    model_kit.artifact(folder)
    held = read_artifact(folder)
    return Opened("risk", held.ref, held.spec, open_blocks(held))


@pytest.fixture
def rows(aligned: Aligned) -> Callable[..., AlignedBatch]:
    """A batch of (patient, step of 10 s, heart rate, revision)."""

    def build(*cases: tuple[str, int, float, int]) -> AlignedBatch:
        batch = aligned(*(({"ecg_hr_bpm": hr}, {"lactate": 2.0}) for _, _, hr, _ in cases))
        windows = []
        for patient, step, _, revision in cases:
            end_us = BASE_US + step * STEP_US
            windows.append(
                Window(patient, "60s", end_us - 60_000_000, end_us, end_us + 5, revision)
            )
        ages = np.full_like(batch.concept_time_us, BASE_US)
        times = np.where(batch.concept_time_us > 0, ages, 0)
        return batch._replace(
            features=batch.features._replace(windows=tuple(windows)), concept_time_us=times
        )

    return build


def scores(scorer: FusionScorer, batch: AlignedBatch) -> list[Score]:
    return [word.score for word in scorer.words(batch)]


def steps(rates: Sequence[float], patient: str = "p") -> list[tuple[str, int, float, int]]:
    return [(patient, step, rate, 0) for step, rate in enumerate(rates)]


RATES = [80.0, 90, 100, 110, 120, 130, 90, 70, 60, 80, 85, 95]


def test_only_rows_on_the_grid_move_the_state(opened: Opened, rows: Callable) -> None:
    every, sparse = FusionScorer(opened), FusionScorer(opened)
    for case in steps(RATES):
        scores(every, rows(case))
        if case[1] % 3 == 0:
            scores(sparse, rows(case))
    assert every.slab.store("p") == sparse.slab.store("p")


def test_rows_between_are_scored_from_a_state_that_is_thrown_away(
    opened: Opened, rows: Callable
) -> None:
    one, other = FusionScorer(opened), FusionScorer(opened)
    scores(one, rows(("p", 0, 80.0, 0), ("p", 1, 200.0, 0)))
    scores(other, rows(("p", 0, 80.0, 0)))
    assert scores(one, rows(("p", 2, 90.0, 0))) == scores(other, rows(("p", 2, 90.0, 0)))


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_2_how_rows_are_batched_changes_nothing(opened: Opened, rows: Callable, size: int) -> None:
    cases = [
        case for pair in zip(steps(RATES), steps(RATES[::-1], "q"), strict=True) for case in pair
    ]
    whole = scores(FusionScorer(opened), rows(*cases))
    scorer = FusionScorer(opened)
    parts = [
        s for i in range(0, len(cases), size) for s in scores(scorer, rows(*cases[i : i + size]))
    ]
    assert parts == whole


def test_2_who_came_first_changes_nothing(opened: Opened, rows: Callable) -> None:
    p, q = steps(RATES), steps(RATES[::-1], "q")
    one = {(s.patient_id, s.end_us): s for s in scores(FusionScorer(opened), rows(*p, *q))}
    other = {(s.patient_id, s.end_us): s for s in scores(FusionScorer(opened), rows(*q, *p))}
    assert one == other


def test_it_is_cold_until_warm(opened: Opened, rows: Callable) -> None:
    found = scores(FusionScorer(opened), rows(*steps(RATES)))
    warm_us = BASE_US + 90_000_000
    assert [s.cold for s in found] == [s.end_us < warm_us for s in found]
    assert not any(s.calibrated for s in found if s.cold)


@pytest.mark.parametrize("corrected", [6, 7, 8, 9])
def test_a_corrected_row_leaves_what_it_would_have_left_at_once(
    opened: Opened, rows: Callable, corrected: int
) -> None:
    right = FusionScorer(opened)
    wanted = {s.end_us: s for s in scores(right, rows(*steps(RATES)))}
    wrong = FusionScorer(opened)
    rates = [*RATES[:corrected], 170.0, *RATES[corrected + 1 :]]
    first = scores(wrong, rows(*steps(rates[:10])))
    (again,) = scores(wrong, rows(("p", corrected, RATES[corrected], 1)))
    assert again.value == wanted[again.end_us].value
    assert again.value != first[corrected].value
    rest = scores(wrong, rows(*steps(RATES)[10:]))
    assert [s.value for s in rest] == [wanted[s.end_us].value for s in rest]
    assert wrong.slab.store("p") == right.slab.store("p")


def test_a_row_older_than_what_is_kept_gets_no_value(opened: Opened, rows: Callable) -> None:
    scorer = FusionScorer(opened)
    scores(scorer, rows(*steps([80.0] * 40)))
    before = scorer.slab.store("p")
    (word,) = scorer.words(rows(("p", 0, 100.0, 1)))
    assert (word.score.value, word.fault) == (None, "")
    assert scorer.slab.store("p") == before


def test_scoring_a_row_twice_is_scoring_it_once(opened: Opened, rows: Callable) -> None:
    scorer = FusionScorer(opened)
    scores(scorer, rows(*steps(RATES[:7])))
    before = scorer.slab.store("p")
    once = FusionScorer(opened)
    assert scores(scorer, rows(("p", 6, RATES[6], 0))) == scores(once, rows(*steps(RATES[:7])))[-1:]
    assert scorer.slab.store("p") == before


def test_nothing_at_all_is_no_value(opened: Opened, aligned: Aligned) -> None:
    (word,) = FusionScorer(opened).words(aligned(({}, {})))
    assert (word.score.value, word.score.completeness, word.fault) == (None, 0.0, "")
    assert word.score.evidence == ()


def alarming(opened: Opened) -> Opened:
    """The same model with a threshold that everything is above."""
    spec = msgspec.structs.replace(opened.spec, operating=(OperatingPoint("all", 3600.0, 0.0),))
    return opened._replace(spec=spec)


def test_points_are_what_leaving_an_input_out_takes(opened: Opened, aligned: Aligned) -> None:
    scorer = FusionScorer(alarming(opened))
    full = aligned(({"ecg_hr_bpm": 130.0, "spo2_mean_pct": 85.0}, {"lactate": 6.0}))
    (word,) = scorer.words(full)
    points = {item.code: item.points for item in word.score.evidence}
    assert set(points) == {"ecg_hr_bpm", "spo2_mean_pct", "lactate"}
    (less,) = FusionScorer(opened).words(
        aligned(({"ecg_hr_bpm": 130.0, "spo2_mean_pct": 85.0}, {}))
    )

    def logit(p: float | None) -> float:
        assert p is not None
        return float(np.log(p / (1 - p)))

    assert points["lactate"] == pytest.approx(
        logit(word.score.value) - logit(less.score.value), abs=2e-3
    )
    assert all(item.points == 0 for item in FusionScorer(opened).words(full)[0].score.evidence) or (
        word.score.value is not None and word.score.value >= 0.5
    )


def test_an_interval_holds_the_value(opened: Opened, rows: Callable) -> None:
    calibration = msgspec.structs.replace(opened.spec.calibration, halfwidth_logit=0.7)
    spec = msgspec.structs.replace(opened.spec, calibration=calibration)
    for score in scores(FusionScorer(opened._replace(spec=spec)), rows(*steps(RATES))):
        assert score.lower is not None
        assert score.upper is not None
        assert score.value is not None
        assert 0 <= score.lower < score.value < score.upper <= 1


class Raising:
    """A step that raises when a row's heart rate is too much for it."""

    def __init__(self, real: Callable[..., Said], *, quietly: bool) -> None:
        self._real, self._quietly = real, quietly

    def __call__(self, state, rows, times):  # type: ignore[no-untyped-def]
        bad = rows[:, 0, 0] > 150
        said = self._real(state, rows, times)
        if self._quietly:
            return said._replace(logit=np.where(bad[:, None], np.nan, said.logit))
        if bad.any():
            raise RuntimeError("too much")
        return said


@pytest.mark.parametrize("quietly", [True, False])
def test_a_row_on_which_it_fails_costs_no_other_row_and_no_state(
    opened: Opened, rows: Callable, quietly: bool
) -> None:
    told: list[str] = []
    broken = opened._replace(step=Raising(opened.step, quietly=quietly), tell=told.append)
    scorer = FusionScorer(broken)
    cases = [("p", 0, 80.0, 0), ("q", 0, 200.0, 0), ("r", 0, 90.0, 0)]
    words = scorer.words(rows(*cases))
    assert [word.fault for word in words] == ["", NO_VALUE, ""]
    assert words[1].score.value is None
    alone = FusionScorer(opened).words(rows(cases[0], cases[2]))
    assert [words[0], words[2]] == alone
    assert scorer.slab.at_us[scorer.slab.slots(["q"])[0]] == 0
    assert len(told) == (0 if quietly else 1)


def test_whatever_else_raises_costs_only_its_row(
    opened: Opened, rows: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = FusionScorer(opened)
    real = scorer._worded

    def worded(wave, said, given, windows, looked):  # type: ignore[no-untyped-def]
        if "q" in [windows[i].patient_id for i in wave]:
            raise KeyError("boom")
        return real(wave, said, given, windows, looked)

    monkeypatch.setattr(scorer, "_worded", worded)
    cases = [("p", 0, 80.0, 0), ("q", 0, 95.0, 0), ("r", 0, 90.0, 0)]
    words = Seat("risk", [scorer]).words(rows(*cases), ["", "", ""])
    assert [word.fault for word in words] == ["", RAISED, ""]
    wanted = FusionScorer(opened).words(rows(*cases))
    assert (words[0], words[2]) == (wanted[0], wanted[2])


def test_memory_of_another_model_shape_or_form_is_not_taken_over() -> None:
    slab = Slab("one", 3, 4, 2)
    at = slab.slots(["p"])
    slab.take_in(at, np.array([10]), np.ones((1, 4), np.float32), np.ones((1, 3), np.float32))
    stored = slab.store("p")
    assert stored is not None
    for other in (Slab("two", 3, 4, 2), Slab("one", 5, 4, 2)):
        other.load("p", stored)
        assert not other.state.any()
    same = Slab("one", 3, 4, 2)
    for junk in (b"", b"\xc1", b"\x93\x01", stored[:-3]):
        same.load("p", junk)
        assert not same.state.any()
    same.load("p", stored)
    assert same.store("p") == stored


def test_a_slot_given_back_is_empty_for_the_next() -> None:
    slab = Slab("one", 2, 1, 1)
    at = slab.slots([f"p{i}" for i in range(100)])
    slab.take_in(at, np.full(100, 7), np.ones((100, 1), np.float32), np.ones((100, 2), np.float32))
    assert len(slab) == 100
    slab.forget("p3")
    slab.forget("p3")
    assert slab.store("p3") is None
    fresh = slab.slots(["new"])
    assert fresh[0] == at[3]
    assert not slab.state[fresh].any()
    assert slab.state[at[4]].all()


def test_the_artifact_of_the_tests_is_one(tmp_path: Path) -> None:
    assert len(model_kit.artifact(tmp_path)) == 16
