"""Prometheus figures of one process. The registry is passed in; no label ever holds an id."""

from __future__ import annotations

import platform
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from alerts.alert import Phase
from service.alert_metrics import AlertMetrics
from service.spread import Spreads
from service.state_metrics import StateMetrics
from streams.processor import Output
from streams.records import Reason

TYPE_HEADER = "ce_type"  # of an alert: io.vigil.alert.<phase>.v1
_FEED_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PHASES = frozenset(Phase)
_REASONS = frozenset(Reason)


class _Letter(msgspec.Struct):
    reason: str = ""


class Metrics:
    """What a host reports (`streams.io.host_metrics.HostMetrics`), as Prometheus series.

    Parameters
    ----------
    registry : CollectorRegistry
        Where the series are registered; never the global one, so tests stay apart.
    clock_s : callable
        Seconds since 1970, for the age of the frontier.
    """

    def __init__(
        self, registry: CollectorRegistry, clock_s: Callable[[], float] = time.time
    ) -> None:
        self.registry = registry
        self._ready = threading.Event()
        self._scored_us = 0
        self._frontiers = _FrontierAges(clock_s)
        registry.register(self._frontiers)
        self._taken = _Taken()
        registry.register(self._taken)
        count = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self._records = count(
            "vigil_records", "Log records that went through the engine.", ["kind", "result"]
        )
        self._outputs = count("vigil_outputs", "Messages the broker has, by topic.", ["topic"])
        self._rejects = count("vigil_rejects", "Dead letters, by reason.", ["reason"])
        self._alerts = count("vigil_alerts", "Alert life-cycle events, by phase.", ["phase"])
        self._people = AlertMetrics(registry)
        self._states = StateMetrics(registry, clock_s)
        self._feed, self._steps, self._score = _times(registry)
        self.refused_models: dict[str, str] = {}
        words = "1: the model scores; 0: it could not be loaded, the rules go on."
        self._loaded = gauge("vigil_model_loaded", words, ["model"])
        self._lag = gauge("vigil_lag_records", "Records that wait.", ["partition"])
        words = "Patients taken out because their data made the engine itself fail."
        self._quarantined = count("vigil_quarantined", words)
        words = "Partitions given up, to another worker or while stopping."
        self._moved = count("vigil_partitions_dropped", words)
        words = "Append time of the record behind the newest score."
        self._scored = gauge("vigil_last_score_timestamp_seconds", words)
        words = "Messages the broker has not yet acknowledged."
        self._held = gauge("vigil_held_outputs", words)
        self._rebalances = count("vigil_rebalances", "Times partitions were assigned anew.")
        self._ready_gauge = gauge("vigil_ready", "1 when restored and processing.")
        Info("vigil_build", "What runs.", registry=registry).info(
            {"version": version("vigil"), "python": platform.python_version()}
        )

    @property
    def is_ready(self) -> bool:
        """Whether every assigned partition is restored and being processed."""
        return self._ready.is_set()

    def fed(self, kinds: Mapping[tuple[str, str], int], seconds: float) -> None:
        """Records by (kind, result) went through the engine in so many seconds."""
        for (kind, result), count in kinds.items():
            self._records.labels(kind, result).inc(count)
        self._feed.observe(seconds)

    def taken(self, counters: Mapping[str, int], spreads: Spreads) -> None:
        """Show what an engine counts itself, from now on; it goes on counting there."""
        self._taken.counters, self._taken.spreads = counters, spreads

    def timed(self, step: str) -> AbstractContextManager[Any]:
        """Time one step of the engine: segments, windows, or the scorer of that name."""
        own = self._steps.get(step)
        return (own or self._score.labels(step)).time()

    def models(self, refused: Mapping[str, str]) -> None:
        """Note the configured models: why one cannot be used, empty if it can."""
        self.refused_models = dict(refused)
        for name, why in refused.items():
            self._loaded.labels(name).set(0 if why else 1)

    def partitions(self) -> tuple[int, ...]:
        """Partitions that are being processed, ascending."""
        return tuple(sorted(self._frontiers.append_us.copy()))

    def oldest_frontier_s(self) -> float | None:
        """Age of the partition that is furthest behind; None before anything was processed."""
        return self._frontiers.oldest_s()

    def published(self, outputs: Sequence[Output]) -> None:
        """The broker has these outputs; dead letters and alerts are counted by what they say."""
        for topic, count in Counts(output.topic for output in outputs).items():
            self._outputs.labels(topic).inc(count)
        scored_us = max((o.append_us for o in outputs if o.topic == "scores"), default=0)
        if scored_us > self._scored_us:
            self._scored_us = scored_us
            self._scored.set(scored_us / 1e6)
        for output in outputs:
            if output.topic == "dlq":
                self._rejects.labels(_reason(output)).inc()
            elif output.topic == "alerts":
                phase = _phase(output)
                self._alerts.labels(phase).inc()
                self._people.hear(phase, output)

    def frontier(self, partition: int, append_us: int) -> None:
        """The partition is processed up to a record of this append time."""
        self._frontiers.append_us[partition] = append_us

    def lag(self, partition: int, records: int) -> None:
        """So many records of the partition wait."""
        self._lag.labels(str(partition)).set(records)

    def snapshots(self, count: int, size_bytes: int) -> None:
        """So many states were stored."""
        self._states.stored(count, size_bytes)

    def held(self, count: int) -> None:
        """So many outputs the broker has not acknowledged yet."""
        self._held.set(count)

    def stale(self, count: int) -> None:
        """So many stored states were older than one before them."""
        self._states.passed_over(count)

    def assigned(self) -> None:
        """The group gave partitions out anew."""
        self._rebalances.inc()

    def dropped(self, partition: int) -> None:
        """The partition belongs to another worker now; its series end."""
        self._frontiers.append_us.pop(partition, None)
        self._lag.remove(str(partition))
        self._moved.inc()

    def ready(self, ready: bool) -> None:
        """Whether every assigned partition is restored and being processed."""
        if ready:
            self._ready.set()
        else:
            self._ready.clear()
        self._ready_gauge.set(ready)

    def quarantined(self, count: int) -> None:
        """So many patients were taken out after an internal fault."""
        self._quarantined.inc(count)


def _times(registry: CollectorRegistry) -> tuple[Histogram, dict[str, Histogram], Histogram]:
    """How long a pass takes, its steps, and each scorer."""

    def histogram(name: str, words: str, *labels: str) -> Histogram:
        return Histogram(name, words, labels, buckets=_FEED_BUCKETS_S, registry=registry)

    steps = {
        "segments": histogram(
            "vigil_segments_seconds", "Time to analyse the segments of one pass."
        ),
        "windows": histogram(
            "vigil_window_features_seconds",
            "Time to extract the features of the windows that are due together.",
        ),
    }
    feed = histogram("vigil_feed_seconds", "Time of one pass through the engine.")
    words = "Time of one scorer for the windows that are due together."
    return feed, steps, histogram("vigil_score_seconds", words, "model")


class _FrontierAges:
    """Age of each partition's frontier at the moment of the scrape: the liveness signal."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self.append_us: dict[int, int] = {}

    def oldest_s(self) -> float | None:
        known = list(self.append_us.copy().values())
        return self._clock_s() - min(known) / 1e6 if known else None

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "vigil_frontier_age_seconds",
            "Now minus the append time of the last record processed.",
            labels=["partition"],
        )
        now_s = self._clock_s()
        for partition, append_us in sorted(self.append_us.copy().items()):
            family.add_metric([str(partition)], now_s - append_us / 1e6)
        yield family


class _Taken:
    """What the engine counts of chunks and devices, at the moment of the scrape."""

    def __init__(self) -> None:
        self.counters: Mapping[str, int] = {}
        self.spreads = Spreads()

    def collect(self) -> Iterator[Metric]:
        for name, words in (
            ("chunks", "Chunks of signals that came, accepted or not."),
            ("duplicate_samples", "Samples that were there already."),
        ):
            yield CounterMetricFamily(f"vigil_{name}", words, self.counters.get(name, 0))
        words = "Time by which signals went on later than where they had ended."
        gap_s = self.counters.get("gap_us", 0) / 1e6
        yield CounterMetricFamily("vigil_gap_seconds", words, gap_s)
        for name, words, spread in (
            ("watermark_lag_seconds", "Watermarks of devices behind the log.", self.spreads.lag_s),
            ("clock_offset_seconds", "By so much clocks are put right.", self.spreads.offset_s),
            ("clock_drift_ppm", "So much clocks run wrong.", self.spreads.drift_ppm),
        ):
            buckets = spread.buckets()
            yield HistogramMetricFamily(f"vigil_{name}", words, buckets, spread.total)


def _header(output: Output, name: str) -> str:
    return next(
        (value.decode(errors="replace") for key, value in output.headers if key == name), ""
    )


def _reason(output: Output) -> str:
    """A dead letter's reason if it is of the vocabulary: a label never grows with the data."""
    try:
        reason = msgspec.json.decode(output.value, type=_Letter).reason
    except msgspec.DecodeError:
        return "other"
    return reason if reason in _REASONS else "other"


def _phase(output: Output) -> str:
    parts = _header(output, TYPE_HEADER).split(".")
    phase = parts[-2] if len(parts) > 1 else ""
    return phase if phase in _PHASES else "other"
