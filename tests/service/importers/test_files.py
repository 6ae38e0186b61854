"""What people hand over, whatever it claims to be."""

from __future__ import annotations

import gzip
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from service.importers import files, registry
from streams.errors import ConfigError, SourceError
from tests.service.importers.kit import read

HEADER = "patient_id,event_time,known_time,code,value,unit,text,source\n"
ROW = "p1,2024-05-01T08:00:00Z,2024-05-01T08:01:00Z,hr,60,/min,,ehr\n"


def test_every_format_has_a_name_of_its_own() -> None:
    found = [one.name for one in registry.IMPORTERS]
    assert len(found) == len(set(found))
    assert [registry.named(name).name for name in found] == found
    with pytest.raises(ConfigError, match="known are"):
        registry.named("dicom")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"hello", b"a,b\n1,2\n", b"{}", b"[1]"])
def test_what_nothing_claims_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(SourceError, match="no known format"):
        registry.detect(file)


def test_an_absent_source_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        registry.detect(tmp_path / "absent")
    with pytest.raises(SourceError, match="no known format"):
        registry.detect(tmp_path)


def test_an_archive_is_refused_and_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("bomb.csv", b"0" * 10_000_000)
    with pytest.raises(SourceError, match="archive"):
        registry.detect(file)


def test_a_packed_file_is_read_like_the_plain_one(tmp_path: Path) -> None:
    file = tmp_path / "x.csv.gz"
    file.write_bytes(gzip.compress((HEADER + ROW).encode()))
    events, errors, _ = read(file)
    assert (len(events), errors) == (1, [])


def test_a_gzip_bomb_ends_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MIN_BOUND", 2**20)
    file = tmp_path / "bomb.csv.gz"
    with gzip.open(file, "wb") as out:
        out.write(HEADER.encode())
        for _ in range(100):
            out.write(b"0" * 2**20)
    tracemalloc.start()
    with pytest.raises(SourceError, match="grows over"):
        read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 2**20


def test_a_packed_file_that_breaks_off_is_an_error_not_an_end(tmp_path: Path) -> None:
    file = tmp_path / "half.csv.gz"
    data = gzip.compress((HEADER + ROW * 50_000).encode())
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match="broken"):
        read(file)


def test_utf_16_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes((HEADER + ROW).encode("utf-16"))
    with pytest.raises(SourceError, match="UTF-16"):
        read(file)


def test_lines_over_the_bound_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 10)
    file = tmp_path / "x"
    file.write_bytes(b"short\n" + b"a" * 35 + b"\n\nlast")
    with files.binary(file) as handle:
        assert list(files.lines(handle)) == [(1, b"short"), (2, None), (4, b"last")]
