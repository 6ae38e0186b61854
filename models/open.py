"""From an artifact to something that scores rows. Torch is imported only where it is needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

from models.artifact import Artifact
from models.runtime import BUCKETS, Blocks, Runtime, settled
from models.spec import ModelSpec
from streams.errors import CheckpointMismatch, ConfigError

Device = Literal["auto", "cpu", "compiled", "cuda", "torch"]


def open_blocks(
    artifact: Artifact,
    device: Device = "cpu",
    tell: Callable[[str], None] = lambda words: None,
) -> Blocks:
    """The runtime of an artifact on this machine, with the buckets that keep its bits.

    Parameters
    ----------
    artifact : Artifact
        Checked by `models.artifact.decode`.
    device : {"auto", "cpu", "compiled", "cuda", "torch"}
        cpu: ONNX Runtime when it is installed and the artifact has a graph, else torch. compiled:
        loops of our own where numba is installed and they know every part of the model, else as
        cpu. cuda: a GPU with the CPU behind it. auto: a GPU where there is one. torch: torch on the
        CPU.
    tell : callable
        Told when a device gives up, or another one is taken.

    Raises
    ------
    CheckpointMismatch
        If graph or weights do not fit, or what it says is not finite.
    ConfigError
        If a GPU was asked for and there is none.
    """
    if device == "compiled":
        own = _compiled(artifact, tell)
        if own is not None:
            return own
    cpu = _tried(_on_cpu(artifact, torch_only=device == "torch"), artifact.spec)
    if device in ("auto", "cuda"):
        return _on_gpu(artifact, cpu, tell, must=device == "cuda")
    return cpu


def _on_cpu(artifact: Artifact, *, torch_only: bool) -> Runtime:
    if artifact.onnx and not torch_only and find_spec("onnxruntime") is not None:
        from models.onnx_runtime import OnnxRuntime

        return OnnxRuntime(artifact.onnx)
    from models.torch_runtime import TorchRuntime
    from models.weights import network

    return TorchRuntime(network(artifact))


def _tried(runtime: Runtime, spec: ModelSpec, buckets: tuple[int, ...] = BUCKETS) -> Blocks:
    """Its blocks, once it has scored what its spec says that it reads."""
    try:
        return settled(runtime, spec, buckets)
    except Exception as error:  # those of ONNX Runtime share no base class
        raise CheckpointMismatch(f"spec.json does not fit the network: {error}") from error


def _compiled(artifact: Artifact, tell: Callable[[str], None]) -> Blocks | None:
    """Loops of our own; None, and told why, where they cannot run the model."""
    if find_spec("numba") is None:
        tell(f"{artifact.ref}: no compiled loops without numba (extra `fast`)")
        return None
    from models.compiled_runtime import COMPILED_BUCKETS, CompiledRuntime
    from models.weights import network

    try:
        runtime = CompiledRuntime(network(artifact))
    except ValueError as error:
        tell(str(error))
        return None
    return _tried(runtime, artifact.spec, COMPILED_BUCKETS)


def _on_gpu(artifact: Artifact, cpu: Blocks, tell: Callable[[str], None], *, must: bool) -> Blocks:
    """Every graph is captured here, so that no patient waits for one."""
    import torch

    from models.cuda_runtime import DEVICE_BUCKETS, CudaRuntime, WithFallback, told_of
    from models.weights import network

    if not torch.cuda.is_available():
        if must:
            raise ConfigError("no CUDA device here; use device cpu, or auto")
        return cpu
    try:
        device = settled(CudaRuntime(network(artifact)), artifact.spec, DEVICE_BUCKETS)
    except (RuntimeError, MemoryError) as error:
        tell(told_of(CudaRuntime.name, cpu.runtime.name, error))
        return cpu
    if device.alone:
        tell(f"{CudaRuntime.name}: a row's place decides its bits, scoring on {cpu.runtime.name}")
        return cpu
    return WithFallback(device, cpu, tell)
