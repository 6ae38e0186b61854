"""The engine's laws, on synthetic patients and on real recordings.

Any split, chunking, repetition or reordering of the same log, and any restart, gives the same
bytes; nothing later changes what was said earlier; patients do not know of one another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.results import Results
from streams.history import Timed
from streams.partition import partition_of
from streams.processor import Output
from streams.records import (
    ANYONE,
    Chunk,
    ClinicalEvent,
    DeviceStatus,
    LogRecord,
    SignalBundle,
    Tick,
)
from tests.contract_kit import Case, bytes_of, excerpts, log_of_recordings, real_case, synthetic
from tests.service.engine_kit import (
    ECG_HZ,
    PARTITIONS,
    START_US,
    S,
    collected,
    corrected,
    engine,
    event,
    log_of,
    outputs,
    patient,
    plain,
    renumbered,
    revived,
    run,
)

FEW = settings(max_examples=8)
SEEDS = st.integers(0, 2**32 - 1)
LATENESS_US = 7_500_000  # of a record; its chunks begin up to 2.25 s before it


@pytest.fixture(scope="module")
def real(archive: Callable[[str], Path]) -> Case:
    """Real excerpts as one log."""
    return real_case(archive("bidmc"))


@pytest.fixture(scope="module", params=["synthetic", pytest.param("real", marks=pytest.mark.data)])
def case(request: pytest.FixtureRequest) -> Case:
    """Each law holds on both."""
    if request.param == "synthetic":
        return synthetic()
    return request.getfixturevalue("real")  # type: ignore[no-any-return]


def test_the_cases_say_enough_to_tell_a_difference(real: Case) -> None:
    for known in (synthetic(), real):
        assert len(known.results.features) > 40
        assert any(a.phase == "raised" for a in known.results.alerts)
        assert any(row.values.get("ecg_hr_bpm") for row in known.results.features)
        assert not known.results.dead
    alerts = synthetic().results.alerts
    codes = {a.condition.code for a in alerts}
    assert {"deterioration", "no_data:", "device_fleet_outage"} <= codes
    held = {(a.subject, str(a.phase), str(a.state.suppression)) for a in alerts}
    assert ("late", "raised", "inhibited") in held, "what was in force before the patient came"
    assert ("late", "unsuppressed", "none") in held
    assert ("lost", "raised", "maintenance") in held
    assert ("lost", "suppressed", "inhibited") in held


def test_the_wristband_of_the_case_reaches_every_family() -> None:
    """Else the laws would not be about it."""
    valued = {
        name
        for row in synthetic().results.features
        if row.patient_id == "wrist"
        for name, value in row.values.items()
        if value is not None
    }
    assert {"ppg_pulse_rate_bpm", "acc_enmo_mg", "eda_scr_rate_per_min", "temp_mean_c"} <= valued
    assert {"rr_hr_bpm", "rr_rmssd_ms", "acc_steps", "hros", "ppg_pulse_rate_z"} <= valued


# (a) feeding


@FEW
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_any_split_into_feeds_gives_the_same_bytes(case: Case, sizes: list[int]) -> None:
    assert bytes_of(run(case.log, sizes)) == case.said


def test_one_record_at_a_time_gives_the_same_bytes(case: Case) -> None:
    assert bytes_of(run(case.log, [1])) == case.said


def test_every_message_has_the_same_place_however_the_log_is_fed(case: Case) -> None:
    assert outputs(case.log, [1]) == outputs(case.log, [97])


# (b) chunking


def steady(chunk_s: float | Sequence[float], fs_hz: float = ECG_HZ) -> list[Timed]:
    rows = patient(
        "sick",
        250,
        rate_bpm=135,
        breaths=28,
        spo2=90.0,
        fs_hz=fs_hz,
        chunk_s=chunk_s,
        spans_s=((0.0, 130.0), (160.0, 250.0)),
    )
    first = event("sick", "sbp", 88, "mmHg", 20, 42)
    late = [corrected(first, 125.0, 101.3), corrected(first, 85.0, 204.9, version=3)]
    return [*rows, first, *late]


@lru_cache(maxsize=8)
def steady_said(fs_hz: float) -> tuple[object, ...]:
    return bytes_of(run(log_of([steady(2.0, fs_hz)])))


@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 360.0, 62.4725, 64.0])
@pytest.mark.parametrize("chunk_s", [1.0, 4.0, (0.4, 3.0, 1.7, 2.2)])
def test_chunk_lengths_change_nothing(fs_hz: float, chunk_s: float | Sequence[float]) -> None:
    assert bytes_of(run(log_of([steady(chunk_s, fs_hz)]))) == steady_said(fs_hz)


@settings(max_examples=6)
@example(lengths_s=[1.0, 1.0, 5.0, 6.0])  # revisions decided at ticks came in another order
@given(lengths_s=st.lists(st.floats(0.05, 6.0), min_size=1, max_size=7))
def test_irregular_chunks_change_nothing(lengths_s: list[float]) -> None:
    assert bytes_of(run(log_of([steady(lengths_s, 62.4725)]))) == steady_said(62.4725)


@pytest.mark.data
@pytest.mark.parametrize("chunk_s", [1.0, 4.0, 7.0])
def test_chunk_lengths_change_nothing_on_real_recordings(
    archive: Callable[[str], Path], chunk_s: float
) -> None:
    for recording in excerpts(archive("bidmc")):
        said = [bytes_of(run(log_of_recordings([recording], s))) for s in (2.0, chunk_s)]
        assert said[0] == said[1]


# (c) duplicates


def with_copies(log: Sequence[LogRecord], seed: int) -> list[LogRecord]:
    """The log with every fifth record of chunks or facts repeated, soon or long after."""
    rng = random.Random(seed)
    rows = plain(log)
    out = [
        (place, where, append_us, record) for place, (where, append_us, record) in enumerate(rows)
    ]
    for place, (where, _, record) in enumerate(rows):
        if isinstance(record, Tick | DeviceStatus) or rng.random() > 0.2:
            continue
        later = min(len(rows) - 1, place + rng.choice((0, 1, 5, 40, len(rows))))
        out.append((later + 0.5, where, rows[later][1], copied(record, rng)))
    out.sort(key=lambda row: row[0])
    return renumbered(row[1:] for row in out)


def copied(record: object, rng: random.Random) -> object:
    """The record, or only a part of each of its chunks: a gateway that cuts anew."""
    if not isinstance(record, SignalBundle) or rng.random() < 0.5:
        return record
    return SignalBundle(tuple(part(chunk, rng) for chunk in record.chunks))


def part(chunk: Chunk, rng: random.Random) -> Chunk:
    count = len(chunk.data) // 2
    first = rng.randrange(count)
    start_us = chunk.start_us + round(first * 1e6 / chunk.fs_hz)
    return Chunk(
        *(chunk.patient_id, chunk.device_id, chunk.signal, chunk.seq),
        *(chunk.first_sample + first, start_us, chunk.fs_hz, chunk.unit, chunk.scale),
        *(chunk.offset, chunk.codec, chunk.data[2 * first :]),
    )


@FEW
@given(seed=SEEDS)
def test_duplicates_anywhere_change_nothing(case: Case, seed: int) -> None:
    assert bytes_of(run(with_copies(case.log, seed), [50])) == case.said


# (d) order


def shuffled(log: Sequence[LogRecord], seed: int) -> list[LogRecord]:
    """The same chunks in the same places of the log, some of them up to the lateness too late.

    Patients with an outage keep their order: around silence the time of arrival is the finding.
    """
    rng = random.Random(seed)
    rows = plain(log)
    ends = [us for _, us, what in rows if isinstance(what, DeviceStatus) and what.status == "off"]
    end_us = min(ends)
    for where in sorted({row[0] for row in rows}):
        slots = [
            place
            for place, (number, append_us, record) in enumerate(rows)
            if number == where
            and isinstance(record, SignalBundle)
            and append_us < end_us - 10 * S
            and all(chunk.patient_id not in ("lost", "late") for chunk in record.chunks)
        ]
        due_us = [rows[place][1] + rng.choice((0, rng.random())) * LATENESS_US for place in slots]
        content = [rows[place][2] for _, place in sorted(zip(due_us, slots, strict=True))]
        for slot, record in zip(slots, content, strict=True):
            rows[slot] = (where, rows[slot][1], record)
    return renumbered(rows)


@FEW
@given(seed=SEEDS)
def test_order_within_the_lateness_changes_nothing(case: Case, seed: int) -> None:
    assert bytes_of(run(shuffled(case.log, seed), [50])) == case.said


def test_the_shuffle_does_change_the_order() -> None:
    log = synthetic().log
    assert plain(shuffled(log, 1)) != plain(log)


# (e) restart


def restarted(log: Sequence[LogRecord], cuts: Iterable[int], back: int) -> list[Output]:
    """Feed with a new engine after each cut; it begins `back` records too early."""
    states: dict[tuple[int, str], bytes] = {}
    machine, said = engine(), list[Output]()
    for begin, end in pairwise([0, *sorted(cuts), len(log)]):
        said.extend(machine.feed(log[max(0, begin - back) : end]).messages)
        for number in range(PARTITIONS):
            states |= {(number, name): state for name, _, state in machine.snapshots(number)}
        machine = revived(states, log)
    return said


@FEW
@given(data=st.data(), back=st.sampled_from([0, 1, 30]))
def test_restore_at_any_point_changes_nothing(case: Case, data: st.DataObject, back: int) -> None:
    cuts = data.draw(st.lists(st.integers(1, len(case.log) - 1), min_size=1, max_size=4))
    said = restarted(case.log, cuts, back)
    if not back:
        assert said == outputs(case.log)
    assert bytes_of(collected(said)) == case.said


@pytest.mark.slow
def test_restore_after_every_record_changes_nothing() -> None:
    log = synthetic().log
    assert restarted(log, range(1, len(log), 3), 0) == outputs(log)


# (f) no look-ahead


def scrambled(log: Sequence[LogRecord], t_us: int, seed: int) -> list[LogRecord]:
    """The log with everything after `t_us`, in event time and in known time, made different."""
    rng = random.Random(seed)
    rows = []
    for where, append_us, record in plain(log):
        later = record
        if isinstance(record, SignalBundle):
            later = SignalBundle(tuple(noisy(chunk, t_us, rng) for chunk in record.chunks))
        elif append_us > t_us and isinstance(record, ClinicalEvent):
            later = event(record.patient_id, "sbp", rng.randrange(50, 250), "mmHg", 1, 2)[1]
        rows.append((where, append_us, later))
        if append_us > t_us and rng.random() < 0.1 and not isinstance(record, Tick):
            fact = event(patient_of(record), "temp", 41.0, "Cel", 5, 6)[1]
            rows.append((where, append_us, fact))
    return renumbered(rows)


def noisy(chunk: Chunk, t_us: int, rng: random.Random) -> Chunk:
    """A chunk whose samples after `t_us` are noise."""
    count = len(chunk.data) // 2
    kept = sum(chunk.start_us + round(i * 1e6 / chunk.fs_hz) <= t_us for i in range(count))
    noise = rng.randbytes(len(chunk.data) - 2 * kept)
    return Chunk(
        *(chunk.patient_id, chunk.device_id, chunk.signal, chunk.seq, chunk.first_sample),
        *(chunk.start_us, chunk.fs_hz, chunk.unit, chunk.scale, chunk.offset, chunk.codec),
        chunk.data[: 2 * kept] + noise,
    )


def patient_of(record: object) -> str:
    if isinstance(record, SignalBundle):
        return record.chunks[0].patient_id
    return record.patient_id  # type: ignore[attr-defined,no-any-return]


def up_to(results: Results, t_us: int) -> list[object]:
    features = [row for row in results.features if row.known_us <= t_us]
    scores = [score for score in results.scores if score.known_us <= t_us]
    alerts = [alert for alert in results.alerts if alert.recorded_us <= t_us]
    return [*features, *scores, *alerts]


@FEW
@given(at=st.floats(0.1, 0.9), seed=SEEDS)
def test_nothing_after_t_affects_output_up_to_t(case: Case, at: float, seed: int) -> None:
    t_us = START_US + round(at * (case.log[-1].append_us - START_US))
    changed = run(scrambled(case.log, t_us, seed), [50])
    kept = up_to(case.results, t_us)
    assert up_to(changed, t_us) == kept
    assert changed.digests != case.results.digests


# (g) memory


@pytest.mark.slow
def test_state_of_two_hours_is_no_larger_than_that_of_half_an_hour() -> None:
    machine, sizes, step = engine(), [], 1200
    where = partition_of("p", PARTITIONS)
    rows = patient("p", 7200, rate_bpm=70)
    rows += [event("p", "sbp", 100 + k % 30, "mmHg", 60 * k, 60 * k + 5) for k in range(1, 119)]
    log = log_of([rows])
    for begin in range(0, len(log), step):
        machine.feed(log[begin : begin + step])
        (_, _, state) = machine.snapshots(where)[0]
        sizes.append(len(state))
    early, late = sizes[: len(sizes) // 4 + 1], sizes[len(sizes) // 2 :]
    assert max(late) <= 1.1 * max(early)
    assert max(late) < 120_000  # ECG at 125 Hz, breathing at 25 Hz, SpO2


# (l) neighbours


def by_patient(said: Iterable[Output]) -> Iterator[tuple[str, list[Output]]]:
    found: dict[str, list[Output]] = {}
    for output in said:
        found.setdefault(output.key.split("|")[-2] if "|" in output.key else output.key, []).append(
            output
        )
    yield from sorted(found.items())


def test_a_patient_alone_is_told_the_same_as_in_a_ward(case: Case) -> None:
    together = dict(by_patient(outputs(case.log, [64])))
    names = {row.patient_id for row in case.results.features}
    for name in names:
        alone = [only(record, name) for record in case.log]
        assert dict(by_patient(outputs(alone)))[name] == together[name]


def only(record: LogRecord, name: str) -> LogRecord:
    """The record without anything of other patients."""
    kept = record.record
    if isinstance(kept, SignalBundle):
        own = tuple(chunk for chunk in kept.chunks if chunk.patient_id == name)
        kept = SignalBundle(own) if own else None
    elif kept is not None and not isinstance(kept, Tick) and kept.patient_id not in (name, ANYONE):
        kept = None
    return record._replace(record=kept)


def test_a_partition_alone_says_the_same_as_with_the_others(case: Case) -> None:
    together = outputs(case.log, [33])
    for number in range(PARTITIONS):
        alone = outputs([record for record in case.log if record.partition == number])
        assert alone == [output for output in together if output.partition == number]
