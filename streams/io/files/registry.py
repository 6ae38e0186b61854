"""Finds the recordings in a file, folder or archive: the one place that knows every format.

A further format is one module with `claims` and `read`, and one row of `IMPORTERS`.
"""

from __future__ import annotations

import lzma
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from streams.errors import SourceError
from streams.io.files import (
    bidmc,
    csv_file,
    edf_file,
    empatica,
    garmin_table,
    parquet_file,
    t1d_tables,
    wfdb_file,
)
from streams.io.files.recording import (
    DEFAULT_BASE_US,
    DEFAULT_SIGNALS,
    Recording,
    Request,
    fault,
)

OnError = Callable[[SourceError], None]
Signals = frozenset[str] | None

MAX_UNPACKED_BYTES = 16 * 2**30
MAX_UNPACKED_FILES = 200_000
_ARCHIVES = (".tar.xz", ".tar.gz", ".tgz", ".tar")
_BROKEN_ARCHIVE = (tarfile.TarError, lzma.LZMAError, zlib.error, OSError, EOFError)


class Importer(NamedTuple):
    """One format: `claims` says whether a path begins a recording of it, `read` reads that."""

    label: str
    endings: tuple[str, ...]  # of single files, in lower case
    claims: Callable[[Path], bool]
    read: Callable[[Request], Iterator[Recording]]


_GARMIN = Importer("Garmin series of T1D-UOM (.csv)", (), garmin_table.claims, garmin_table.read)
_T1D = Importer("Glucose, activity of T1D-UOM (.csv)", (), t1d_tables.claims, t1d_tables.read)
IMPORTERS = (
    Importer("Empatica E4 folder", (), empatica.claims, empatica.read),
    Importer("BIDMC (*_Signals.npz)", (".npz",), bidmc.claims, bidmc.read),
    Importer("WFDB (.hea)", (".hea",), wfdb_file.claims, wfdb_file.read),
    Importer("EDF (.edf)", (".edf",), edf_file.claims, edf_file.read),
    Importer("Parquet (.parquet)", (".parquet", ".pq"), parquet_file.claims, parquet_file.read),
    _GARMIN,
    _T1D,
    Importer("CSV (.csv with time_us or time)", (".csv",), csv_file.claims, csv_file.read),
)


class _Found(NamedTuple):
    path: Path
    importer: Importer


def open_source(
    path: Path,
    base_us: int = DEFAULT_BASE_US,
    signals: Signals = DEFAULT_SIGNALS,
    on_error: OnError | None = None,
) -> Iterator[Recording]:
    """Read every recording of a source, one after the other.

    Parameters
    ----------
    path : Path
        A recording file, a folder (searched in sorted order, sub-folders too), or a tar archive
        of one. What a folder holds beside recordings is ignored.
    base_us : int
        µs UTC; start of recordings that have no absolute time of their own.
    signals : frozenset of str or None
        Names to read; None reads everything.
    on_error : callable or None
        Called with the error of a recording that cannot be read, so that its neighbours go in;
        None raises it.

    Yields
    ------
    Recording
        In sorted order of the files. The patient is the record, file or folder name unless the
        source carries one; equal names are told apart by the folders above them.

    Raises
    ------
    SourceError
        If the source is absent or holds no recording; for a malformed one without `on_error`.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    request = Request(path, path.stem, base_us, signals)
    if path.is_file() and path.name.lower().endswith(_ARCHIVES):
        with tempfile.TemporaryDirectory(prefix="vigil-") as folder:
            _unpack(path, Path(folder))
            yield from _read_all(Path(folder), path, request, on_error)
    else:
        yield from _read_all(path, path, request, on_error)


def formats() -> str:
    """Formats known, as words for messages."""
    return ", ".join([one.label for one in IMPORTERS] + ["or a tar of them"])


def _search(path: Path) -> list[_Found]:
    """What to read in a file or folder; never empty."""
    if path.is_dir():
        found = list(_walk(path))
        if not found:
            raise SourceError(f"{path}, folder: no recording in it; known are {formats()}")
        return found
    for importer in (_GARMIN, _T1D):  # tables of their own, told from other CSV by the header
        if importer.claims(path):
            return [_Found(path, importer)]
    for importer in IMPORTERS:
        # By ending, not by `claims`: a file named outright gets its own format's error.
        if path.name.lower().endswith(importer.endings) and importer.endings:
            return [_Found(path, importer)]
    raise SourceError(f"{path}, file name: not a known format; known are {formats()}")


def _walk(folder: Path) -> Iterator[_Found]:
    """Recordings of a folder, depth first, sorted; a claimed folder is one recording."""
    whole = next((one for one in IMPORTERS if one.claims(folder)), None)
    if whole is not None:
        yield _Found(folder, whole)
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() and entry.is_dir():
            continue  # could lead round in a circle
        if entry.is_dir():
            yield from _walk(entry)
        elif whole is None:
            importer = next((one for one in IMPORTERS if one.claims(entry)), None)
            if importer is not None:
                yield _Found(entry, importer)


def _named(root: Path, found: list[_Found]) -> list[tuple[_Found, str]]:
    """Give every recording an id; equal ones get as many folders above as tell them apart."""
    names = [(*one.path.relative_to(root).parts[:-1], _record_id(one.path)) for one in found]
    taken = Counter(parts[-1] for parts in names)
    ids = []
    for parts in names:
        depth = 1
        if taken[parts[-1]] > 1:
            twins = [other for other in names if other[-1] == parts[-1]]
            while depth < len(parts) and _twice(parts[-depth:], twins):
                depth += 1
        ids.append("_".join(parts[-depth:]))
    return list(zip(found, ids, strict=True))


def _twice(ending: tuple[str, ...], names: list[tuple[str, ...]]) -> bool:
    return sum(name[-len(ending) :] == ending for name in names) > 1


def _record_id(path: Path) -> str:
    if path.is_dir():
        return path.resolve().name
    return bidmc.record_id(path) if bidmc.claims(path) else path.stem


def _read_all(
    path: Path, shown: Path, template: Request, on_error: OnError | None
) -> Iterator[Recording]:
    """Read all that is found under `path`; errors speak of `shown`."""
    try:
        found = _search(path)
    except SourceError as error:
        raise _shown(error, path, shown) from None
    for one, record_id in _named(path, found):
        try:
            yield from one.importer.read(template._replace(path=one.path, record_id=record_id))
        except SourceError as error:
            if on_error is None:
                raise _shown(error, path, shown) from error
            on_error(_shown(error, path, shown))


def _shown(error: SourceError, path: Path, shown: Path) -> SourceError:
    return SourceError(str(error).replace(str(path), str(shown)))


def _unpack(path: Path, folder: Path) -> None:
    """Files and folders of an archive, inside `folder` and nowhere else, up to a total size."""
    total = files = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                total += member.size
                files += 1
                if total > MAX_UNPACKED_BYTES or files > MAX_UNPACKED_FILES:
                    rule = f"over {MAX_UNPACKED_BYTES} bytes or {MAX_UNPACKED_FILES} files"
                    raise fault(path, member.name, rule)
                if member.isfile() or member.isdir():
                    archive.extract(member, folder, filter="data")
    except _BROKEN_ARCHIVE as error:
        raise fault(path, "archive", f"must be a whole, safe tar file ({error})") from error
