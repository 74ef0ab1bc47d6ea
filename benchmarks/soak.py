"""`make soak`: a worker's memory stays flat and it keeps up, for as long as one likes to look.

    python -m benchmarks.soak [--minutes 30] [--rate 300] [--workers 2] [--report FILE]

Workers run as processes; the SDK's loggers send predictions of four models, in JSON and Arrow,
and their labels 30 s later, one in twenty twice, at a steady rate. One model has no profile and
is warmed up, one gets a new version every five minutes; some rows are late, some no rows at all.
Panes are 5 s, windows a minute and labels are waited for two minutes, so that everything that is
kept is also forgotten within the run.

The first third is the warm-up. After it two things must hold, or the exit status is 1:
memory: the resident memory of each worker, as a straight line fitted to the samples
(Theil-Sen), grows by at most 5 % of its median in the time that was measured;
lag: of each topic the median of the last third is at most twice the median of the
second third, plus five seconds' rows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.soak_report import Sample, report
from benchmarks.soak_traffic import Traffic, publish
from stream.adapters.kafka.local import LocalKafka
from stream.adapters.kafka.topics import ensure_topics
from stream.topics import TOPICS, changelog

_SOURCES = ("features", "predictions", "labels")
_WORKER = ("-c", "from stream.cli.entry import main; main()", "worker")
_EVERY_SECONDS = 5.0
_SETTINGS = {
    "PANE": "5s",
    "OUT_OF_ORDERNESS": "5s",
    "IDLE_AFTER": "10s",
    "EARLY_LABEL_HORIZON": "1m",
    "LABEL_PATIENCE": "1m",
}
_FIRST_PORT = 18_400


def main() -> int:
    """Runs the soak, prints and writes its report; 1 where it isn't flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=300, help="predictions a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report", type=Path, default=Path("soak-report.md"))
    options = parser.parse_args()
    with ExitStack() as stack:
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if not servers:
            servers = stack.enter_context(LocalKafka()).bootstrap_servers
        prefix = f"soak-{uuid.uuid4().hex[:6]}."
        changelogs = [changelog("observe", _SOURCES), changelog("detect", ("partials",))]
        ensure_topics(
            {"bootstrap.servers": servers},
            prefix,
            source_partitions=6,
            topics=[*TOPICS, *changelogs],
        )
        publish(servers, prefix)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        workers = [_start(servers, prefix, n, folder) for n in range(options.workers)]
        for worker in workers:
            stack.callback(_end, worker)
        samples = _sample(options.minutes * 60, options.rate, (servers, prefix), workers, folder)
        text, flat = report(samples, options.rate, options.minutes)
        for log in sorted(folder.iterdir()):
            text += f"\n{log.name}: {len(log.read_text('utf-8', 'replace').splitlines())} lines\n"
    options.report.write_text(text, "utf-8")
    print(text)
    return 0 if flat else 1


def _start(servers: str, prefix: str, number: int, folder: Path) -> subprocess.Popen[bytes]:
    own = {f"DRIFTSTREAM_{name}": value for name, value in _SETTINGS.items()}
    own |= {"DRIFTSTREAM_TOPIC_PREFIX": prefix, "KAFKA_BOOTSTRAP_SERVERS": servers}
    own |= {"DRIFTSTREAM_HTTP_PORT": str(_FIRST_PORT + number)}
    with (folder / f"worker-{number}.log").open("wb") as out:
        return subprocess.Popen(
            [sys.executable, *_WORKER], env={**os.environ, **own}, stdout=out, stderr=out
        )


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(30)
    except subprocess.TimeoutExpired:
        worker.kill()


def _sample(
    seconds: float,
    rate: int,
    where: tuple[str, str],
    workers: list[subprocess.Popen[bytes]],
    folder: Path,
) -> list[Sample]:
    """Looks at the workers every few seconds while rows are sent."""
    stop = threading.Event()
    samples: list[Sample] = []
    with Traffic(*where, rate) as traffic:
        started = time.monotonic()
        while (now := time.monotonic() - started) < seconds:
            for number, worker in enumerate(workers):
                if worker.poll() is not None:
                    said = (folder / f"worker-{number}.log").read_text("utf-8", "replace")
                    raise SystemExit(f"worker {number} ended ({worker.returncode}): {said[-2000:]}")
                found = Sample.of(now, number, worker.pid, _FIRST_PORT + number)
                if found is not None:
                    samples.append(found)
            if samples and int(now) % 60 < _EVERY_SECONDS:
                most = median(sample.rss_mb for sample in samples[-len(workers) :])
                print(f"{now:6.0f} s: {most:.0f} MB, {traffic.sent} sent", flush=True)
            stop.wait(_EVERY_SECONDS)
    return samples


if __name__ == "__main__":
    raise SystemExit(main())
