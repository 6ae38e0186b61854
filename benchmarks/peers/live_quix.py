"""Quix Streams: a hopping window of a minute over each patient's chunks, NeuroKit2 at its end."""

from __future__ import annotations

import sys
import tempfile

import numpy as np
from live_common import HOP_S, WINDOW_S, chunks, features, report, samples, spent_s
from quixstreams import Application
from quixstreams.dataframe.windows import Collect


def main(bootstrap: str, topic: str, group: str, expected: int) -> None:
    """Read until every chunk was seen."""
    done = {"seen": 0, "windows": 0}
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        loglevel="ERROR",
        auto_create_topics=True,
    )
    source = app.topic(
        topic,
        key_deserializer="str",
        value_deserializer="bytes",
        timestamp_extractor=lambda value, headers, timestamp, kind: timestamp,
    )

    def each(value: bytes) -> list[dict[str, object]]:
        found = chunks(value)
        done["seen"] += len(found)
        return [{"patient": c[0], "t": c[5], "ecg": samples(c).tolist()} for c in found]

    frame = app.dataframe(source)
    frame = frame.apply(each, expand=True)
    frame = frame.group_by("patient")
    frame = frame.set_timestamp(lambda value, key, timestamp, headers: value["t"] // 1000)
    frame = frame.hopping_window(WINDOW_S * 1000, HOP_S * 1000).agg(rows=Collect()).final()

    def judge(window: dict[str, object]) -> dict[str, float]:
        rows = sorted(window["rows"], key=lambda row: row["t"])
        found = features(np.concatenate([row["ecg"] for row in rows])) if len(rows) > 5 else {}
        done["windows"] += bool(found)
        return found

    frame.apply(judge)
    began_s = spent_s()
    app.run(count=0, timeout=25.0)
    report(done["windows"], began_s)


main(*sys.argv[1:4], int(sys.argv[4]))
