"""The settings of a deployment: read once, checked whole, frozen, printable without secrets.

Each setting is looked for in this order; the first that has it wins:

    1. options of the command            --topic-prefix staging.   --set pane=10s
    2. the environment                   DRIFTSTREAM_TOPIC_PREFIX=staging.
                                         DRIFTSTREAM_KAFKA_SASL_PASSWORD=… (any librdkafka property)
                                         KAFKA_BOOTSTRAP_SERVERS
    3. a TOML file                       topic_prefix = "staging."     [kafka] "sasl.password" = "…"

A name with `_file` at its end (`DRIFTSTREAM_KAFKA_SASL_PASSWORD_FILE`) names a file that holds the
value, as Docker and Kubernetes mount secrets.
"""

from __future__ import annotations

from stream.settings.loading import load_settings
from stream.settings.model import KafkaProperties, Settings, parse_duration

__all__ = ["KafkaProperties", "Settings", "load_settings", "parse_duration"]
