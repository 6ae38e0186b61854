"""The fast way and the live machine agree on every raise and every end, on random histories."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.policy import Policy, default_policy_text, parse_policy
from models.score import Evidence, RuleScore
from service.backtest_exact import Until, patient_events
from service.backtest_light import episodes, rounded, unsupported
from service.backtest_run import Episode, episodes_of
from service.backtest_scores import ScoreTable, from_arrow

START_US = 1_750_000_000_000_000
HEAD = """
[policy]
id = "test"
version = "1"
[condition.deterioration]
display = "Deterioration"
label = "NEWS2"
source = "news2.lower"
levels = [{ priority = "medium", hi = 5, lo = 4 }, { priority = "high", hi = 7, lo = 5 }]
"""
INPUTS = ("resp_rate", "spo2", "pulse")


@dataclasses.dataclass
class Ward:
    """Random scores: clustered around the levels, with gaps, missing inputs, spikes."""

    seed: int
    patients: int = 4
    scores: int = 80
    step_s: float = 30.0
    rule: bool = True
    there: float = 1.0  # how often an input is

    def table(self) -> ScoreTable:
        rng = np.random.default_rng(self.seed)
        self.there = float(rng.choice([0.7, 0.95, 1.0, 1.0]))
        rows = [row for p in range(self.patients) for row in self.patient(rng, f"p{p}")]
        return from_arrow(pa.Table.from_pylist(rows))

    def patient(self, rng: np.random.Generator, name: str) -> list[dict[str, Any]]:
        at_us, level, rows = START_US, rng.uniform(2, 8), []
        for _ in range(int(rng.integers(1, self.scores))):
            gap = rng.choice([1.0, 1.0, 1.0, 1.0, 2.0, 7.0, 40.0])
            at_us += round(self.step_s * gap * 1e6)
            level = float(np.clip(level + 0.1 * (5 - level) + rng.normal(0, 1.5), 0, 12))
            value = None if rng.random() < 0.05 else level
            value = round(value) if value is not None and self.rule else value
            there = [n for n in INPUTS if rng.random() < self.there]
            points = {n: int(rng.integers(0, 4)) for n in there}
            known_us = at_us + int(rng.integers(0, 20_000_001))
            rows.append(self.row(rng, name, (at_us, known_us, value), points))
            if len(rows) > 1 and rows[-1]["known_us"] < rows[-2]["known_us"]:
                rows[-1]["known_us"] = rows[-2]["known_us"]
        return rows

    def row(
        self,
        rng: np.random.Generator,
        name: str,
        seen: tuple[int, int, float | None],
        points: dict[str, int],
    ) -> dict[str, Any]:
        at_us, known_us, value = seen
        rule = RuleScore(0, 0, 0, False, 1, (), points) if self.rule else None
        evidence = [
            Evidence(n, n, 1.0, "1", at_us, float(rng.choice([0.0, 90.0])), "wearable",
                     float(rng.choice([0.9, 0.5])), float(p))
            for n, p in points.items()
        ]  # fmt: skip
        return {
            "patient_id": name,
            "scorer": "news2",
            "model": "news2/1",
            "start_us": at_us - 60_000_000,
            "end_us": at_us,
            "known_us": known_us,
            "revision": 0,
            "value": value,
            "lower": value,
            "upper": None if value is None else value + 3,
            "std": None,
            "calibrated": False,
            "horizon_s": 0.0,
            "completeness": round(len(points) / 3, 4),
            "share": "{}",
            "present": "{}",
            "news2": msgspec.json.encode(rule).decode(),
            "evidence": msgspec.json.encode(evidence).decode(),
        }


def policy(**changes: Any) -> Policy:
    """A policy of one condition; technical and priority tables are the shipped ones."""
    knobs = {
        "for_s": 60,
        "keep_s": 90,
        "rejoin_s": 120,
        "refractory_s": 0,
        "max_gap_s": 120,
        "stale_after_s": 300,
        "min_completeness": 0.4,
        **changes,
    }
    lines = "\n".join(f"{key} = {value}" for key, value in knobs.items())
    return parse_policy(f"{HEAD}{lines}\n", default_policy_text())


def exact(table: ScoreTable, of: Policy) -> list[Episode]:
    bounds = table.bounds()
    found: list[Episode] = []
    for p in range(len(table.patients)):
        place = (int(bounds[p]), int(bounds[p + 1]))
        found += episodes_of(p, patient_events(table, p, place, of, Until(None)))
    return found


def by_start(found: list[Episode]) -> list[Episode]:
    return sorted(found, key=lambda e: (e.patient, e.at_us, e.code))


KNOBS = {
    "seed": st.integers(0, 2**32 - 1),
    "rule": st.booleans(),
    "for_s": st.sampled_from([0, 30, 60, 120]),
    "keep_s": st.sampled_from([0, 60, 300]),
    "refractory_s": st.sampled_from([0, 200, 900]),
    "rejoin_s": st.sampled_from([0, 60, 900]),
    "stale_after_s": st.sampled_from([45, 100, 300]),
    "max_gap_s": st.sampled_from([40, 120, 2000]),
    "severe": st.sampled_from([None, 7, 9]),
    "min_completeness": st.sampled_from([0.0, 0.4, 1.0]),
}


def agree(seed: int, rule: bool, **knobs: Any) -> None:
    """Both ways over one random ward."""
    of = policy(**{name: value for name, value in knobs.items() if value is not None})
    table = Ward(seed, rule=rule).table()
    assert unsupported(of, table) == ""
    assert by_start(episodes(table, of)) == by_start(exact(table, of))


@settings(max_examples=30)
@given(**KNOBS)
def test_the_fast_way_says_what_the_machine_says(**drawn: Any) -> None:
    agree(**drawn)


@pytest.mark.slow
@settings(max_examples=400)
@given(**KNOBS)
def test_the_fast_way_says_what_the_machine_says_however_often_one_asks(**drawn: Any) -> None:
    agree(**drawn)


def test_the_histories_of_that_test_are_worth_it() -> None:
    raised = again = ended = risen = 0
    for seed in range(30):
        found = exact(Ward(seed).table(), policy(severe=9))
        raised += len(found)
        again += sum(not each.first for each in found)
        ended += sum(each.end_us > 0 for each in found)
        risen += sum(each.priority == 3 for each in found)
    assert min(raised, again, ended, risen) > 20


@given(st.floats(-1e6, 1e6))
def test_rounding_is_the_engine_s(value: float) -> None:
    assert rounded(np.array([value]))[0] == round(value, 4)


@given(st.integers(-(10**7), 10**7))
def test_rounding_is_the_engine_s_on_ties(half: int) -> None:
    value = (half + 0.5) / 1e4
    assert rounded(np.array([value]))[0] == round(value, 4)


def test_what_it_does_not_know_is_left_to_the_machine() -> None:
    table = Ward(1).table()
    assert unsupported(policy(), table) == ""
    revised = table._replace(revision=table.revision + 1)
    assert "revised" in unsupported(policy(), revised)
    backwards = table._replace(end_us=table.end_us[::-1].copy())
    assert "order" in unsupported(policy(), backwards)


def test_a_knob_of_tomorrow_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    import service.backtest_light as light

    monkeypatch.setattr(light, "KNOWN", light.KNOWN - {"for_s"})
    assert unsupported(policy(), Ward(1).table()) == "condition.deterioration.for_s is used"
