"""Made-up ECG and PPG whose only message is the time between a beat and its pulse.

The rate, the phase and the shape say nothing, so each signal alone knows nothing of the label.
Only a model that sees both on one time axis can read how long a pulse takes to arrive.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.families.conv import wave_modality
from models.spec import ModelSpec
from models.testbed.planted import Made, spec_of

FS_HZ: Final = 32.0
LENGTH: Final = 96  # samples: three seconds
SHORT_S: Final = 0.15
LONG_S: Final = 0.27
_JITTER_S: Final = 0.02
_BEAT_S: Final = (0.7, 1.1)  # period
_SPIKE_S: Final = 0.025
_PULSE_S: Final = 0.08


def pulse_arrival(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """ECG spikes in "a", PPG pulses in "b"; event where the pulse takes long to arrive."""
    shape = (patients, steps, 1)
    late = rng.random((patients, steps)) < 0.5
    delay_s = np.where(late, LONG_S, SHORT_S)[..., None] + _JITTER_S * rng.normal(size=shape)
    period_s = rng.uniform(*_BEAT_S, size=shape)
    first_s = rng.random(shape) * period_s
    time_s = np.arange(LENGTH) / FS_HZ
    ecg = _train(time_s, first_s, period_s, _SPIKE_S)
    ppg = _train(time_s, first_s + delay_s, period_s, _PULSE_S)
    value = {
        "a": ecg + 0.1 * rng.normal(size=ecg.shape),
        "b": ppg + 0.1 * rng.normal(size=ppg.shape),
    }
    return value, late, {"delay_s": delay_s[..., 0]}


def stacked(made: Made) -> Made:
    """The same signals as channels of one modality, "waves"."""
    value, label, factors = made
    return {"waves": np.concatenate([value["a"], value["b"]], axis=-1)}, label, factors


def stacked_arrival(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """`pulse_arrival` with both signals in one modality."""
    return stacked(pulse_arrival(rng, patients, steps))


def wave_spec(
    family: str, signals: dict[str, tuple[str, ...]], config: dict[str, object]
) -> ModelSpec:
    """Spec of a family over modalities of these signals."""
    plain = spec_of(family, {}, {**config, "channels": {k: len(s) for k, s in signals.items()}})
    waves = tuple(wave_modality(name, own, LENGTH) for name, own in signals.items())
    fields = {f: getattr(plain, f) for f in plain.__struct_fields__}
    return ModelSpec(**{**fields, "modalities": waves})


def _train(
    time_s: np.ndarray, first_s: np.ndarray, period_s: np.ndarray, width_s: float
) -> np.ndarray:
    """Bumps every period, from before the window to after it, [B, T, L]."""
    beat = np.round((time_s - first_s) / period_s)
    off_s = time_s - first_s - beat * period_s
    bumps: np.ndarray = np.exp(-0.5 * (off_s / width_s) ** 2)
    return bumps
