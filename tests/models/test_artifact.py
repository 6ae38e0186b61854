"""Artifacts that are broken or hostile are refused with the reason, before anything is built."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save

from models.artifact import FILES, ONNX_FILE, SPEC_FILE, WEIGHTS_FILE, _sha, decode, encode
from models.open import open_blocks
from models.weights import files_of, network
from streams.errors import CheckpointMismatch
from tests.models.contract import model_kit as kit

Files = dict[str, bytes]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files() -> Files:
    return files_of(kit.build("linear"))


def test_a_good_one_is_read(files: Files) -> None:
    artifact = decode(files)
    assert re.fullmatch(r"example-linear/1/[0-9a-f]{16}", artifact.ref)
    network(artifact)


def test_the_same_model_gives_the_same_bytes(files: Files) -> None:
    assert files_of(kit.build("linear")) == files
    assert files_of(kit.build("linear", seed=8)) != files


def respec(files: Files, change: Callable[[dict], None]) -> Files:
    """The files with another spec.json, without a seal as older builds wrote it."""
    tree = json.loads(files[SPEC_FILE])
    tree.pop("seal", None)
    change(tree)
    return {**files, SPEC_FILE: json.dumps(tree).encode()}


def reweigh(files: Files, tensors: dict[str, np.ndarray]) -> Files:
    """The files with other weights, and a spec.json that knows them."""
    blob = save(tensors)
    return respec(
        {**files, WEIGHTS_FILE: blob}, lambda tree: tree.update(weights_sha256=_sha(blob))
    )


def refused(files: Files, why: str) -> None:
    with pytest.raises(CheckpointMismatch, match=why):
        open_blocks(decode(files))


@pytest.mark.parametrize("missing", [SPEC_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_refused(files: Files, missing: str) -> None:
    refused({k: x for k, x in files.items() if k != missing}, f"{missing} is missing")


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, -1])
def test_truncated_weights_are_refused(files: Files, cut: int) -> None:
    refused({**files, WEIGHTS_FILE: files[WEIGHTS_FILE][:cut]}, "sha256")


@pytest.mark.parametrize("cut", [0, 1, 50, -3])
def test_a_truncated_spec_is_refused(files: Files, cut: int) -> None:
    refused({**files, SPEC_FILE: files[SPEC_FILE][:cut]}, "cannot be read")


def test_one_changed_bit_in_the_weights_is_refused(files: Files) -> None:
    blob = bytearray(files[WEIGHTS_FILE])
    blob[-1] ^= 1
    refused({**files, WEIGHTS_FILE: bytes(blob)}, "sha256")


def test_a_changed_digit_in_the_spec_is_refused(files: Files) -> None:
    for found in re.finditer(rb"[0-9]", files[SPEC_FILE]):
        other = b"1" if found[0] != b"1" else b"2"
        text = files[SPEC_FILE][: found.start()] + other + files[SPEC_FILE][found.end() :]
        with pytest.raises(CheckpointMismatch):
            decode({**files, SPEC_FILE: text})


def test_a_spec_without_a_seal_is_one_of_an_older_build(files: Files) -> None:
    assert decode(respec(files, lambda tree: None)).spec == decode(files).spec


@pytest.mark.parametrize("factor", [0, 2])
def test_a_state_that_the_graph_does_not_read_is_refused(factor: int) -> None:
    folder = ROOT / "models" / "artifacts" / "default"
    shipped = {name: (folder / name).read_bytes() for name in FILES}

    def change(tree: dict) -> None:
        state = tree["spec"]["state"]
        tree["spec"]["state"] = {k: [factor * n for n in v] for k, v in state.items() if factor}

    refused(respec(shipped, change), "does not fit the network")


def test_a_bound_that_no_float32_holds_is_refused(files: Files) -> None:
    def change(tree: dict) -> None:
        tree["spec"]["modalities"][0]["features"][0]["hi"] = 1e300

    refused(respec(files, change), "lo, hi")


def test_weights_that_are_no_safetensors_are_refused(files: Files) -> None:
    for blob in (b"", b"\x80\x04K\x01.", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0notjson!"):
        tree = respec(
            {**files, WEIGHTS_FILE: blob}, lambda t, b=blob: t.update(weights_sha256=_sha(b))
        )
        refused(tree, "sha256|cannot be read")


def test_a_header_that_points_outside_the_file_is_refused(files: Files) -> None:
    head = json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}})
    blob = len(head).to_bytes(8, "little") + head.encode()
    refused(
        respec({**files, WEIGHTS_FILE: blob}, lambda t: t.update(weights_sha256=_sha(blob))),
        "cannot be read",
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(files: Files, bad: float) -> None:
    tensors = {k: np.array(x) for k, x in decode(files).weights.items()}
    next(iter(tensors.values())).flat[0] = bad
    refused(reweigh(files, tensors), "not finite")


def test_a_weight_of_another_shape_is_refused(files: Files) -> None:
    tensors = {k: np.array(x) for k, x in decode(files).weights.items()}
    name = next(iter(tensors))
    refused(reweigh(files, {**tensors, name: np.zeros((3, 3), np.float32)}), "do not fit")
    refused(reweigh(files, {k: x for k, x in tensors.items() if k != name}), "do not fit")
    refused(reweigh(files, {**tensors, "more": np.zeros(1, np.float32)}), "do not fit")


def test_weights_of_another_type_are_refused(files: Files) -> None:
    tensors = {k: np.array(x) for k, x in decode(files).weights.items()}
    refused(reweigh(files, {k: x.astype(np.float64) for k, x in tensors.items()}), "not float32")


SPECS: list[tuple[str, Callable[[dict], object], str]] = [
    ("another format", lambda t: t.update(format="vigil.model.v9"), "format 'vigil.model.v9'"),
    ("an unknown key", lambda t: t["spec"].update(evil=1), "unknown field"),
    ("an unknown family", lambda t: t["spec"].update(family="nonesuch"), "no model 'nonesuch'"),
    ("a path as a name", lambda t: t["spec"].update(name="../../etc"), "names must be"),
    ("markup as a name", lambda t: t["spec"].update(version="<b>"), "names must be"),
    ("no horizon", lambda t: t["spec"].update(horizons_s=[]), "horizons_s"),
    ("a negative horizon", lambda t: t["spec"].update(horizons_s=[-1]), "spans"),
    ("no modality", lambda t: t["spec"].update(modalities=[]), "modalities"),
    ("a fast cadence", lambda t: t["spec"].update(cadence_s=1e-9), "cadence_s"),
    ("a cadence off the grid", lambda t: t["spec"].update(cadence_s=15.0), "cadence_s"),
    ("a vast state", lambda t: t["spec"]["state"].update(x=[1 << 40]), "state"),
    ("a negative state", lambda t: t["spec"]["state"].update(x=[-5]), "state"),
    ("another state", lambda t: t["spec"]["state"].update(x=[5]), "state is declared"),
    ("a vast network", lambda t: t["spec"]["config"].update(width=1 << 40), "fit"),
    ("a negative width", lambda t: t["spec"]["config"].update(width=-4), "fit"),
    ("a text as width", lambda t: t["spec"]["config"].update(width="wide"), "config does not fit"),
    ("another config", lambda t: t["spec"]["config"].update(depth=3), "config does not fit"),
    (
        "a strange threshold",
        lambda t: t["spec"].update(operating=[{"name": "a", "horizon_s": 1, "threshold": 7}]),
        "operating",
    ),
    ("a kind that is none", lambda t: t["spec"]["modalities"][0].update(kind="magic"), "kind"),
    ("lo above hi", lambda t: t["spec"]["modalities"][0]["features"][0].update(lo=1e9), "lo"),
    ("another order of inputs", lambda t: t["spec"]["modalities"].reverse(), "mean something else"),
    (
        "another unit",
        lambda t: t["spec"]["modalities"][0]["features"][0].update(unit="Hz"),
        "mean something else",
    ),
]


@pytest.mark.parametrize(("change", "why"), [s[1:] for s in SPECS], ids=[s[0] for s in SPECS])
def test_a_spec_that_is_wrong_is_refused(
    files: Files, change: Callable[[dict], None], why: str
) -> None:
    refused(respec(files, change), why)


HOSTILE = {
    "deep": b"[" * 200_000,
    "deep object": b'{"spec":' * 100_000,
    "nan": b'{"format": NaN}',
    "huge number": b'{"format": "vigil.model.v1", "weights_sha256": 1e999999}',
    "not utf-8": b'{"format": "\xff\xfe"}',
    "null": b"null",
    "list": b"[]",
    "duplicate keys": b'{"format":"a","format":"vigil.model.v1"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_refused(files: Files, text: bytes) -> None:
    refused({**files, SPEC_FILE: text}, r"spec\.json")


def test_a_file_beyond_its_limit_is_refused(files: Files) -> None:
    refused({**files, SPEC_FILE: b" " * ((1 << 20) + 1)}, "more than allowed")


def test_a_graph_that_is_not_the_one_described_is_refused(files: Files) -> None:
    refused({**files, ONNX_FILE: b"anything"}, "sha256")
    noise = respec({**files, ONNX_FILE: b"noise"}, lambda t: t.update(onnx_sha256=_sha(b"noise")))
    refused(noise, r"model\.onnx cannot be read")


def test_one_fed_with_other_inputs_names_both_catalogues(files: Files) -> None:
    with pytest.raises(CheckpointMismatch, match="feature catalogue"):
        decode(respec(files, lambda t: t["spec"].update(schema_hash="0" * 16)))


def test_encoding_refuses_what_decoding_would(files: Files) -> None:
    artifact = decode(files)
    bad = msgspec.structs.replace(artifact.spec, name="no good")
    with pytest.raises(CheckpointMismatch, match="names"):
        encode(bad, artifact.weights)
    assert set(files) <= set(FILES)


def test_nothing_here_reads_or_writes_pickle() -> None:
    words = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b"
        r"|torch\.(?:load|save)\(|allow_pickle\s*=\s*True|\.to_pickle\(|read_pickle\(",
        re.MULTILINE,
    )
    folders = ("streams", "features", "models", "alerts", "service", "benchmarks", "tests")
    sources = [p for folder in folders for p in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    guilty = [p.name for p in sources if words.search(p.read_text(encoding="utf-8"))]
    assert guilty == []
