"""Plain Faust: a table with the last six chunks of each patient, NeuroKit2 on every change.

Its windowed tables hand out no aggregate when a window closes, so a user keeps the minute himself.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

import faust
import numpy as np
from live_common import FS_HZ, HOP_S, WINDOW_S, chunks, features, report, samples, spent_s

BOOTSTRAP, TOPIC, GROUP, EXPECTED = (*sys.argv[1:4], int(sys.argv[4]))
app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    value_serializer="raw",
    key_serializer="raw",
    datadir=tempfile.mkdtemp(),
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    topic_partitions=8,
)
source = app.topic(TOPIC)
minute = app.Table("minute", default=list, partitions=8, use_partitioner=True)
done = {"seen": 0, "windows": 0, "began": 0.0}


@app.agent(source)
async def watch(stream: faust.Stream) -> None:
    """Every chunk goes into its windows; a full one is judged."""
    async for event in stream.events():
        if not done["began"]:
            done["began"] = spent_s()
        for chunk in chunks(event.value):
            done["seen"] += 1
            patient, value = str(chunk[0]), samples(chunk).tolist()
            at_s = chunk[5] / 1e6
            current = [*minute[patient], [at_s, value]][-WINDOW_S // HOP_S :]
            minute[patient] = current
            if len(current) == WINDOW_S // HOP_S:
                ecg = np.concatenate([row[1] for row in sorted(current)])
                if len(ecg) == WINDOW_S * FS_HZ:
                    done["windows"] += bool(features(ecg))
        if done["seen"] >= EXPECTED:
            report(int(done["windows"]), done["began"])
            await asyncio.sleep(0)
            os._exit(0)


sys.argv = ["faust", "worker", "--loglevel=ERROR", "--without-web"]
app.main()
