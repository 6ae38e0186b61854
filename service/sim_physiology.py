"""The simulated people: who they are and how their vital signs run over time.

Everything is a function of (seed, patient number, time), so no patient depends on another, on the
length of the run or on how it is cut. Not here: waveforms (`service.sim_waveforms`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Course(NamedTuple):
    """A planted deterioration: how far each vital sign moves between `begin_s` and `end_s`."""

    name: str
    begin_s: float
    end_s: float
    hr_bpm: float
    rr_per_min: float
    spo2_pct: float
    temp_c: float
    sbp_mmhg: float


class Profile(NamedTuple):
    """One person at rest. `wander` is (4 vital signs, 3 waves, [period s, phase rad])."""

    patient_id: str
    number: int  # from 1
    hr_bpm: float
    rr_per_min: float
    spo2_pct: float
    temp_c: float
    sbp_mmhg: float
    rsa: float  # share by which breathing moves the heart rate
    restless: float  # chance of a movement per minute
    on_oxygen: bool
    course: Course | None
    wander: Floats


class Vitals(NamedTuple):
    """Vital signs at a set of times, each (n,)."""

    hr_bpm: Floats
    rr_per_min: Floats
    spo2_pct: Floats
    temp_c: Floats
    sbp_mmhg: Floats
    severity: Floats  # 0 well .. 1 end of the course


# Ends: NEWS2 pulse 2, breathing 3, SpO2 2, temperature 2; and SpO2 3, breathing 3, pulse 1.
SEPSIS = Course("sepsis", 240, 720, 44, 12, -4.6, 2.2, -27)
DESATURATION = Course("respiratory failure", 240, 720, 26, 12, -8.0, 0.2, 6)
PLANTED = {3: SEPSIS, 8: DESATURATION}
ON_OXYGEN = 11  # a stable patient who scores 2

_SIZE = (2.0, 0.5, 0.25, 0.05)  # of the slow waves: bpm, per min, %, °C
_ILL = Profile("", 0, 80.0, 16.0, 97.0, 37.2, 124.0, 0.03, 0.15, False, None, np.empty(0))


def profile(seed: int, number: int) -> Profile:
    """Draw a patient.

    Parameters
    ----------
    seed : int
        Of the ward.
    number : int
        From 1; numbers 3 and 8 deteriorate (`PLANTED`).

    Returns
    -------
    Profile
        Vital signs at rest score NEWS2 0, or 2 for the patient on oxygen.
    """
    rng = np.random.default_rng([seed, number])
    periods = rng.uniform(120, 900, (4, 3))
    phases = rng.uniform(0, 2 * np.pi, (4, 3))
    course = PLANTED.get(number)
    drawn = _ILL._replace(
        hr_bpm=float(rng.uniform(60, 82)),
        rr_per_min=float(rng.uniform(13.8, 17.2)),
        spo2_pct=float(rng.uniform(97.0, 98.4)),
        temp_c=float(rng.uniform(36.5, 37.3)),
        sbp_mmhg=float(rng.uniform(116, 138)),
        rsa=float(rng.uniform(0.02, 0.05)),
        restless=float(rng.uniform(0.1, 0.35)),
    )
    return (_ILL if course else drawn)._replace(
        patient_id=f"sim-{number:02d}",
        number=number,
        on_oxygen=number == ON_OXYGEN,
        course=course,
        wander=np.stack([periods, phases], axis=-1),
    )


def vitals(who: Profile, t_s: Floats) -> Vitals:
    """Vital signs at times since the start of the run.

    Parameters
    ----------
    who : Profile
        The patient.
    t_s : (n,) float64
        Seconds since the start; may be negative.

    Returns
    -------
    Vitals
        Rest + slow waves + the course, which rises as a smooth step.
    """
    period, phase = who.wander[..., 0, None], who.wander[..., 1, None]
    waves = np.sin(2 * np.pi * t_s / period + phase).sum(axis=1) / 3
    hr, rr, spo2, temp = (
        rest + size * wave
        for rest, size, wave in zip(
            (who.hr_bpm, who.rr_per_min, who.spo2_pct, who.temp_c), _SIZE, waves, strict=True
        )
    )
    severity = np.zeros_like(t_s)
    sbp = np.full_like(t_s, who.sbp_mmhg)
    if who.course is not None:
        span_s = who.course.end_s - who.course.begin_s
        x = np.clip((t_s - who.course.begin_s) / span_s, 0, 1)
        severity = x * x * (3 - 2 * x)
        hr = hr + severity * who.course.hr_bpm
        rr = rr + severity * who.course.rr_per_min
        spo2 = spo2 + severity * who.course.spo2_pct
        temp = temp + severity * who.course.temp_c
        sbp = sbp + severity * who.course.sbp_mmhg
    return Vitals(hr, rr, np.minimum(spo2, 100), temp, sbp, severity)
