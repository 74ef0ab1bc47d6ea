"""`driftstream produce`: sends a table's rows as a model's predictions, or as labels."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.options import JsonFlag, new_app, with_settings
from stream.core.errors import ConfigError
from stream.core.names import check_model
from stream.settings import Settings

__all__ = ["app"]

app = new_app()


class RowFormat(StrEnum):
    """How rows are written."""

    JSON = "json"
    AVRO = "avro"
    ARROW = "arrow"


_Text = str | None
_File = Annotated[
    Path | None, typer.Argument(help="Predictions: Parquet, CSV, JSON lines or Arrow; .gz too.")
]
_Labels = Annotated[Path | None, typer.Option("--labels", help="Send this table's labels instead.")]
_Model = Annotated[
    _Text, typer.Option("--model", "-m", help="Whose predictions or labels they are.")
]
_ModelColumn = Annotated[_Text, typer.Option("--model-column", help="Each label's model.")]
_Version = Annotated[str, typer.Option("--version", help="The model's version.")]
_Format = Annotated[RowFormat, typer.Option("--format", help="How rows are written.")]
_Id = Annotated[_Text, typer.Option("--id-column", help="Prediction ids; else guessed, or new.")]
_Time = Annotated[
    _Text, typer.Option("--time-column", help="Event times: timestamps, or integers (ms UTC).")
]
_Rate = Annotated[
    float | None, typer.Option("--rate", min=0.1, help="Rows a second; event times are now then.")
]
_Prediction = Annotated[_Text, typer.Option("--prediction-column", help="Else guessed.")]
_Score = Annotated[_Text, typer.Option("--score-column", help="Else guessed.")]
_Label = Annotated[
    _Text,
    typer.Option("--label-column", "--labels-column", help="Labels; with FILE: send them, too."),
]
_Delay = Annotated[
    str, typer.Option("--label-delay", help="With FILE: how long after its prediction one comes.")
]
_Retract = Annotated[
    bool, typer.Option("--retract", help="A missing label takes back the one sent before.")
]
_Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", help="A column to leave out; repeatable.")
]
_Limit = Annotated[int | None, typer.Option("--max", min=1, help="At most so many rows.")]


@app.command()
@with_settings
def produce(
    settings: Settings,
    file: _File = None,
    *,
    labels: _Labels = None,
    model: _Model = None,
    model_column: _ModelColumn = None,
    version: _Version = "",
    row_format: _Format = RowFormat.JSON,
    id_column: _Id = None,
    time_column: _Time = None,
    rate: _Rate = None,
    prediction_column: _Prediction = None,
    score_column: _Score = None,
    label_column: _Label = None,
    label_delay: _Delay = "0s",
    retract: _Retract = False,
    ignore: _Ignore = None,
    limit: _Limit = None,
    json: JsonFlag = False,
) -> None:
    """Send a table's rows as predictions, or with --labels as labels, in the order of the file.

    A column that is neither id, time, prediction, score nor label is a feature. Times come from
    --time-column, else (without --rate) from a column that is named like one, else they are now.
    """
    # Long by its options; what is sent, and how, is said in `sending` and `sending_labels`.
    if (file is None) == (labels is None):
        raise ConfigError("give either FILE, a table of predictions, or --labels FILE")
    if model is not None:
        check_model(model)
    if labels is not None:
        others = (prediction_column, score_column, ignore, version, label_delay != "0s")
        if any(others):
            raise ConfigError("--labels goes with id, label, time and model columns only")
        from stream.cli.sending_labels import LabelColumns, SendingLabels, send_labels

        columns = LabelColumns(id_column, label_column, time_column, model_column)
        how = SendingLabels(model, row_format.value, rate, limit, retract)
        send_labels(settings, labels, columns, how, as_json=json)
        return
    if file is None or model is None:
        raise ConfigError("--model is missing: whose predictions are they?")
    if model_column is not None or retract:
        raise ConfigError("--model-column and --retract go with --labels only")
    from stream.adapters.tables import RoleOptions
    from stream.cli.sending import Sending, send_table

    roles = RoleOptions(
        prediction=prediction_column,
        score=score_column,
        id=id_column,
        time=time_column,
        label=label_column,
        ignore=tuple(ignore or ()),
    )
    sends_labels = label_column is not None
    sending = Sending(model, version, row_format.value, rate, label_delay, sends_labels, limit)
    send_table(settings, file, roles, sending, as_json=json)
