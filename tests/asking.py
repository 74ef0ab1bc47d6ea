"""A process that asks what groups have committed, whatever the brokers do, until it is killed."""

from __future__ import annotations

import sys
from itertools import cycle

from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.offsets import committed_by
from stream.core.errors import BrokerError

if __name__ == "__main__":
    connection = Connection(sys.argv[1], "asking", {})
    for number in cycle(range(50)):  # groups of many coordinators
        try:
            committed_by(connection, f"group-{number}", [("ends", 0)], 1.0)
        except BrokerError:
            continue
