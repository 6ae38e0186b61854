"""The chain: every change is found at its place, a cut end as far as a head can show it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audit import AuditLog, Head, head_file, parse_head, verify
from streams.errors import ConfigError
from tests.fixtures_services import Vigil


def written(path: Path, rows: int = 5) -> Head:
    with AuditLog(path) as log:
        for n in range(rows):
            log.append({"kind": "note", "words": f"naïve {n}"})
        return log.head


def test_a_log_as_written_has_no_fault_and_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    written(path)
    head = written(path)
    verdict = verify(path, head)
    assert verdict.faults == ()
    assert (verdict.rows, verdict.head) == (10, head)


@given(data=st.data())
def test_any_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    written(path)
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != raw[place]))
    raw[place] = value
    path.write_bytes(bytes(raw))
    assert verify(path).faults


@pytest.mark.parametrize("damage", ["remove", "swap", "repeat", "insert"])
def test_lines_that_are_removed_moved_or_added_are_found(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.jsonl"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    if damage == "remove":
        del lines[2]
    elif damage == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    elif damage == "repeat":
        lines.insert(2, lines[2])
    else:
        other = tmp_path / "b.jsonl"
        written(other)
        lines.insert(3, other.read_bytes().splitlines(keepends=True)[0])
    path.write_bytes(b"".join(lines))
    faults = verify(path).faults
    assert any("line 3" in fault or "line 2" in fault or "line 4" in fault for fault in faults)


def test_one_changed_row_is_told_at_its_own_place_only(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    written(path)
    path.write_bytes(path.read_bytes().replace("naïve 2".encode(), "naïve 9".encode()))
    assert verify(path).faults == ("line 3: changed: its hash is not that of its content",)


def test_a_cut_end_shows_against_the_head_beside_it_or_one_kept_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    head = written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    assert verify(path).faults == ("2 rows are missing at the end, by the head file",)
    with pytest.raises(ConfigError, match="5 rows were written, 3 are there"):
        AuditLog(path)
    head_file(path).unlink()
    assert verify(path).faults == ()  # nothing in the file itself can show it
    assert verify(path, head).faults == ("2 rows are missing at the end, by the given head",)


def test_a_rewritten_chain_shows_against_a_kept_head(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    head = written(path)
    path.unlink()
    head_file(path).unlink()
    with AuditLog(path) as log:
        for _ in range(6):
            log.append({"kind": "forged"})
    assert verify(path).faults == ()
    assert verify(path, head).faults == ("row 5 is not the one of the given head",)


def test_a_line_half_written_by_a_crash_is_taken_off_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    written(path)
    with path.open("ab") as file:
        file.write(b'{"hash":"12')
    assert verify(path).faults == ("line 6: half-written",)
    written(path, 1)
    assert verify(path).faults == ()
    assert b'"kind":"torn_line"' in path.read_bytes()


def test_a_broken_log_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    written(path)
    path.write_bytes(path.read_bytes().replace(b"note", b"nota"))
    with pytest.raises(ConfigError, match=r"line 1: changed.*not continued"):
        AuditLog(path)


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with AuditLog(path):
        code = (
            "import sys; from pathlib import Path; from service.audit import AuditLog; "
            "AuditLog(Path(sys.argv[1]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, check=False
        )
    assert done.returncode == 1
    assert b"another process writes this log" in done.stderr


def test_a_row_that_is_too_long_is_a_programming_error(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "a.jsonl") as log, pytest.raises(ValueError, match="more than"):
        log.append({"words": "x" * 70_000})


@pytest.mark.parametrize("text", ["", "5", "5:abc", "x:" + "0" * 64])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="N:HASH"):
        parse_head(text)


def test_the_command_tells_whole_from_broken(vigil: Vigil) -> None:
    path = vigil.folder / ".vigil" / "audit" / "x.jsonl"
    head = written(path)
    done = vigil.run("audit", "verify")
    assert done.returncode == 0
    assert f"whole, 5 rows, head 5:{head.hash}" in done.stdout
    kept = vigil.run("audit", "verify", str(path), "--head", f"5:{head.hash}")
    assert kept.returncode == 0
    path.write_bytes(path.read_bytes().replace("naïve 4".encode(), "naïve 5".encode()))
    done = vigil.run("audit", "verify", "--json")
    assert done.returncode == 3
    assert "line 5" in done.stdout
    assert vigil.run("audit", "verify", "absent.jsonl").returncode == 2
