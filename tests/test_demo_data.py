"""What the demo plays: its own example, and tables of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from stream.cli.demo.example import ExampleTraffic
from stream.cli.demo.late_labels import LateLabels
from stream.cli.demo.table import TableTraffic
from stream.core.errors import InputError


def test_the_example_is_the_same_each_time() -> None:
    one, two = ExampleTraffic(), ExampleTraffic()
    first, second = one.take(100, 0.5), two.take(100, 0.5)
    assert first is not None
    assert second is not None
    for name, column in first.chunk.columns().items():
        assert column.tolist() == pytest.approx(second.chunk.columns()[name].tolist(), nan_ok=True)
    assert first.labels == second.labels


def test_the_examples_model_is_calibrated_until_the_change_and_worse_after() -> None:
    traffic = ExampleTraffic()
    right = {}
    for moved in (0.0, 0.7):
        rows = traffic.take(40_000, moved)
        assert rows is not None
        truth = np.array(rows.labels) == "approve"
        score = np.asarray(rows.chunk.score)
        right[moved] = float(np.mean(truth == (score >= 0.5)))
        expected = float(np.mean(np.maximum(score, 1 - score)))
        assert (abs(right[moved] - expected) < 0.01) == (moved == 0.0)
    assert right[0.0] > 0.75
    assert right[0.7] < right[0.0] - 0.1


def _write(path: Path, **columns: object) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def test_a_table_gives_its_rows_in_order(tmp_path: Path) -> None:
    data = _write(tmp_path / "shop.data.parquet", x=range(5), y=["a"] * 5, only_here=[1] * 5)
    reference = _write(tmp_path / "reference.parquet", x=range(9), y=["b"] * 9)
    table = TableTraffic(data, reference)
    assert (table.model.model, table.total, len(table.reference)) == ("shop", 5, 9)
    assert table.left_out == ["features.only_here"]
    taken = [table.take(2, 0.0) for _ in range(4)]
    assert [None if c is None else list(c.chunk.features["x"]) for c in taken] == [
        [0, 1],
        [2, 3],
        [4],
        None,
    ]


def test_a_table_gives_its_labels_where_the_reference_has_some_too(tmp_path: Path) -> None:
    data = _write(tmp_path / "data.parquet", x=[1, 2, 3], label=[0, None, 1])
    reference = _write(tmp_path / "reference.parquet", x=[1, 2], label=[1, 0])
    without = _write(tmp_path / "without.parquet", x=[1, 2])
    table = TableTraffic(data, reference)
    assert table.reference.labels == [1, 0]
    first, second = table.take(2, 0.0), table.take(2, 0.0)
    assert first is not None
    assert second is not None
    assert (first.labels, second.labels) == ([0, None], [1])
    for pair in ((data, without), (without, reference)):
        table = TableTraffic(*pair)
        rows = table.take(2, 0.0)
        assert rows is not None
        assert (rows.labels, table.reference.labels) == (None, None)


class _Logged:
    """What a LabelLogger was given."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, object]] = []

    def log_columns(self, ids: list[str], labels: list[object]) -> None:
        self.rows += zip(ids, labels, strict=True)


def test_labels_come_late_and_in_the_order_they_are_due() -> None:
    logged = _Logged()
    late = LateLabels(logged, 3.0, 8.0)  # type: ignore[arg-type]  # what is used of a logger
    late.hold([f"{n}" for n in range(100)], [None if n == 7 else n for n in range(100)], 10.0)
    late.send_due(12.9)
    assert logged.rows == []
    late.send_due(15.0)
    assert 10 < late.sent == len(logged.rows) < 90
    late.send_due(18.0)
    assert sorted(value for _, value in logged.rows) == [n for n in range(100) if n != 7]  # type: ignore[type-var]  # integers
    assert len(late) == 0


def test_tables_without_a_common_column_are_refused(tmp_path: Path) -> None:
    data = _write(tmp_path / "a.parquet", x=[1])
    reference = _write(tmp_path / "b.parquet", y=[1])
    with pytest.raises(InputError, match="no column in common"):
        TableTraffic(data, reference)
