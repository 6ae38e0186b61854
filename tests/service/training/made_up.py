"""Stays that never were, in the form of CinC 2019: sepsis shows in pulse, breath and lactate."""

from __future__ import annotations

import numpy as np

from service.datasets.cinc2019 import MODALITIES, Stays

_USUAL = {"hr": 85.0, "resp_rate": 18.0, "spo2": 97.0, "temp": 37.0, "lactate": 1.5, "wbc": 9.0}


def stays(patients: int = 120, seed: int = 0) -> Stays:
    """One in four septic, from a random hour on; worse in the hours before."""
    random = np.random.default_rng(seed)
    lengths = random.integers(10, 40, patients)
    septic = random.random(patients) < 0.25
    label = np.zeros(int(lengths.sum()), bool)
    ill = np.zeros(len(label))
    first = np.cumsum(lengths) - lengths
    for i in np.flatnonzero(septic):
        onset = int(random.integers(4, lengths[i]))
        label[first[i] + onset : first[i] + lengths[i]] = True
        ill[first[i] + max(onset - 6, 0) : first[i] + lengths[i]] = 1.0
    value = {}
    for modality, table in MODALITIES.items():
        columns = []
        for name in table.values():
            usual = _USUAL.get(name, 50.0)
            x = usual * (1 + 0.08 * random.standard_normal(len(label)))
            if name in ("hr", "resp_rate", "lactate"):
                x = x * (1 + 0.4 * ill)
            seen = random.random(len(label)) < (0.9 if modality == "vitals" else 0.15)
            if modality == "static":
                x = np.repeat(x[first], lengths)
                seen = np.ones(len(label), bool)
            columns.append(np.where(seen, x, np.nan))
        value[modality] = np.stack(columns, axis=1).astype(np.float32)
    hour = np.arange(len(label)) - np.repeat(first, lengths) + 1
    ids = tuple(f"p{i:06d}" for i in range(patients))
    return Stays(ids, lengths, value, label, random.integers(0, 3, patients), hour)
