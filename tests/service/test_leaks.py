"""Nothing known after t changes what was said by t, whatever facts come, in whatever order.

Each trap is a history of facts. The whole engine runs on it, with a scorer that tells every fact it
is shown; then three things are looked at: that it was shown what an offline join over the whole
history finds, that any other future leaves every earlier byte as it was, and that a live run with
restarts says the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import AsOf, FactsAt, facts_at
from features.asof_join import as_of_join
from features.facts import TRACK, TRACKS
from features.track import NEVER
from models.score import Score
from streams.history import Timed
from streams.processor import Output
from streams.records import ClinicalEvent, LogRecord, Reason
from tests.service.engine_kit import PARTITIONS, START_US, S, revived
from tests.service.leak_kit import appended, fact, history, probed, said, scores

LAB = {"code": "lactate", "unit": "mmol/L"}
MED = {"code": "medication", "unit": "", "text": "Metoprolol 5 mg IV"}

TRAPS: dict[str, list[Timed]] = {
    "a late laboratory result": [
        appended(fact("old", 1.0, -3600, -1800, **LAB)),
        appended(fact("late", 4.0, 20, 100, **LAB)),
    ],
    "the time of collection is not that of the result": [
        appended(fact("lab", 4.0, 10, 90, **LAB)),
        appended(fact("newer", 2.0, 60, 80, **LAB)),
    ],
    "a correction after use": [
        appended(fact("e", 85.0, 20, 30)),
        appended(fact("e", 125.0, 20, 101, version=2, status="corrected")),
    ],
    "a correction that arrives before what it corrects": [
        appended(fact("e", 125.0, 20, 30, version=2, status="corrected")),
        appended(fact("e", 85.0, 20, 31), at_s=70),
    ],
    "a correction that moves the time": [
        appended(fact("e", 85.0, 20, 30)),
        appended(fact("e", 85.0, 60, 101, version=2, status="corrected")),
    ],
    "a correction of the unit": [
        appended(fact("e", 16.0, 20, 30)),
        appended(fact("e", 16.0, 20, 101, version=2, status="corrected", unit="kPa")),
    ],
    "a correction that moves it to another concept": [
        appended(fact("e", 60.0, 20, 30)),
        appended(fact("e", 60.0, 20, 101, version=2, status="corrected", code="dbp")),
    ],
    "a cancellation": [
        appended(fact("before", 120.0, 5, 6)),
        appended(fact("e", 85.0, 20, 30)),
        appended(fact("e", None, 20, 101, version=2, status="cancelled")),
    ],
    "a cancellation taken back": [
        appended(fact("e", 85.0, 20, 30)),
        appended(fact("e", None, 20, 60, version=2, status="cancelled")),
        appended(fact("e", 86.0, 20, 101, version=3, status="corrected")),
    ],
    "ties of event time": [
        appended(fact("z", 100.0, 50, 60)),
        appended(fact("a", 90.0, 50, 60)),
        appended(fact("m", 95.0, 50, 62)),
    ],
    "a vital sign charted later": [
        appended(fact("v", 85.0, 30, 30), at_s=110),
        appended(fact("w", 120.0, 35, 36)),
    ],
    "a source whose clock is wrong": [
        appended(fact("ahead", 80.0, 95, 40), at_s=40),
        appended(fact("known before it was true", 81.0, 150, 20), at_s=20),
        appended(fact("behind", 82.0, -7200, -7000), at_s=60),
    ],
    "known at the very moment of a decision": [
        appended(fact(f"k{i}", 80.0 + i, 20, 90 + i / 2)) for i in range(8)
    ],
    "true at the very end of a window": [
        appended(fact("end", 80.0, 100, 100)),
        appended(fact("after", 90.0, 100 + 1e-6, 100 + 1e-6)),
    ],
    "known in the future": [appended(fact("f", 80.0, 20, 121.5), at_s=40)],
    "a medication that is stopped": [
        appended(fact("dose", 5.0, 20, 25, **MED)),
        appended(fact("stop", 0.0, 80, 85, **MED)),
        appended(fact("dose", None, 20, 141, **MED, version=2, status="cancelled")),
    ],
    "a rate that is stopped": [
        appended(fact("rate", 0.1, 20, 25, code="norepinephrine", unit="ug/kg/min")),
        appended(fact("off", 0.0, 80, 85, code="norepinephrine", unit="ug/kg/min")),
    ],
}
trap = pytest.mark.parametrize("facts", TRAPS.values(), ids=TRAPS.keys())


def shown(score: Score, track: str) -> tuple[float, int] | None:
    """What the probe was shown on a track, and when that was true, µs after the start."""
    value = score.share.get(track)
    return None if value is None else (value, int(score.share[f"{track} at"]))


def by(messages: Sequence[Output], t_us: int) -> list[Output]:
    """What was said by a time."""
    return [message for message in messages if message.append_us <= t_us]


@trap
def test_every_window_is_shown_what_the_offline_join_finds(facts: list[Timed]) -> None:
    log = history(facts)
    events = [(r.record, r.append_us) for r in log if isinstance(r.record, ClinicalEvent)]
    found = scores(said(log))
    assert len(found) >= 15
    joined = as_of_join(
        [event for event, _ in events],
        [append_us for _, append_us in events],
        np.array([score.end_us for score in found]),
        np.array([score.known_us for score in found]),
    )
    used = set()
    for row, score in enumerate(found):
        for number, track in enumerate(TRACKS):
            value, time_us = joined.value[row, number], int(joined.time_us[row, number])
            expected = None if np.isnan(value) else (float(value), time_us - START_US)
            assert shown(score, track) == expected
            used |= {track} if expected else set()
    assert used, "the trap was never sprung"


def other_future(log: Sequence[LogRecord], t_us: int, seed: int) -> list[LogRecord]:
    """The log with everything that is known after t changed: other values, times, or gone.

    A record that is on the log by t keeps its event's id and version: of two copies of one
    version the first on the log counts, whenever they say they were known.
    """
    draw = random.Random(seed)
    changed = []
    for record in log:
        event = record.record
        if not isinstance(event, ClinicalEvent):
            changed.append(record)
            continue
        if max(event.known_time_us, record.append_us) <= t_us:
            changed.append(record)
            continue
        later = record.append_us > t_us
        if later and draw.random() < 0.3:
            continue
        value = None if event.value is None else event.value + draw.choice([-3.0, 2.0, 7.0])
        other = msgspec.structs.replace(
            event,
            value=value,
            version=event.version + (draw.randint(0, 2) if later else 0),
            event_time_us=event.event_time_us - draw.randint(0, 100) * S,
        )
        changed.append(record._replace(record=other))
    return changed


@trap
def test_another_future_leaves_the_past_as_it_was(facts: list[Timed]) -> None:
    log = history(facts)
    whole = said(log)
    moments = {max(event.known_time_us, append_us) - 1 for append_us, event in facts}  # type: ignore[union-attr]
    for t_us in sorted({t for t in moments if t > START_US} | {START_US + 99 * S}):
        for seed in range(2):
            other = said(other_future(log, t_us, seed))
            assert by(other, t_us) == by(whole, t_us)


def test_the_audit_catches_a_join_on_event_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an engine that does not ask when a fact was known fails it."""

    def leaky(stores: Sequence[AsOf], t_us: np.ndarray, known_us: np.ndarray) -> FactsAt:
        return facts_at(stores, t_us, np.full_like(known_us, NEVER - 1))

    monkeypatch.setattr("service.judging.facts_at", leaky)
    log = history(TRAPS["known in the future"])
    t_us = START_US + 100 * S
    assert by(said(other_future(log, t_us, 0)), t_us) != by(said(log), t_us)


@trap
def test_a_live_run_with_restarts_says_the_same(facts: list[Timed]) -> None:
    log = history(facts)
    machine, live = probed(), []
    states: dict[tuple[int, str], bytes] = {}
    for turn, start in enumerate(range(0, len(log), 37)):
        live += machine.feed(log[start : start + 37]).messages
        if turn % 2:
            for number in range(PARTITIONS):
                states |= {(number, name): state for name, _, state in machine.snapshots(number)}
            machine = revived(states, log, probed())
    assert live == said(log)


def test_a_fact_without_known_time_is_an_error_and_never_known() -> None:
    """NULL becomes 0 on the log: refused by name, and nobody is shown it."""
    broken = msgspec.structs.replace(fact("n", 80.0, 20, 30), known_time_us=0)
    messages = said(history([appended(broken, at_s=30)]))
    letters = [msgspec.json.decode(m.value) for m in messages if m.topic == "dlq"]
    assert [letter["reason"] for letter in letters] == [Reason.NO_KNOWN_TIME]
    assert all(shown(score, "sbp") is None for score in scores(messages))


def test_a_fact_true_days_from_now_is_refused() -> None:
    messages = said(history([appended(fact("f", 80.0, 3 * 86_400, 30), at_s=30)]))
    letters = [msgspec.json.decode(m.value) for m in messages if m.topic == "dlq"]
    assert [letter["reason"] for letter in letters] == [Reason.FUTURE]


def test_equality_counts_at_both_ends() -> None:
    """A fact counts in the window that ends when it became true, decided when it became known."""
    at_end = {
        s.end_us: shown(s, "sbp")
        for s in scores(said(history(TRAPS["true at the very end of a window"])))
        if not s.revision
    }
    assert at_end[START_US + 90 * S] is None
    assert at_end[START_US + 100 * S] == (80.0, 100 * S)
    assert at_end[START_US + 110 * S] == (90.0, 100 * S + 1)
    for score in scores(said(history(TRAPS["known at the very moment of a decision"]))):
        known = [80.0 + i for i in range(8) if START_US + 90 * S + i * S // 2 <= score.known_us]
        expected = (known[-1], 20 * S) if known and score.end_us >= START_US + 20 * S else None
        assert shown(score, "sbp") == expected


def test_a_stopped_drug_no_longer_explains() -> None:
    found = scores(said(history(TRAPS["a medication that is stopped"])))
    track = "effect:beta_blocker"
    values = {s.end_us - START_US: shown(s, track) for s in found if s.revision == 0}
    assert values[60 * S] == (1.0, 20 * S)
    assert values[100 * S] == (0.0, 80 * S)
    assert TRACK[track]


_SEEDS = st.integers(0, 2**32 - 1)


@given(seed=_SEEDS)
@settings(max_examples=10, deadline=None)
def test_any_history_is_shown_as_the_join_finds_it_and_does_not_leak(seed: int) -> None:
    """Facts, versions and cancellations drawn at random, appended in any order."""
    draw = random.Random(seed)
    facts: list[Timed] = []
    for _ in range(draw.randint(5, 40)):
        at_s, delay_s = draw.randint(-60, 170), draw.choice([0, 0, 1, 10, 30, 90])
        append_s = max(1.0, at_s + draw.choice([0, 0, 5, 60]))
        if append_s > 180:
            continue
        status = draw.choice(["final", "final", "final", "corrected", "cancelled"])
        value = None if status == "cancelled" else float(draw.randint(60, 180))
        event = fact(
            f"e{draw.randint(0, 12)}",
            value,
            at_s,
            at_s + delay_s,
            version=draw.randint(1, 4),
            status=status,
            code=draw.choice(["sbp", "dbp"]),
        )
        facts.append(appended(event, append_s))
    test_every = history(facts)
    whole = said(test_every)
    events = [(r.record, r.append_us) for r in test_every if isinstance(r.record, ClinicalEvent)]
    found = scores(whole)
    joined = as_of_join(
        [e for e, _ in events],
        [a for _, a in events],
        np.array([s.end_us for s in found]),
        np.array([s.known_us for s in found]),
    )
    for row, score in enumerate(found):
        for track in ("sbp", "dbp"):
            value = joined.value[row, TRACK[track]]
            at_us = int(joined.time_us[row, TRACK[track]]) - START_US
            assert shown(score, track) == (None if np.isnan(value) else (float(value), at_us))
    t_us = START_US + draw.randint(30, 170) * S
    assert by(said(other_future(test_every, t_us, seed)), t_us) == by(whole, t_us)
    assert said(test_every, batch=draw.randint(1, 80)) == whole
