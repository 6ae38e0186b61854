"""Alarms, board and figures fit together: names exist, alarms are tested and explained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.config import Config
from service.metrics import Metrics
from service.watch import Figures, Watch
from streams.processor import Output

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
TESTS = ROOT / "deploy" / "prometheus" / "rules_test.yml"
BOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "vigil.json").read_text())
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALARMS = re.findall(r"- alert: (\w+)", RULES.read_text())
METRIC = re.compile(r"\bvigil_[a-z_]+\b")


def exposed() -> str:
    """What a worker and a watch show on their pages, each series touched once."""
    metrics = Metrics(CollectorRegistry())
    metrics.fed({("bundle", "accepted"): 1}, 0.1)
    metrics.frontier(0, 1)
    metrics.lag(0, 1)
    for step in ("segments", "windows", "news2"):
        with metrics.timed(step):
            pass
    metrics.published([Output("dlq", "k", 0, 0, b'{"reason":"bad_unit"}')])
    metrics.published([Output("alerts", "k", 0, 0, b"{}")])
    figures = Figures(CollectorRegistry())
    figures.show(Watch(Config()), 1)
    figures.behind("sink", 1)
    return "".join(generate_latest(r).decode() for r in (metrics.registry, figures.registry))


def known() -> set[str]:
    names = set(re.findall(r"^# TYPE (\S+)", exposed(), re.MULTILINE))
    return names | {f"{name}{end}" for name in names for end in ("_bucket", "_sum", "_count")}


def promtool(*arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is absent (Debian: apt-get install prometheus)")
    return subprocess.run(
        [found, *arguments], input=said, capture_output=True, text=True, timeout=60
    )


def test_the_rules_are_valid() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_fires_when_it_must_and_is_quiet_when_it_may_be() -> None:
    done = promtool("test", "rules", str(TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_figures_follow_the_conventions() -> None:
    done = promtool("check", "metrics", said=exposed())
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_has_a_test_that_fires_it_and_a_runbook_entry(alarm: str) -> None:
    cases = TESTS.read_text().split(f"alertname: {alarm}\n")[1:]
    assert any(case.lstrip().startswith("exp_alerts:\n") for case in cases), "never fires"
    assert any("exp_alerts: []" in case[:40] for case in cases) or alarm in (
        "VigilHeartbeatAbsent",
    ), "never seen quiet"
    assert f"\n### {alarm}\n" in RUNBOOK
    assert f"runbook: docs/operations.md#{alarm.lower()}" in RULES.read_text()


def test_there_is_no_runbook_entry_for_an_alarm_that_is_gone() -> None:
    assert set(re.findall(r"^### (Vigil\w+)$", RUNBOOK, re.MULTILINE)) == set(ALARMS)


def test_every_figure_in_an_alarm_is_exposed() -> None:
    used = set(METRIC.findall(" ".join(re.findall(r"expr: (.*)", RULES.read_text()))))
    assert used - known() == set()


def panels() -> list[dict[str, Any]]:
    return list(BOARD["panels"])


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_every_figure_on_the_board_is_exposed(panel: dict[str, Any]) -> None:
    used = {name for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    assert used
    assert used - known() == set()
    assert panel["datasource"]["uid"] == "vigil-prometheus"


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_no_label_of_any_figure_could_hold_an_id() -> None:
    labels = set(re.findall(r"(\w+)=\"", exposed()))
    assert labels <= {
        *("kind", "result", "topic", "reason", "phase", "priority", "outcome", "model", "le"),
        *("partition", "consumer", "group", "version", "python"),
    }


def test_the_systemd_start_script_knows_the_processes_of_the_manual() -> None:
    script = ROOT / "deploy" / "systemd" / "vigil-start"
    for name, command in (
        ("run", "run"),
        ("feed", "events feed"),
        ("deliver-pager", "deliver pager"),
    ):
        done = subprocess.run(
            ["sh", str(script), name],
            env={"VIGIL_BIN": shutil.which("echo") or "/bin/echo"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == command
    wrong = subprocess.run(["sh", str(script), "rm"], capture_output=True, text=True)
    assert wrong.returncode == 2
