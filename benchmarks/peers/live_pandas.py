"""A consumer with pandas: a rolling minute per patient, NeuroKit2 every ten seconds."""

from __future__ import annotations

import asyncio
import sys

import pandas as pd
from aiokafka import AIOKafkaConsumer
from live_common import FS_HZ, HOP_S, WINDOW_S, chunks, features, report, samples, spent_s


async def main(bootstrap: str, topic: str, group: str, expected: int) -> None:
    """Read until every chunk was seen."""
    held: dict[str, pd.Series] = {}
    seen = windows = 0
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        session_timeout_ms=120_000,  # a batch of windows keeps it from beating
    )
    await consumer.start()
    began_s = spent_s()
    try:
        while seen < expected:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=16)).values():
                for record in records:
                    for chunk in chunks(record.value):
                        seen += 1
                        patient, start_us = str(chunk[0]), chunk[5]
                        value = samples(chunk)
                        at = pd.to_datetime(start_us, unit="us") + pd.to_timedelta(
                            pd.RangeIndex(len(value)) / FS_HZ, unit="s"
                        )
                        series = pd.concat([held.get(patient), pd.Series(value, index=at)])
                        held[patient] = series.iloc[-WINDOW_S * FS_HZ :]
                        if len(held[patient]) == WINDOW_S * FS_HZ and len(value) == HOP_S * FS_HZ:
                            windows += bool(features(held[patient].to_numpy()))
    finally:
        report(windows, began_s)
        await consumer.stop()


asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
