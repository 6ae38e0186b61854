"""The board shows the worst first, says why, and takes no orders from the text it shows."""

from __future__ import annotations

import io

from rich.console import Console

from alerts.alert import Phase, Priority
from service.board import Board
from tests.service.views_kit import START_US, S, alert, news2, outputs, row


def drawn(board: Board, width: int = 120, height: int = 40) -> str:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(board.render(width, height))
    return console.export_text()


def test_patients_stand_by_proven_news2_then_by_what_missing_inputs_may_hide() -> None:
    board = Board(START_US)
    board.take(outputs(news2("b", 60, 2, 2), news2("a", 60, 2, 14), news2("c", 60, 7, 9)))
    assert [bed.patient_id for bed in board.sorted()] == ["c", "a", "b"]


def test_an_open_alert_lifts_a_patient_over_an_equal_one() -> None:
    board = Board(START_US)
    board.take(outputs(news2("a", 60, 5, 5), news2("b", 60, 5, 5), alert("b", 70)))
    assert board.sorted()[0].patient_id == "b"


def test_an_equipment_alert_does_not_make_a_patient_riskier() -> None:
    board = Board(START_US)
    lost = alert("b", 70, priority=Priority.LOW)
    board.take(outputs(news2("a", 60, 5, 5), news2("b", 60, 5, 5), lost))
    assert board.sorted()[0].patient_id == "a"


def test_bounds_and_missing_inputs_are_shown() -> None:
    board = Board(START_US)
    board.take(outputs(row("p", 60, 88.0), news2("p", 60, 6, 9)))
    text = drawn(board)
    assert "6 (6–9)*" in text
    assert " 88 " in text


def test_the_trend_is_the_change_over_ten_minutes() -> None:
    board = Board(START_US)
    board.take(outputs(*(news2("p", end_s, end_s // 100, 20) for end_s in range(10, 1210, 10))))
    assert board.sorted()[0].trend == 6


def test_markup_in_a_patient_id_is_shown_as_text() -> None:
    board = Board(START_US)
    hostile = "[red]x[/red]\x1b[2J"
    board.take(outputs(news2(hostile, 60, 1, 1), alert(hostile, 70, why=("[bold]why[/bold]",))))
    text = drawn(board)
    assert "[red]x[/red]" in text
    assert "[bold]why[/bold]" in text
    assert "\x1b[2J" not in text


def test_every_alert_is_listed_with_priority_word_shape_and_reason() -> None:
    board = Board(START_US)
    board.take(outputs(alert("p", 70, priority=Priority.MEDIUM, why=("NEWS2 reached 5",))))
    text = drawn(board)
    assert "▲▲ Medium" in text
    assert "NEWS2 reached 5" in text


def test_a_resolved_alert_leaves_the_patient_but_stays_in_the_list() -> None:
    board = Board(START_US)
    board.take(outputs(alert("p", 70), alert("p", 90, phase=Phase.RESOLVED, summary="Resolved")))
    assert board.sorted()[0].worst is None
    assert "Resolved" in drawn(board)


def test_silence_is_said_with_its_beginning() -> None:
    board = Board(START_US)
    board.take(outputs(row("p", 60, 80.0)))
    board.advance(START_US + 300 * S)
    assert "none since 1:00" in drawn(board)


def test_patients_that_do_not_fit_are_counted() -> None:
    board = Board(START_US, [f"p{n:02d}" for n in range(40)])
    assert "more patients" in drawn(board, height=20)


def test_a_narrow_terminal_keeps_every_patient_and_the_score() -> None:
    board = Board(START_US)
    board.take(outputs(row("p", 60, 80.0), news2("p", 60, 6, 9)))
    text = drawn(board, width=60)
    assert "6 (6–9)*" in text
    assert max(len(line) for line in text.splitlines()) <= 60


def test_take_returns_the_alert_events_in_order() -> None:
    board = Board(START_US)
    heard = board.take(outputs(alert("a", 70), news2("a", 70, 5, 5), alert("b", 80)))
    assert [event.subject for event in heard] == ["a", "b"]
    assert board.counts["scores"] == 1
