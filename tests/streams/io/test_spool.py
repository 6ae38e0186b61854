"""The queue on disk: nothing accepted is lost, order is kept, damage is cut or told."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import ConfigError
from streams.io import spool as module
from streams.io.spool import Entry, Spool, SpoolFullError

MIB = 1 << 20


def entry(number: int, size: int = 10) -> Entry:
    return Entry(number % 4, b"p%d" % number, b"%d" % number + b"x" * size)


def all_of(queue: Spool) -> list[Entry]:
    return queue.read(10**6, 10**9)[0]


def test_what_is_appended_is_read_in_order_until_it_is_forgotten(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", MIB)
    queue.append([entry(n) for n in range(5)])
    first, place = queue.read(2, MIB)
    assert first == [entry(0), entry(1)]
    assert queue.read(2, MIB)[0] == first  # reading forgets nothing
    queue.forget(place)
    assert all_of(queue) == [entry(n) for n in range(2, 5)]
    queue.close()


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", MIB)
    queue.append([entry(n) for n in range(3)])
    queue.forget(queue.read(1, MIB)[1])
    queue.close()
    again = Spool(tmp_path / "q", MIB)
    again.append([entry(3)])
    assert all_of(again) == [entry(1), entry(2), entry(3)]
    again.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(-3, 6), max_size=40), small=st.booleans())
def test_any_course_of_appends_reads_and_restarts_keeps_a_queue(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], small: bool
) -> None:
    before, module.SEGMENT_BYTES = module.SEGMENT_BYTES, 64 if small else MIB  # type: ignore[misc]
    folder = tmp_path_factory.mktemp("q") / "spool"
    queue, expected, number = Spool(folder, MIB), [], 0
    for step in steps:
        if step > 0:
            new = [entry(number + i) for i in range(step)]
            number += step
            queue.append(new)
            expected += new
        elif step == 0:
            queue.close()
            queue = Spool(folder, MIB)
        else:
            taken, place = queue.read(-step, MIB)
            assert taken == expected[:-step]
            queue.forget(place)
            expected = expected[len(taken) :]
    assert all_of(queue) == expected
    assert (queue.waiting_bytes() == 0) == (not expected)
    queue.close()
    module.SEGMENT_BYTES = before  # type: ignore[misc]


def test_what_is_sent_leaves_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1000)
    queue = Spool(tmp_path / "q", MIB)
    for number in range(50):
        queue.append([entry(number, 100)])
    assert len(list((tmp_path / "q").glob("*.spool"))) > 4
    queue.forget(queue.read(10**6, MIB)[1])
    assert len(list((tmp_path / "q").glob("*.spool"))) == 1
    queue.close()


def test_a_half_written_end_is_cut_and_the_rest_kept(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", MIB)
    queue.append([entry(0), entry(1)])
    queue.close()
    (segment,) = (tmp_path / "q").glob("*.spool")
    whole = segment.stat().st_size
    for lost in range(1, 12):
        os.truncate(segment, whole - lost)
        again = Spool(tmp_path / "q", MIB)
        assert all_of(again) == [entry(0)]
        assert again.cut > 0
        again.append([entry(1)])
        assert all_of(again) == [entry(0), entry(1)]
        again.close()


def test_damaged_bytes_are_not_taken_for_records(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", MIB)
    queue.append([entry(0), entry(1)])
    queue.close()
    (segment,) = (tmp_path / "q").glob("*.spool")
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    again = Spool(tmp_path / "q", MIB)
    assert all_of(again) == [entry(0)]
    again.close()


def test_beyond_the_limit_it_refuses_and_loses_nothing(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", 300)
    queue.append([entry(0, 100)])
    with pytest.raises(SpoolFullError, match="Kafka is away too long"):
        queue.append([entry(1, 300)])
    assert all_of(queue) == [entry(0, 100)]
    queue.forget(queue.read(1, MIB)[1])
    queue.append([entry(1, 200)])
    assert all_of(queue) == [entry(1, 200)]
    queue.close()


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", MIB)
    program = (
        "import sys; from pathlib import Path; from streams.io.spool import Spool\n"
        "Spool(Path(sys.argv[1]), 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "q")], capture_output=True, text=True
    )
    assert "another process uses it" in done.stderr
    queue.close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    queue = Spool(tmp_path / "q", MIB)
    queue.append([entry(0)])
    (segment,) = (tmp_path / "q").glob("*.spool")
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "q").stat().st_mode) == 0o700
    queue.close()


def test_a_damaged_cursor_is_told_not_guessed(tmp_path: Path) -> None:
    Spool(tmp_path / "q", MIB).close()
    (tmp_path / "q" / "cursor").write_text("what")
    with pytest.raises(ConfigError, match="cursor"):
        Spool(tmp_path / "q", MIB)
