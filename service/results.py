"""What a replay leaves behind: canonical order, files, digests. The same from every runner.

Messages of an embedded run and messages read back from Kafka go through the same collector, so
"byte for byte the same" is decided in one place: keep the first copy of each id, put each patient's
lines in log order and patients by the time their lines speak of, hash the lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from alerts.alert import AlertEvent
from alerts.envelope import CloudEvent, cloud_event_json
from features.catalog import CATALOG
from models.score import Score
from service.outputs import DeadLetter, FeatureRow
from streams.errors import SourceError
from streams.processor import Output

T = TypeVar("T")
_PARTS = (("quality", pa.float32()), ("coverage", pa.float32()), ("n", pa.int32()))
_ROW = msgspec.json.Decoder(FeatureRow)
_SCORE = msgspec.json.Decoder(Score)
_ALERT = msgspec.json.Decoder(AlertEvent)
_CLOUD_EVENT = msgspec.json.Decoder(CloudEvent)
_LETTER = msgspec.json.Decoder(DeadLetter)
_JSON = msgspec.json.Encoder(order="deterministic")


class Results(NamedTuple):
    """Everything a run said, each id once; every patient's lines in log order."""

    features: list[FeatureRow]
    scores: list[Score]
    alerts: list[AlertEvent]
    dead: list[DeadLetter]
    digests: dict[str, str]  # features_sha256, scores_sha256, alerts_sha256


class Collector:
    """Takes messages in any runner's order; `results` puts them into the canonical one."""

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[int, str, bytes]]] = {}

    def take(self, outputs: Iterable[Output]) -> None:
        """Keep the messages of one `feed`, or of one read of a topic, in their order."""
        for output in outputs:
            if output.topic != "alert-state":
                row = (output.append_us, output.key, output.value)
                self._kept.setdefault(output.topic, []).append(row)

    def results(self) -> Results:
        """Decode, order and hash what was taken."""
        features = [_ROW.decode(value) for value in self._ordered("features")]
        scores = [_SCORE.decode(value) for value in self._ordered("scores")]
        alerts = [_ALERT.decode(value) for value in self._ordered("alerts")]
        dead = [_LETTER.decode(value) for value in self._ordered("dlq")]
        features = _first(features, lambda r: (r.patient_id, r.window, r.end_us, r.revision))
        scores = _first(scores, lambda s: (s.patient_id, s.scorer, s.end_us, s.revision))
        alerts = _first(alerts, lambda a: (a.occurrence_id, a.seq))
        rows = _merged(features, lambda r: (r.known_us, r.patient_id))
        scored = _merged(scores, lambda s: (s.known_us, s.patient_id))
        raised = _merged(alerts, lambda a: (a.recorded_us, a.subject))
        letters = _first(dead, lambda d: (d.partition, d.offset, d.index, d.reason))
        digests = {
            "features_sha256": _digest(_JSON.encode(row) for row in rows),
            "scores_sha256": _digest(_JSON.encode(score) for score in scored),
            "alerts_sha256": _digest(cloud_event_json(alert) for alert in raised),
        }
        return Results(rows, scored, raised, letters, digests)

    def _ordered(self, topic: str) -> list[bytes]:
        kept = self._kept.get(topic, [])
        return [value for _, _, value in sorted(kept, key=lambda row: row[:2])]


def _first(items: list[T], key: Callable[[T], tuple[object, ...]]) -> list[T]:
    """Items without the later copies of an id."""
    kept: dict[tuple[object, ...], T] = {}
    for item in items:
        kept.setdefault(key(item), item)
    return list(kept.values())


def _merged(items: list[T], key: Callable[[T], tuple[int, str]]) -> list[T]:
    """Items by time, then patient, without changing the order of a patient's own.

    Not by the append clock of their causes: which chunk closes a window depends on chunk lengths.
    """
    newest_us: dict[str, int] = {}
    keyed: list[tuple[int, str, int]] = []
    for place, item in enumerate(items):
        time_us, patient_id = key(item)
        newest_us[patient_id] = max(newest_us.get(patient_id, time_us), time_us)
        keyed.append((newest_us[patient_id], patient_id, place))
    return [items[place] for _, _, place in sorted(keyed)]


def _digest(lines: Iterable[bytes]) -> str:
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line)
        sha.update(b"\n")
    return sha.hexdigest()


def write(results: Results, out: Path, run: dict[str, Any]) -> None:
    """Write `features.parquet scores.parquet alerts.jsonl dead_letters.jsonl run.json`.

    Parameters
    ----------
    results : Results
        Of the run.
    out : Path
        Folder; created, files in it replaced.
    run : dict
        What `run.json` says besides the digests: inputs, versions, counts.
    """
    out.mkdir(parents=True, exist_ok=True)
    pq.write_table(feature_table(results.features), out / "features.parquet")
    pq.write_table(score_table(results.scores), out / "scores.parquet")
    _write_lines(out / "alerts.jsonl", (cloud_event_json(alert) for alert in results.alerts))
    _write_lines(out / "dead_letters.jsonl", (_JSON.encode(letter) for letter in results.dead))
    document = msgspec.json.format(_JSON.encode({**run, **results.digests}), indent=2)
    (out / "run.json").write_bytes(document + b"\n")


def _write_lines(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in lines)


def feature_table(rows: list[FeatureRow]) -> pa.Table:
    """One row per patient and window, five columns per catalogue feature.

    A feature of another window length is null with reason `other_window`, one of a signal the
    patient does not have with `no_signal`.
    """
    columns: dict[str, Any] = {
        "patient_id": pa.array([row.patient_id for row in rows], pa.string()),
        "window": pa.array([row.window for row in rows], pa.string()),
    }
    for name in ("start_us", "end_us", "known_us", "revision"):
        columns[name] = pa.array([getattr(row, name) for row in rows], pa.int64())
    for feature in CATALOG:
        name = feature.name
        columns[name] = pa.array([row.values.get(name) for row in rows], pa.float64())
        for part, kind in _PARTS:
            cells = [getattr(row, part).get(name) for row in rows]
            columns[f"{name}_{part}"] = pa.array(cells, kind)
        absent = dict.fromkeys(feature.windows, "no_signal")
        reasons = [row.reason.get(name) or absent.get(row.window, "other_window") for row in rows]
        columns[f"{name}_reason"] = pa.array(reasons, pa.string())
    return pa.table(columns)


SOMETIMES: Final = {  # columns of `Score` that only some scorers fill; null: not said
    "cold": pa.bool_(),
    "outcomes": pa.list_(pa.string()),
    "abstains": pa.bool_(),
    "disagreement": pa.float64(),
    "contradicts": pa.bool_(),
    "backfill": pa.bool_(),
}


def score_table(scores: list[Score]) -> pa.Table:
    """One row per patient, window and scorer; nested parts as JSON text."""
    plain = {
        "patient_id": pa.string(),
        "scorer": pa.string(),
        "model": pa.string(),
        "start_us": pa.int64(),
        "end_us": pa.int64(),
        "known_us": pa.int64(),
        "revision": pa.int64(),
        "value": pa.float64(),
        "lower": pa.float64(),
        "upper": pa.float64(),
        "std": pa.float64(),
        "calibrated": pa.bool_(),
        "horizon_s": pa.float64(),
        "completeness": pa.float64(),
    }
    columns: dict[str, Any] = {
        name: pa.array([getattr(score, name) for score in scores], kind)
        for name, kind in plain.items()
    }
    for name, kind in SOMETIMES.items():
        cells = [getattr(score, name) for score in scores]
        unset = [None if cell is msgspec.UNSET else cell for cell in cells]
        columns[name] = pa.array(unset, kind)
    for name in ("share", "present", "news2", "evidence"):
        texts = [_JSON.encode(getattr(score, name)).decode() for score in scores]
        columns[name] = pa.array(texts, pa.string())
    return pa.table(columns)


def read_alerts(path: Path) -> list[AlertEvent]:
    """The events of an `alerts.jsonl`.

    Raises
    ------
    SourceError
        If it cannot be read, or a line is no CloudEvent of an alert; it names the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_CLOUD_EVENT.decode(line).data)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}: line {number} is no alert event") from error
    return found
