"""What the Faust worker does about Faust, without a broker."""

from __future__ import annotations

import asyncio

import pytest
from faust.types import TP

from streams.io.faust_worker import FaustWorker
from streams.io.host_metrics import SilentMetrics
from streams.io.worker_settings import WorkerSettings


def test_the_end_of_a_partition_that_went_to_somebody_else_is_unknown_and_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ends() -> list[int | None]:
        worker = FaustWorker(WorkerSettings("nowhere:1", instance="one"), SilentMetrics())

        def asked(part: TP) -> int | None:
            assert part.partition != 3, "Partition is not assigned"
            return {1: 17}.get(part.partition)

        monkeypatch.setattr(worker._app.consumer, "highwater", asked)
        worker._forgive_lost_partitions()
        return [worker.end_of(number) for number in (1, 2, 3)]

    assert asyncio.run(ends()) == [17, None, None]
