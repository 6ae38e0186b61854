"""The demo: the same alerts at any speed and on any terminal, and a clean end. Time is a fake."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from service.demo import HEAD_START_S, Clock, DemoSpec, run_demo
from streams.errors import ConfigError

WARD_S = 690.0  # both planted deteriorations have been raised by then


class FakeClock:
    """Passes only when somebody sleeps."""

    def __init__(self, interrupt_after: int = 10**9) -> None:
        self.now_s = 0.0
        self.sleeps_left = interrupt_after

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.sleeps_left -= 1
        if self.sleeps_left <= 0:
            raise KeyboardInterrupt

    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.sleep)


def spec(speed: float, patients: int = 3, ward_s: float = WARD_S) -> DemoSpec:
    return DemoSpec(patients=patients, speed=speed, duration_s=(ward_s - HEAD_START_S) / speed)


def played(
    what: DemoSpec, time: FakeClock, terminal: bool = False, as_json: bool = False
) -> tuple[int, str]:
    said = io.StringIO()
    console = Console(file=said, force_terminal=terminal, width=110, height=40)
    code = run_demo(what, console, as_json, time.clock())
    return code, said.getvalue()


def digest(said: str) -> str:
    found = re.search(r"alerts_sha256 (\w{64})", said)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def slow_lines() -> str:
    return played(spec(30.0), FakeClock())[1]


def test_the_same_seed_gives_the_same_alerts_at_another_speed(slow_lines: str) -> None:
    fast = played(spec(600.0), FakeClock())[1]
    assert digest(fast) == digest(slow_lines)
    assert "sim-03  ▲▲ Medium  raised" in fast


def test_a_live_terminal_changes_no_alert(slow_lines: str) -> None:
    said = played(spec(100.0), FakeClock(), terminal=True)[1]
    assert digest(said) == digest(slow_lines)
    assert "\x1b[?1049l" in said  # the terminal is put back


def test_lines_give_a_status_for_every_simulated_minute(slow_lines: str) -> None:
    minutes = re.findall(r"^(\d+):\d\d  3 patients", slow_lines, re.MULTILINE)
    assert [int(minute) for minute in minutes] == list(range(int(WARD_S // 60) + 1))


def test_json_is_one_cloud_event_per_line_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = played(spec(600.0), FakeClock(), as_json=True)
    events = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert {event["specversion"] for event in events} == {"1.0"}
    assert json.loads(capsys.readouterr().err)["alert_events"] == len(events) > 0


def test_both_planted_deteriorations_are_raised_well_within_the_default_run() -> None:
    said = played(spec(600.0, patients=8), FakeClock())[1]
    raised = re.findall(r"(sim-\d+)  \S+ \w+  raised: \w+: Deterioration", said)
    assert sorted(raised) == ["sim-03", "sim-08"]
    assert HEAD_START_S + DemoSpec().speed * DemoSpec().duration_s > WARD_S


def test_the_ward_runs_at_its_speed() -> None:
    time = FakeClock()
    what = DemoSpec(patients=1, speed=20.0, duration_s=6.0)
    played(what, time)
    assert time.now_s == pytest.approx(what.duration_s, abs=0.5)


def test_control_c_ends_it_cleanly_with_the_summary() -> None:
    what = DemoSpec(patients=1, speed=10.0, duration_s=1000.0)
    code, said = played(what, FakeClock(interrupt_after=8), terminal=True)
    assert code == 0
    assert "\x1b[?1049l" in said
    assert "1 patients" in said
    assert digest(said)


def test_the_board_is_there_before_anything_is_known() -> None:
    said = played(DemoSpec(patients=2, speed=1.0, duration_s=1.0), FakeClock())[1]
    assert said.startswith("0:00  2 patients, no NEWS2 yet")


@pytest.mark.parametrize("wrong", [{"speed": 0.0}, {"duration_s": -1.0}, {"speed": float("nan")}])
def test_an_impossible_demo_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DemoSpec(**wrong)  # type: ignore[arg-type]
