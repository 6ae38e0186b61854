"""The ward of the alert design, through the live alert machine: false alerts against lead.

400 stable and 200 deteriorating patients, 2 days, a score every 30 s: AR(1) physiology, window
noise, artefact spikes; a deteriorating patient's score ramps over the 6 h before the event. Caught
means a new raise within those 6 h; a raise before them is false, and so is every raise of a stable
patient. After the event the patient has left. A model, not patients: it ranks policies, it promises
nothing about a site.

    python -m benchmarks.policy_burden [--patients 600] [--seed 20260101] [--file POLICY.toml]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.alert import Phase
from alerts.machine import AlertMachine
from alerts.policy import Policy, default_policy_text, parse_policy
from benchmarks._common import heading
from models.score import Evidence, Score

SEED: Final = 20_260_101
STEP_S: Final = 30
DAYS: Final = 2
STEPS: Final = DAYS * 86_400 // STEP_S
RAMP_S: Final = 6 * 3600
RAMP_STEPS: Final = RAMP_S // STEP_S
START_US: Final = 1_767_225_600_000_000
# The design names the parts of the ward, not their sizes: these were chosen so that its nine
# policies come out near the figures it gives. Most of the burden comes from a few restless
# patients, as on real wards (Lansdowne 2016: the top tenth of records make 57 to 82 % of alarms).
REST: Final = 0.20  # resting score, mean of most patients
REST_SD: Final = 0.03
RESTLESS: Final = 0.06  # share of patients whose score rests high
RESTLESS_REST: Final = 0.40
TAU_S: Final = 900  # correlation time of the physiology, AR(1)
AR_SD: Final = 0.06
NOISE_SD: Final = 0.03  # of one window
SPIKE_RATE: Final = 0.004  # windows hit by an artefact
SPIKE: Final = (0.1, 0.5)  # what it adds, uniform
RISE: Final = 0.46  # how far a deteriorating score climbs over the ramp
SPIKE_QUALITY: Final = 0.4  # what the quality gate says of a window with an artefact


class Ward(NamedTuple):
    """Scores of all patients; `event_step` is -1 for the stable ones."""

    scores: NDArray[np.float64]  # [patients, STEPS]
    spiked: NDArray[np.bool_]
    event_step: NDArray[np.int64]


class Burden(NamedTuple):
    """What a policy costs and what it finds."""

    false_per_day: float
    raises_per_day: float
    caught: float
    lead_min: float
    cpu_us: float  # per score


def ward(patients: int, seed: int) -> Ward:
    """A synthetic ward, two thirds stable; the same for the same seed."""
    rng = np.random.default_rng(seed)
    ill = patients // 3
    phi = np.exp(-STEP_S / TAU_S)
    shocks = rng.normal(0.0, AR_SD * np.sqrt(1 - phi**2), (patients, STEPS))
    level = rng.normal(0.0, AR_SD, patients)
    scores = np.empty((patients, STEPS))
    for step in range(STEPS):
        level = phi * level + shocks[:, step]
        scores[:, step] = level
    restless = rng.random((patients, 1)) < RESTLESS
    scores += np.where(restless, RESTLESS_REST, REST) + rng.normal(0.0, REST_SD, (patients, 1))
    scores += rng.normal(0.0, NOISE_SD, (patients, STEPS))
    event = np.full(patients, -1)
    event[patients - ill :] = rng.integers(RAMP_STEPS, STEPS, ill)
    for patient in range(patients - ill, patients):
        ramp = slice(event[patient] - RAMP_STEPS, event[patient])
        scores[patient, ramp] += RISE * np.linspace(0, 1, RAMP_STEPS)
    spiked = rng.random((patients, STEPS)) < SPIKE_RATE
    scores += np.where(spiked, rng.uniform(*SPIKE, (patients, STEPS)), 0.0)
    return Ward(np.clip(scores, 0.0, 1.0), spiked, event)


def policy_text(**changes: str) -> str:
    """A policy with one condition on `fusion.value`, the default's tables, and these keys."""
    keys = {
        "hi": "0.50",
        "lo": "0.35",
        "for_s": "120",
        "keep_s": "600",
        "ewma_s": "0",
        "refractory_s": "0",
        **changes,
    }
    levels = f'[{{ priority = "medium", hi = {keys.pop("hi")}, lo = {keys.pop("lo")} }}]'
    lines = [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(
        [
            '[policy]\nid = "burden"\nversion = "1"\n[condition.deterioration]',
            'display = "Deterioration"\nlabel = "Risk"\nsource = "fusion.value"',
            f"levels = {levels}\nupdate_delta = 1.0\nrejoin_s = 0",
            *lines,
        ]
    )


ROWS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("naive threshold", {"lo": "0.50", "for_s": "0", "keep_s": "0"}),
    ("for 5 min", {"lo": "0.50", "for_s": "300", "keep_s": "0"}),
    ("hysteresis .50/.35", {"for_s": "0", "keep_s": "0"}),
    ("hysteresis, for 2 min", {"keep_s": "0"}),
    ("hysteresis, for 2, keep 10", {}),
    ("... and severe 0.9", {"severe": "0.9"}),
    ("... and refractory 30", {"refractory_s": "1800"}),
    ("EWMA 5", {"lo": "0.50", "for_s": "0", "keep_s": "0", "ewma_s": "300"}),
    (
        "EWMA 5, hysteresis, keep 10, refractory 30",
        {"for_s": "0", "ewma_s": "300", "refractory_s": "1800"},
    ),
    (
        "EWMA 10, hysteresis, for 5, keep 15, refractory 60",
        {"for_s": "300", "keep_s": "900", "ewma_s": "600", "refractory_s": "3600"},
    ),
)


def evidence(value: float, end_us: int, spiked: bool) -> tuple[Evidence, ...]:
    """One input that carries the whole score; an artefact shows in its quality."""
    quality = SPIKE_QUALITY if spiked else 0.95
    return (Evidence("Risk", "risk", value, "1", end_us, 0.0, "wearable", quality, value),)


def play(policy: Policy, scores: NDArray[np.float64], spiked: NDArray[np.bool_]) -> list[int]:
    """Steps at which one patient's machine raises an alert."""
    machine = AlertMachine(policy, "p")
    raised: list[int] = []
    for step, score in enumerate(_scores(scores.tolist(), spiked.tolist())):
        events = machine.on_scores((score,))
        raised += [step for event in events if event.phase is Phase.RAISED]
        if machine.records():
            machine.on_tick(score.known_us + 5_000_000)
    return raised


def _scores(values: list[float], spiked: list[bool]) -> Iterator[Score]:
    """The scores of one patient."""
    for step, value in enumerate(values):
        end_us = START_US + step * STEP_S * 1_000_000
        yield Score(
            "p", "fusion", "fusion/1", end_us - 60_000_000, end_us, end_us + 2_000_000, 0,
            value, value, value, None, True, 21_600.0, {}, {}, 1.0, None,
            evidence(value, end_us, spiked[step]),
        )  # fmt: skip


def burden(policy: Policy, all_of: Ward) -> Burden:
    """Play a ward through the machine and count."""
    patients = len(all_of.event_step)
    false = raises = caught = steps = 0
    leads: list[float] = []
    started = time.process_time()
    for patient in range(patients):
        event = int(all_of.event_step[patient])
        there = slice(0, event if event >= 0 else STEPS)
        raised = play(policy, all_of.scores[patient][there], all_of.spiked[patient][there])
        inside = [step for step in raised if step >= event - RAMP_STEPS] if event >= 0 else []
        steps += there.stop
        raises += len(raised)
        false += len(raised) - len(inside)
        if inside:
            caught += 1
            leads.append((event - inside[0]) * STEP_S / 60)
    spent_s = time.process_time() - started
    ill = int((all_of.event_step >= 0).sum())
    days = steps * STEP_S / 86_400
    lead = float(np.median(leads)) if leads else float("nan")
    return Burden(false / days, raises / days, caught / max(ill, 1), lead, spent_s / steps * 1e6)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--file", type=Path, help="only this policy; it must read fusion.value")
    chosen = parser.parse_args()
    all_of = ward(chosen.patients, chosen.seed)
    print(heading(f"Alert burden, {chosen.patients} patients, {DAYS} days, seed {chosen.seed}"))
    titles = f"{'false/day':>9} {'raises/day':>10} {'caught':>7} {'lead min':>8} {'us':>5}"
    print(f"{'policy':52} {titles}")
    for name, changes in ROWS:
        text = chosen.file.read_text("utf-8") if chosen.file else policy_text(**changes)
        found = burden(parse_policy(text, default_policy_text()), all_of)
        print(
            f"{str(chosen.file) if chosen.file else name:52} {found.false_per_day:9.2f} "
            f"{found.raises_per_day:10.2f} {found.caught:7.3f} {found.lead_min:8.0f} "
            f"{found.cpu_us:5.1f}"
        )
        if chosen.file:
            break


if __name__ == "__main__":
    main()
