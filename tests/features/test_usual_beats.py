"""Beats far below a lead's usual height are refused; it is learnt, forgotten and bounded."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from features.feature import FeatureReason
from features.layout import QRS_ODDS, SEGMENT_NUMBERS
from features.memory import Memory
from features.primitives import Primitives
from features.signals import SignalKind
from features.usual_beats import (
    ADOPTED_US,
    ANEW_US,
    FAR_BELOW,
    MOST_LEADS,
    SURE_ODDS,
    UsualBeats,
)
from streams.segments import SEGMENT_US

IS_ODDS = np.array(SEGMENT_NUMBERS[SignalKind.ECG]) == QRS_ODDS
OK, NO_QRS = FeatureReason.OK, FeatureReason.NO_QRS


def segment(
    k: int,
    mv: float | Sequence[float],
    *,
    lead: str = "ecg",
    device: str = "d",
    reason: FeatureReason = OK,
    ectopic: float = 0.0,
) -> Primitives:
    """Twelve beats of one height, or beats of these heights, in the k-th ten seconds."""
    heights = np.full(12, mv) if isinstance(mv, float) else np.array(mv)
    n = heights.size
    return Primitives(
        device, lead, k * SEGMENT_US, (k + 1) * SEGMENT_US, 1.0, 0.9, reason,
        k * SEGMENT_US + np.arange(n) * 800_000, heights, np.zeros(n, np.int16), True, True,
        np.full((n, 3), ectopic, np.float32),
    )  # fmt: skip


def shaped(p: Primitives, qrs_odds: float) -> Primitives:
    """The segment with beats of another shape."""
    return p._replace(stats=np.where(IS_ODDS, qrs_odds, 0.0).astype(np.float32))


def reasons(usual: UsualBeats, segments: Sequence[Primitives]) -> list[FeatureReason]:
    return [usual.judged(p).reason for p in segments]


def taught(mv: float = 1.0, n: int = 12) -> UsualBeats:
    usual = UsualBeats()
    assert set(reasons(usual, [segment(k, mv) for k in range(n)])) == {OK}
    return usual


def test_beats_of_a_fifth_of_the_usual_height_are_refused_with_a_reason_and_without_quality() -> (
    None
):
    said = taught().judged(segment(12, 0.2))
    assert (said.reason, said.quality) == (NO_QRS, 0.0)


@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("share", "said"), [(0.45, OK), (0.42, NO_QRS)])
def test_the_bar_is_a_factor_of_2_3_in_any_unit(
    gain: float, share: float, said: FeatureReason
) -> None:
    assert pytest.approx(0.435, abs=1e-3) == 2**-FAR_BELOW
    assert taught(gain).judged(segment(12, share * gain)).reason == said


def test_one_usual_beat_in_five_is_enough_to_be_believed() -> None:
    assert taught().judged(segment(12, [0.2, 0.2, 1.0, 0.2, 0.2] * 3)).reason == OK


def test_without_a_usual_height_nothing_is_far_below_it() -> None:
    usual = UsualBeats()
    assert reasons(usual, [segment(0, 1.0), segment(1, 1.0), segment(2, 0.2)]) == [OK] * 3


def test_what_was_refused_teaches_nothing() -> None:
    usual = taught()
    before = usual.to_state()[0][2]
    usual.judged(segment(12, 0.2))
    usual.judged(segment(13, 0.2, reason=FeatureReason.NOISE))
    assert usual.to_state()[0][2] == before


def test_beats_that_stay_low_for_five_minutes_become_the_usual_ones() -> None:
    n = ADOPTED_US // SEGMENT_US
    found = reasons(taught(), [segment(12 + k, 0.2) for k in range(n + 5)])
    assert found == [NO_QRS] * n + [OK] * 5


def test_low_beats_that_are_surely_beats_become_the_usual_ones_at_once() -> None:
    usual = taught()
    assert usual.judged(shaped(segment(12, 0.2), SURE_ODDS - 0.1)).reason == NO_QRS
    assert usual.judged(shaped(segment(13, 0.2), SURE_ODDS + 0.1)).reason == OK
    assert usual.judged(segment(14, 0.2)).reason == OK
    assert usual.standing_still_us() == 0


def test_an_electrode_put_on_anew_is_learnt_at_once() -> None:
    n = ANEW_US // SEGMENT_US
    assert taught().judged(segment(12 + n - 1, 0.2)).reason == NO_QRS
    assert taught().judged(segment(12 + n, 0.2)).reason == OK


def test_a_flat_line_of_30_s_counts_as_an_electrode_that_is_off() -> None:
    usual = taught()
    flat = [
        segment(12 + k, 1.0, reason=FeatureReason.FLAT)._replace(coverage=0.0) for k in range(3)
    ]
    reasons(usual, flat)
    assert usual.judged(segment(15, 0.2)).reason == OK


def test_ten_minutes_of_ventricular_tachycardia_do_not_make_the_beats_after_it_small() -> None:
    usual = taught()
    storm = [segment(12 + k, 2.6, ectopic=0.1) for k in range(60)]
    after = [segment(72 + k, 1.0) for k in range(3)]
    assert set(reasons(usual, [*storm, *after])) == {OK}


def test_ventricular_beats_teach_nothing() -> None:
    usual = taught()
    before = usual.to_state()[0][2]
    usual.judged(segment(12, 3.0, ectopic=0.9))
    assert usual.to_state()[0][2] == before


def test_leads_and_devices_have_heights_of_their_own() -> None:
    usual = taught()
    assert usual.judged(segment(12, 0.2, lead="ecg_v")).reason == OK
    assert usual.judged(segment(12, 0.2, device="other")).reason == OK
    assert usual.judged(segment(13, 0.2)).reason == NO_QRS


def test_other_signals_are_left_alone() -> None:
    p = segment(0, 1.0, lead="ppg")
    usual = UsualBeats()
    assert usual.judged(p) is p
    assert usual.to_state() == []


def test_a_segment_from_before_the_last_is_judged_and_teaches_nothing() -> None:
    usual = taught()
    before = usual.to_state()
    assert usual.judged(segment(3, 0.2)).reason == NO_QRS
    assert usual.to_state() == before


def test_the_state_goes_through_bytes_and_goes_on_the_same() -> None:
    usual = taught()
    usual.judged(segment(12, 0.2))
    packed = msgspec.msgpack.encode(usual.to_state())
    again = UsualBeats.from_state(msgspec.msgpack.decode(packed))
    assert again.to_state() == usual.to_state()
    rest = [segment(13 + k, 0.2) for k in range(40)]
    assert reasons(again, rest) == reasons(usual, rest)


def test_leads_are_bounded_and_the_one_heard_longest_ago_goes() -> None:
    usual = UsualBeats()
    for k in range(MOST_LEADS + 3):
        usual.judged(segment(k, 1.0, device=f"d{k}"))
    kept = [device for _, device, *_ in usual.to_state()]
    assert len(kept) == MOST_LEADS
    assert "d2" not in kept
    assert "d3" in kept


def test_a_memory_keeps_what_is_refused_as_a_segment_that_failed() -> None:
    memory = Memory()
    for k in range(12):
        memory.keep(segment(k, 1.0))
    memory.keep(segment(12, 0.2))
    *_, last = Memory.from_state(memory.to_state()).rings.primitives()
    assert last.reason == NO_QRS


def test_a_heart_stands_still_from_the_second_refused_segment_until_beats_are_back() -> None:
    usual = taught()
    assert usual.standing_still_us() == 0
    said = []
    for k, mv in enumerate([0.2, 0.2, 0.2, 1.0]):
        usual.judged(segment(12 + k, mv))
        said.append(usual.standing_still_us())
    since_us = 12 * SEGMENT_US
    assert said == [0, since_us, since_us, 0]


def test_noise_and_gaps_neither_say_that_a_heart_stands_still_nor_that_it_beats() -> None:
    usual = UsualBeats()
    assert usual.standing_still_us() is None
    usual.judged(segment(0, 1.0, reason=FeatureReason.NOISE))
    assert usual.standing_still_us() is None
    reasons(usual, [segment(k, 0.2, reason=NO_QRS) for k in (1, 2)])
    usual.judged(segment(3, 0.2, reason=FeatureReason.NOISE))
    usual.judged(segment(40, 0.2, reason=FeatureReason.NOISE))
    assert usual.standing_still_us() == SEGMENT_US


def test_beats_in_one_lead_outweigh_waves_without_them_in_another() -> None:
    usual = UsualBeats()
    for k in range(4):
        usual.judged(segment(k, 0.2, reason=NO_QRS))
        usual.judged(segment(k, 1.0, lead="ecg_v"))
    assert usual.standing_still_us() == 0
