"""Endurance: one worker at a steady load for hours; is memory flat, is every alert there?

    deploy/services run -- python -m benchmarks.soak [--patients 150] [--hours 1] [--runner direct]

Waveforms of simulated patients in real time, and one electrode a minute that falls off and is put
back half a minute later, so the number of alerts is known. Fails when resident memory after the
warm-up grows by more than 2 %, when an alert is missing or invented, or when the worker falls
behind. Up to two hours the whole log is replayed too, and every alert compared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
from psutil import Process

from alerts.alert import AlertEvent
from benchmarks._common import heading
from benchmarks._ward import Ward, cpu_s
from streams.codec import encode
from streams.errors import BrokerError
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.records import DeviceStatus

LOOSE = 60  # patients whose electrode falls off, one a minute, so each once an hour
EVERY_S, BACK_S = 60.0, 30.0
LOOK_S = 10.0
SPAN_S = 300.0  # medians over so long are compared
MOST_DRIFT = 0.02
MOST_LAG = 400  # records: a few seconds
REPLAY_HOURS = 2.0


class Look(NamedTuple):
    """One look at the worker."""

    at_s: float  # since the load began
    rss: int
    cpu_s: float
    lag: int


class Electrodes:
    """Electrodes that fall off and are put back, until told to stop; how often each."""

    def __init__(self, ward: Ward) -> None:
        self.sent: Counter[str] = Counter()
        self._ward = ward
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._go_on()), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Put the last one back and stop."""
        self._stop.set()
        self._thread.join(EVERY_S)

    async def _go_on(self) -> None:
        async with LogWriter(self._ward.bootstrap) as writer:
            for number in range(LOOSE):  # known from the start: memory is not theirs later
                await self._say(writer, number, "worn")
            number = 0
            while not self._stop.is_set():
                await asyncio.to_thread(self._stop.wait, EVERY_S - BACK_S)
                if self._stop.is_set():
                    break
                await self._say(writer, number % LOOSE, "lead_off")
                await asyncio.to_thread(self._stop.wait, BACK_S)
                await self._say(writer, number % LOOSE, "worn")
                number += 1

    async def _say(self, writer: LogWriter, number: int, word: str) -> None:
        patient, now_us = f"loose-{number:02d}", time.time_ns() // 1000
        status = DeviceStatus(patient, "d", "ecg", word, None, "", 0, now_us)
        where = partition_of(patient, self._ward.partitions)
        row = Message(self._ward.topic("in"), where, now_us, patient.encode(), encode(status))
        await writer.send_all([row])
        self.sent[word] += 1


def watch(ward: Ward, until_s: float, began_s: float, tell_s: float) -> list[Look]:
    """Look at the worker every ten seconds."""
    pid, looks, told_s = ward.workers["one"].pid, list[Look](), 0.0
    while (now_s := time.monotonic() - began_s) < until_s:
        if ward.workers["one"].poll() is not None:
            raise SystemExit("the worker ended; see its log")
        try:
            looks.append(Look(now_s, Process(pid).memory_info().rss, cpu_s(pid), ward.lag()))
        except BrokerError:
            continue
        if now_s - told_s >= tell_s:
            told_s, last = now_s, looks[-1]
            used = last.cpu_s / max(last.at_s, 1.0)
            print(
                f"{now_s / 60:6.1f} min: {last.rss / 2**20:7.1f} MiB, {100 * used:4.1f} % of a "
                f"core, {last.lag} records wait; load average {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        time.sleep(LOOK_S)
    return looks


def judged(looks: list[Look], warm_s: float) -> tuple[bool, list[str]]:
    """Memory, CPU and lag after the warm-up, in words, and whether they are flat."""
    after = [look for look in looks if look.at_s >= warm_s]
    last_s = after[-1].at_s
    first = median(look.rss for look in after if look.at_s < warm_s + SPAN_S)
    end = median(look.rss for look in after if look.at_s > last_s - SPAN_S)
    drift = end / first - 1
    used = (after[-1].cpu_s - after[0].cpu_s) / (last_s - after[0].at_s)
    waits = sorted(look.lag for look in after)
    worst = waits[int(0.99 * (len(waits) - 1))]
    lines = [
        f"memory {first / 2**20:.1f} MiB after {warm_s / 60:.0f} min, {end / 2**20:.1f} MiB at the "
        f"end: {100 * drift:+.2f} % (at most {100 * MOST_DRIFT:.0f})",
        f"CPU {100 * used:.1f} % of a core; records that wait: median {waits[len(waits) // 2]}, "
        f"p99 {worst} (at most {MOST_LAG})",
    ]
    return drift <= MOST_DRIFT and worst <= MOST_LAG, lines


def counted(ward: Ward, sent: Counter[str]) -> tuple[bool, str]:
    """Whether each electrode that fell off raised one alert, and each put back ended it."""
    rows = asyncio.run(read_topic(ward.bootstrap, ward.topic("alerts")))
    decoder = msgspec.json.Decoder(AlertEvent)
    steps = {(e.occurrence_id, e.seq): e for e in (decoder.decode(row.value) for row in rows)}
    own = Counter(e.phase.value for e in steps.values() if e.subject.startswith("loose-"))
    others = Counter(e.phase.value for e in steps.values() if not e.subject.startswith("loose-"))
    off = sent["lead_off"]
    words = (
        f"{off} electrodes off and on: {dict(own)}; other patients: {dict(others)}; "
        f"{len(rows) - len(steps)} sent again"
    )
    return own["raised"] == off and own["cleared"] == off, words


def main() -> int:
    """Run, tell, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--runner", choices=("faust", "direct"), default="faust")
    parser.add_argument("--warm-minutes", type=float, default=15.0)
    parser.add_argument("--tell-minutes", type=float, default=5.0)
    options = parser.parse_args()
    seconds, warm_s = round(3600 * options.hours), 60 * options.warm_minutes
    if seconds < warm_s + 2 * SPAN_S:
        parser.error("hours must hold the warm-up and ten minutes more")
    title = f"Soak: {options.patients} patients, {options.hours:g} h, {options.runner} worker"
    print(heading(title), flush=True)
    with tempfile.TemporaryDirectory(prefix="vigil-soak-") as folder:
        settings = {"worker": {"runner": options.runner}}
        ward = Ward(os.environ["VIGIL_KAFKA"], Path(folder), settings=settings)
        try:
            ward.start("one")
            ward.wait_until_ready("one")
            load, electrodes = ward.play(options.patients, seconds), Electrodes(ward)
            looks = watch(ward, seconds, time.monotonic(), 60 * options.tell_minutes)
            electrodes.end()
            load.wait(120)
            ward.drain()
            flat, lines = judged(looks, warm_s)
            all_there, words = counted(ward, electrodes.sent)
            print("\n".join([*lines, words]), flush=True)
            if options.hours <= REPLAY_HOURS:
                same, words = ward.verdict()
                all_there &= same
                print(f"the log replayed: {words}: {'SAME' if same else 'DIFFERENT'}")
        finally:
            ward.close()
    good = flat and all_there
    print("soak: " + ("passed" if good else "FAILED"), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
