"""`driftstream produce`: sends a table's rows as a model's predictions, and their labels."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.options import JsonFlag, new_app, with_settings
from stream.settings import Settings

__all__ = ["app"]

app = new_app()


class RowFormat(StrEnum):
    """How rows are written."""

    JSON = "json"
    AVRO = "avro"
    ARROW = "arrow"


@app.command()
@with_settings
def produce(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="Parquet, CSV, JSON lines or Arrow; .gz too.")],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="Whose predictions they are.")],
    version: Annotated[str, typer.Option("--version", help="The model's version.")] = "",
    row_format: Annotated[RowFormat, typer.Option("--format", help="How rows are written.")] = (
        RowFormat.JSON
    ),
    id_column: Annotated[
        str | None, typer.Option("--id-column", help="Prediction ids; else guessed, or new UUIDs.")
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option("--time-column", help="Event times: timestamps, or integers (ms UTC)."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.1, help="Rows a second; event times are now then."),
    ] = None,
    prediction_column: Annotated[
        str | None, typer.Option("--prediction-column", help="Else guessed.")
    ] = None,
    score_column: Annotated[
        str | None, typer.Option("--score-column", help="Else guessed.")
    ] = None,
    labels_column: Annotated[
        str | None, typer.Option("--labels-column", help="Send these as labels, too.")
    ] = None,
    label_delay: Annotated[
        str, typer.Option("--label-delay", help="How long after its prediction a label comes.")
    ] = "0s",
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="A column to leave out; repeatable.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--max", min=1, help="At most so many rows.")] = None,
    json: JsonFlag = False,
) -> None:
    """Send a table's rows as predictions, in the order of the file.

    A column that is neither id, time, prediction, score nor label is a feature. Times come from
    --time-column, else (without --rate) from a column that is named like one, else they are now.
    """
    # Long because each option is declared here; the work is in `sending`.
    from stream.adapters.tables import RoleOptions
    from stream.cli.sending import Sending, send_table

    send_table(
        settings,
        file,
        RoleOptions(
            prediction=prediction_column,
            score=score_column,
            id=id_column,
            time=time_column,
            label=labels_column,
            ignore=tuple(ignore or ()),
        ),
        Sending(
            model=model,
            version=version,
            row_format=row_format.value,
            rate=rate,
            label_delay=label_delay,
            labels=labels_column is not None,
            limit=limit,
        ),
        as_json=json,
    )
