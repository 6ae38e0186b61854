"""HL7 v2 messages as facts."""

from __future__ import annotations

from pathlib import Path

import hl7
import pytest

from service.importers import hl7v2
from streams.io.store_people import Encounter, Patient
from streams.records import Reason
from tests.service.importers.kit import PEOPLE, UTC, read

NOON_US = 1_714_564_800_000_000
HOUR_US = 3_600_000_000
MSH = "MSH|^~\\&|LAB|H|EHR|H|20240501140000+0000||ORU^R01|1|P|2.5||||||{charset}"
PID = "PID|1||p1^^^H^MR||Doe^Jane||19500501|F"
OBR = "OBR|1||F77^LAB|CHEM|||20240501120000+0000|||||||||||||||20240501130000+0000"


def obx(value: str = "4.1", kind: str = "NM", unit: str = "mmol/L", status: str = "F") -> str:
    return f"OBX|1|{kind}|2823-3^Potassium^LN^KAL^K^L||{value}|{unit}|||||{status}"


def write(path: Path, *messages: list[str], end: str = "\r", charset: str = "") -> Path:
    text = "".join(end.join(one) + end for one in messages)
    path.write_bytes(text.format(charset=charset).encode())
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "oru.hl7"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_result_is_an_event_known_when_reported(file: Path, end: str) -> None:
    (event,), errors, _ = read(write(file, [MSH, PID, OBR, obx()], end=end))
    assert errors == []
    assert (event.code, event.value, event.patient_id) == ("k", 4.1, "p1")
    assert event.event_time_us == NOON_US
    assert event.known_time_us == NOON_US + HOUR_US


def test_the_message_is_one_that_another_parser_reads_the_same() -> None:
    text = "\r".join((MSH.format(charset=""), PID, OBR, obx()))
    theirs = hl7.parse(text)
    message = hl7v2.Message.parse(text.split("\r"))
    assert message.get(message.of("OBX"), 3, 2) == str(theirs.segment("OBX")[3][0][1])
    assert message.get(message.of("OBR"), 22) == str(theirs.segment("OBR")[22])
    assert message.get(message.of("MSH"), 9, 2) == str(theirs.segment("MSH")[9][0][1])


def test_a_corrected_result_is_a_higher_version_of_the_same_event(file: Path) -> None:
    later = OBR.replace("20240501130000", "20240501150000")
    events, errors, _ = read(
        write(file, [MSH, PID, OBR, obx()], [MSH, PID, later, obx("3.9", status="C")])
    )
    assert errors == []
    assert [e.status for e in events] == ["final", "corrected"]
    assert events[0].event_id == events[1].event_id
    assert events[0].version < events[1].version


def test_readings_of_a_monitor_without_order_numbers_are_not_taken_for_corrections(
    file: Path,
) -> None:
    def sent(minute: str, value: str) -> list[str]:
        at = f"202405011200{minute}+0000"
        return [MSH.replace("20240501140000+0000", at), PID, f"OBR|1||||||{at}", obx(value)]

    events, errors, _ = read(write(file, sent("00", "4.1"), sent("30", "4.2")))
    assert errors == []
    assert len({e.event_id for e in events}) == 2


def test_long_order_numbers_and_codes_make_an_id_the_log_takes(file: Path) -> None:
    order = OBR.replace("F77", "F" * 200)
    (event,), errors, _ = read(write(file, [MSH, PID, order, obx()]))
    assert errors == []
    (again,), _, _ = read(file)
    assert again.event_id == event.event_id


def test_a_withdrawn_result_is_a_cancellation(file: Path) -> None:
    (event,), _, _ = read(write(file, [MSH, PID, OBR, obx("", status="W")]))
    assert (event.status, event.value) == ("cancelled", None)


@pytest.mark.parametrize(
    ("segment", "column"),
    [
        (obx("<^0.01", "SN"), "OBX-5"),
        (obx("high", "NM"), "OBX-5"),
        (obx("", "ED"), "OBX-2"),
        (obx("1^2", "XX"), "OBX-2"),
    ],
)
def test_what_is_no_number_is_refused_and_the_rest_goes_in(
    file: Path, segment: str, column: str
) -> None:
    events, (error,), _ = read(write(file, [MSH, PID, OBR, segment, obx("4.2")]))
    assert [e.value for e in events] == [4.2]
    assert (error.column, error.reason) == (column, Reason.BAD_FIELD)


def test_a_time_without_offset_needs_a_declared_zone(file: Path) -> None:
    plain = OBR.replace("+0000", "")
    write(file, [MSH, PID, plain, obx()])
    assert read(file)[1][0].reason is Reason.BAD_TIME
    (event,), _, _ = read(file, zone=UTC)
    assert event.event_time_us == NOON_US


def test_a_result_that_says_nowhere_when_it_was_known_is_refused(file: Path) -> None:
    head = MSH.replace("20240501140000+0000", "")
    order = "OBR|1||F77^LAB|CHEM|||20240501120000+0000"
    _, (error,), _ = read(write(file, [head, PID, order, obx()]))
    assert error.reason is Reason.NO_KNOWN_TIME


def test_movements_are_events_and_a_cancelled_admission_cancels_it(file: Path) -> None:
    def adt(trigger: str, at: str) -> list[str]:
        head = MSH.replace("ORU^R01", f"ADT^{trigger}")
        return [
            head,
            f"EVN|{trigger}|{at}+0000",
            PID,
            "PV1|1|I|W4^12^2||||||||||||||||V1",
        ]

    events, errors, job = read(
        write(
            file,
            adt("A01", "20240501120000"),
            adt("A02", "20240501130000"),
            adt("A03", "20240502120000"),
            adt("A11", "20240501123000"),
            adt("A08", "20240501123000"),
        )
    )
    assert errors == []
    said = [(e.code, e.status, e.text) for e in events]
    assert said == [
        ("encounter", "final", "admitted W4 12 2"),
        ("sex", "final", "F"),
        ("age_years", "final", ""),
        ("encounter", "final", "on W4 12 2"),
        ("encounter", "final", "discharged W4 12 2"),
        ("encounter", "cancelled", "W4 12 2"),
    ]
    day_us = 24 * HOUR_US
    stays = [one for one in PEOPLE[file] if isinstance(one, Encounter)]
    assert stays == [Encounter("hl7:LAB:V1", "p1", NOON_US, None, "I", "W4", "hl7:LAB")]
    assert PEOPLE[file][1] == Patient("p1", "1950-05-01", "female", None, "hl7:LAB")
    since = [line + "|" * 25 + "20240501120000+0000" if "PV1" in line else line
             for line in adt("A03", "20240502120000")]  # fmt: skip
    read(write(file, since))
    assert PEOPLE[file] == [stays[0]._replace(ended_us=NOON_US + day_us)]
    assert events[5].event_id == events[0].event_id
    assert events[5].version > events[0].version
    assert job.skipped == {"message type ADT^A08": 1}


def test_frames_and_batch_headers_are_looked_through(file: Path) -> None:
    write(file, [MSH, PID, OBR, obx()])
    file.write_bytes(b"FHS|^~\\&\rBHS|^~\\&\r\x0b" + file.read_bytes() + b"\x1c\r\x0b")
    events, errors, _ = read(file)
    assert (len(events), errors) == (1, [])


def test_escapes_are_resolved_and_repetitions_are_lines(file: Path) -> None:
    note = "OBX|1|TX|11506-3^Note^LN||a\\F\\b~c\\.br\\d|||||F".replace("LN", "L")
    _, (error,), _ = read(write(file, [MSH, PID, OBR, note.replace("||||F", "|||||F")]))
    assert error.fact is not None
    assert error.fact.text == "a|b\nc\nd"


def test_text_in_the_named_character_set_is_read_and_in_another_refused(file: Path) -> None:
    latin = "OBX|1|ST|x^y^L||m\xfcde||||||F"
    text = "\r".join((MSH.format(charset="8859/1"), PID, OBR, latin)) + "\r"
    file.write_bytes(text.encode("iso-8859-1"))
    _, (error,), _ = read(file)
    assert error.fact is not None
    assert error.fact.text == "müde"
    file.write_bytes(text.replace("8859/1", "").encode("iso-8859-1"))
    assert read(file)[1][0].reason is Reason.UNDECODABLE
    file.write_bytes(text.replace("8859/1", "EBCDIC").encode("iso-8859-1"))
    assert read(file)[1][0].column == "MSH-18"


def test_an_endless_message_is_refused_and_the_next_one_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hl7v2, "MAX_MESSAGE_BYTES", 100_000)
    huge = "OBX|1|TX|x^y^L||" + "a" * 300_000
    events, (error,), _ = read(write(file, [MSH, PID, OBR, huge], [MSH, PID, OBR, obx()]))
    assert len(events) == 1
    assert error.reason is Reason.BAD_LENGTH


@pytest.mark.parametrize(
    "text", ["MSH", "MSH|^~\\&", "MSH|^~\\&|" + "|" * 50, "MSH" + "x" * 20, "MSH|||||||||"]
)
def test_a_broken_header_is_refused_without_an_exception(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    events, errors, job = read(file)
    assert events == []
    assert len(errors) + sum(job.skipped.values()) == 1


def test_half_a_message_gives_what_is_whole(file: Path) -> None:
    write(file, [MSH, PID, OBR, obx(), obx("5")])
    file.write_bytes(file.read_bytes()[:-20])
    events, errors, _ = read(file)
    assert [e.value for e in events] == [4.1]
    assert len(errors) == 1
