"""The compiled loops against torch, over every part they know; and what they do not know."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="numba is an extra")

from models.artifact import decode
from models.compiled_runtime import CompiledRuntime
from models.kernels.pack import runs
from models.open import open_blocks
from models.registry import family, names
from models.runtime import OUTPUTS, Floats, Said
from models.spec import CalibrationSpec, FeatureSpec, ModalitySpec, ModelSpec
from models.torch_runtime import TorchRuntime
from models.weights import files_of
from tests.models.contract import model_kit as kit
from tests.models.contract.test_serving_laws import packed, taken

GATED, CONCAT = "fusion.gated", "fusion.concat"
SIZES = {"width": 24, "static_width": 5, "hidden": 17}


def built(name: str, spec: ModelSpec | None = None, **config: object) -> torch.nn.Module:
    example = spec or family(name).example()
    own = msgspec.structs.replace(example, family=name, config={**SIZES, **config})
    torch.manual_seed(1)
    model = family(name).build(own)
    assert isinstance(model, torch.nn.Module)
    with torch.no_grad():
        for x in model.parameters():  # biases that start at 0 would hide that they are forgotten
            x.add_(0.1 * torch.randn_like(x))
    return model.eval()


def compared(model: torch.nn.Module, given: tuple[Floats, Floats, Floats]) -> Said:
    """What the loops say, if it is what torch says."""
    said, wanted = CompiledRuntime(model)(*given), TorchRuntime(model)(*given)
    for field, one, other in zip(OUTPUTS, said, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=2e-6, err_msg=field)
    return said


@pytest.mark.parametrize("name", [GATED, CONCAT])
@pytest.mark.parametrize("trend", [False, True])
@pytest.mark.parametrize("quality", [False, True])
def test_every_input_a_branch_may_have(name: str, *, trend: bool, quality: bool) -> None:
    model = built(name, trend=trend, quality=quality)
    compared(model, packed(model, 70))


CALIBRATIONS = (
    CalibrationSpec(),
    CalibrationSpec("temperature", values={"temperature": (1.7, 0.6)}),
    CalibrationSpec("platt", values={"slope": (0.8, 1.2), "bias": (-0.4, 0.1)}),
    CalibrationSpec(
        "isotonic",
        values={
            "x0": (-0.3, 0.0, 0.2),
            "y0": (-3.0, -1.0, -0.5),
            "x1": (0.0, 1.0),
            "y1": (-2.0, 0.0),
        },
    ),
)


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=lambda x: x.kind)
def test_every_calibration_over_several_horizons(calibration: CalibrationSpec) -> None:
    spec = family(GATED).example()
    spec = msgspec.structs.replace(spec, horizons_s=(3600.0, 7200.0), calibration=calibration)
    said = compared(built(GATED, spec), packed(built(GATED, spec), 40))
    assert said.logit.shape == (40, 2)


def test_more_modalities_than_have_every_coalition() -> None:
    modalities = tuple(
        ModalitySpec(f"m{i}", "dense", (FeatureSpec(f"x{i}", "1", 0.0, 1.0),) * (i + 1), 7200.0)
        for i in range(6)
    )
    spec = msgspec.structs.replace(family(CONCAT).example(), modalities=modalities)
    model = built(CONCAT, spec)
    compared(model, packed(model, 33))


def test_every_subset_of_modalities_and_nobody_at_all() -> None:
    model = built(GATED)
    state, rows, clock = packed(model, 8)
    for i, there in enumerate(itertools.product((False, True), repeat=3)):
        for place, width in zip((0, 2, 4), (2, 2, 1), strict=True):
            known = 0.5 if there[place // 2] else np.nan
            rows[i, 0, place : place + width] = known
    said = compared(model, (np.zeros_like(state), rows, clock))
    assert said.present.sum() == 12


def test_wide_layers_and_many_inputs() -> None:
    features = tuple(FeatureSpec(f"x{i}", "1", -10.0, 10.0) for i in range(41))
    modality = ModalitySpec("all", "dense", features, 172_800.0)
    spec = msgspec.structs.replace(family(CONCAT).example(), modalities=(modality,))
    model = built(CONCAT, spec, width=96, hidden=65)
    compared(model, packed(model, 300))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40])
@pytest.mark.parametrize("plane", range(4))
def test_odd_numbers_in_a_row_are_taken_as_torch_takes_them(odd: float, plane: int) -> None:
    model = built(GATED)
    state, rows, clock = packed(model, 9)
    rows[::2, plane, ::2] = odd
    compared(model, (state, rows, clock))


def test_a_memory_that_is_not_finite_says_nothing_finite() -> None:
    model = built(GATED)
    state, rows, clock = packed(model, 3)
    sound = CompiledRuntime(model)(state, rows, clock)
    state[1] = np.nan
    said = CompiledRuntime(model)(state, rows, clock)
    assert not np.isfinite(said.after[1]).all()
    for row in (0, 2):
        assert taken(said, slice(row, row + 1)) == taken(sound, slice(row, row + 1))


def test_shares_are_left_out_where_nobody_asks() -> None:
    model = built(GATED)
    given = packed(model, 5)
    bare, full = CompiledRuntime(model, explain=False)(*given), CompiledRuntime(model)(*given)
    assert np.isnan(bare.share).all()
    assert bare.logit.tobytes() == full.logit.tobytes()


@pytest.mark.parametrize("name", names("models"))
def test_it_is_opened_where_it_knows_all_parts_else_what_cpu_is(name: str) -> None:
    model, said = kit.build(name), list[str]()
    blocks = open_blocks(decode(files_of(model)), "compiled", said.append)
    if runs(model):
        assert (blocks.runtime.name, blocks.buckets[0], said) == ("compiled cpu", 1, [])
    else:
        assert blocks.runtime.name == "torch cpu"
        assert "no compiled loops for all its parts" in said[0]
        with pytest.raises(ValueError, match="no compiled loops"):
            CompiledRuntime(model)


def test_the_families_it_is_for_are_run_by_it() -> None:
    assert {name for name in names("models") if runs(kit.build(name))} == {GATED, CONCAT}


def digest() -> str:
    """Of everything that is said of some rows, blocks of all kinds."""
    found = hashlib.sha256()
    for name in (GATED, CONCAT):
        model = built(name)
        given = packed(model, 83)
        for start, stop in ((0, 83), (3, 4), (5, 8)):
            said = CompiledRuntime(model)(*(np.ascontiguousarray(x[start:stop]) for x in given))
            found.update(b"".join(taken(said, slice(None))))
    return found.hexdigest()


@pytest.mark.slow
def test_other_machines_have_the_same_bits(tmp_path: Path) -> None:
    code = f"from {__name__} import digest; print(digest())"
    machine = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2"}
    older = {**os.environ, **machine, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=older, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == digest()
