"""The commands that talk to Kafka, on a real one."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from stream import schemas
from stream.cli.application import run
from stream.cli.delivery import event_times
from stream.core.errors import InputError
from tests.conftest import Command, Kafka
from tests.kafka_io import Record, create_topic, produce_all, read_all


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    columns = {
        "id": [f"row-{number}" for number in range(1000)],
        "when": [1_700_000_000_000 + number * 1000 for number in range(1000)],
        "age": [20 + number % 50 for number in range(1000)],
        "state": ["CA" if number % 3 else None for number in range(1000)],
        "prediction": [number % 2 for number in range(1000)],
        "score": [number / 1000 for number in range(1000)],
        "outcome": [None if number % 10 == 0 else number % 2 for number in range(1000)],
    }
    pyarrow.csv.write_csv(pa.table(columns), path)
    return path


def test_topics_are_created_once_and_listed(command: Command, unique: str) -> None:
    created = command("topics", "create", "--partitions", "3")[0]
    assert f"{unique}predictions" in created["created"]
    assert created["partitions"]["predictions"] == 3
    assert command("topics", "create")[0]["created"] == []
    listed = {topic["topic"]: topic for topic in command("topics", "list")}
    assert listed[f"{unique}labels"]["partitions"] == 3
    assert listed[f"{unique}monitors"]["config"]["cleanup.policy"] == "compact"


@pytest.mark.parametrize("row_format", ["json", "avro", "arrow"])
def test_a_table_is_produced(
    command: Command, kafka: Kafka, unique: str, table: Path, row_format: str
) -> None:
    command("topics", "create", "--partitions", "2")
    given = ("--time-column", "when", "--ignore", "outcome", "--format", row_format)
    sent = command("produce", str(table), "--model", "m", "--version", "7", *given)
    assert (sent[0]["rows"], sent[0]["labels"]) == (1000, 0)
    records = read_all(kafka.bootstrap_servers, f"{unique}predictions")
    if row_format == "arrow":
        tables = [pa.ipc.open_stream(record.value).read_all() for record in records]
        assert sum(each.num_rows for each in tables) == 1000
        return
    rows = {}
    for record in records:
        value = record.value or b""
        row = (
            schemas.decode_json("prediction", value)
            if row_format == "json"
            else schemas.decode_avro("prediction", value)
        )
        rows[row["prediction_id"]] = row
    assert len(rows) == 1000
    row = rows["row-30"]
    assert (row["model"], row["version"], row["event_time_ms"]) == ("m", "7", 1_700_000_030_000)
    assert (row["features"]["age"], row["features"]["state"]) == (50, None)
    assert (row["prediction"], row["score"]) == (0, 0.03)


def test_labels_follow_their_predictions(
    command: Command, kafka: Kafka, unique: str, table: Path
) -> None:
    command("topics", "create", "--partitions", "2")
    given = ("--time-column", "when", "--labels-column", "outcome", "--label-delay", "10m")
    sent = command("produce", str(table), "--model", "m", *given)
    assert (sent[0]["rows"], sent[0]["labels"]) == (1000, 900)
    records = read_all(kafka.bootstrap_servers, f"{unique}labels")
    labels = [schemas.decode_json("label", record.value or b"") for record in records]
    times = {label["prediction_id"]: label["event_time_ms"] for label in labels}
    assert len(times) == 900
    assert times["row-31"] == 1_700_000_031_000 + 600_000


def test_a_rate_is_kept_to(command: Command, table: Path) -> None:
    command("topics", "create", "--partitions", "1")
    given = ("--rate", "500", "--max", "500", "--ignore", "when")
    sent = command("produce", str(table), "--model", "m", *given)
    assert sent[0]["rows"] == 500
    assert 0.9 < sent[0]["seconds"] < 10


def test_producing_to_a_topic_that_is_missing_says_so(
    kafka: Kafka, unique: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", unique]
    assert run(["produce", str(table), "--model", "m", *shared]) == 1
    assert "driftstream topics create" in capsys.readouterr().err


def test_windows_are_tailed_and_chosen_by_model(
    command: Command, kafka: Kafka, unique: str
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}windows", 2)
    windows = [
        {"model": model, "version": "", "start_ms": 0, "end_ms": 1000, "rows": rows}
        for rows, model in enumerate(["a", "b", "a", "b", "a"])
    ]
    values = [orjson.dumps(window) for window in windows]
    records = [Record(value, key=b"k") for value in (b"no json", *values)]
    produce_all(kafka.bootstrap_servers, f"{unique}windows", records)
    tail = ("windows", "tail", "--from-beginning", "--timeout", "20")
    assert [w["rows"] for w in command(*tail, "--max", "5")] == [0, 1, 2, 3, 4]
    assert [w["rows"] for w in command(*tail, "--max", "2", "--model", "b")] == [1, 3]
    assert command("windows", "tail", "--timeout", "1") == []


def test_windows_are_chosen_by_kind_and_segment(
    command: Command, kafka: Kafka, unique: str
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}windows", 1)
    windows = [
        {"model": "m", "rows": 0},
        {"model": "m", "kind": "data", "segment": "a", "rows": 1},
        {"model": "m", "kind": "performance", "segment": "", "rows": 2},
        {"model": "m", "kind": "performance", "segment": "a", "rows": 3},
        {"model": "m", "kind": "data", "rows": 4},
    ]
    whole = {"version": "", "start_ms": 0, "end_ms": 1000}
    records = [Record(orjson.dumps(whole | window), key=b"m@") for window in windows]
    produce_all(kafka.bootstrap_servers, f"{unique}windows", records)
    tail = ("windows", "tail", "--from-beginning", "--timeout", "20", "--max", "2")
    assert [w["rows"] for w in command(*tail, "--kind", "performance")] == [2, 3]
    assert [w["rows"] for w in command(*tail, "--kind", "data", "--segment", "")] == [0, 4]
    assert [w["rows"] for w in command(*tail, "--segment", "a")] == [1, 3]


def test_nothing_of_a_record_moves_the_terminal_or_forges_a_line(
    command: Command, kafka: Kafka, unique: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}windows", 1)
    hostile = {
        "model": "m\x1b[31m\nforged",
        "segment": "\x7f\x9b2J",
        "version": "",
        "start_ms": 0,
        "end_ms": 1000,
        "rows": 1,
        "scored": True,
        "drifted": ["\x1b]0;pwned\x07"],
    }
    written = json.dumps(hostile, indent=1, ensure_ascii=False).encode()
    records = [Record(value, key=b"k") for value in (b'{"model":"m"}', written)]
    produce_all(kafka.bootstrap_servers, f"{unique}windows", records)
    address = ("-b", kafka.bootstrap_servers, "--topic-prefix", unique)
    tail = ["windows", "tail", "--from-beginning", "--timeout", "20", "--max", "1"]
    assert run([*tail, *address]) == 0
    shown = capsys.readouterr()
    [line] = shown.out.splitlines()
    assert "m\\x1b[31m\\nforged" in line
    assert "\\x1b]0;pwned\\x07" in line
    assert "no window was left out" in shown.err
    assert run([*tail, "--json", *address]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert orjson.loads(line) == hostile


def test_dead_letters_are_listed(command: Command, kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}dead-letters", 1)
    letters = [
        {
            "topic": "predictions",
            "partition": 1,
            "offset": offset,
            "timestamp_ms": 5,
            "key": b"k",
            "value": value,
            "truncated": False,
            "headers": [],
            "reason": reason,
            "detail": "d",
            "rows": [],
            "agent": "observe",
            "rejected_at_ms": 6,
        }
        for offset, (reason, value) in enumerate([("malformed", b"\xff"), ("bad_id", b"{}")])
    ]
    values = [schemas.encode_avro("dead_letter", letter) for letter in letters]
    records = [Record(value) for value in values]
    produce_all(kafka.bootstrap_servers, f"{unique}dead-letters", records)
    listed = command("dead-letters", "list")
    assert [letter["reason"] for letter in listed] == ["malformed", "bad_id"]
    assert (listed[0]["value"], listed[1]["value"]) == ({"base64": "/w=="}, "{}")
    assert [x["offset"] for x in command("dead-letters", "list", "--reason", "bad_id")] == [1]


def test_alerts_are_tailed(command: Command, kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}alerts", 1)
    produce_all(kafka.bootstrap_servers, f"{unique}alerts", [Record(b"no event")])
    assert command("alerts", "tail", "--from-beginning", "--timeout", "1") == []


def test_state_is_reset(
    command: Command, kafka: Kafka, unique: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    create_topic(kafka.bootstrap_servers, f"{unique}observe-changelog", 2)
    reset = ("state", "reset", "observe", "--yes", "--set", "sources=predictions")
    shared = ("-b", kafka.bootstrap_servers, "--topic-prefix", unique)
    # A partition that was made just now may have no leader yet: a broker error, to try again.
    while run([*reset, *shared]) == 3:
        assert "driftstream: " in capsys.readouterr().err
    capsys.readouterr()
    goes_on = command(*reset)
    assert [(p["topic"], p["partition"], p["position"]) for p in goes_on] == [
        ("predictions", 0, 0),
        ("predictions", 1, 0),
    ]
    assert run([*reset, *shared, "--to", "earliest"]) == 0
    assert "windows that stand are written twice" in capsys.readouterr().err


def test_times_of_any_usual_kind_are_milliseconds() -> None:
    table = pa.table(
        {
            "stamp": pa.array([1_700_000_000_000_000], pa.timestamp("us")),
            "text": ["2023-11-14T22:13:20"],
            "ms": [1_700_000_000_000],
            "seconds": [1_700_000_000],
            "missing": pa.array([None], pa.timestamp("ms")),
            "word": ["yesterday"],
            "number": [1.5],
        }
    )
    for name in ("stamp", "text", "ms"):
        assert event_times(table, name).tolist() == [1_700_000_000_000]
    for name, said in (
        ("seconds", "seconds"),
        ("missing", "no time"),
        ("word", "ISO"),
        ("number", "double"),
    ):
        with pytest.raises(InputError, match=said):
            event_times(table, name)
