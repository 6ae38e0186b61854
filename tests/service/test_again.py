"""A fact that comes late, or is corrected, scores the last windows again: once, and pages once."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.build import build_engine
from service.config import Config, KafkaConfig, TimingConfig
from service.recent import MOST_ROWS
from service.results import Results
from streams.history import Timed
from streams.records import ClinicalEvent, LogRecord, Tick
from tests.service.engine_kit import (
    PARTITIONS,
    START_US,
    S,
    collected,
    corrected,
    engine,
    event,
    log_of,
    outputs,
    patient,
    revived,
    run,
)

SECONDS = 200.0


def sick(chunk_s: float | Sequence[float] = 2.0) -> list[Timed]:
    """Vital signs of a wearable that alone score 5: whether it is 8 hangs on blood pressure."""
    return patient("p", SECONDS, rate_bpm=135, breaths=23, spo2=97.0, chunk_s=chunk_s)


def said(rows: Sequence[Timed]) -> Results:
    return run(log_of([sorted(rows, key=lambda row: row[0])]))


def news2(results: Results) -> list[tuple[float, float, int, float | None]]:
    """(end, decided, revision, value) of every NEWS2 score, seconds after the start."""
    return [
        ((s.end_us - START_US) / S, (s.known_us - START_US) / S, s.revision, s.value)
        for s in results.scores
        if s.scorer == "news2"
    ]


def test_without_facts_nothing_is_scored_again() -> None:
    assert {revision for _, _, revision, _ in news2(said(sick()))} == {0}


def test_a_correction_scores_the_windows_decided_within_the_patience_again() -> None:
    """sbp 85 known at 100 s, corrected to 125 at 141 s: with the decision at 142, since 112."""
    wrong = event("p", "sbp", 85, "mmHg", 95, 100)
    before = {end: v for end, _, _, v in news2(said([*sick(), wrong]))}
    found = news2(said([*sick(), wrong, corrected(wrong, 125.0, 141)]))
    again = [row for row in found if row[2]]
    firsts = {end: known for end, known, revision, _ in found if not revision}
    assert [end for end, *_ in again] == [e for e in sorted(firsts) if 112 <= firsts[e] < 142]
    assert len(again) == 3
    assert {known for _, known, _, _ in again} == {142.0}
    for end, _, revision, value in again:
        assert revision == 1
        assert value == before[end] - 3


def test_what_was_decided_before_stays_as_it_was() -> None:
    wrong = event("p", "sbp", 85, "mmHg", 95, 100)
    alone = {s: s for s in news2(said([*sick(), wrong])) if s[1] <= 141}
    found = news2(said([*sick(), wrong, corrected(wrong, 125.0, 141)]))
    assert [row for row in found if row[2] == 0 and row[1] <= 141] == list(alone)


def test_a_fact_charted_late_scores_again_what_it_was_true_for() -> None:
    """True at 120 s, known at 141 s: windows that end before 120 s keep what they said."""
    late = event("p", "sbp", 85, "mmHg", 120, 141)
    again = [row for row in news2(said([*sick(), late])) if row[2]]
    assert again
    assert min(end for end, *_ in again) >= 120
    plain = {end: v for end, _, _, v in news2(said(sick()))}
    assert all(value == plain[end] + 3 for end, _, _, value in again)


def test_a_fact_that_changes_no_score_makes_no_revision() -> None:
    wbc = event("p", "wbc", 12, "10*3/uL", 120, 141)
    assert {row[2] for row in news2(said([*sick(), wbc]))} == {0}


def test_each_correction_is_the_next_revision() -> None:
    first = event("p", "sbp", 85, "mmHg", 95, 100)
    rows = [first, corrected(first, 105.0, 141), corrected(first, 125.0, 151, version=3)]
    found = [row for row in news2(said([*sick(), *rows])) if row[2]]
    by_end: dict[float, list[tuple[int, float | None]]] = {}
    for end, _, revision, value in found:
        by_end.setdefault(end, []).append((revision, value))
    twice = [rows for rows in by_end.values() if len(rows) == 2]
    assert twice
    for (one, value), (two, later) in twice:
        assert (one, two) == (1, 2)
        assert value is not None
        assert later is not None
        assert value - later == 1


def test_many_facts_between_two_decisions_make_one_revision() -> None:
    facts = [event("p", "sbp", 100 - i, "mmHg", 110 + i, 139 + i / 10) for i in range(20)]
    found = [row for row in news2(said([*sick(), *facts])) if row[2]]
    assert found
    assert {(known, revision) for _, known, revision, _ in found} == {(142.0, 1)}


def test_a_correction_changes_the_alert_and_raises_no_second_one() -> None:
    """A mistyped pressure raises an alert; the correction withdraws it, from where it was wrong."""
    well = patient("p", SECONDS, rate_bpm=75)
    wrong = event("p", "sbp", 85, "mmHg", 5, 6)
    alone = said([*well, wrong]).alerts
    raised = [a for a in alone if a.phase == "raised"]
    assert raised
    alerts = said([*well, wrong, corrected(wrong, 125.0, 181)]).alerts
    again = [a.occurrence_id for a in alerts if a.phase == "raised"]
    assert again == [a.occurrence_id for a in raised]
    revised = [a for a in alerts if a.revised]
    assert {a.occurrence_id for a in revised} == set(again)
    assert {(a.recorded_us - START_US) / S for a in revised} == {182.0}


def test_a_cancelled_fact_takes_its_points_back() -> None:
    wrong = event("p", "sbp", 85, "mmHg", 95, 100)
    results = said([*sick(), wrong, corrected(wrong, None, 141)])
    for score in results.scores:
        if score.scorer == "news2" and score.revision:
            assert score.news2 is not None
            assert "sbp" in score.news2.missing


def test_a_patience_of_zero_scores_nothing_again() -> None:
    wrong = event("p", "sbp", 85, "mmHg", 95, 100)
    rows = sorted([*sick(), wrong, corrected(wrong, 125.0, 141)], key=lambda row: row[0])
    config = Config(kafka=KafkaConfig(partitions=PARTITIONS), timing=TimingConfig(revise_s=0.0))
    found = collected(build_engine(config).feed(log_of([rows])).messages)
    assert {row[2] for row in news2(found)} == {0}


def eventful_rows() -> list[Timed]:
    """Late facts, a correction and a cancellation."""
    first, second = (event("p", "sbp", v, "mmHg", at, at + 5) for v, at in ((85, 95), (88, 150)))
    return [
        first,
        corrected(first, 125.0, 141),
        event("p", "temp", 39.6, "Cel", 100, 128),
        second,
        corrected(second, None, 171.5),
    ]


@pytest.fixture(scope="module")
def eventful() -> list[LogRecord]:
    return log_of([sick(), eventful_rows()])


@given(size=st.integers(1, 60))
@settings(max_examples=5, deadline=None)
def test_any_feed_sizes_give_the_same_revisions(eventful: list[LogRecord], size: int) -> None:
    whole = outputs(eventful)
    assert any(b'"revision":1' in message.value for message in whole)
    assert outputs(eventful, [size]) == whole


def test_what_keeps_a_window_waiting_does_not_change_the_order_of_what_is_heard() -> None:
    """Chunks of 6 s keep windows past ticks, and past facts that are known after their plan."""
    wrong = event("p", "sbp", 85, "mmHg", 5, 6)
    rows = [wrong, corrected(wrong, 125.0, 141), corrected(wrong, 85.0, 144.9, version=3)]
    prompt, late = (said([*sick(chunk_s), *rows]) for chunk_s in (1.0, (6.0, 5.5)))
    assert any(score.revision == 2 for score in prompt.scores)
    assert any(alert.revised for alert in prompt.alerts)
    assert late.digests == prompt.digests


@given(lengths_s=st.lists(st.floats(0.05, 6.0), min_size=1, max_size=5), seed=st.integers(0, 2**16))
@settings(max_examples=8, deadline=None)
def test_any_chunks_give_the_same_revisions(lengths_s: list[float], seed: int) -> None:
    """Facts, corrections and cancellations at random between decisions, ticks and chunks."""
    facts = random_facts(seed)
    assert said([*sick(lengths_s), *facts]).digests == said([*sick(), *facts]).digests


def random_facts(seed: int) -> list[Timed]:
    """Pressures that decide whether there is an alert, each said up to three times."""
    draw, rows = random.Random(seed), list[Timed]()
    for number in range(6):
        at_s = draw.randrange(20, 170)
        known_s = at_s + draw.choice((0.5, 12.0, 24.999))
        first = event("p", "sbp", draw.choice((85, 125)), "mmHg", at_s, known_s)
        rows.append(first)
        for version in range(2, draw.randrange(2, 5)):
            known_s += draw.choice((0.25, 5.0, 11.0))
            value = draw.choice((85.0 + number, 125.0, None))
            rows.append(corrected(first, value, known_s, version))
    return [row for row in rows if row[0] < START_US + (SECONDS - 2) * S]


def test_a_restart_between_a_fact_and_its_revision_changes_nothing(
    eventful: list[LogRecord],
) -> None:
    whole = outputs(eventful)
    facts = [i for i, r in enumerate(eventful) if isinstance(r.record, ClinicalEvent)]
    for cut in (index + 1 for index in facts):
        first = engine()
        messages = list(first.feed(eventful[:cut]).messages)
        states = {
            (partition, patient_id): state
            for partition in range(PARTITIONS)
            for patient_id, _, state in first.snapshots(partition)
        }
        second = revived(states, eventful)
        messages += second.feed(eventful[cut:]).messages
        assert messages == whole


def test_what_is_kept_is_bounded() -> None:
    rows = [event("p", "sbp", 80 + i % 50, "mmHg", i, i + 0.5) for i in range(1, 190)]
    machine = engine()
    log = log_of([sorted([*sick(), *rows], key=lambda row: row[0])])
    machine.feed([r for r in log if not isinstance(r.record, Tick) or r.append_us < START_US * 2])
    kept = [p.recent for own in machine._patients.values() for p in own.values()]
    assert max(len(recent.rows) for recent in kept) <= MOST_ROWS
