"""What every registered model must hold as it is served: packed, exported, in blocks, stored."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import msgspec
import numpy as np
import pytest
import torch

from models.artifact import SPEC_FILE, Artifact, decode, encode
from models.export import to_onnx
from models.fusion_model import FusionModel
from models.inputs import AGE, FRESH, QUALITY, VALUE
from models.layout import Layout
from models.onnx_runtime import OnnxRuntime
from models.open import open_blocks
from models.packed import PackedModel, Rowwise
from models.runtime import CANONICAL, OUTPUTS, Blocks, Runtime, Said, settled
from models.tensors import SequenceBatch, clock
from models.torch_runtime import TorchRuntime
from models.weights import files_of, network
from streams.errors import CheckpointMismatch
from tests.models.contract import model_kit as kit

PARITY = 1e-5
every = pytest.mark.parametrize("name", kit.FAMILIES)
SIZES = (1, 2, 3, 5, 7, 8, 31, 32, 100, 255, 256, 257, 700)


@pytest.fixture(scope="module")
def served() -> dict[str, tuple[FusionModel, Artifact]]:
    """Every family, exported where it can be, as decoded files."""
    found = {}
    logging.disable(logging.CRITICAL)  # the exporter logs thousands of lines of its own
    for name in kit.FAMILIES:
        model = kit.build(name)
        onnx = to_onnx(model) if isinstance(model, Rowwise) else b""
        found[name] = model, decode(files_of(model, onnx=onnx))
    logging.disable(logging.NOTSET)
    return found


Served = dict[str, tuple[FusionModel, Artifact]]


def runtimes(artifact: Artifact) -> list[Runtime]:
    """Everything here that can run an artifact."""
    own: list[Runtime] = [TorchRuntime(network(artifact))]
    if artifact.onnx:
        own.append(OnnxRuntime(artifact.onnx))
    if find_spec("numba") is not None:
        from models.compiled_runtime import CompiledRuntime
        from models.kernels.pack import runs

        if runs(network(artifact)):
            own.append(CompiledRuntime(network(artifact)))
    return own


def packed(model: FusionModel, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State, rows and clock of so many patients in the middle of their histories."""
    seq = kit.history(model.spec, patients=rows, steps=4)
    _, state = kit.stream(model, kit.until(seq, 3))
    layout = Layout.of(model.spec)
    held = torch.cat([state[part.name].flatten(1) for part in layout.state], dim=1)
    return held.numpy(), planes(seq, 3), clock(seq.time_us[:, 3]).numpy()


def planes(seq: SequenceBatch, t: int) -> np.ndarray:
    """Value, age, fresh and quality of a step side by side, [N, 4, D]."""
    fields = (seq.value, seq.age_s, seq.fresh, seq.quality)
    return torch.stack([torch.cat([x[:, t] for x in f.values()], dim=1) for f in fields], 1).numpy()


def taken(said: Said, rows: slice) -> list[bytes]:
    return [np.ascontiguousarray(part[rows]).tobytes() for part in said]


@every
def test_4_a_row_has_the_same_bits_alone_and_in_any_company(name: str, served: Served) -> None:
    model, artifact = served[name]
    given = packed(model, max(SIZES))
    for runtime in runtimes(artifact):
        blocks = settled(runtime, artifact.spec)
        whole = blocks(*given)
        for size in SIZES:
            for start in (0, 1, max(SIZES) - size):
                rows = slice(start, start + size)
                part = blocks(*(x[rows] for x in given))
                assert taken(part, slice(None)) == taken(whole, rows), (runtime.name, size, start)


@every
def test_4_what_stands_beside_a_row_does_not_matter(name: str, served: Served) -> None:
    model, artifact = served[name]
    state, rows, clocks = packed(model, 40)
    for runtime in runtimes(artifact):
        blocks = settled(runtime, artifact.spec)
        before = blocks(state, rows, clocks)
        loud_state, loud_rows = state.copy(), rows.copy()
        loud_state[1:], loud_rows[1:] = 1e4, np.nan
        after = blocks(loud_state, loud_rows, clocks)
        assert taken(before, slice(0, 1)) == taken(after, slice(0, 1))


@every
def test_4_the_bucket_does_not_matter(name: str, served: Served) -> None:
    model, artifact = served[name]
    given = packed(model, 5)
    for runtime in runtimes(artifact):
        blocks = settled(runtime, artifact.spec)
        found = [
            taken(Blocks(runtime, (size,))(*given), slice(None))
            for size in blocks.buckets
            if size >= 5
        ]
        assert blocks.buckets[-1] == CANONICAL
        assert not blocks.alone
        assert all(one == found[0] for one in found)


@every
def test_5_an_absent_modality_is_absent_in_every_runtime(name: str, served: Served) -> None:
    model, artifact = served[name]
    for part in Layout.of(model.spec).inputs:
        state, rows, clocks = packed(model, 32)
        clean, poisoned = rows.copy(), rows.copy()
        for one, junk in ((clean, 0.0), (poisoned, np.nan)):
            one[:, :, part.start : part.stop] = junk
            one[:, 0, part.start : part.stop] = np.nan
        for runtime in runtimes(artifact):
            said = [runtime(state, x, clocks) for x in (clean, poisoned)]
            assert taken(said[0], slice(None)) == taken(said[1], slice(None)), runtime.name
            assert np.isfinite(said[1].prob).all()
            assert np.isfinite(said[1].share).all()


@every
@pytest.mark.parametrize("plane", [VALUE, AGE, FRESH, QUALITY])
def test_nonsense_leaves_every_score_a_probability_in_every_runtime(
    name: str, plane: int, served: Served
) -> None:
    model, artifact = served[name]
    state, rows, clocks = packed(model, 32)
    own = runtimes(artifact)
    for junk in (np.nan, np.inf, -np.inf, 3e38, -3e38, -1.0, 1e-40):
        spoilt = rows.copy()
        spoilt[::2, plane] = junk
        for runtime in own:
            said = runtime(state, spoilt, clocks)
            assert ((said.prob >= 0) & (said.prob <= 1)).all(), (runtime.name, junk)
            assert np.isfinite(said.after).all(), (runtime.name, junk)


@every
def test_9_shares_sum_to_the_logit_in_every_runtime(name: str, served: Served) -> None:
    model, artifact = served[name]
    with torch.no_grad():
        bias = float(model.bias()[0])
    for runtime in runtimes(artifact):
        said = runtime(*packed(model, 32))
        total = said.share.sum(axis=1)
        np.testing.assert_allclose(total, said.logit[:, 0] - bias, atol=PARITY, rtol=PARITY)


@every
def test_8_files_give_the_same_model_bit_by_bit(name: str, served: Served) -> None:
    model, artifact = served[name]
    seq = kit.history(model.spec)
    assert kit.same(kit.stream(model, seq)[0], kit.stream(network(artifact), seq)[0])
    again = files_of(network(artifact), artifact.spec, artifact.onnx)
    assert decode(again).digest == artifact.digest


@every
def test_8_every_runtime_says_what_torch_says(name: str, served: Served) -> None:
    model, artifact = served[name]
    if not isinstance(model, Rowwise):
        assert artifact.onnx == b""
        return
    given = packed(model, 64)
    eager, *others = (runtime(*given) for runtime in runtimes(artifact))
    assert others
    for said in others:
        for field, one, other in zip(OUTPUTS, eager, said, strict=True):
            np.testing.assert_allclose(one, other, atol=PARITY, rtol=PARITY, err_msg=field)


@every
def test_8_packed_rows_say_what_the_model_says(name: str, served: Served) -> None:
    model, artifact = served[name]
    seq = kit.history(model.spec, patients=9, steps=4)
    scores, _ = kit.stream(model, seq)
    said = TorchRuntime(network(artifact))(*packed(model, 9))
    seq9 = kit.history(model.spec, patients=9, steps=4)
    assert kit.same(seq9.time_us, seq.time_us)
    np.testing.assert_allclose(said.logit, scores[3].logit.numpy(), atol=PARITY)
    np.testing.assert_allclose(said.share, scores[3].share.numpy(), atol=PARITY)


@every
def test_14_inputs_that_mean_something_else_are_refused(name: str, served: Served) -> None:
    _, artifact = served[name]
    files = encode(artifact.spec, artifact.weights, artifact.onnx)
    text = files[SPEC_FILE].replace(artifact.spec.schema_hash.encode(), b"0123456789abcdef")
    with pytest.raises(CheckpointMismatch, match="mean something else"):
        decode({**files, SPEC_FILE: text})
    first = artifact.spec.modalities[0]
    other = msgspec.structs.replace(first.features[0], unit="furlong")
    changed = msgspec.structs.replace(first, features=(other, *first.features[1:]))
    spec = msgspec.structs.replace(
        artifact.spec, modalities=(changed, *artifact.spec.modalities[1:])
    )
    assert decode(encode(spec, artifact.weights)).spec.schema_hash != artifact.spec.schema_hash


@every
def test_it_opens_on_this_machine(name: str, served: Served) -> None:
    blocks = open_blocks(served[name][1])
    assert len(blocks.buckets) >= 1


def test_a_packed_model_gives_its_outputs_in_their_order() -> None:
    model = kit.build("linear")
    said = PackedModel(model)(*(torch.from_numpy(x) for x in packed(model, 3)))
    assert said._fields == OUTPUTS
