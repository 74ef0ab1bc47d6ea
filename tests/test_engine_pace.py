"""A hundred sources: commits take their time, so that they come less often, by themselves."""

from __future__ import annotations

import pytest

from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Noting, Running, counting, until

_INTERVAL_MS = 20


def _one_more(deployment: Deployment, noted: Noting) -> None:
    told = noted.commits
    deployment.produce(200)
    until(lambda: noted.commits > told, 60)


@pytest.mark.timeout(240)
def test_the_interval_follows_what_commits_over_100_partitions_take(
    kafka: Kafka, unique: str
) -> None:
    deployment = Deployment(
        kafka.bootstrap_servers, unique, inputs=("numbers", "letters"), partitions=50
    ).create()
    deployment.produce(1_000)
    agent = Counting(deployment.inputs)
    settings = deployment.settings(commit_interval_ms=_INTERVAL_MS)
    with Running(agent, settings) as running:
        noted = running.noted
        until(lambda: counting(agent) == 1_000 and noted.commits, 90)
        first = noted.commits
        while noted.commits < first + 6:
            _one_more(deployment, running.noted)
    longest = settings.transaction_timeout_ms / 2000
    assert 2 * _INTERVAL_MS / 1000 < noted.interval <= longest
    # Ten times what commits took of late: that begins at 0, and has seen seven by now.
    assert min(9 * min(noted.seconds), longest) <= noted.interval <= 10 * max(noted.seconds)
    assert deployment.counted() == deployment.sent
