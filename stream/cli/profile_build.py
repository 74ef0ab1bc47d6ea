"""`driftstream profile build`: a reference profile from a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console

from stream import schemas
from stream.adapters.profiles import RolesDocument, read_roles
from stream.adapters.table_segments import segment_column
from stream.adapters.tables import (
    Roles,
    assign_roles,
    read_table,
    values_of,
    variables,
)
from stream.cli.output import say
from stream.cli.profile_warnings import profile_warnings
from stream.core.baseline import with_metrics
from stream.core.errors import InputError
from stream.core.labels import LabelKind
from stream.core.names import check_model, check_version
from stream.core.pane.reference import LabelColumn, build_profile, profile_to_record
from stream.core.records import ModelKey
from stream.core.specs import Profile

__all__ = ["build"]

_Column = Annotated[str | None, typer.Option(help="The column's name; else guessed.")]
_File = Annotated[Path, typer.Argument(help="Parquet, CSV, JSON lines or Arrow.")]
_Model = Annotated[str, typer.Option("--model", "-m", help="The model's name.")]
_Version = Annotated[str, typer.Option("--version", help="The model's version.")]
_RolesFile = Annotated[
    Path | None, typer.Option("--roles", "--config", help="YAML of column roles.")
]
_Positive = Annotated[str | None, typer.Option(help="The positive class; else the greater of two.")]
_Kind = Annotated[
    LabelKind | None, typer.Option(help="What the labels are; else guessed from them.")
]
_SegmentBy = Annotated[
    list[str] | None,
    typer.Option("--segment-by", metavar="COLUMN", help="A column to segment by; repeat."),
]
_Feature = Annotated[list[str] | None, typer.Option("--feature", help="The only features; repeat.")]
_Ignore = Annotated[list[str] | None, typer.Option("--ignore", help="Columns of no role; repeat.")]
_Provenance = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="Kept with it; repeat.")
]
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to write it; - is stdout.")
]


def build(
    file: _File,
    model: _Model,
    version: _Version = "",
    roles: _RolesFile = None,
    prediction_column: _Column = None,
    score_column: _Column = None,
    id_column: _Column = None,
    time_column: _Column = None,
    label_column: _Column = None,
    positive: _Positive = None,
    kind: _Kind = None,
    segment_by: _SegmentBy = None,
    feature: _Feature = None,
    ignore: _Ignore = None,
    provenance: _Provenance = None,
    output: _Output = None,
) -> None:
    """Build a profile from a table of reference rows and write it to a file.

    What each column is taken for is told on stderr; the label, the id and the time are never
    features. Labels add the model's own performance to the profile and, where a classifier
    has scores, what it takes to estimate performance before labels arrive.
    """
    check_model(model)
    check_version(version)
    document = read_roles(roles).given(
        {
            "prediction": prediction_column,
            "score": score_column,
            "id": id_column,
            "time": time_column,
            "label": label_column,
            "kind": kind,
            "positive": positive,
            "segment_by": segment_by,
            "features": feature,
            "ignore": ignore,
            "provenance": _pairs(provenance),
        }
    )
    with Console(stderr=True).status(f"reading {file}"):
        profile = _profile(ModelKey(model, version), file, document)
    _tell_more(profile)
    _write(profile, output)


def _profile(model: ModelKey, file: Path, document: RolesDocument) -> Profile:
    """The profile of the file's rows; tells what its columns were taken for."""
    table = read_table(file)
    roles = assign_roles(table, document.options())
    _tell(roles, table.num_rows)
    columns = variables(table, roles)
    label = _label(table, roles, document.kind, str(document.positive))
    segments = [segment_column(table, roles, name) for name in document.segment_by]
    profile = build_profile(
        model,
        columns,
        bins=document.bins,
        categories=document.categories,
        kinds={_named(name, columns): what for name, what in document.kinds.items()},
        label=label,
        segments={name: values_of(table, column) for name, column in segments},
        created_ms=time.time_ns() // 1_000_000,
        provenance={"file": file.name, **document.provenance},
    )
    return profile if label is None else with_metrics(profile, columns, label.values)


def _label(table: pa.Table, roles: Roles, kind: str, positive: str) -> LabelColumn | None:
    """The labels; InputError where something is said of labels and there are none."""
    if roles.label is not None:
        return LabelColumn(values_of(table, roles.label), kind, positive)
    if kind or positive:
        raise InputError("there is no column of labels; name it with --label-column")
    return None


def _tell(roles: Roles, rows: int) -> None:
    say(f"{rows:,} rows")
    for name in ("prediction", "score", "id", "time", "label"):
        column = getattr(roles, name)
        say(f"  {name:<10} {column if column is not None else '-'}")
    if roles.scores:
        say(f"  scores     {', '.join(f'{k}: {c}' for k, c in sorted(roles.scores.items()))}")
    say(f"  features   {', '.join(roles.features) or '-'}")
    for column, reason in roles.left_out.items():
        say(f"  left out   {column}: {reason}")


def _tell_more(profile: Profile) -> None:
    outcome = profile.outcome
    if outcome is not None:
        classes = ", ".join(outcome.classes)
        if outcome.kind == LabelKind.BINARY:
            classes = f"positive {outcome.classes[1]}, negative {outcome.classes[0]}"
        say(f"  outcome    {outcome.kind}, {outcome.rows:,} labels" + (classes and f": {classes}"))
        if outcome.calibration:
            say(f"  calibrated over {len(outcome.calibration)} bins of scores")
        shown = (f"{name} {value:.4g}" for name, value in outcome.metrics if "." not in name)
        say(f"  its own    {', '.join(shown)}")
        for line in profile_warnings(profile):
            say(f"warning: {line}")
    for column, values in profile.segments:
        say(f"  segments   {column}: {', '.join(values)}")


def _named(name: str, columns: dict[str, Any]) -> str:
    """The variable that a role file's kind is for, by its name or a feature's own name."""
    for candidate in (f"features.{name}", name):
        if candidate in columns:
            return candidate
    raise InputError(f"kinds names {name!r}, which is no variable; there are {', '.join(columns)}")


def _pairs(texts: Sequence[str] | None) -> dict[str, str]:
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--provenance {text}: write KEY=VALUE, such as git=1a2b3c")
        pairs[key] = value
    return pairs


def _write(profile: Profile, output: Path | None) -> None:
    value = schemas.encode_json("reference_profile", profile_to_record(profile))
    if output == Path("-"):
        print(value.decode())
        return
    safe = "".join(c if c.isalnum() or c in "-_.@" else "_" for c in str(profile.model))
    path = output or Path(f"{safe}.profile.json")
    try:
        path.write_bytes(value + b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    say(f"{profile.model}: profile {profile.hash} is in {path}")
