"""Tables in files, and what their columns are taken for."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from stream.adapters.table_segments import segment_column
from stream.adapters.tables import RoleOptions, assign_roles, read_table, variables
from stream.core.errors import InputError

TABLE = pa.table({"x": [1.5, None], "c": ["a", None], "prediction": [1, 0]})


def test_a_header_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("a,na\u00efve\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="names of columns are no UTF-8"):
        read_table(path)


def _ipc_stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)


WRITERS: dict[str, Callable[[Path], object]] = {
    "t.parquet": lambda path: pyarrow.parquet.write_table(TABLE, path),
    "t.csv": lambda path: path.write_text("x,c,prediction\n1.5,a,1\n,,0\n"),
    "t.csv.gz": lambda path: path.write_bytes(gzip.compress(b"x,c,prediction\n1.5,a,1\n,,0\n")),
    "t.tsv": lambda path: path.write_text("x\tc\tprediction\n1.5\ta\t1\nnull\tNA\t0\n"),
    "t.jsonl": lambda path: path.write_text(
        '{"x":1.5,"c":"a","prediction":1}\n{"x":null,"prediction":0}\n'
    ),
    "t.jsonl.gz": lambda path: path.write_bytes(
        gzip.compress(b'{"x":1.5,"c":"a","prediction":1}\n{"prediction":0}\n')
    ),
    "t.feather": lambda path: pyarrow.feather.write_feather(TABLE, path),
    "t.arrow": _ipc_stream,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_reads_the_same(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    table = read_table(tmp_path / name)
    columns = variables(table, assign_roles(table))
    assert list(columns) == ["features.x", "features.c", "prediction"]
    x = np.asarray(columns["features.x"])
    assert x[0] == 1.5
    assert math.isnan(x[1])
    assert columns["features.c"] == ["a", None]
    assert np.asarray(columns["prediction"]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.parquet", b"nonsense", "is no .parquet table"),
        ("t.csv", b"a,b\n1\n", "is no .csv table"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv", b"a,a\n1,2\n", "names a column twice"),
        ("t.arrow", b"nonsense", "is no .arrow table"),
        ("t.jsonl", b"{", "is no .jsonl table"),
        ("t.csv.gz", b"nonsense", "cannot be read"),
        ("t.xlsx", b"x", "the ending '.xlsx' is not known"),
        ("t", b"x", "the ending '' is not known"),
    ],
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected):
        read_table(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")


def table_of(*names: str, **columns: Any) -> pa.Table:
    return pa.table({**{name: [0.5, 1.5] for name in names}, **columns})


@pytest.mark.parametrize(
    ("names", "role", "column"),
    [
        (("age", "y_pred"), "prediction", "y_pred"),
        (("Predicted-Label", "age"), "prediction", "Predicted-Label"),
        (("y_pred_proba", "y_pred"), "score", "y_pred_proba"),
        (("predicted_probability",), "score", "predicted_probability"),
        (("id", "prediction_id"), "id", "prediction_id"),
        (("timestamp",), "time", "timestamp"),
        (("work_home_actual",), "label", "work_home_actual"),
        (("y_true",), "label", "y_true"),
    ],
)
def test_roles_are_guessed_by_name(names: tuple[str, ...], role: str, column: str) -> None:
    roles = assign_roles(table_of(*names))
    assert getattr(roles, role) == column
    assert column not in roles.features


def test_class_scores_are_guessed() -> None:
    roles = assign_roles(table_of("score.yes", "score.no", "age"))
    assert roles.scores == {"yes": "score.yes", "no": "score.no"}
    assert list(roles.features) == ["age"]
    roles = assign_roles(table_of("y_pred_proba_upmarket", "y_pred_proba_highstreet", "age"))
    assert set(roles.scores) == {"upmarket", "highstreet"}
    assert list(roles.features) == ["age"]
    assert list(assign_roles(table_of("score_home", "age")).features) == ["score_home", "age"]


def test_columns_named_as_in_our_batches_are_the_only_features() -> None:
    roles = assign_roles(table_of("features.age", "features.id", "score", "other"))
    assert roles.features == {"age": "features.age", "id": "features.id"}
    assert roles.left_out == {"other": "not among the features"}
    assert roles.id is None


def test_options_come_first() -> None:
    table = table_of("a", "b", "c", "prediction", "score", "id")
    roles = assign_roles(
        table,
        RoleOptions(prediction="a", score="b", label="id", ignore=["c"], features=["prediction"]),
    )
    assert (roles.prediction, roles.score, roles.label, roles.id) == ("a", "b", "id", None)
    assert list(roles.features) == ["prediction"]
    assert roles.left_out["c"] == "ignored, as asked"
    assert roles.left_out["score"] == "not among the features"


def test_an_option_that_names_no_column_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="no column 'x', 'y'; it has a, b"):
        assign_roles(table_of("a", "b"), RoleOptions(label="x", ignore=["y"]))


def test_what_cannot_be_a_feature_is_left_out_with_the_reason() -> None:
    table = table_of(
        "age",
        when=pa.array([0, 1], pa.timestamp("ms")),
        many=[[1], [2]],
        __index_level_0__=[0, 1],
    )
    roles = assign_roles(table)
    assert list(roles.features) == ["age"]
    assert set(roles.left_out) == {"when", "many", "__index_level_0__"}


def test_values_of_every_type_that_a_feature_has() -> None:
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int8()),
            "f": pa.array([1.5, None], pa.float32()),
            "d": pa.array([Decimal("1.25"), None]),
            "b": [True, None],
            "s": pa.array(["a", None], pa.large_string()),
            "k": pa.array(["a", None]).dictionary_encode(),
            "n": pa.nulls(2),
        }
    )
    columns = variables(table, assign_roles(table))
    for name, value in (("i", 1.0), ("f", 1.5), ("d", 1.25)):
        values = np.asarray(columns[f"features.{name}"])
        assert values.dtype == np.float64
        assert values[0] == value
        assert math.isnan(values[1])
    assert columns["features.b"] == [True, None]
    assert columns["features.s"] == columns["features.k"] == ["a", None]
    assert columns["features.n"] == [None, None]


def test_tags_are_no_features_and_segment_columns_are_called_as_monitors_call_them() -> None:
    table = table_of("age", "tags.country", "plan", "features")
    roles = assign_roles(table, RoleOptions(ignore=["plan"]))
    assert list(roles.features) == ["age", "features"]
    assert roles.left_out["tags.country"] == "a tag"
    assert segment_column(table, roles, "age") == ("age", "age")
    for name in ("country", "tags.country"):
        assert segment_column(table, roles, name) == ("tags.country", "tags.country")
    assert segment_column(table, roles, "plan") == ("tags.plan", "plan")
    with pytest.raises(InputError, match="no column 'city' to segment by"):
        segment_column(table, roles, "city")
    table = table_of("features.age", "features.plan")
    roles = assign_roles(table)
    for name in ("age", "features.age"):
        assert segment_column(table, roles, name) == ("age", "features.age")
