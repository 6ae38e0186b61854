"""A model as bytes: `spec.json`, `model.safetensors`, and perhaps `model.onnx`. Torch-free.

Invariant: what `decode` returns is whole, finite, of this build's inputs and within the limits
below; everything else is refused with the reason. No pickle, no code, nothing executed. Not here:
files (`service.artifacts`), networks (`models.weights`).
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from features.catalog import catalog_hash
from models.schema import schema_hash
from models.spec import ModelSpec
from streams.errors import CheckpointMismatch

FORMAT: Final = "vigil.model.v1"
SPEC_FILE, WEIGHTS_FILE, ONNX_FILE = "spec.json", "model.safetensors", "model.onnx"
FILES: Final = (SPEC_FILE, WEIGHTS_FILE, ONNX_FILE)
LIMITS: Final = {SPEC_FILE: 1 << 20, WEIGHTS_FILE: 1 << 28, ONNX_FILE: 1 << 28}  # bytes

MAX_HORIZONS, MAX_MODALITIES, MAX_FEATURES = 16, 32, 4096
MAX_STATE_BYTES = 1 << 20  # per patient
MIN_CADENCE_S = 10.0  # windows end every 10 s
MAX_SPAN_S = 3.2e9  # a century
MAX_BOUND = 3.4e38  # what float32 holds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DTYPES = (np.dtype(np.float32), np.dtype(np.int64))

Weights = dict[str, NDArray[np.float32] | NDArray[np.int64]]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `spec.json` holds."""

    format: str
    weights_sha256: str
    onnx_sha256: str  # empty: there is no `model.onnx`
    catalog: str  # of the build that wrote it, for the record; `spec.schema_hash` is what must fit
    spec: ModelSpec
    seal: str = ""  # SHA-256 of all of the above; empty: written before there were seals


class Artifact(NamedTuple):
    """A model that was checked."""

    spec: ModelSpec
    weights: Weights
    onnx: bytes
    digest: str  # 16 hex digits of the SHA-256 of `spec.json`, which names the weights'
    catalog: str

    @property
    def ref(self) -> str:
        """How scores and logs name it: name/version/digest."""
        return f"{self.spec.name}/{self.spec.version}/{self.digest}"


def encode(spec: ModelSpec, weights: Weights, onnx: bytes = b"") -> dict[str, bytes]:
    """Files of an artifact by name.

    Parameters
    ----------
    spec : ModelSpec
        `schema_hash` is filled in here.
    weights : dict of arrays
        float32 or int64.
    onnx : bytes
        The exported graph; empty: none.

    Raises
    ------
    CheckpointMismatch
        If `decode` would refuse it.
    """
    spec = msgspec.structs.replace(spec, schema_hash=schema_hash(spec.modalities))
    spec = msgspec.json.decode(msgspec.json.encode(spec), type=ModelSpec)  # 0 and 0.0 are one
    tensors = {name: np.ascontiguousarray(array) for name, array in sorted(weights.items())}
    blob = save_tensors(tensors)
    manifest = Manifest(FORMAT, _sha(blob), _sha(onnx) if onnx else "", catalog_hash(), spec)
    manifest = msgspec.structs.replace(manifest, seal=_seal(manifest))
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    files = {SPEC_FILE: text, WEIGHTS_FILE: blob}
    if onnx:
        files[ONNX_FILE] = onnx
    decode(files)
    return files


def decode(files: dict[str, bytes]) -> Artifact:
    """Artifact of the files of a folder.

    Raises
    ------
    CheckpointMismatch
        Naming the file and the rule: missing, too large, truncated, changed, not this format,
        inputs that mean something else in this build, weights that are not finite, a spec outside
        its limits.
    """
    for name in (SPEC_FILE, WEIGHTS_FILE):
        if name not in files:
            raise CheckpointMismatch(f"{name} is missing")
    for name, content in files.items():
        if len(content) > LIMITS.get(name, 0):
            raise CheckpointMismatch(f"{name} has {len(content)} bytes, more than allowed")
    manifest = _manifest(files[SPEC_FILE])
    onnx = files.get(ONNX_FILE, b"")
    for name, content, wanted in (
        (WEIGHTS_FILE, files[WEIGHTS_FILE], manifest.weights_sha256),
        (ONNX_FILE, onnx, manifest.onnx_sha256),
    ):
        if (_sha(content) if content else "") != wanted:
            raise CheckpointMismatch(f"{name} is not the file that {SPEC_FILE} describes (sha256)")
    check(manifest.spec)
    here = schema_hash(manifest.spec.modalities)
    if manifest.spec.schema_hash != here:
        raise CheckpointMismatch(
            f"its inputs mean something else in this build: schema {manifest.spec.schema_hash}, "
            f"here {here} (feature catalogue {manifest.catalog}, here {catalog_hash()})"
        )
    weights = _weights(files[WEIGHTS_FILE])
    if manifest.seal and manifest.seal != _seal(manifest):  # last: the others say more
        raise CheckpointMismatch(f"{SPEC_FILE} is not as it was written (seal)")
    return Artifact(manifest.spec, weights, onnx, _sha(files[SPEC_FILE])[:16], manifest.catalog)


def check(spec: ModelSpec) -> None:
    """Refuse a spec that no engine should run.

    Raises
    ------
    CheckpointMismatch
        Naming the field and the rule.
    """
    for ok, rule in _rules(spec):
        if not ok:
            raise CheckpointMismatch(f"{SPEC_FILE}: {rule}")


def _rules(spec: ModelSpec) -> list[tuple[bool, str]]:
    """What must hold of a spec; the first that does not is told."""
    names = [m.name for m in spec.modalities]
    labels = [spec.name, spec.version, spec.family, *names]
    features = [(m.name, f) for m in spec.modalities for f in m.features]
    spans = [*spec.horizons_s, *(m.max_age_s for m in spec.modalities)]
    sizes = [n for shape in spec.state.values() for n in shape]
    points = [p.threshold for p in spec.operating]
    return [
        (all(_NAME.fullmatch(x) for x in labels), "names must be letters, digits, . _ -"),
        (1 <= len(spec.horizons_s) <= MAX_HORIZONS, f"horizons_s: 1 to {MAX_HORIZONS}"),
        (1 <= len(names) <= MAX_MODALITIES, f"modalities: 1 to {MAX_MODALITIES}"),
        (len(set(names)) == len(names), "modalities must have different names"),
        (all(m.features for m in spec.modalities), "every modality needs a feature"),
        (len(features) <= MAX_FEATURES, f"at most {MAX_FEATURES} features"),
        (len({(m, f.name) for m, f in features}) == len(features), "a feature occurs twice"),
        (all(f.lo < f.hi for _, f in features), "lo must be below hi"),
        (all(f.lo >= -MAX_BOUND and f.hi <= MAX_BOUND for _, f in features), "lo, hi: 32 bits"),
        (all(math.isfinite(x) and 0 < x <= MAX_SPAN_S for x in spans), "spans must be above 0"),
        (MIN_CADENCE_S <= spec.cadence_s <= MAX_SPAN_S, f"cadence_s: at least {MIN_CADENCE_S:g}"),
        (spec.cadence_s % MIN_CADENCE_S == 0, f"cadence_s: a multiple of {MIN_CADENCE_S:g}"),
        (0 <= spec.warmup_s <= MAX_SPAN_S, "warmup_s must not be negative"),
        (all(0 < n <= MAX_STATE_BYTES for n in sizes), "state: lengths must be above 0"),
        (spec.state_bytes <= MAX_STATE_BYTES, f"state: at most {MAX_STATE_BYTES} bytes"),
        (all(0 <= p <= 1 for p in points), "operating thresholds must be probabilities"),
        (0 <= spec.jitter <= 1, "jitter must be 0 to 1"),
        (0 <= spec.calibration.halfwidth_logit < 100, "halfwidth_logit must be 0 to 100"),
    ]


def _seal(manifest: Manifest) -> str:
    """What `seal` must be: a flipped bit in a threshold is found as one in a weight is."""
    return _sha(msgspec.json.encode(msgspec.structs.replace(manifest, seal="")))


def _manifest(text: bytes) -> Manifest:
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format != FORMAT:
            raise CheckpointMismatch(f"{SPEC_FILE}: format {head.format!r}, not {FORMAT}")
        return msgspec.json.decode(text, type=Manifest)
    except (ValueError, RecursionError) as error:
        raise CheckpointMismatch(f"{SPEC_FILE} cannot be read: {error}") from error


class _Head(msgspec.Struct):
    """The one field that every format has."""

    format: str


def _weights(blob: bytes) -> Weights:
    try:
        found: Weights = load_tensors(blob)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointMismatch(f"{WEIGHTS_FILE} cannot be read: {error}") from error
    for name, array in found.items():
        if array.dtype not in _DTYPES:
            raise CheckpointMismatch(f"{WEIGHTS_FILE}: {name} is {array.dtype}, not float32")
        if not np.isfinite(array).all():
            raise CheckpointMismatch(f"{WEIGHTS_FILE}: {name} is not finite")
    return found


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
