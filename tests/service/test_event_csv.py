"""Clinical events from CSV: what is accepted, what is refused and by which rule."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.csv_records import MAX_RECORD_CHARS, read_records
from service.event_csv import EventError, parse_events
from streams.errors import SourceError
from streams.records import ClinicalEvent, Reason

HEADER = "patient_id,event_time,known_time,code,value,unit,text,source"
GOOD = "p1,2024-03-01T10:00:00Z,2024-03-01T10:30:00Z,lactate,2.5,mmol/L,,lab"
T_US = 1_709_287_200_000_000  # 2024-03-01T10:00:00Z


def write(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "events.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8", newline="")
    return path


def parse(tmp_path: Path, *rows: str, **options: object) -> list[ClinicalEvent | EventError]:
    header = str(options.pop("header", HEADER))
    return list(parse_events(write(tmp_path, *rows, header=header), **options))


def row(**changes: str) -> str:
    fields = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    return ",".join({**fields, **changes}.values())


def test_a_good_row_becomes_an_event(tmp_path: Path) -> None:
    (event,) = parse(tmp_path, GOOD)
    assert event == ClinicalEvent(
        event_id=event.event_id,
        version=1,
        status="final",
        patient_id="p1",
        code="lactate",
        value=2.5,
        unit="mmol/L",
        text="",
        event_time_us=T_US,
        known_time_us=T_US + 1_800_000_000,
        source="lab",
    )


@pytest.mark.parametrize(
    ("written", "expected_us"),
    [
        ("2024-03-01T10:00:00Z", T_US),
        ("2024-03-01 11:00:00+01:00", T_US),
        ("2024-03-01T04:30:00.000001-05:30", T_US + 1),
        (str(T_US + 7), T_US + 7),
        (" 2024-03-01T10:00Z ", T_US),
    ],
)
def test_times_are_read_to_the_microsecond(tmp_path: Path, written: str, expected_us: int) -> None:
    (event,) = parse(tmp_path, row(event_time=written))
    assert event.event_time_us == expected_us


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"event_time": "2024-03-01T10:00:00"}, "event_time", Reason.BAD_TIME),
        ({"event_time": "2024-03-01"}, "event_time", Reason.BAD_TIME),
        ({"event_time": "01.03.2024 10:00"}, "event_time", Reason.BAD_TIME),
        ({"event_time": ""}, "event_time", Reason.BAD_TIME),
        ({"event_time": "1709287200"}, "", Reason.BAD_TIME),  # seconds: the year 1970
        ({"event_time": "2300-01-01T00:00:00Z"}, "", Reason.BAD_TIME),
        ({"event_time": "1970-01-01T00:00:00Z"}, "", Reason.BAD_TIME),
        ({"event_time": "+12"}, "event_time", Reason.BAD_TIME),
        ({"known_time": ""}, "known_time", Reason.NO_KNOWN_TIME),
        ({"known_time": "soon"}, "known_time", Reason.BAD_TIME),
        ({"patient_id": ""}, "", Reason.BAD_FIELD),
        ({"patient_id": "p" * 10_000}, "patient_id", Reason.BAD_LENGTH),
        ({"patient_id": "p\x00q"}, "patient_id", Reason.BAD_FIELD),
        ({"code": "blood_magic"}, "code", Reason.UNKNOWN_CONCEPT),
        ({"unit": "furlong"}, "unit", Reason.BAD_UNIT),
        ({"unit": ""}, "unit", Reason.BAD_UNIT),
        ({"value": "900"}, "value", Reason.IMPLAUSIBLE),
        ({"value": "-1"}, "value", Reason.IMPLAUSIBLE),
        ({"value": ""}, "value", Reason.BAD_FIELD),
        ({"value": "nan"}, "value", Reason.BAD_FIELD),
        ({"value": "inf"}, "value", Reason.BAD_FIELD),
        ({"value": "1e999"}, "value", Reason.BAD_FIELD),
        ({"value": "<0.5"}, "value", Reason.BAD_FIELD),
        ({"value": '"2,5"'}, "value", Reason.BAD_FIELD),
        ({"value": "1_0"}, "value", Reason.BAD_FIELD),
        ({"value": "٣"}, "value", Reason.BAD_FIELD),
        ({"text": "x" * 65_537}, "text", Reason.BAD_LENGTH),
        ({"text": "x" * 10_000_000}, "", Reason.BAD_LENGTH),
        ({"source": "s" * 129}, "source", Reason.BAD_LENGTH),
    ],
)
def test_a_bad_row_is_refused_by_rule_and_its_neighbours_are_kept(
    tmp_path: Path, changes: dict[str, str], column: str, reason: Reason
) -> None:
    before, error, after = parse(tmp_path, GOOD, row(**changes), GOOD)
    assert isinstance(before, ClinicalEvent)
    assert isinstance(after, ClinicalEvent)
    assert isinstance(error, EventError)
    assert (error.line, error.column, error.reason) == (3, column, reason)
    assert error.file.endswith("events.csv")
    assert error.rule


def test_an_error_shows_the_rule_but_not_the_patient(tmp_path: Path) -> None:
    (error,) = parse(tmp_path, row(patient_id="geheim", value="geheim", event_time="geheim"))
    assert "geheim" not in str(error)


def test_values_come_in_the_concepts_own_unit(tmp_path: Path) -> None:
    fahrenheit, word = parse(
        tmp_path,
        row(code="8310-5", value="98.6", unit="°F"),
        row(code="acvpu", value="", unit="", text="new confusion"),
    )
    assert (fahrenheit.code, fahrenheit.value, fahrenheit.unit) == ("temp", 37.0, "Cel")
    assert (word.code, word.value, word.text) == ("consciousness", 1.0, "new confusion")


def test_relative_times_count_from_the_recording(tmp_path: Path) -> None:
    (event,) = parse(tmp_path, row(event_time="+1.000001", known_time="+60"), base_us=T_US)
    assert event.event_time_us == T_US + 1_000_001
    assert event.known_time_us == T_US + 60_000_000


def test_relative_times_may_have_a_start_per_patient(tmp_path: Path) -> None:
    rows = (row(event_time="+1"), row(patient_id="p2", event_time="+1"))
    event, error = parse(tmp_path, *rows, base_us={"p1": T_US})
    assert event.event_time_us == T_US + 1_000_000
    assert (error.column, error.reason) == ("event_time", Reason.BAD_TIME)


@pytest.mark.parametrize("written", ["+1.0000001", "+-1", "+1e3", "+", "+1 s"])
def test_a_relative_time_that_is_not_whole_microseconds_is_refused(
    tmp_path: Path, written: str
) -> None:
    (error,) = parse(tmp_path, row(event_time=written), base_us=T_US)
    assert (error.column, error.reason) == ("event_time", Reason.BAD_TIME)


def test_reading_again_gives_the_same_ids_in_any_order(tmp_path: Path) -> None:
    rows = (GOOD, row(patient_id="p2"), row(code="8867-4", value="61", unit="/min"))
    first = parse(tmp_path, *rows)
    second = parse(tmp_path, *reversed(rows))
    assert first == second[::-1]
    assert len({event.event_id for event in first}) == 3


def test_rows_alike_get_ids_of_their_own_by_their_number(tmp_path: Path) -> None:
    first = parse(tmp_path, GOOD, GOOD, GOOD)
    assert len({event.event_id for event in first}) == 3
    assert parse(tmp_path, GOOD, row(patient_id="p2"), GOOD, GOOD)[0] == first[0]
    assert [e.event_id for e in parse(tmp_path, GOOD, GOOD)] == [e.event_id for e in first[:2]]


def test_an_id_is_of_the_fact_not_of_how_its_time_is_written(tmp_path: Path) -> None:
    (zulu,) = parse(tmp_path, GOOD)
    (offset,) = parse(tmp_path, row(event_time="2024-03-01T11:00:00+01:00"))
    assert zulu.event_id == offset.event_id


def test_optional_columns_are_used(tmp_path: Path) -> None:
    header = f"event_id,version,status,{HEADER}"
    rows = (f"lab-7,2,corrected,{GOOD}", f"lab-8,,,{GOOD}", f"lab-9,3,cancelled,{row(value='')}")
    found = parse(tmp_path, *rows, header=header)
    assert [(e.event_id, e.version, e.status, e.value) for e in found] == [
        ("lab-7", 2, "corrected", 2.5),
        ("lab-8", 1, "final", 2.5),
        ("lab-9", 3, "cancelled", None),
    ]


@pytest.mark.parametrize(
    "optional", ["x,two,final", "x,-1,final", "x,2147483648,final", "x,1,maybe"]
)
def test_optional_columns_are_checked(tmp_path: Path, optional: str) -> None:
    (error,) = parse(tmp_path, f"{optional},{GOOD}", header=f"event_id,version,status,{HEADER}")
    assert error.reason == Reason.BAD_FIELD


def test_columns_may_come_in_any_order_after_a_byte_order_mark(tmp_path: Path) -> None:
    names = HEADER.split(",")
    path = tmp_path / "events.csv"
    text = ",".join(reversed(names)) + "\r\n" + ",".join(reversed(GOOD.split(","))) + "\r\n"
    path.write_text(text, encoding="utf-8-sig", newline="")
    assert list(parse_events(path)) == parse(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (HEADER.replace(",known_time", ""), "missing 'known_time'"),
        (HEADER + ",comment", "unknown 'comment'"),
        (HEADER + ",code", "repeated 'code'"),
        (HEADER.replace(",", ";"), "missing 'patient_id'"),
        (HEADER.upper(), "unknown 'PATIENT_ID'"),
        ("\x00\x01\x02", "missing"),
    ],
)
def test_a_wrong_header_names_file_fault_and_what_is_expected(
    tmp_path: Path, header: str, says: str
) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        parse(tmp_path, GOOD, header=header)
    assert "events.csv: line 1" in str(caught.value)
    assert f"expected {HEADER}" in str(caught.value)


def test_an_empty_file_an_absent_file_and_a_folder_are_source_errors(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    for path in (empty, tmp_path / "absent.csv", tmp_path):
        with pytest.raises(SourceError, match=path.name):
            list(parse_events(path))


def test_a_row_with_too_few_or_too_many_fields_is_refused(tmp_path: Path) -> None:
    short, long, good = parse(tmp_path, "p1,2024", GOOD + ",more", GOOD)
    assert (short.rule, long.rule) == ("expected 8 fields, found 2", "expected 8 fields, found 9")
    assert isinstance(good, ClinicalEvent)


def test_a_file_cut_in_half_gives_its_whole_rows_and_one_error(tmp_path: Path) -> None:
    rows = [row(code="note", value="", unit="", text=f'"line one {n}\nline two"') for n in range(9)]
    whole = write(tmp_path, *rows).read_bytes()
    path = tmp_path / "half.csv"
    path.write_bytes(whole[: whole.rindex(b"line two") - 3])
    found = list(parse_events(path))
    assert [type(row) for row in found] == [ClinicalEvent] * 8 + [EventError]
    assert found[-1].rule == "the file ends inside a quoted field"
    assert found[-1].line == 2 + 8 * 2


def test_bytes_that_are_not_utf8_cost_only_their_row(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, row(text="M\xfcller"), GOOD)
    path.write_bytes(path.read_bytes().replace("ü".encode(), b"\xfc"))
    found = list(parse_events(path))
    assert [type(row) for row in found] == [ClinicalEvent, EventError, ClinicalEvent]
    assert (found[1].column, found[1].reason) == ("text", Reason.UNDECODABLE)


def test_a_note_too_long_to_hold_is_skipped_whole_even_if_its_lines_look_like_rows(
    tmp_path: Path,
) -> None:
    note = '"' + f'{GOOD}\nsaid ""no"", left\n' * 3_000 + '"'
    found = parse(tmp_path, GOOD, row(code="note", value="", unit="", text=note), GOOD)
    assert [type(row) for row in found] == [ClinicalEvent, EventError, ClinicalEvent]
    assert found[1].reason == Reason.BAD_LENGTH


def test_memory_stays_small_over_one_line_of_fifty_megabytes(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with path.open("a", encoding="utf-8") as out:
        for _ in range(50):
            out.write("x" * 1_000_000)
        out.write("\n" + GOOD + "\n")
    tracemalloc.start()
    found = list(parse_events(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(row) for row in found] == [ClinicalEvent, EventError, ClinicalEvent]
    assert peak < 4_000_000


def test_lines_are_numbered_as_an_editor_shows_them(tmp_path: Path) -> None:
    note = row(code="note", value="", unit="", text='"a\nb\n\nc"')
    found = parse(tmp_path, note, "", GOOD, "bad")
    assert found[-1].line == 8


FIELD = st.text(alphabet='ab ,"\r\n;é', max_size=12)


@given(
    st.lists(st.lists(FIELD, min_size=2, max_size=4), max_size=8),
    st.sampled_from(["\r\n", "\n"]),
)
def test_what_the_csv_writer_writes_is_read_back(rows: list[list[str]], end: str) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    assert [r.fields for r in read_records(io.StringIO(out.getvalue()))] == rows


@given(st.text(alphabet='a,"\r\n', max_size=60), st.integers(1, 7))
def test_any_text_is_split_alike_however_it_is_read(text: str, size: int) -> None:
    class Dripping(io.StringIO):
        def read(self, _: int | None = -1) -> str:
            return super().read(size)

    at_once = list(read_records(io.StringIO(text, newline="")))
    assert list(read_records(Dripping(text, newline=""))) == at_once


@given(st.text(alphabet='a,"\n', max_size=60))
def test_any_text_is_split_as_pythons_csv_module_splits_it(text: str) -> None:
    ours = [record.fields for record in read_records(io.StringIO(text, newline=""))]
    theirs = [fields for fields in csv.reader(io.StringIO(text, newline="")) if fields]
    if ours and ours[-1] is None:  # cut off inside quotes: csv gives what it has
        ours, theirs = ours[:-1], theirs[: len(ours) - 1]
    assert ours == theirs


def test_a_record_of_exactly_the_limit_is_read() -> None:
    text = "a" * MAX_RECORD_CHARS
    at_limit, over = read_records(io.StringIO(f"{text}\n{text}a\n"))
    assert at_limit.fields == [text]
    assert over.fields is None
