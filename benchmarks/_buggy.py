"""`vigil` with a bug of our making: the engine divides by zero where a saturation reads 12.34 %.

For the scripted run of fault 24 (`benchmarks.faults poison`), which needs a worker whose engine
raises on one patient's data, again after every restart.
"""

from __future__ import annotations

from typing import Any

from service import patient as patients
from service.__main__ import main

MARK = (1234).to_bytes(2, "little")


def with_a_bug() -> None:
    """Let the engine raise on chunks that begin with the mark."""
    real = patients.Patient.on_chunks

    def buggy(self: patients.Patient, index: int, chunks: Any, arrival: Any) -> Any:
        done = real(self, index, chunks, arrival)
        if any(chunk.data[:2] == MARK for _, chunk in chunks):
            raise ZeroDivisionError("a bug of our making")
        return done

    patients.Patient.on_chunks = buggy  # type: ignore[method-assign]


if __name__ == "__main__":
    with_a_bug()
    main()
