"""Tables of rows in files, and which of their columns mean what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet

from stream.core.errors import InputError
from stream.core.records import Scalar
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = [
    "TAG_PREFIX",
    "RoleOptions",
    "Roles",
    "assign_roles",
    "read_table",
    "scalars",
    "values_of",
    "variables",
]

TAG_PREFIX = "tags."

_PREDICTIONS = ("prediction", "y_pred", "predicted", "pred", "predicted_label", "y_hat", "yhat")
_SCORES = (
    "score",
    "y_pred_proba",
    "predicted_probability",
    "prediction_probability",
    "probability",
    "proba",
    "prediction_score",
    "y_score",
)
_IDS = ("prediction_id", "id", "request_id", "row_id", "uuid")
_TIMES = ("event_time_ms", "event_time", "timestamp", "time", "datetime", "ts")
_LABELS = ("label", "target", "y_true", "ground_truth", "actual")
_LABEL_ENDINGS = ("_label", "_actual", "_target", "_ground_truth")
_CLASS_SCORE = re.compile(r"(?:y_pred_proba|probability|proba|score)_(.+)", re.IGNORECASE)
_INDEX = re.compile(r"|__index_level_\d+__|Unnamed: \d+")


@dataclass(frozen=True, slots=True)
class RoleOptions:
    """What a user said of a table's columns; None and empty leave it to the guesses.

    `features`, where given, are the only features. `ignore` are columns of no role.
    """

    prediction: str | None = None
    score: str | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    time: str | None = None
    label: str | None = None
    features: Sequence[str] = ()
    ignore: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """Which columns of a table mean what; `scores` and `features` map variables' own names.

    `scores` maps a class to its column, `features` a feature's name to its column. `left_out`
    holds columns of no role, each with the reason.
    """

    prediction: str | None
    score: str | None
    scores: Mapping[str, str]
    id: str | None
    time: str | None
    label: str | None
    features: Mapping[str, str]
    left_out: Mapping[str, str]


def read_table(path: Path) -> pa.Table:
    """The file's rows as an Arrow table.

    By the name's ending: Parquet (.parquet, .pq), CSV (.csv, .tsv), JSON lines (.jsonl, .ndjson,
    .json), Arrow IPC (.arrow, .feather, .ipc); CSV and JSON lines also with .gz, .bz2, .zst.
    Empty cells of a CSV, and the usual spellings of null, are missing. Raises InputError where
    the file can't be read so, or has no rows.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in {".gz", ".bz2", ".zst"}:
        endings.pop()
    ending = endings[-1] if endings else ""
    names: list[str] = []
    try:
        table = _read(path, ending)
        names = [] if table is None else table.column_names
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: names of columns are no UTF-8: save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{path}: is no {ending} table: {error}") from error
    if table is None:
        raise InputError(
            f"{path}: the ending {ending!r} is not known; use .parquet, .csv, .tsv, .jsonl, "
            f".arrow or .feather"
        )
    if not table.num_rows:
        raise InputError(f"{path}: holds no rows")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: names a column twice; rename one")
    return table


def _read(path: Path, ending: str) -> Any:
    if ending in {".parquet", ".pq"}:
        return pyarrow.parquet.read_table(path)
    if ending in {".csv", ".tsv"}:
        return pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t" if ending == ".tsv" else ","),
            convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True),
        )
    if ending in {".jsonl", ".ndjson", ".json"}:
        with pa.input_stream(str(path), compression="detect") as lines:
            return pyarrow.json.read_json(lines)
    if ending in {".arrow", ".feather", ".ipc"}:
        return _read_arrow(path)
    return None


def _read_arrow(path: Path) -> Any:
    """Arrow's file format (Feather), else its stream format."""
    try:
        return pyarrow.feather.read_table(path)
    except pa.ArrowInvalid:
        with pa.OSFile(str(path)) as source:
            return pa.ipc.open_stream(source).read_all()


def assign_roles(table: pa.Table, options: RoleOptions | None = None) -> Roles:
    """What each column is: as the options say, else by its name (docs/profiles.md lists them).

    A column that nothing else claims is a feature, where it holds numbers, booleans or texts.
    Where columns are named `features.<name>`, as in our Arrow batches, only they are features.
    Raises InputError, naming the columns there are, for an option that names none.
    """
    options = options or RoleOptions()
    names: list[str] = list(table.column_names)
    _refuse_unknown(names, options)
    free = [name for name in names if name not in options.ignore and name not in options.features]

    def claim(chosen: str | None, guesses: Sequence[str]) -> str | None:
        by_plain_name = {_plain(name): name for name in reversed(free)}
        found = chosen or next((by_plain_name[g] for g in guesses if g in by_plain_name), None)
        if found in free:
            free.remove(found)
        return found

    for chosen in (*options.scores.values(), options.score, options.time, options.label):
        if chosen in free and chosen != options.prediction:
            free.remove(chosen)
    prediction = claim(options.prediction, _PREDICTIONS)
    score = options.score or (None if options.scores else claim(None, _SCORES))
    identity = claim(options.id, _IDS)
    time = options.time or claim(None, _TIMES)
    label = options.label or claim(None, _LABELS) or _by_ending(free, _LABEL_ENDINGS)
    scores = dict(options.scores) or ({} if score else _class_scores(free))
    taken = {prediction, score, identity, time, label, *scores.values()}
    features, left_out = _features(table, options, taken)
    return Roles(prediction, score, scores, identity, time, label, features, left_out)


def _refuse_unknown(names: list[str], options: RoleOptions) -> None:
    single = (options.prediction, options.score, options.id, options.time, options.label)
    named = {*single, *options.scores.values(), *options.features, *options.ignore} - {None}
    unknown = sorted(str(name) for name in named if name not in names)
    if unknown:
        raise InputError(
            f"the table has no column {', '.join(map(repr, unknown))}; it has {', '.join(names)}"
        )


def _plain(name: str) -> str:
    return re.sub(r"[\s.\-]+", "_", name).lower()


def _by_ending(names: Sequence[str], endings: tuple[str, ...]) -> str | None:
    return next((name for name in names if _plain(name).endswith(endings)), None)


def _class_scores(names: Sequence[str]) -> dict[str, str]:
    """Columns of one class's score each: `score.<class>`, `y_pred_proba_<class>` and the like."""
    named = {
        name.removeprefix(SCORE_PREFIX): name for name in names if name.startswith(SCORE_PREFIX)
    }
    if named:
        return named
    found = {m[1]: name for name in names if (m := _CLASS_SCORE.fullmatch(name))}
    return found if len(found) > 1 else {}


def _features(
    table: pa.Table, options: RoleOptions, taken: set[str | None]
) -> tuple[dict[str, str], dict[str, str]]:
    only = [name for name in table.column_names if name.startswith(FEATURE_PREFIX)]
    chosen = list(options.features) or only
    features: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if name in options.ignore:
            left_out[name] = "ignored, as asked"
        elif name in taken:
            continue
        elif chosen and name not in chosen:
            left_out[name] = "not among the features"
        elif name.startswith(TAG_PREFIX):
            left_out[name] = "a tag"
        elif _INDEX.fullmatch(name):
            left_out[name] = "an index"
        elif not _is_scalar(kind):
            left_out[name] = f"of type {kind}, which no feature has"
        else:
            features[name.removeprefix(FEATURE_PREFIX)] = name
    return features, left_out


def _is_scalar(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        _is_number(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def _is_number(kind: Any) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def variables(
    table: pa.Table, roles: Roles
) -> dict[str, npt.NDArray[np.generic] | Sequence[Scalar]]:
    """The table's variables by name (`features.age`, `prediction`, `score.yes`), for a profile.

    Numbers are float64 arrays with NaN for null; booleans and texts are lists with None.
    """
    columns = {FEATURE_PREFIX + name: column for name, column in roles.features.items()}
    columns |= {SCORE_PREFIX + name: column for name, column in roles.scores.items()}
    columns |= {
        name: column
        for name, column in (("prediction", roles.prediction), ("score", roles.score))
        if column is not None
    }
    return {name: values_of(table, column) for name, column in columns.items()}


def values_of(table: pa.Table, column: str) -> npt.NDArray[np.generic] | Sequence[Scalar]:
    """A column's numbers as float64, NaN for null; anything else as plain scalars. InputError."""
    values = table.column(column)
    if _is_number(values.type):
        numbers: npt.NDArray[np.generic] = values.cast(pa.float64(), safe=False).to_numpy()
        return numbers
    return scalars(values, column)


def scalars(values: pa.ChunkedArray, column: str) -> list[Scalar]:
    """The column's values as plain scalars, None where null; InputError for any other type."""
    if not _is_scalar(values.type):
        raise InputError(
            f"column {column!r} is of type {values.type}; numbers, booleans and texts can be used"
        )
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64(), safe=False)
    plain: list[Scalar] = values.to_pylist()
    return plain
