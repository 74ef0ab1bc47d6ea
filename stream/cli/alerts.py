"""`driftstream alerts`: incidents as they open, change and resolve."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, print_json, print_line
from stream.cli.reading import FromBeginning, Max, Timeout, check_topic, patience
from stream.client import Alert, AlertSubscriber
from stream.core.errors import BrokerError
from stream.core.specs import Severity
from stream.settings import Settings

__all__ = ["app"]

app = new_app("Incidents: opened, updated, resolved.")


@app.callback()
def _group() -> None:
    """Keeps `tail` a subcommand while it is the only one."""


@app.command()
@with_settings
def tail(
    settings: Settings,
    *,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model's; repeatable.")
    ] = None,
    severity: Annotated[
        Severity, typer.Option("--severity", help="At least this loud.")
    ] = Severity.INFO,
    from_beginning: FromBeginning = False,
    limit: Max = None,
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """Print alerts as they come, one a line."""
    check_topic(settings, "alerts", patience(timeout), "READ")
    kafka = settings.client_config()
    deadline = None if timeout is None else time.monotonic() + timeout
    with AlertSubscriber(
        bootstrap_servers=kafka.pop("bootstrap.servers"),
        topic_prefix=settings.topic_prefix,
        from_beginning=from_beginning,
        models=model or None,
        severity=severity,
        kafka=kafka,
    ) as subscriber:
        if not subscriber.connect(patience(timeout)):
            raise BrokerError(
                "the alerts topic does not answer: is Kafka up, does the topic exist?"
            )
        shown = 0
        while shown != limit:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            alert = subscriber.poll(left)
            if alert is None:
                return
            _show(alert, as_json=json)
            shown += 1


def _show(alert: Alert, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": alert.id, "type": alert.type, "source": alert.source, **alert.data})
        return
    when = instant(alert.at_ms)
    print_line(f"{when}  {alert.severity.value:8}  {alert.state:8}  {alert.summary}")
