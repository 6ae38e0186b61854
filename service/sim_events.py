"""Irregular facts of care for simulated patients: observation rounds, laboratory, device status.

Every fact becomes known later than it was true, as in real care.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from service.sim_patient import LEAD_OFF, SILENT
from service.sim_physiology import SEPSIS, Profile, vitals
from streams.records import ClinicalEvent, DeviceStatus

_SOURCE = "simulation"
_CONFUSED_S = 840.0  # the septic patient is found confused
_OXYGEN_S = 800.0  # the desaturating patient is given oxygen
_STATUS_EVERY_S = 300


def clinical_events(
    who: Profile, seed: int, start_us: int, duration_s: float
) -> list[ClinicalEvent]:
    """What is charted about a patient and known before the end of the run.

    Parameters
    ----------
    who : Profile
        The patient.
    seed : int
        Of the ward.
    start_us, duration_s : int, float
        Of the run. A first round and laboratory sample lie before the start.

    Returns
    -------
    list of ClinicalEvent
        In order of the time they became known.
    """
    rng, laboratory = (np.random.default_rng([seed, who.number, 0, use]) for use in (2, 3))
    events: list[ClinicalEvent] = []
    at_s = -float(rng.uniform(300, 540))
    while at_s < duration_s:
        events += _round(who, rng, start_us, at_s)
        at_s += float(rng.uniform(600, 900))  # blood pressure every 10 to 15 min
    for lab_s in (-900.0, 420.0):
        events += _laboratory(who, laboratory, start_us, lab_s)
    if who.course is not None and who.course is not SEPSIS:
        events.append(_event(who, start_us, ("oxygen", 1.0, "", "oxygen"), _OXYGEN_S, 20.0))
    known_by_us = start_us + round(duration_s * 1e6)
    events = [event for event in events if event.known_time_us < known_by_us]
    return sorted(events, key=lambda event: (event.known_time_us, event.event_id))


def device_statuses(who: Profile, start_us: int, duration_s: float) -> list[DeviceStatus]:
    """What the device says of itself: worn and its battery, a loose electrode, coming back.

    Parameters
    ----------
    who : Profile
        The patient.
    start_us, duration_s : int, float
        Of the run.

    Returns
    -------
    list of DeviceStatus
        In order of time.
    """
    silent = SILENT.get(who.number, (-1.0, -1.0))
    said = [
        (float(at_s), "", "worn")
        for at_s in range(0, int(duration_s), _STATUS_EVERY_S)
        if not silent[0] <= at_s < silent[1]
    ]
    if who.number in LEAD_OFF:
        off_s, on_s = LEAD_OFF[who.number]
        said += [(off_s + 2, "ecg", "lead_off"), (on_s + 2, "ecg", "worn")]
    if who.number in SILENT:
        said.append((silent[1] + 2, "", "worn"))
    return [
        DeviceStatus(
            patient_id=who.patient_id,
            device_id=device_id(who),
            signal=signal,
            status=status,
            battery_pct=max(5.0, round(96 - who.number - at_s / 600, 1)),
            firmware="sim-1",
            clock_offset_us=0,
            event_time_us=start_us + round(at_s * 1e6),
        )
        for at_s, signal, status in sorted(said)
        if at_s < duration_s
    ]


def device_id(who: Profile) -> str:
    """Name of the patient's wearable."""
    return f"{who.patient_id}-wearable"


def _round(who: Profile, rng: Generator, start_us: int, at_s: float) -> list[ClinicalEvent]:
    """One round of observations; each value is charted a little later than it was measured."""
    now = vitals(who, np.array([at_s]))
    sbp = round(float(now.sbp_mmhg[0] + rng.normal(0, 2)))
    dbp = round(sbp * 0.62 + float(rng.normal(0, 1.5)))
    temp = round(float(now.temp_c[0] + rng.normal(0, 0.05)), 1)
    confused = who.course is SEPSIS and at_s >= _CONFUSED_S
    given = who.on_oxygen or (who.course not in (None, SEPSIS) and at_s >= _OXYGEN_S)
    facts: list[tuple[str, float | None, str, str]] = [
        ("sbp", float(sbp), "mm[Hg]", ""),
        ("dbp", float(dbp), "mm[Hg]", ""),
        ("temp", temp, "Cel", ""),
        ("consciousness", None, "", "C" if confused else "A"),
        ("oxygen", float(given), "", "oxygen" if given else "air"),
    ]
    return [
        _event(who, start_us, fact, at_s + 5 * place, float(rng.uniform(20, 90)))
        for place, fact in enumerate(facts)
    ]


def _laboratory(who: Profile, rng: Generator, start_us: int, at_s: float) -> list[ClinicalEvent]:
    """One blood sample; results come 6 to 12 minutes later, by their own ways."""
    septic = who.course is SEPSIS
    lactate = rng.uniform(0.7, 1.6) + (1.2 + 1.4 * (at_s > 0)) * septic
    wbc = rng.uniform(5.0, 9.5) + (4.0 + 4.0 * (at_s > 0)) * septic
    return [
        _event(who, start_us, fact, at_s, float(rng.uniform(360, 720)))
        for fact in (
            ("lactate", round(float(lactate), 1), "mmol/L", ""),
            ("wbc", round(float(wbc), 1), "10*3/uL", ""),
        )
    ]


def _event(
    who: Profile,
    start_us: int,
    fact: tuple[str, float | None, str, str],
    at_s: float,
    delay_s: float,
) -> ClinicalEvent:
    code, value, unit, text = fact
    event_time_us = start_us + round(at_s * 1e6)
    return ClinicalEvent(
        event_id=f"{who.patient_id}:{code}:{event_time_us}",
        version=1,
        status="final",
        patient_id=who.patient_id,
        code=code,
        value=value,
        unit=unit,
        text=text,
        event_time_us=event_time_us,
        known_time_us=event_time_us + round(delay_s * 1e6),
        source=_SOURCE,
    )
