"""Tables of labels, produced by the command to a real Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from stream import schemas
from stream.cli.application import run
from tests.conftest import Command, Kafka
from tests.kafka_io import read_all


def _labels_of(kafka: Kafka, topic: str, row_format: str) -> dict[str, dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for record in read_all(kafka.bootstrap_servers, topic):
        value = record.value or b""
        if row_format == "arrow":
            read = pa.ipc.open_stream(value).read_all()
            shared = {k.decode(): v.decode() for k, v in (read.schema.metadata or {}).items()}
            rows += [{**shared, **row} for row in read.to_pylist()]
        elif row_format == "avro":
            rows.append(schemas.decode_avro("label", value))
        else:
            rows.append(schemas.decode_json("label", value))
    return {row["prediction_id"]: row for row in rows}


@pytest.mark.parametrize(
    ("row_format", "ending"), [("json", "csv"), ("avro", "jsonl"), ("arrow", "parquet")]
)
def test_a_table_of_labels_is_produced(
    command: Command, kafka: Kafka, unique: str, tmp_path: Path, row_format: str, ending: str
) -> None:
    command("topics", "create", "--partitions", "2")
    rows = [
        {
            "request": f"row-{number}",
            "known_at": 1_700_000_000_000 + number * 1000,
            "repaid": None if number % 10 == 0 else "yes" if number % 2 else "no",
            "whose": "m" if number % 3 else None,
        }
        for number in range(100)
    ]
    path = tmp_path / f"outcomes.{ending}"
    table = pa.Table.from_pylist(rows)
    if ending == "csv":
        pyarrow.csv.write_csv(table, path)
    elif ending == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    given = ("--id-column", "request", "--label-column", "repaid", "--time-column", "known_at")
    whose = ("--model-column", "whose", "--format", row_format)
    [sent] = command("produce", "--labels", str(path), *given, *whose)
    assert (sent["labels"], sent["left_out"]) == (90, 10)
    labels = _labels_of(kafka, f"{unique}labels", row_format)
    for row in rows:
        if row["repaid"] is None:
            assert row["request"] not in labels
            continue
        label = labels[str(row["request"])]
        assert label["label"] == row["repaid"]
        assert label["event_time_ms"] == row["known_at"]
        assert label.get("model") == row["whose"]
    [again] = command("produce", "--labels", str(path), *given, *whose, "--retract")
    assert (again["labels"], again["left_out"]) == (100, 0)
    assert _labels_of(kafka, f"{unique}labels", row_format)["row-0"]["label"] is None


def test_labels_without_ids_are_refused(
    command: Command, kafka: Kafka, unique: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("topics", "create", "--partitions", "1")
    path = tmp_path / "labels.csv"
    path.write_text("id,label\na,1\n,0\n")
    shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", unique]
    assert run(["produce", "--labels", str(path), *shared]) == 1
    assert "column 'id': 1 rows have no id" in capsys.readouterr().err
    path.write_text("key,outcome\na,1\n")
    assert run(["produce", "--labels", str(path), *shared]) == 1
    assert "say which column it is with --id-column; there are key, outcome" in (
        capsys.readouterr().err
    )
    path.write_text("id,label\na,1\nb,0\n")
    [sent] = command("produce", "--labels", str(path), "--model", "m", "--rate", "100")
    assert sent["labels"] == 2
    labels = _labels_of(kafka, f"{unique}labels", "json")
    assert (labels["a"]["label"], labels["a"]["model"]) == (1, "m")
