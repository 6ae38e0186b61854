"""A packed model on ONNX Runtime's CPU kernels: the fastest, see benchmarks/RESULTS-models.md."""

from __future__ import annotations

from typing import Any

import onnxruntime

from models.runtime import INPUTS, OUTPUTS, Floats, Said
from streams.errors import CheckpointMismatch


class OnnxRuntime:
    """One thread, one session.

    Parameters
    ----------
    graph : bytes
        From `models.export.to_onnx`.

    Raises
    ------
    CheckpointMismatch
        If the bytes are no graph, or one with other inputs and outputs.
    """

    name = "onnxruntime cpu"
    smallest = 4

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised
        try:
            session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base class
            raise CheckpointMismatch(f"model.onnx cannot be read: {error}") from error
        inputs = tuple(x.name for x in session.get_inputs())
        outputs = tuple(x.name for x in session.get_outputs())
        read = tuple(name for name in INPUTS if name in inputs)  # one without memory reads no state
        if inputs != read or outputs != OUTPUTS:
            raise CheckpointMismatch(f"model.onnx has {inputs, outputs}, not {INPUTS, OUTPUTS}")
        self._inputs = inputs
        self._session: Any = session

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """See `models.runtime.Runtime`."""
        given = zip(INPUTS, (state, rows, clock), strict=True)
        feed = {name: array for name, array in given if name in self._inputs}
        return Said(*self._session.run(OUTPUTS, feed))
