"""The model check, long form: random logs, random kills, real host and engine, Kafka in memory.

    python -m benchmarks.bench_model_check [--first 0] [--logs 400] [--control] [--keep FILE]

A line per log goes to FILE; the last line says how many logs and kills there were, and how many
runs said something else than the run without a crash. `--control` commits what was merely read:
there every log should differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks._common import heading
from tests.model_check.crashes import Rules, Verdict, check
from tests.model_check.logs import random_log
from tests.service.engine_kit import engine


def main() -> int:
    """Print the verdict; 1 when a run differs (for the control: when fewer than half do)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--logs", type=int, default=400)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rules = Rules(commit_what_was_read=options.control)
    lines = [heading("model check in memory")]
    verdicts: list[Verdict] = []
    began_s = time.process_time()
    for seed in range(options.first, options.first + options.logs):
        log = random_log(seed)
        verdicts.append(check(log, seed, engine, rules))
        lines.append(line(seed, len(log), verdicts[-1]))
        if options.keep:
            options.keep.write_text("\n".join(lines) + "\n", encoding="utf-8")
    differ = sum(not verdict.same for verdict in verdicts)
    lines.append(
        f"{len(verdicts)} logs, {sum(v.kills for v in verdicts)} kills, "
        f"{sum(v.zombies for v in verdicts)} zombies, {differ} differ; "
        f"{time.process_time() - began_s:.0f} s of CPU"
    )
    if options.keep:
        options.keep.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(lines[0], lines[-1], sep="\n")
    return int(differ < len(verdicts) / 2) if options.control else int(differ > 0)


def line(seed: int, records: int, verdict: Verdict) -> str:
    """One log's verdict."""
    word = "same" if verdict.same else "DIFFERS"
    return (
        f"{seed:5d} {records:4d} records {verdict.kills:3d} kills {verdict.zombies:3d} zombies "
        f"{verdict.repeated:5d} repeated {verdict.lost:4d} lost {verdict.extra:4d} extra {word}"
    )


if __name__ == "__main__":
    sys.exit(main())
