"""A broadcast topic that may not be read for a while: what stood on the others isn't lost."""

from __future__ import annotations

import pytest
from confluent_kafka import Message

from stream.adapters.kafka.broadcast import BroadcastReader
from stream.cli.reading import connection
from stream.core.errors import AccessError
from tests.kafka_io import Record, produce_all
from tests.secured_kafka import Right
from tests.secured_site import Site, until

pytestmark = pytest.mark.timeout(200)


def test_monitors_read_while_profiles_may_not_be_read_are_not_lost(site: Site) -> None:
    topics = {f"{site.prefix}{name}": 1 for name in ("monitors", "profiles")}
    monitors, profiles = topics
    read = Right("topic", profiles, "read")
    user = site.user("Worker", without=[read])
    produce_all(site.kafka.inside, monitors, [Record(b"a", b"1")])
    produce_all(site.kafka.inside, profiles, [Record(b"p", b"3")])
    ours = connection(site.settings(user), "broadcasts")
    reader = BroadcastReader(ours, ours.admin(), topics)
    found: list[Message] = []

    def reads() -> bool:
        try:
            found.extend(reader.news())
        except AccessError:
            return False
        return True

    assert not any(reads() for _ in range(3))
    produce_all(site.kafka.inside, monitors, [Record(b"b", b"2")])
    assert not reads()
    site.kafka.grant(user, [read])
    assert until(reads)
    reader.close()
    told = [(message.topic(), message.value()) for message in found]
    assert sorted(told) == [(monitors, b"a"), (monitors, b"b"), (profiles, b"p")]
