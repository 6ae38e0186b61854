"""What each encoder promises beyond the contract's laws."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.encoders.conv import Conv
from models.encoders.gru_d import GruD, gru_step
from models.encoders.point import Point
from models.encoders.window import Window
from models.families.conv import wave_modality
from models.parts import Inputs
from models.spec import FeatureSpec, ModalitySpec

VITALS = ModalitySpec(
    "vitals", "dense", tuple(FeatureSpec(n, "1", 0.0, 9.0) for n in ("hr", "spo2")), 1e5
)
STATIC = ModalitySpec("static", "static", VITALS.features, 1e9)


def row(age_s: float = 0.0, fresh: float = 1.0, value: float = 2.0) -> Inputs:
    x = torch.full((1, 2), value)
    return Inputs(x, torch.ones(1, 2), torch.full((1, 2), age_s), torch.full((1, 2), fresh), x * 0)


def test_one_step_is_that_of_torchs_own_cell() -> None:
    torch.manual_seed(0)
    gru, cell = nn.GRU(5, 7, batch_first=True), nn.GRUCell(5, 7)
    cell.load_state_dict({k.removesuffix("_l0"): x for k, x in gru.state_dict().items()})
    x, h = torch.randn(4, 5), torch.randn(4, 7)
    torch.testing.assert_close(gru_step(gru, x, h), cell(x, h), atol=1e-6, rtol=0)


def test_an_input_fades_towards_the_median_as_it_ages_and_a_new_one_does_not() -> None:
    encoder = GruD(VITALS, 4, trend=False)
    passed = torch.zeros(1)
    shown = [
        encoder._channels(row(age_s=h * 3600.0, fresh=0.0), passed, None)[0, 0].item()
        for h in (0, 6, 24, 96)
    ]
    assert shown[0] > shown[1] > shown[2] > shown[3] > 0.0
    assert encoder._channels(row(age_s=1800.0, fresh=1.0), passed, None)[0, 0].item() == 2.0


def test_quality_is_an_input_only_where_it_is_asked_for() -> None:
    plain, asked = GruD(VITALS, 4), GruD(VITALS, 4, quality=True)
    first = [e.mix[0].in_features for e in (plain, asked) if isinstance(e.mix[0], nn.Linear)]
    assert first[1] == first[0] + 2


def test_static_facts_have_no_movement() -> None:
    assert Window(STATIC).state == {"row": (10,)}
    assert "trend" in Window(VITALS).state


def test_a_fact_of_any_age_beyond_a_month_is_just_old() -> None:
    torch.manual_seed(0)
    encoder = Point(STATIC, 6)
    month, years = (encoder.scan(row(age_s=a), torch.zeros(1)) for a in (30 * 86_400.0, 1e9))
    assert torch.equal(month, years)


@pytest.mark.parametrize(("samples", "channels"), [(30, 4), (12, 2), (16, 0)])
def test_samples_that_are_no_channels_are_refused(samples: int, channels: int) -> None:
    waves = wave_modality("waves", ("x",), samples)
    with pytest.raises(ValueError, match="channels"):
        Conv(waves, 4, channels)


def test_a_missing_sample_is_not_a_flat_line() -> None:
    torch.manual_seed(0)
    encoder = Conv(wave_modality("waves", ("ecg", "ppg"), 16), 8, 2)
    zero, there = torch.zeros(1, 32), torch.ones(1, 32)
    flat = Inputs(zero, there, zero, there, there)
    gap = Inputs(zero, zero, zero, zero, zero)
    passed = torch.zeros(1)
    assert not torch.equal(encoder.step({}, flat, passed)["h"], encoder.step({}, gap, passed)["h"])
