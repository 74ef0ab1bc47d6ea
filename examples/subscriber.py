"""Prints alerts as they come, or runs a command for each: `--run ./page.sh`.

The command gets the alert's data as JSON on its standard input. With `--group` an alert whose
command failed comes again when the subscriber is started again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from stream.client import Alert, AlertSubscriber


def show(alert: Alert) -> None:
    """Prints the alert in a line, and the variables behind it."""
    at = datetime.fromtimestamp(alert.at_ms / 1_000, tz=UTC).isoformat(timespec="seconds")
    name = f"{alert.model}@{alert.version}" if alert.version else alert.model
    print(f"{at} {alert.severity.upper():8} {alert.state:8} {name}: {alert.summary}")
    for item in alert.evidence[:5]:
        print(f"    {item.name}: {item.score} {item.value} (threshold {item.threshold})")


def run_command(command: Sequence[str], alert: Alert) -> None:
    """Runs the command with the alert on its standard input; raises where it fails."""
    subprocess.run(command, input=json.dumps(dict(alert.data)), text=True, check=True)


def main() -> None:
    """Reads options, then alerts until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", help="default: KAFKA_BOOTSTRAP_SERVERS")
    parser.add_argument("--group", help="share the alerts with others of this group")
    parser.add_argument("--from-beginning", action="store_true")
    parser.add_argument("--model", action="append", help="only this model; may be repeated")
    parser.add_argument("--severity", default="info", choices=["info", "warning", "critical"])
    parser.add_argument("--run", type=shlex.split, help="a command to run for each alert")
    parser.add_argument("--timeout", type=float, help="end after so many quiet seconds")
    options = parser.parse_args()
    with AlertSubscriber(
        bootstrap_servers=options.bootstrap_servers,
        group=options.group,
        from_beginning=options.from_beginning,
        models=options.model,
        severity=options.severity,
    ) as subscriber:
        subscriber.stop_on_signals()
        for alert in subscriber.alerts(timeout=options.timeout):
            show(alert)
            if options.run:
                run_command(options.run, alert)


if __name__ == "__main__":
    main()
