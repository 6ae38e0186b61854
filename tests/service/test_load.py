"""The load: seamless, routed, cheap, and healthy enough to be measured."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from features.beats import detect_r_peaks
from service.load import CHUNK_S, LOOP_S, Load, LoadSpec
from service.sim_patient import SPECS
from streams.codec import chunk_fault, decode
from streams.errors import ConfigError
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.records import Chunk, SignalBundle
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import Vigil

START_US = 1_750_000_000_000_000


def chunks(load: Load, seconds: int) -> list[Chunk]:
    found = []
    for number in range(seconds):
        for entry in load.second(number):
            assert isinstance(entry.record, SignalBundle)
            assert all(
                partition_of(chunk.patient_id, 8) == entry.partition
                for chunk in entry.record.chunks
            )
            found += entry.record.chunks
    return found


def wave(found: list[Chunk], patient: str, signal: str) -> np.ndarray:
    own = [chunk for chunk in found if (chunk.patient_id, chunk.signal) == (patient, signal)]
    assert [c.first_sample for c in own] == [
        n * CHUNK_S * SPECS[signal].fs_hz for n in range(len(own))
    ]
    return np.concatenate([np.frombuffer(chunk.data, "<i2") for chunk in own]) * own[0].scale


def test_every_patient_sends_every_signal_without_a_gap() -> None:
    load = Load(LoadSpec(30, START_US, partitions=8))
    found = chunks(load, 41)
    assert {chunk.patient_id for chunk in found} == {f"load-{n:06d}" for n in range(30)}
    assert not [fault for chunk in found if (fault := chunk_fault(chunk))]
    for patient in ("load-000000", "load-000017"):
        assert wave(found, patient, "ecg").size >= 30 * 250


def test_a_chunk_is_sent_when_its_last_sample_is_there() -> None:
    load = Load(LoadSpec(20, START_US, partitions=8))
    for number in range(30):
        for entry in load.second(number):
            assert isinstance(entry.record, SignalBundle)
            ends = {c.start_us + CHUNK_S * 1_000_000 for c in entry.record.chunks}
            assert ends == {entry.append_us} == {START_US + number * 1_000_000}


def test_the_loop_has_no_seam() -> None:
    load = Load(LoadSpec(1, START_US, partitions=8, signals=("ecg",)))
    ecg = wave(chunks(load, LOOP_S + 100), "load-000000", "ecg")
    intervals_s = np.diff(detect_r_peaks(ecg, 250.0)) / 250.0
    assert intervals_s.min() > 0.5
    assert intervals_s.max() < 1.25
    jump = np.abs(np.diff(ecg[LOOP_S * 250 - 3 : LOOP_S * 250 + 3])).max()
    assert jump < 0.2


def test_the_same_seed_is_the_same_load() -> None:
    one, two = (Load(LoadSpec(5, START_US, partitions=8)) for _ in range(2))
    assert chunks(one, 30) == chunks(two, 30)
    assert chunks(Load(LoadSpec(5, START_US, partitions=8, seed=8)), 30) != chunks(one, 30)


def test_ten_thousand_patients_are_made_faster_than_they_live() -> None:
    load = Load(LoadSpec(10_000, START_US))
    began_s = time.process_time()
    count = sum(len(entry.record.chunks) for n in range(10, 15) for entry in load.second(n))  # type: ignore[union-attr]
    assert count == 5 * 1000 * 7
    assert time.process_time() - began_s < 2.5  # of five seconds


@pytest.mark.parametrize("change", [{"patients": 0}, {"signals": ("eeg",)}, {"signals": ()}])
def test_impossible_loads_are_refused(change: dict[str, object]) -> None:
    fields: dict[str, object] = {"patients": 1, "start_us": START_US, **change}
    with pytest.raises(ConfigError):
        LoadSpec(**fields)  # type: ignore[arg-type]


@pytest.mark.broker
def test_the_command_writes_the_load_and_says_how_much(
    kafka_bootstrap: str, kafka_prefix: str, vigil: Vigil
) -> None:
    kafka = {"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": PARTITIONS}
    vigil.configure(kafka=kafka)
    sent = vigil.json("load", "--patients", "20", "--seconds", "14")
    assert sent["chunks"] == 7 * 8  # seconds 10 to 13, two patients each
    rows = asyncio.run(read_topic(kafka_bootstrap, topic_name("in", kafka_prefix)))
    assert len(rows) == sent["records"]


@pytest.mark.broker
def test_spread_over_the_second_it_is_the_same_load(
    kafka_bootstrap: str, kafka_prefix: str, vigil: Vigil
) -> None:
    kafka = {"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": PARTITIONS}
    vigil.configure(kafka=kafka)
    sent = vigil.json("load", "--patients", "40", "--seconds", "13", "--spread")
    assert sent["chunks"] == 7 * 12  # seconds 10 to 12, four patients each
    rows = asyncio.run(read_topic(kafka_bootstrap, topic_name("in", kafka_prefix)))
    assert len(rows) == sent["records"]
    for row in rows:  # a partition's turn comes with its number
        bundle = decode(row.value, row.partition, row.offset, row.append_us).record
        assert isinstance(bundle, SignalBundle)
        full_us = bundle.chunks[0].start_us + CHUNK_S * 1_000_000
        assert row.append_us - full_us >= (row.partition * 16 // PARTITIONS) * 1_000_000 // 16
