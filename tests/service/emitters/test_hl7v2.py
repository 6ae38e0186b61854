"""ORU^R40: parsed by `hl7`, acknowledged by a real MLLP server, safe against hostile names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from alerts.alert import Condition, Kind, Location, Phase, Priority, Suppression, Text
from service.emitters.contract import Letter, Outcome, Result
from service.emitters.hl7v2 import letter, message
from service.emitters.mllp import END, START, MllpSender
from service.emitters.spec import Hl7Spec
from tests.service.emitters.emitter_kit import axes, life, raised

SPEC = Hl7Spec(host="127.0.0.1", port=1, facility="WARD", receiving="ENGINE")
hl7 = pytest.importorskip("hl7")

Answer = Callable[[bytes], bytes | None]


def facets(text: str) -> dict[str, str]:
    found = {}
    for segment in hl7.parse(text).segments("OBX"):
        found[str(segment[3]).split("^")[0]] = str(segment[5])
    return found


def test_the_message_is_an_oru_r40_of_the_acm_profile() -> None:
    parsed = hl7.parse(message(raised(), SPEC))
    header = parsed.segment("MSH")
    assert str(header[9]) == "ORU^R40^ORU_R40"
    assert str(header[12]) == "2.6"
    assert str(header[21]).startswith("IHE_PCD_ACM_001")
    assert str(header[3]) == "VIGIL"
    assert str(parsed.segment("PID")[3]) == "p1^^^VIGIL^PI"
    numbers = [str(segment[4]) for segment in parsed.segments("OBX")]
    assert numbers == [f"1.0.0.0.{n}" for n in range(1, 9)]


def test_the_facets_of_a_raised_alert() -> None:
    found = facets(message(raised(), SPEC))
    assert found["68481"] == "start"
    assert (found["68482"], found["68483"]) == ("active", "enabled")
    assert (found["68484"], found["68485"]) == ("PH", "SP")
    assert "NEWS2" in found["68546"]


def test_a_life_starts_is_acknowledged_and_ends_once() -> None:
    letters = [letter(event, SPEC) for event in life("0f0f0f0f-1111-5222-8333-444444444444")]
    assert letters[3] is None  # what ended is not ended again
    bodies = [each.content.decode() for each in letters if each]  # type: ignore[union-attr]
    assert [facets(body)["68481"] for body in bodies] == ["start", "update", "end"]
    assert [facets(body)["68483"] for body in bodies][1] == "alert-acknowledged"
    assert len({str(hl7.parse(body).segment("MSH")[10]) for body in bodies}) == 3


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("condition", [Condition.ACTIVE, Condition.LATCHED])
def test_every_step_can_be_parsed(phase: Phase, condition: Condition) -> None:
    for kind, priority in ((Kind.TECHNICAL, Priority.LOW), (Kind.ADVISORY, Priority.INFO)):
        event = raised(phase=phase, kind=kind, priority=priority, state=axes(condition=condition))
        sent = letter(event, SPEC)
        if phase is Phase.FEEDBACK:  # what people thought of it is no state of an alarm
            assert sent is None
            continue
        assert sent is not None
        assert len(facets(sent.content.decode())) == 8  # type: ignore[union-attr]


def test_what_is_raised_quiet_starts_with_its_signal_off() -> None:
    for held, word in (
        (Suppression.SILENCED, "alarm-paused"),
        (Suppression.INHIBITED, "alarm-off"),
    ):
        said = facets(message(raised(state=axes(suppression=held)), SPEC))
        assert (said["68481"], said["68482"], said["68483"]) == ("start", "active", word)


def test_no_name_or_comment_can_break_out_of_its_field() -> None:
    hostile = "a|b^c~d\\e&f\rMSH|^~\\&|EVIL\n\x0b\x1c\x00"
    event = raised(subject=hostile, text=Text(hostile, (hostile,)), location=Location(hostile, "1"))
    text = message(event, SPEC)
    parsed = hl7.parse(text)
    assert [str(segment[0]) for segment in parsed] == ["MSH", "PID", "PV1", "OBR", *["OBX"] * 8]
    assert not {"\x0b", "\x1c", "\x00", "\n"} & set(text)
    kept = hostile.replace("\x0b", "").replace("\x1c", "").replace("\x00", "")
    assert hl7.parse(text).unescape(str(parsed.segment("PID")[3][0][0])) == kept


def test_an_alert_about_everybody_names_no_patient() -> None:
    assert "PID|" not in message(raised(subject="*"), SPEC)


def test_it_can_be_a_file() -> None:
    sent = letter(raised("occ"), Hl7Spec(folder="out"))
    assert sent is not None
    assert sent.content[0] == "occ-000001.hl7"


def served(answer: Answer, work: Callable[[int], Awaitable[None]]) -> list[bytes]:
    """Run `work` against a real MLLP server; what it received."""
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                block = await reader.readuntil(END)
                assert block.startswith(START)
                got.append(block[1:-2])
                reply = answer(block[1:-2])
                if reply is None:
                    writer.close()
                    return
                writer.write(START + reply + END)
                await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        await work(server.sockets[0].getsockname()[1])
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    return got


def ack(code: str) -> Answer:
    def answer(body: bytes) -> bytes:
        return str(hl7.parse(body.decode()).create_ack(code)).encode()

    return answer


def body() -> bytes:
    sent = letter(raised(), SPEC)
    assert isinstance(sent, Letter)
    assert isinstance(sent.content, bytes)
    return sent.content


@pytest.mark.parametrize(
    ("code", "result"), [("AA", "delivered"), ("AE", "failed"), ("AR", "refused")]
)
def test_the_acknowledgement_decides(code: str, result: str) -> None:
    outcomes: list[Outcome] = []

    async def work(port: int) -> None:
        sender = MllpSender("127.0.0.1", port, 2.0, tls=False)
        outcomes.extend([await sender.post(body()), await sender.post(body())])
        await sender.close()

    got = served(ack(code), work)
    assert [outcome.result.value for outcome in outcomes] == [result] * 2
    assert got == [body()] * 2


def test_an_acknowledgement_of_another_message_is_none_of_ours() -> None:
    replies = iter([b"MSH|^~\\&|X\rMSA|AA|another\r", None])
    outcomes: list[Outcome] = []

    async def work(port: int) -> None:
        sender = MllpSender("127.0.0.1", port, 0.3, tls=False)
        outcomes.append(await sender.post(body()))
        await sender.close()

    served(lambda block: next(replies), work)
    assert [outcome.result for outcome in outcomes] == [Result.AWAY]


def test_a_receiver_that_hangs_up_or_is_absent_is_away_and_comes_back() -> None:
    answers = iter([None, b"MSH|^~\\&|X\r"])
    outcomes: list[Outcome] = []

    async def work(port: int) -> None:
        sender = MllpSender("127.0.0.1", port, 2.0, tls=False)
        outcomes.extend([await sender.post(body()), await sender.post(body())])
        absent = MllpSender("127.0.0.1", 1, 2.0, tls=False)
        outcomes.append(await absent.post(body()))
        await sender.close()
        await absent.close()

    served(lambda block: next(answers), work)
    assert [o.result for o in outcomes] == [Result.AWAY, Result.FAILED, Result.AWAY]
    assert outcomes[1].detail == "MSA-1 absent"
