"""Figures and health: what a scrape shows, and that it shows no patient."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from alerts.alert import Action, AlertEvent, Phase
from service.http import HealthServer
from service.metrics import Metrics
from service.outputs import Caused, alert_outputs
from service.spread import Spreads
from streams.errors import ConfigError
from streams.processor import Output
from tests.service.emitters.emitter_kit import life, raised


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), clock_s=lambda: 1000.0)


@pytest.fixture
def server(metrics: Metrics) -> Iterator[HealthServer]:
    with HealthServer(metrics, port=0) as server:
        yield server


def exposed(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def get(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def dead_letter(reason: bytes) -> Output:
    return Output("dlq", "p-secret", 0, 0, b'{"reason":"%s","n":1}' % reason)


def alert(event_type: bytes) -> Output:
    return Output("alerts", "p-secret", 0, 0, b"{}", (("ce_type", event_type),))


def test_the_age_of_the_frontier_is_measured_when_it_is_scraped(metrics: Metrics) -> None:
    metrics.frontier(3, 990_000_000)
    assert 'vigil_frontier_age_seconds{partition="3"} 10.0' in exposed(metrics)


def test_what_the_engine_counts_of_chunks_is_shown_as_it_counts(metrics: Metrics) -> None:
    assert "vigil_duplicate_samples_total 0.0" in exposed(metrics)
    counters = {"chunks": 3}
    metrics.taken(counters, Spreads())
    counters["duplicate_samples"] = 7
    counters["gap_us"] = 2_500_000
    assert "vigil_chunks_total 3.0" in exposed(metrics)
    assert "vigil_duplicate_samples_total 7.0" in exposed(metrics)
    assert "vigil_gap_seconds_total 2.5" in exposed(metrics)


def test_spreads_are_shown_as_histograms(metrics: Metrics) -> None:
    spreads = Spreads()
    metrics.taken({}, spreads)
    for lag_s in (1.0, 7.0, 7_000.0):
        spreads.lag_s.add(lag_s)
    shown = exposed(metrics)
    assert 'vigil_watermark_lag_seconds_bucket{le="1.0"} 1.0' in shown
    assert 'vigil_watermark_lag_seconds_bucket{le="10.0"} 2.0' in shown
    assert 'vigil_watermark_lag_seconds_bucket{le="+Inf"} 3.0' in shown
    assert "vigil_watermark_lag_seconds_sum 7008.0" in shown


def test_when_states_were_stored_and_partitions_assigned_is_shown(metrics: Metrics) -> None:
    metrics.snapshots(0, 0)
    metrics.assigned()
    assert "vigil_last_snapshot_timestamp_seconds 0.0" in exposed(metrics)
    assert "vigil_rebalances_total 1.0" in exposed(metrics)
    metrics.snapshots(2, 30_000)
    assert "vigil_last_snapshot_timestamp_seconds 1000.0" in exposed(metrics)


def test_what_the_broker_has_not_acknowledged_and_stale_states_are_shown(metrics: Metrics) -> None:
    metrics.held(7)
    metrics.stale(2)
    assert "vigil_held_outputs 7.0" in exposed(metrics)
    assert "vigil_stale_snapshots_total 2.0" in exposed(metrics)
    metrics.held(0)
    assert "vigil_held_outputs 0.0" in exposed(metrics)


def test_a_partition_that_moved_away_leaves_no_series(metrics: Metrics) -> None:
    metrics.frontier(3, 990_000_000)
    metrics.lag(3, 7)
    assert 'vigil_lag_records{partition="3"} 7.0' in exposed(metrics)
    metrics.dropped(3)
    assert not [line for line in exposed(metrics) if 'partition="3"' in line]


def test_records_are_counted_by_kind_and_result(metrics: Metrics) -> None:
    metrics.fed({("bundle", "accepted"): 5, ("unknown", "rejected"): 1}, 0.002)
    lines = exposed(metrics)
    assert 'vigil_records_total{kind="bundle",result="accepted"} 5.0' in lines
    assert 'vigil_records_total{kind="unknown",result="rejected"} 1.0' in lines
    assert "vigil_feed_seconds_count 1.0" in lines


def test_dead_letters_are_counted_by_reason(metrics: Metrics) -> None:
    metrics.published([dead_letter(b"undecodable"), dead_letter(b"undecodable")])
    assert 'vigil_rejects_total{reason="undecodable"} 2.0' in exposed(metrics)


def test_alerts_are_counted_by_phase(metrics: Metrics) -> None:
    metrics.published([alert(b"io.vigil.alert.raised.v1")])
    assert 'vigil_alerts_total{phase="raised"} 1.0' in exposed(metrics)


def test_no_label_takes_what_the_data_says(metrics: Metrics) -> None:
    metrics.published([dead_letter(b"p-secret"), alert(b"p-secret"), alert(b"a.p-secret.v1")])
    metrics.published([Output("dlq", "p-secret", 0, 0, b"not json")])
    lines = exposed(metrics)
    assert 'vigil_rejects_total{reason="other"} 2.0' in lines
    assert 'vigil_alerts_total{phase="other"} 2.0' in lines
    assert not [line for line in lines if "secret" in line]


def test_health_is_alive_before_it_is_ready(metrics: Metrics, server: HealthServer) -> None:
    assert get(server, "/healthz") == (200, "alive\n")
    assert get(server, "/readyz")[0] == 503
    metrics.ready(True)
    assert get(server, "/readyz")[0] == 200
    metrics.ready(False)
    assert get(server, "/readyz")[0] == 503
    assert get(server, "/healthz") == (200, "alive\n")


def test_readiness_says_which_check_fails(metrics: Metrics) -> None:
    metrics.ready(True)
    metrics.frontier(3, 930_000_000)
    with HealthServer(metrics, port=0, stale_s=60.0) as server:
        status, body = get(server, "/readyz")
        assert status == 503
        assert json.loads(body) == {
            "ready": False,
            "checks": [
                {"name": "restored", "ok": True},
                {"name": "frontier", "ok": False, "age_s": 70.0},
            ],
        }
        metrics.frontier(3, 990_000_000)
        assert get(server, "/readyz")[0] == 200


def test_history_is_ready_however_old_its_log_is(metrics: Metrics, server: HealthServer) -> None:
    metrics.ready(True)
    metrics.frontier(3, 1_000_000)
    assert get(server, "/readyz")[0] == 200


def test_every_answer_is_whole_whatever_was_asked_before(server: HealthServer) -> None:
    for path in ("/healthz", "/nowhere", "/readyz", "/nowhere", "/healthz"):
        assert get(server, path)[1].endswith("\n")


def test_steps_of_the_engine_are_timed_by_name(metrics: Metrics) -> None:
    for step in ("segments", "windows", "news2"):
        with metrics.timed(step):
            pass
    lines = exposed(metrics)
    assert "vigil_segments_seconds_count 1.0" in lines
    assert "vigil_window_features_seconds_count 1.0" in lines
    assert 'vigil_score_seconds_count{model="news2"} 1.0' in lines


def test_metrics_are_served_and_nothing_else(metrics: Metrics, server: HealthServer) -> None:
    metrics.snapshots(2, 300)
    status, body = get(server, "/metrics")
    assert status == 200
    assert "vigil_snapshot_bytes_total 300.0" in body
    assert get(server, "/patients")[0] == 404


def test_a_taken_port_is_named(metrics: Metrics, server: HealthServer) -> None:
    with pytest.raises(ConfigError, match=f":{server.port} .*choose another port"):
        HealthServer(metrics, port=server.port)


def told(event: AlertEvent) -> Output:
    return alert_outputs(event, Caused(0, event.recorded_us))[0]


def sample(metrics: Metrics, name: str) -> float:
    (line,) = [line for line in exposed(metrics) if line.startswith(f"{name} ")]
    return float(line.split()[-1])


def test_the_time_to_the_first_acknowledgement_is_measured(metrics: Metrics) -> None:
    first = raised()
    acked, *_ = life(first.occurrence_id)[1:2]
    later = replace(acked, recorded_us=first.raised_us + 90_000_000)
    metrics.published([told(first), told(later)])
    again = replace(later, actions=(*later.actions, *later.actions))
    metrics.published([told(again)])  # it expired and was taken anew
    series = f'vigil_alert_ack_seconds_sum{{priority="{first.priority}"}}'
    assert sample(metrics, series) == 90.0
    assert sample(metrics, series.replace("_sum", "_count")) == 1.0


def test_the_time_from_window_to_alert_is_measured(metrics: Metrics) -> None:
    event = raised()
    assert event.window is not None
    metrics.published([told(replace(event, recorded_us=event.window[1] + 4_000_000))])
    assert sample(metrics, f'vigil_alert_end_to_end_seconds_sum{{kind="{event.kind}"}}') == 4.0


def test_what_people_said_of_alerts_is_counted_by_their_words(metrics: Metrics) -> None:
    deed = Action(2, "c-1", "feedback", "user:n", "rn", 0, None, "loose", None, "artefact")
    metrics.published([told(replace(raised(), phase=Phase.FEEDBACK, actions=(deed,)))])
    invented = replace(deed, outcome="p-secret")
    metrics.published([told(replace(raised(), phase=Phase.FEEDBACK, actions=(invented,)))])
    assert sample(metrics, 'vigil_alert_feedback_total{outcome="artefact"}') == 1.0
    assert sample(metrics, 'vigil_alert_feedback_total{outcome="other"}') == 1.0
    assert not any("p-secret" in line for line in exposed(metrics))


def test_the_busiest_patient_of_the_hour_is_counted_and_forgotten(metrics: Metrics) -> None:
    hour_us, name = 3600 * 1_000_000, "vigil_alerts_per_patient_hour_max"

    def raise_one(patient: str, at_us: int) -> float:
        metrics.published([told(replace(raised(subject=patient), recorded_us=at_us))])
        return sample(metrics, name)

    start_us = 1_750_000_000_000_000
    assert [raise_one("p1", start_us + n) for n in range(3)] == [1.0, 2.0, 3.0]
    assert raise_one("p2", start_us + 10) == 3.0
    assert raise_one("p2", start_us + hour_us + 20) == 1.0
