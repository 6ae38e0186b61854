"""How alerts were answered, counted by hand; feedback becomes labels a backtest reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alerts.alert import Action, AlertEvent, Condition, Kind, Phase, Responsibility, Suppression
from alerts.envelope import cloud_event_json
from service.__main__ import run
from service.alert_figures import Opinion, figures, opinions, write_opinions
from service.backtest_labels import read_labels
from service.results import read_alerts
from streams.errors import SourceError
from tests.service.emitters.emitter_kit import axes, raised, step

S = 1_000_000


def answered(name: str, subject: str, after_s: float) -> list[AlertEvent]:
    """Raised at 1000 s, acknowledged so much later."""
    first = raised(name, subject, recorded_us=1000 * S, raised_us=1000 * S)
    at_us = 1000 * S + round(after_s * S)
    taken = step(
        first, Phase.ACKNOWLEDGED, responsibility=Responsibility.ACCEPTED, recorded_us=at_us
    )
    return [first, taken]


def judged(event: AlertEvent, outcome: str) -> AlertEvent:
    said = Action(event.seq + 1, outcome, "feedback", "kim", "rn", 0, None, outcome, None, outcome)
    return step(event, Phase.FEEDBACK, actions=(*event.actions, said))


def ward() -> list[AlertEvent]:
    a, b = answered("a", "p1", 60), answered("b", "p2", 120)
    quiet = raised("c", "p2", state=axes(suppression=Suppression.SILENCED))
    late = step(quiet, Phase.ESCALATED, tier=2)
    device = raised("d", "p3", kind=Kind.TECHNICAL)
    first = judged(a[1], "not-actionable")
    return [
        *a,
        *b,
        quiet,
        late,
        device,
        first,
        judged(first, "actionable"),
        judged(b[1], "artefact"),
    ]


def test_the_figures_are_those_counted_by_hand() -> None:
    found = figures(ward())
    assert (found.raised, found.occurrences, found.patients, found.rang) == (3, 3, 2, 2)
    assert (found.acknowledged, found.median_ack_s, found.escalated) == (2, 90.0, 1)
    assert (found.outcomes, found.ppv) == ({"actionable": 1, "artefact": 1}, 0.5)
    assert found.top_share == pytest.approx(2 / 3)


def test_repeats_and_coming_back_change_no_time_to_the_first_answer() -> None:
    events = answered("a", "p1", 60)
    again = step(step(events[1], Phase.CLEARED, condition=Condition.CLEARED), Phase.RAISED)
    found = figures([*events, *events, again, again])
    assert (found.raised, found.occurrences, found.median_ack_s) == (2, 1, 60.0)


def test_of_nothing_there_is_nothing_to_count() -> None:
    found = figures([])
    assert (found.raised, found.median_ack_s, found.ppv, found.top_share) == (0, None, None, None)


def test_the_last_word_counts_and_becomes_a_label(tmp_path: Path) -> None:
    found = opinions(ward())
    assert found == [Opinion("p1", 1000 * S, "actionable"), Opinion("p2", 1000 * S, "artefact")]
    write_opinions(found, tmp_path / "l.parquet")
    labels = read_labels(tmp_path / "l.parquet")
    assert labels.events_us == {"p1": (1000 * S,), "p2": ()}


def test_the_command_reads_what_a_replay_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, labels = tmp_path / "alerts.jsonl", tmp_path / "labels.parquet"
    path.write_bytes(b"\n".join(map(cloud_event_json, ward())) + b"\n")
    assert read_alerts(path) == ward()
    arguments = ["alert", "figures", "--file", str(path), "--labels", str(labels)]
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["median_ack_s"] == 90.0
    assert run(arguments) == 0
    assert "median ack s: 90" in capsys.readouterr().out
    assert read_labels(labels).of("p1") == (1000 * S,)
    path.write_text("{}\n")
    with pytest.raises(SourceError, match="line 1 is no alert event"):
        read_alerts(path)
