"""From an artifact to something that scores rows. Torch is imported only where it is needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

from models.artifact import Artifact
from models.runtime import Blocks, Runtime, settled
from streams.errors import ConfigError

Device = Literal["auto", "cpu", "cuda", "torch"]


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
    device : {"auto", "cpu", "cuda", "torch"}
        cpu: ONNX Runtime when it is installed and the artifact has a graph, else torch. cuda: a GPU
        with the CPU behind it. auto: a GPU where there is one. torch: torch on the CPU.
    tell : callable
        Told when a device gives up.

    Raises
    ------
    CheckpointMismatch
        If graph or weights do not fit, or what it says is not finite.
    ConfigError
        If a GPU was asked for and there is none.
    """
    runtime = _on_cpu(artifact, torch_only=device == "torch")
    if device in ("auto", "cuda"):
        runtime = _on_gpu(artifact, runtime, tell, must=device == "cuda")
    return settled(runtime, artifact.spec)


def _on_cpu(artifact: Artifact, *, torch_only: bool) -> Runtime:
    if artifact.onnx and not torch_only and find_spec("onnxruntime") is not None:
        from models.onnx_runtime import OnnxRuntime

        return OnnxRuntime(artifact.onnx)
    from models.torch_runtime import TorchRuntime
    from models.weights import network

    return TorchRuntime(network(artifact))


def _on_gpu(
    artifact: Artifact, cpu: Runtime, tell: Callable[[str], None], *, must: bool
) -> Runtime:
    import torch

    from models.torch_runtime import CudaRuntime, WithFallback
    from models.weights import network

    if not torch.cuda.is_available():
        if must:
            raise ConfigError("no CUDA device here; use device cpu, or auto")
        return cpu
    return WithFallback(CudaRuntime(network(artifact)), cpu, tell)
