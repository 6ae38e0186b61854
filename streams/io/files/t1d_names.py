"""What T1D-UOM's tables share: a header that tells them apart, a person in the file name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streams.io.files.recording import Request

_PERSON: Final = re.compile(r"(\d+)$")
_MOST_HEADER: Final = 1_000  # bytes


def column_names(path: Path) -> list[str]:
    """Columns that the first line of a CSV file names; none if it is no such file."""
    if not path.name.lower().endswith(".csv") or not path.is_file():
        return []
    try:
        with path.open("rb") as handle:
            first = handle.readline(_MOST_HEADER)
    except OSError:
        return []
    return first.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip().split(",")


def person_of(request: Request) -> str:
    """The person that the number at the end of a file's name stands for."""
    found = _PERSON.search(request.path.stem)
    return f"t1d_{found[1]}" if found else request.record_id
