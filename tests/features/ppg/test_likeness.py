"""Likeness: of copies 1, of noise low; two of a kind among four neighbours are enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.ppg.likeness import likeness
from features.ppg.wave import Wave

Floats = NDArray[np.float64]


def _wave(y: Floats) -> Wave:
    rows = np.atleast_2d(y)
    return Wave(rows, rows, np.gradient(rows, axis=1), 64.0, 1)


def _train(shapes: list[float]) -> tuple[Wave, Floats]:
    """A pulse of each given width, 0.8 s apart."""
    t = np.arange(round(64 * (0.8 * len(shapes) + 1.2))) / 64
    at = 0.8 + 0.8 * np.arange(len(shapes))
    y = sum(np.exp(-0.5 * ((t - c) / w) ** 2) for c, w in zip(at, shapes, strict=True))
    return _wave(np.asarray(y)), at * 64


def test_copies_are_alike_whatever_their_height() -> None:
    wave, at = _train([0.08] * 8)
    falling = _wave(wave.band * np.linspace(1, 1.0001, wave.band.shape[1]))
    assert likeness(falling, np.zeros(8, np.intp), at).min() > 0.999


def test_bigeminy_finds_its_like_two_pulses_away() -> None:
    wave, at = _train([0.06, 0.15] * 4)
    found = likeness(wave, np.zeros(8, np.intp), at)
    assert found[2:-2].min() > 0.99
    assert found.min() > 0.85  # the outermost have one of their kind in reach


def test_noise_is_not_alike() -> None:
    y = np.random.default_rng(0).normal(size=(1, 3000))
    at = np.arange(50.0, 2900, 50)
    assert np.nanmean(likeness(_wave(y), np.zeros(at.size, np.intp), at)) < 0.5


def test_a_single_pulse_or_one_cut_off_has_no_likeness() -> None:
    wave, at = _train([0.08] * 3)
    assert np.isnan(likeness(wave, np.zeros(1, np.intp), at[:1])).all()
    cut = np.array([2.0, at[1], at[2]])
    assert np.isnan(likeness(wave, np.zeros(3, np.intp), cut)).tolist() == [True, False, False]


def test_rows_are_not_compared_with_each_other() -> None:
    wave, at = _train([0.08] * 3)
    both = _wave(np.concatenate([wave.band, wave.band]))
    found = likeness(both, np.array([0, 1, 1]), at[[0, 1, 2]])
    assert np.isnan(found).tolist() == [True, False, False]
