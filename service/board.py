"""The ward on a terminal: patients by risk, and what was alerted and why.

Pure: it takes the engine's messages and gives something to draw. Text of patients is never read
as markup. Not here: pacing and the terminal itself (`service.demo`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alerts.alert import PRIORITY_RANK, AlertEvent, Condition, Kind, Priority, Resolution
from models.score import RuleScore, Score
from service.marks import bounds_words, number_words, offset_words, priority_words, vital
from service.outputs import FeatureRow
from streams.processor import Outputs

TREND_US = 600_000_000  # the arrow compares with ten minutes ago
_EVENTS = 200  # alert events kept for the list
_STRIP = 8  # minutes of coverage shown
_STALE_S = 60  # data older than this are said to be missing
_BARS = " ▁▂▃▄"
_STYLES = {
    "high": "bold white on red",
    "medium": "bold black on yellow",
    "low": "black on cyan",
    "info": "reverse",
}
_WIDE = 104  # columns from which everything is shown
_ROW = msgspec.json.Decoder(FeatureRow)
_SCORE = msgspec.json.Decoder(Score)
_ALERT = msgspec.json.Decoder(AlertEvent)


class Bed:
    """What is known of one patient; every history in it is bounded."""

    def __init__(self, patient_id: str) -> None:
        self.patient_id = patient_id
        self.values: Mapping[str, float | None] = {}
        self.hrv: Mapping[str, float | None] = {}
        self.end_us = 0  # of the last 60 s window
        self.held_us = 0  # end of the last one that held anything
        self.coverage: deque[float] = deque(maxlen=_STRIP)  # one a minute
        self.news2: RuleScore | None = None
        self.limits = 0.0
        self.past: deque[tuple[int, int]] = deque(maxlen=TREND_US // 10_000_000 + 1)
        self.open: dict[str, AlertEvent] = {}

    @property
    def trend(self) -> int | None:
        """Change of the proven NEWS2 over `TREND_US` or since the first score; None before."""
        return self.past[-1][1] - self.past[0][1] if len(self.past) > 1 else None

    @property
    def worst(self) -> AlertEvent | None:
        """Open alert of the highest priority, those about the patient before equipment."""
        return max(self.open.values(), key=_urgency, default=None)

    def risk(self) -> tuple[float, ...]:
        """Greatest first: proven NEWS2, single sign, open alert, what missing inputs may hide."""
        news2, worst = self.news2, self.worst
        urgency = _urgency(worst) if worst else (0, -1)
        return (
            news2.lower if news2 else -1,
            self.limits,
            *(urgency if urgency[0] else (0, -1)),
            news2.upper if news2 else 0,
        )


class Listed(NamedTuple):
    """One line of the alert list."""

    time_us: int
    event: AlertEvent


class Board:
    """Every patient heard of; feed it with `take`, draw it with `render`.

    Parameters
    ----------
    start_us : int
        Times on the board count from here, µs UTC.
    patients : iterable of str
        Shown from the beginning, before anything is known of them.
    """

    def __init__(self, start_us: int, patients: Iterable[str] = ()) -> None:
        self.now_us = start_us
        self.counts = {"features": 0, "scores": 0, "alerts": 0, "dlq": 0}
        self._start_us = start_us
        self._beds = {patient_id: Bed(patient_id) for patient_id in patients}
        self._events: deque[AlertEvent] = deque(maxlen=_EVENTS)

    def take(self, outputs: Outputs) -> list[AlertEvent]:
        """Learn from the engine's messages; returns the alert events among them, in order."""
        heard = []
        for message in outputs.messages:
            if message.topic in self.counts:
                self.counts[message.topic] += 1
            self.now_us = max(self.now_us, message.append_us)
            if message.topic == "features":
                self._take_row(_ROW.decode(message.value))
            elif message.topic == "scores":
                self._take_score(_SCORE.decode(message.value))
            elif message.topic == "alerts":
                event = _ALERT.decode(message.value)
                self._take_alert(event)
                heard.append(event)
        return heard

    def advance(self, now_us: int) -> None:
        """Let the board's clock run on when nothing is said."""
        self.now_us = max(self.now_us, now_us)

    def sorted(self) -> list[Bed]:
        """Patients, greatest risk first, then by name."""
        by_name = sorted(self._beds.values(), key=lambda bed: bed.patient_id)
        return sorted(by_name, key=Bed.risk, reverse=True)

    def status(self) -> str:
        """The ward in one line."""
        beds = self.sorted()
        top = beds[0] if beds else None
        worst = "no NEWS2 yet"
        if top is not None and top.news2 is not None:
            worst = f"highest NEWS2 {_bounds(top)} {_printable(top.patient_id)}"
        alerts = [event for bed in beds for event in bed.open.values()]
        technical = sum(event.kind is Kind.TECHNICAL for event in alerts)
        return (
            f"{self.clock()}  {len(beds)} patients, {worst}, open alerts: "
            f"{len(alerts) - technical} patient, {technical} equipment"
        )

    def clock(self) -> str:
        """Time since the start."""
        return offset_words(self.now_us - self._start_us)

    def line(self, event: AlertEvent) -> str:
        """One alert event in one line, with why."""
        words = priority_words(event.priority.value)
        at = offset_words(event.event_us - self._start_us)
        said = f"{event.subject}  {words}  {event.phase.value}: {event.text.summary}"
        reason = f" [{'; '.join(event.text.why)}]" if event.text.why else ""
        return f"{at}  {_printable(said + reason)}"

    def render(self, width: int = 120, height: int = 50) -> RenderableType:
        """The board for a terminal of this many columns and rows; what does not fit is counted."""
        beds = self.sorted()
        shown = beds[: max(1, height - 10)]
        rest = [f"… and {len(beds) - len(shown)} more patients"] if len(shown) < len(beds) else []
        room = max(3, height - len(shown) - len(rest) - 8)
        head = Text.assemble(("Vigil", "bold"), "  ", self.status(), no_wrap=True)
        head.truncate(width, overflow="ellipsis")
        parts: list[RenderableType] = [head, self._table(shown, wide=width >= _WIDE)]
        parts += [Text(line, style="dim") for line in rest]
        return Group(*parts, self._alerts(room // 2, width))

    def _take_row(self, row: FeatureRow) -> None:
        bed = self._bed(row.patient_id)
        if row.window == "300s":
            bed.hrv = row.values
            return
        if row.window != "60s" or row.end_us < bed.end_us:
            return
        present = [n for n, reason in row.reason.items() if reason != "no_signal"]
        share = sum(row.coverage[n] for n in present) / len(present) if present else 0.0
        if row.end_us % 60_000_000 == 0 or not bed.coverage:
            bed.coverage.append(share)
        bed.coverage[-1] = share
        bed.values, bed.end_us = row.values, row.end_us
        bed.held_us = row.end_us if share > 0 else bed.held_us

    def _take_score(self, score: Score) -> None:
        bed = self._bed(score.patient_id)
        if score.scorer == "limits":
            bed.limits = score.value or 0.0
        elif score.news2 is not None:
            bed.news2 = score.news2
            bed.past.append((score.end_us, score.news2.lower))
            while bed.past[0][0] < score.end_us - TREND_US:
                bed.past.popleft()

    def _take_alert(self, event: AlertEvent) -> None:
        bed = self._bed(event.subject)
        self._events.appendleft(event)
        over = event.state.condition is Condition.CLEARED
        if event.state.resolution is Resolution.OPEN and not over:
            bed.open[event.occurrence_id] = event
        else:
            bed.open.pop(event.occurrence_id, None)

    def _bed(self, patient_id: str) -> Bed:
        return self._beds.setdefault(patient_id, Bed(patient_id))

    def _table(self, beds: list[Bed], wide: bool) -> Table:
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("Patient", no_wrap=True, overflow="ellipsis", min_width=6, max_width=20)
        columns = ["NEWS2", "Δ", "HR", "RR", "SpO2"]
        columns += ["Temp", "SDNN/RMSSD"] if wide else []
        for name in columns:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("Data", no_wrap=True)
        table.add_column("Alert", no_wrap=True, overflow="ellipsis", ratio=1)
        for bed in beds:
            table.add_row(*self._cells(bed, wide))
        return table

    def _cells(self, bed: Bed, wide: bool) -> list[Text]:
        values = bed.values
        rates = [number_words(vital(values, name)) for name in ("hr", "rr", "spo2")]
        news2 = Text(_bounds(bed), style=_news2_style(bed))
        name = Text(_printable(bed.patient_id))
        cells = [name, news2, Text(_arrow(bed.trend)), *map(Text, rates)]
        if wide:
            hrv = [number_words(bed.hrv.get(n)) for n in ("ecg_sdnn_ms", "ecg_rmssd_ms")]
            cells += [Text(number_words(vital(values, "temp"), 1)), Text("/".join(hrv))]
        return [*cells, self._data(bed), _chip(bed)]

    def _data(self, bed: Bed) -> Text:
        """Coverage of the last minutes as bars, and how old the newest data are."""
        if not bed.end_us:
            return Text("waiting for a first minute", style="dim")
        strip = "".join(_BARS[round(min(share, 1.0) * (len(_BARS) - 1))] for share in bed.coverage)
        bars = (f"{strip:>{_STRIP}} ", "dim")
        age_s = (self.now_us - bed.held_us) // 1_000_000
        if bed.held_us and age_s < _STALE_S:
            return Text.assemble(bars, f"{age_s:2d} s")
        since = offset_words(bed.held_us - self._start_us) if bed.held_us else "the start"
        return Text.assemble(bars, (f"none since {since}", "bold"))

    def _alerts(self, count: int, width: int) -> RenderableType:
        if not self._events:
            return Text("No alert yet.", style="dim")
        lines = []
        for event in list(self._events)[: max(1, count)]:
            lines.append(self._headline(event, width))
            why = Text(f"         {_printable('; '.join(event.text.why))}", style="dim")
            why.truncate(width, overflow="ellipsis")
            lines.append(why)
        return Group(Text("Alerts, newest first", style="bold"), *lines)

    def _headline(self, event: AlertEvent, width: int) -> Text:
        priority = event.priority.value
        line = Text.assemble(
            f"{offset_words(event.event_us - self._start_us):>7}  ",
            (f" {priority_words(priority)} ", _STYLES[priority]),
            " ",
            (_printable(event.subject), "bold"),
            f" {event.phase.value}: ",
            _printable(event.text.summary),
        )
        line.truncate(width, overflow="ellipsis")
        return line


def _urgency(event: AlertEvent) -> tuple[int, int]:
    return int(event.kind is not Kind.TECHNICAL), PRIORITY_RANK[event.priority]


def _bounds(bed: Bed) -> str:
    rule = bed.news2
    return bounds_words(rule.lower, rule.upper, rule.missing) if rule else bounds_words(None, None)


def _news2_style(bed: Bed) -> str:
    """Weight of the number: emergency and urgent levels of NEWS2 stand out, and not by hue."""
    lower = bed.news2.lower if bed.news2 else 0
    return "bold reverse" if lower >= 7 else "bold" if lower >= 5 else ""


def _arrow(trend: int | None) -> str:
    if trend is None:
        return ""
    return f"↑{trend}" if trend > 0 else f"↓{-trend}" if trend < 0 else "→"


def _chip(bed: Bed) -> Text:
    worst = bed.worst
    if worst is None:
        return Text("")
    priority: Priority = worst.priority
    more = f" +{len(bed.open) - 1}" if len(bed.open) > 1 else ""
    return Text.assemble(
        (f" {priority_words(priority.value)} ", _STYLES[priority.value]),
        f" {_printable(worst.condition.display)}{more}",
    )


def _printable(text: str) -> str:
    """Text without control characters, which could move the cursor or ring the bell."""
    return "".join(char if char.isprintable() else "�" for char in text)
