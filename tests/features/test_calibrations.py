from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from features.analysis.motion import analyse_motion
from features.axes import Triple
from features.calibrations import MOST_DEVICES, Calibrations, in_force, learn
from features.layout import SEGMENT_NUMBERS
from features.signals import SignalKind
from streams.segments import Segment

CORE_US = 10_000_000
ENMO = SEGMENT_NUMBERS[SignalKind.MOTION].index("enmo_mg")
GAIN, OFFSET = np.array([1.04, 0.97, 1.02]), np.array([0.03, -0.02, 0.015])


def still(k: int, seed: int = 0) -> Triple:
    """10 s of a device that lies still, in another posture each time, and measures wrongly."""
    rng = np.random.default_rng([seed, k])
    up = rng.normal(0, 1, 3)
    measured = (up / np.linalg.norm(up) - OFFSET) / GAIN
    axes = [
        Segment(
            "p", "d", f"acc_{name}", k * CORE_US, (k + 1) * CORE_US, 32.0, "g", 0.0,
            (value + rng.normal(0, 0.003, 320)).astype(np.float32),
        )
        for name, value in zip("xyz", measured, strict=True)
    ]  # fmt: skip
    return Triple(*axes)


def worn(own: Calibrations, epochs: range, together: int) -> list[bytes]:
    """Analyse and learn, some epochs at a time; taken up every 30."""
    said = []
    for first in range(epochs.start, epochs.stop, together):
        some = range(first, min(first + together, epochs.stop))
        owners = [(own, "d")] * len(some)
        found = analyse_motion([still(k) for k in some], in_force(owners))
        learn(owners, [p.stats for p in found])
        said += [p.stats.tobytes() for p in found]
        if some.stop % 30 == 0:
            own.take_up()
    return said


def enmo_mg(own: Calibrations, k: int = 999) -> float:
    return float(analyse_motion([still(k)], in_force([(own, "d")]))[0].stats[ENMO])


def test_rest_measures_no_movement_once_the_device_is_known() -> None:
    own = Calibrations()
    before = np.mean([enmo_mg(own, k) for k in range(900, 950)])
    worn(own, range(300), 10)
    after = np.mean([enmo_mg(own, k) for k in range(900, 950)])
    assert before > 6
    assert after < 2
    assert own.applied("d") == pytest.approx(np.concatenate([GAIN, OFFSET]), abs=0.006)


def test_what_is_learnt_waits_to_be_taken_up() -> None:
    own = Calibrations()
    worn(own, range(29), 1)
    assert own.applied("d").tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("together", [2, 5, 30])
def test_how_epochs_were_grouped_changes_no_bit(together: int) -> None:
    one, other = Calibrations(), Calibrations()
    assert worn(one, range(90), 1) == worn(other, range(90), together)
    assert one.to_state() == other.to_state()


def test_devices_do_not_touch_each_other() -> None:
    own = Calibrations()
    found = analyse_motion([still(k) for k in range(4)])
    learn([(own, "a"), (own, "b"), (own, "a"), (own, "b")], [p.stats for p in found])
    alone = Calibrations()
    learn([(alone, "a")] * 2, [found[0].stats, found[2].stats])
    assert own.learnt("a").tobytes() == alone.learnt("a").tobytes()


def test_a_patient_has_few_devices() -> None:
    own = Calibrations()
    stats: Any = analyse_motion([still(0)])[0].stats
    for name in "abcdefgh":
        learn([(own, name)], [stats])
        own.take_up()
    assert len(own.to_state()) == MOST_DEVICES
    assert own.applied("a").tolist() == [1, 1, 1, 0, 0, 0]


def test_state_survives_a_snapshot_exactly() -> None:
    own = Calibrations()
    worn(own, range(45), 1)
    back = Calibrations.from_state(msgspec.msgpack.decode(msgspec.msgpack.encode(own.to_state())))
    assert back.to_state() == own.to_state()
    assert worn(own, range(45, 60), 1) == worn(back, range(45, 60), 1)
