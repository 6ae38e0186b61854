"""Data sets as they are handed out: a folder, its packed archive, or a folder that holds that."""

from __future__ import annotations

import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams.errors import ConfigError

ENDINGS: Final = (".tar.xz", ".tar.gz", ".tgz", ".tar")
_BROKEN: Final = (tarfile.TarError, lzma.LZMAError, OSError, EOFError)


@contextmanager
def unpacked(path: Path, archive: str, marker: str) -> Iterator[Path]:
    """The folder of a data set that has `marker` in it, for as long as it is read.

    Parameters
    ----------
    path : Path
        A folder with `marker` at any depth, the packed archive, or a folder with the archive.
    archive : str
        Name of the archive without its ending.
    marker : str
        File or folder (a pattern) that lies in the folder that is wanted.

    Raises
    ------
    ConfigError
        If nothing there is the data set.
    """
    source = packed_in(path, archive)
    if path.is_dir() and (source is None or _with(path, marker) is not None):
        yield _required(path, path, marker, archive)
        return
    if source is None:
        raise ConfigError(
            f"{path} is absent, or neither a folder nor a packed archive: give that of {archive}"
        )
    with tempfile.TemporaryDirectory(prefix="vigil-data-") as room:
        try:
            with tarfile.open(source) as tar:
                tar.extractall(room, filter="data")
        except _BROKEN as error:
            raise ConfigError(f"{source} cannot be unpacked: {error}") from error
        yield _required(Path(room), source, marker, archive)


def packed_in(path: Path, archive: str) -> Path | None:
    """The packed archive that a path means, None if it means none."""
    if path.is_file() and path.name.endswith(ENDINGS):
        return path
    inside = (path / f"{archive}{ending}" for ending in ENDINGS)
    return next((p for p in inside if p.is_file()), None)


def _with(folder: Path, marker: str) -> Path | None:
    """The first folder at or below that has the marker in it."""
    found = sorted(folder.rglob(marker), key=lambda p: (len(p.parts), p))
    return found[0].parent if found else None


def _required(folder: Path, told: Path, marker: str, archive: str) -> Path:
    found = _with(folder, marker)
    if found is None:
        raise ConfigError(f"no {marker} in {told}: give the folder or the archive of {archive}")
    return found
