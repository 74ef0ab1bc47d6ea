"""The same workload under two prefixes and different workers, over a real Kafka: one digest."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest

from stream.cli.application import run
from tests.conftest import Kafka
from tests.deployment import Deployment
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(300)

Deploy = Callable[..., Deployment]
Cli = Callable[..., tuple[int, list[Any], str]]
ROWS, HOURS = 6_000, 3
_SECONDS = 200.0
_PATIENT = {"session_timeout": "10s", "transaction_timeout": "10s"}  # on a busy machine


@pytest.fixture
def cli(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command with --json on a prefix: its exit code, what it printed, what it said."""

    def call(prefix: str, *arguments: str) -> tuple[int, list[Any], str]:
        shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", prefix, "--json"]
        code = run([*arguments, *shared])
        told = capsys.readouterr()
        return code, [orjson.loads(line) for line in told.out.splitlines()], told.err

    return call


@pytest.fixture
def deploy(kafka: Kafka, tmp_path: Path) -> Iterator[Deploy]:
    """Deployments of one minute's panes, as the workload wants them."""
    made: list[Deployment] = []

    def build(prefix: str, needed: dict[str, str], **settings: object) -> Deployment:
        wanted = {key.removeprefix("DRIFTSTREAM_").lower(): told for key, told in needed.items()}
        own = {**wanted, **_PATIENT, **settings}
        made.append(Deployment(kafka.bootstrap_servers, prefix, tmp_path, **own))
        return made[-1]

    yield build
    for deployment in made:
        deployment.kill()


def _worked_off(deployment: Deployment, last: list[dict[str, Any]]) -> bool:
    """Whether the last window of each model and kind stands on the topic."""
    found = {
        (w["model"], w["version"], w["kind"], w["end_ms"])
        for w in deployment.windows()
        if not w["segment"]
    }
    return all((w["model"], w["version"], w["kind"], w["end_ms"]) in found for w in last)


def test_one_digest_whatever_the_workers(cli: Cli, deploy: Deploy, unique: str) -> None:
    running: list[tuple[Deployment, dict[str, Any]]] = []
    for name, workers, slices in (("one.", 1, 10_000), ("three.", 3, 50)):
        arguments = ("--seed", "11", "--rows", str(ROWS), "--hours", str(HOURS))
        code, (told,), said = cli(unique + name, "dev", "workload", *arguments)
        assert code == 0, said
        deployment = deploy(
            unique + name, told["worker"], slice_records=slices, commit_interval="300ms"
        )
        for _ in range(workers):
            deployment.start()
        running.append((deployment, told))
    assert running[0][1]["sha256"] == running[1][1]["sha256"]
    first, told = running[1]
    first.wait("some windows", lambda: bool(first.windows()))
    first.workers[0].send_signal(signal.SIGKILL)
    first.workers[0].wait(10)
    found = []
    for deployment, told in running:

        def over(deployment: Deployment = deployment, last: Any = told["last_windows"]) -> bool:
            return _worked_off(deployment, last)

        deployment.wait("the end", over, _SECONDS)
        deployment.stop()
        code, lines, said = cli(deployment.prefix, "digest", "--list")
        assert code == 0, said
        found.append(lines)
    assert found[0] == found[1]
    _assert_worth_comparing(found[0], running[0][0])
    _assert_nothing_is_no_digest(cli, running[0][0])
    _assert_doubles_are_told(cli, running[0][0])


def _assert_worth_comparing(lines: list[dict[str, Any]], deployment: Deployment) -> None:
    """Windows of both kinds and of segments, incidents that opened, changed and were resolved."""
    total = lines[-1]
    assert total["model"] is None
    assert [line["model"] for line in lines if "digest" in line] == [
        "churn",
        "credit",
        "fraud",
        "price",
        "sparse",
        None,
    ]
    listed = [line for line in lines if "what" in line]
    assert len(listed) == total["windows"] + total["incidents"] + total["moved_windows"]
    assert not total["moved_windows"]  # all was there before the workers were: nobody was excused
    windows = [line["of"] for line in listed if line["what"] == "window"]
    kinds = Counter((window["kind"], bool(window["segment"])) for window in windows)
    assert min(kinds[each] for each in product(("data", "performance"), (True, False))) > 100
    states = Counter(orjson.loads(each.value or b"")["state"] for each in deployment.read("alerts"))
    assert min(states[state] for state in ("opened", "updated", "resolved")) >= 5
    assert total["incidents"] == states["opened"] >= 12


def _assert_nothing_is_no_digest(cli: Cli, deployment: Deployment) -> None:
    """A typo in a name must not make two runs look equal."""
    code, _, said = cli(deployment.prefix, "digest", "--model", "credti")
    assert (code, "model 'credti' has no windows" in said) == (1, True)
    code, _, said = cli(deployment.prefix, "digest", "--from", "2026-12-08", "--to", "2026-12-01")
    assert code != 0 and "--from is not before --to" in said


def _assert_doubles_are_told(cli: Cli, deployment: Deployment) -> None:
    """A window that is written a second time leaves no digest."""
    window = deployment.read("windows")[-1]
    deployment.produce("windows", [Record(window.value, window.key)])
    code, lines, said = cli(deployment.prefix, "digest")
    assert (code, lines) == (1, [])
    assert "found twice: window " in said
    assert "the same bytes" in said
    model = orjson.loads(window.value or b"")["model"]
    other = "fraud" if model != "fraud" else "credit"
    assert cli(deployment.prefix, "digest", "--model", other)[0] == 0


def test_a_workload_wants_topics_of_its_own_and_a_time_that_is_past(cli: Cli, unique: str) -> None:
    arguments = ("dev", "workload", "--seed", "1", "--rows", "100", "--hours", "1")
    code, _, said = cli(unique, *arguments, "--start", "2999-01-01T00:00Z")
    assert (code, "must be in the past" in said) == (2, True)
    idle = ("--partitions", "4", "--partitions-idle", "0", "--partitions-idle", "2")
    code, (told,), _ = cli(unique, *arguments, *idle)
    assert (code, told["idle"], told["partitions"]) == (0, [0, 2], 4)
    code, _, said = cli(unique, *arguments, *idle)
    assert (code, "choose another --topic-prefix" in said) == (1, True)
