"""Under load: what is left out is a record first, the same in every run, and never an alert."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from service.config import Config, WatchConfig
from service.config_checks import check
from service.heartbeat import Heartbeat, heartbeat_value
from service.overload import CALM_US, HOLD_US, OverloadRules, OverloadWatch
from service.results import Results
from service.watch import Watch
from streams.allowance import MOST_AT_ONCE
from streams.errors import ConfigError
from streams.history import Timed
from streams.io.kafka_log import Stored
from streams.records import ANYONE, Chunk, Reason
from streams.shedding import BACKFILL, HOP, WIDE_HOP_US
from streams.topics import topic_name
from tests.contract_kit import bytes_of
from tests.service.engine_kit import (
    PARTITIONS,
    START_US,
    S,
    chunk,
    command,
    direct,
    engine,
    log_of,
    patient,
    revived,
    run,
)

RULES = OverloadRules(30.0, 90.0, 10.0)


def told(action: str, code: str, at_s: float) -> Timed:
    return command(ANYONE, action, code, at_s)


def sick(seconds: float = 420.0) -> list[Timed]:
    return patient("sick", seconds, rate_bpm=135, breaths=28, spo2=90.0)


def late(by_s: float) -> list[Timed]:
    """The same a second time, kept back and sent at once while others are live."""
    rows = patient("late", 120.0, rate_bpm=135, breaths=28, spo2=90.0)
    return [(round(START_US + by_s * S + i), row) for i, (_, row) in enumerate(rows)]


def minutes(results: Results, name: str) -> list[int]:
    return [r.end_us for r in results.features if (r.window, r.patient_id) == ("60s", name)]


def test_the_wide_hop_leaves_out_two_of_three_and_only_while_it_holds() -> None:
    log = log_of([sick(), [told("lost", HOP, 150.0), told("regained", HOP, 300.0)]])
    found, usual = run(log), run(log_of([sick()]))
    ends = minutes(found, "sick")
    since, until = START_US + 160 * S, START_US + 290 * S
    assert {end % WIDE_HOP_US for end in ends if since < end < until} == {0}
    assert set(ends) < set(minutes(usual, "sick"))
    before, after = START_US + 120 * S, START_US + 310 * S
    for low, high in ((0, before), (after, 1 << 62)):
        assert [e for e in ends if low < e < high] == [
            e for e in minutes(usual, "sick") if low < e < high
        ]
    longer = [r for r in found.features if r.window == "300s"]
    assert len(longer) == len([r for r in usual.features if r.window == "300s"])


def test_alerts_are_raised_under_any_load() -> None:
    load = [told("lost", BACKFILL, 5.0), told("lost", HOP, 6.0)]
    found, usual = run(log_of([sick(), load])), run(log_of([sick()]))

    def raised(results: Results) -> dict[str, int]:
        return {
            a.condition.code: a.onset_us
            for a in results.alerts
            if str(a.phase) == "raised" and a.subject == "sick"
        }

    assert raised(found).keys() == raised(usual).keys()
    assert all(raised(found)[code] - us <= 20 * S for code, us in raised(usual).items())


def test_it_is_an_alert_about_everybody_that_ends() -> None:
    log = log_of([sick(), [told("lost", HOP, 50.0), told("regained", HOP, 200.0)]])
    own = [a for a in run(log).alerts if a.condition.code == HOP]
    assert {a.subject for a in own} == {ANYONE}
    assert own[0].phase == "raised"
    assert own[-1].state.condition == "cleared"


def test_backfill_is_computed_flagged_and_pages_nobody() -> None:
    found = run(log_of([sick(900.0), late(800.0)]))
    own = [row for row in found.features if row.patient_id == "late"]
    assert own
    assert all(row.backfill is True for row in own)
    assert all(score.backfill is True for score in found.scores if score.patient_id == "late")
    assert any(row.values.get("ecg_hr_bpm") for row in own)
    assert {a.condition.code.partition(":")[0] for a in found.alerts if a.subject == "late"} <= {
        "no_data"
    }
    assert all(row.backfill is msgspec.UNSET for row in found.features if row.patient_id == "sick")


def test_under_load_backfill_is_left_out_and_nothing_else() -> None:
    load = [told("lost", BACKFILL, 750.0)]
    found = run(log_of([sick(900.0), late(800.0), load]))
    usual = run(log_of([sick(900.0), late(800.0)]))
    assert not [row for row in found.features if row.patient_id == "late"]
    kept = [row for row in usual.features if row.patient_id == "sick"]
    assert [row for row in found.features if row.patient_id == "sick"] == kept


def loaded() -> list[Timed]:
    return [
        told("lost", BACKFILL, 60.0),
        told("lost", HOP, 100.0),
        told("regained", HOP, 220.0),
        told("regained", BACKFILL, 260.0),
    ]


@pytest.mark.parametrize("sizes", [[1], [7, 60], [1000]])
def test_how_the_log_is_fed_changes_nothing(sizes: Sequence[int]) -> None:
    log = log_of([sick(300.0), patient("late", 60.0, spans_s=((30.0, 60.0),)), loaded()])
    assert bytes_of(run(log, sizes)) == bytes_of(run(log))


@pytest.mark.parametrize("at_s", [70.0, 150.0, 230.0])
def test_a_restart_remembers_what_is_left_out(at_s: float) -> None:
    log = log_of([sick(300.0), loaded()])
    until_us = START_US + round(at_s * S)
    first = [r for r in log if r.append_us <= until_us]
    rest = log[len(first) :]
    whole = engine()
    said = [*whole.feed(first).messages]
    states = {
        (number, name): state
        for number in range(PARTITIONS)
        for name, _, state in whole.snapshots(number)
    }
    again = revived(states, first)
    assert again.feed(rest).messages == whole.feed(rest).messages
    assert said


def test_a_flood_of_one_patient_is_a_dead_letter_and_the_others_do_not_notice() -> None:
    data = bytes(2 * 1_000_000)
    count = MOST_AT_ONCE // 1_000_000 + 3
    rows: list[tuple[int, Chunk]] = [
        (START_US + 200 * S, chunk("p", "ecg", first=0, data=data, fs_hz=8000.0))
        for _ in range(count)
    ]
    found = run(direct(rows))
    reasons = [letter.reason for letter in found.dead]
    assert reasons == [Reason.TOO_MUCH] * 3


# who decides


def test_load_is_told_step_by_step_and_taken_back_in_turn() -> None:
    watch = OverloadWatch(RULES)
    said = []
    for second in range(600):
        lag_s = 120.0 if second < 200 else 2.0
        shed = watch.judge(lag_s, (1 + second) * S)
        if shed is not None:
            said.append((shed.code, shed.over, second))
    held, calm = HOLD_US // S, CALM_US // S
    assert said == [
        (BACKFILL, False, held),
        (HOP, False, 2 * held + 1),
        (HOP, True, 200 + calm),
        (BACKFILL, True, 200 + 2 * calm),
    ]


def test_a_watch_that_begins_anew_ends_what_another_may_have_left() -> None:
    """Somebody may have closed the alert by hand: the engine would go on leaving out."""
    watch = OverloadWatch(RULES)
    said = [shed for second in range(600) if (shed := watch.judge(1.0, (1 + second) * S))]
    assert [(shed.code, shed.over) for shed in said] == [(HOP, True), (BACKFILL, True)]
    assert watch.level == 0


def test_one_slow_pass_is_no_load() -> None:
    watch = OverloadWatch(RULES)
    assert all(
        watch.judge(200.0 if second % 10 < 5 else 1.0, second * S) is None for second in range(100)
    )


def test_without_rules_nothing_is_left_out() -> None:
    watch = OverloadWatch(OverloadRules(0.0, 0.0, 0.0))
    assert all(watch.judge(1e6, second * S) is None for second in range(100))


def test_a_watch_tells_the_log_what_the_heartbeats_say() -> None:
    config = Config(watch=WatchConfig(shed_s=20.0))
    watch, said = Watch(config), []
    for second in range(0, 60, 5):
        now_us = START_US + second * S
        beat = Heartbeat(
            instance="w",
            at_us=now_us,
            started_us=START_US,
            self_checks=1,
            ready=True,
            partitions=(0,),
            lag_s=40.0,
        )
        row = Stored(
            topic_name("heartbeat", config.kafka.prefix),
            0,
            0,
            now_us,
            b"w",
            heartbeat_value(beat),
            (),
        )
        watch.hear(row, now_us)
        said += watch.tick(now_us)
    (order,) = said
    assert (order.patient_id, order.action, order.occurrence_id) == (ANYONE, "lost", BACKFILL)
    assert watch.overload.level == 1


def test_a_lag_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="shed_s"):
        check(Config(watch=WatchConfig(shed_s=-1.0)), "")
