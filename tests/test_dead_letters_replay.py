"""Rejected records sent again over a real Kafka: what was asked for, repaired or not, and once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from stream.cli.application import run
from tests.conftest import Command, Kafka
from tests.dead_letters import Letters
from tests.kafka_io import Read, Record, produce_all

pytestmark = pytest.mark.timeout(150)

Run = Callable[..., int]
Export = Callable[..., list[dict[str, Any]]]
_COMMAND = [sys.executable, "-c", "from stream.cli.entry import main; main()", "dead-letters"]


@pytest.fixture
def letters(kafka: Kafka, unique: str) -> Letters:
    return Letters(kafka, unique)


@pytest.fixture
def replay(kafka: Kafka, unique: str) -> Run:
    """Runs `dead-letters replay` with what is given; returns the exit code."""

    def call(*arguments: str) -> int:
        shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", unique]
        return run(["dead-letters", "replay", *arguments, *shared])

    return call


@pytest.fixture
def export(kafka: Kafka, unique: str, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs `dead-letters export`; returns its lines."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", unique]
        assert run(["dead-letters", "export", *arguments, *shared]) == 0
        return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def _sent(reads: list[Read]) -> Counter[bytes | None]:
    return Counter(read.value for read in reads)


def test_what_is_asked_for_is_sent_as_it_was_and_says_that_it_was(
    letters: Letters, command: Command, replay: Run
) -> None:
    kind = {"name": "content-type", "value": b"application/json"}
    letters.put(
        [
            {"headers": [kind, {"name": "h", "value": b"\xff"}]},
            {"reason": "bad_id"},
            {"key": None, "partition": 2, "value": b"\xff\x00"},
            {"topic": "labels", "value": None, "reason": "empty"},
            {"topic": "features", "rejected_at_ms": 9_000},
        ]
    )
    asked = ("--reason", "malformed", "--reason", "empty", "--to", "9000")
    shown = command("dead-letters", "replay", *asked, "--dry-run")
    assert sorted(line["topic"] for line in shown) == ["labels", "predictions", "predictions"]
    assert letters.read("predictions") == [] and len(letters.read("dead-letters")) == 5
    (done,) = command("dead-letters", "replay", *asked)
    assert done == {"sent": {"predictions": 2, "labels": 1}, "before": 0, "left_out": 0}
    first, second = sorted(letters.read("predictions"), key=lambda read: read.key or b"")
    assert (first.key, first.value, first.partition) == (None, b"\xff\x00", 2)
    assert (second.key, second.value) == (b"k0", b"v0")
    assert second.partition == letters.home(b"k0")
    attempt = ("driftstream-attempt", b"2")
    assert second.headers == (attempt, ("content-type", b"application/json"), ("h", b"\xff"))
    (label,) = letters.read("labels")
    assert (label.key, label.value, label.headers) == (b"k3", None, (attempt,))
    assert letters.read("features") == []
    assert replay(*asked) == 0
    assert replay("--all") == 0
    assert _sent(letters.read("predictions")) == {b"v0": 1, b"\xff\x00": 1, b"v1": 1}
    assert _sent(letters.read("labels")) == {None: 1} and len(letters.read("features")) == 1


def test_what_to_send_must_be_said(
    replay: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay() == 2
    assert "say what to send" in capsys.readouterr().err
    assert replay(str(tmp_path / "none"), "--reason", "empty") == 2
    assert replay("--topic", "windows") == 2
    assert replay(str(tmp_path / "none")) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_letters_are_repaired_in_a_file(
    letters: Letters, export: Export, replay: Run, tmp_path: Path
) -> None:
    letters.put([{"value": b'{"x": 1}'}, {"value": b"\xfe"}, {"reason": "empty"}])
    file = tmp_path / "letters.jsonl"
    lines = export("--reason", "malformed")
    by_key = {line["key"]: line for line in lines}
    by_key["k0"]["value"] = '{"x": 2}'
    by_key["k1"]["value"] = {"base64": "AAE="}
    by_key["k1"]["key"] = "other"
    by_key["k1"]["headers"] = [{"name": "h", "value": "é"}]
    file.write_bytes(b"\n".join(map(orjson.dumps, [*lines, by_key["k1"] | {"value": "more"}])))
    assert replay(str(file)) == 0
    assert replay(str(file)) == 0
    assert replay("--reason", "malformed") == 0
    sent = letters.read("predictions")
    assert _sent(sent) == {b'{"x": 2}': 1, b"\x00\x01": 1, b"more": 1}
    assert {read.key for read in sent} == {b"k0", b"other"}
    attempt = ("driftstream-attempt", b"2")
    assert {r.headers for r in sent if r.key == b"other"} == {(attempt, ("h", "é".encode()))}
    assert [line["reason"] for line in export()] == ["empty"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"letter": "0/99999"}, "not in dead-letters any more"),
        ({"offset": 77}, "not of predictions/1@77"),
        ({"truncated": True}, "was cut"),
    ],
)
def test_a_line_that_cannot_be_meant_is_left_out_and_said(
    letters: Letters,
    export: Export,
    replay: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    why: str,
) -> None:
    letters.put([{}, {"reason": "bad_id"}])
    lines = export("--reason", "malformed")
    file = tmp_path / "letters.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, [line | change for line in lines])))
    assert replay(str(file)) == 1
    assert why in capsys.readouterr().err
    assert letters.read("predictions") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "line 2: "),
        (b"[]", "line 2: is no JSON object"),
        (b"{}", "line 2: 'letter' is missing"),
        (b'{"letter": "x"}', "no partition/offset"),
        (
            b'{"letter":"0/0","topic":"predictions","partition":1,"offset":0,"key":null,"value":7}',
            "value: must be a text",
        ),
    ],
)
def test_a_file_of_something_else_sends_nothing(
    replay: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes, why: str
) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_bytes(b"\n" + text)
    assert replay(str(file)) == 1
    assert why in capsys.readouterr().err


def test_cut_records_are_not_sent_and_said(
    letters: Letters, replay: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.put([{"truncated": True}, {"truncated": True, "value": None}, {"topic": "alerts"}])
    assert replay("--all") == 0
    said = capsys.readouterr().err
    assert "its record was cut: the producer has to send it again" in said
    assert "its record is not in the letter" in said
    assert "is no input topic" in said and "left out: 3" in said
    assert letters.read("predictions") == []


def test_of_a_batch_only_the_refused_rows_are_sent(letters: Letters, replay: Run) -> None:
    columns = {
        "prediction_id": ["a", "b", "c"],
        "s": pa.array(["x", None, "y"]).dictionary_encode(),
    }
    batch = pa.record_batch(columns).replace_schema_metadata({"model": "m"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch.slice(1, 2))
    whole = sink.getvalue().to_pybytes()
    letters.put([{"value": whole, "rows": [1, 4]}, {"value": b"noise", "rows": [0]}])
    assert replay("--all") == 0
    (sent,) = letters.read("predictions")
    table = pa.ipc.open_stream(sent.value).read_all()
    assert table.to_pylist() == [
        {"prediction_id": "b", "s": None},
        {"prediction_id": "c", "s": "y"},
    ]
    assert table.schema.metadata == {b"model": b"m"}


def test_what_failed_again_is_sent_again_only_where_that_is_asked_for(
    letters: Letters, command: Command, replay: Run
) -> None:
    letters.put([{"headers": [{"name": "driftstream-attempt", "value": b"2"}]}])
    assert [line["attempt"] for line in command("dead-letters", "list")] == [2]
    assert replay("--all") == 0
    assert letters.read("predictions") == []
    assert replay("--all", "--again") == 0
    (sent,) = letters.read("predictions")
    assert sent.headers == (("driftstream-attempt", b"3"),)


def test_what_is_no_letter_is_passed_over(
    letters: Letters, kafka: Kafka, unique: str, replay: Run, command: Command
) -> None:
    lying = ("driftstream-replayed", b"9" * 40)
    records = [Record(b"\xff" * 9), Record(None, b"k"), Record(None, b"k", (lying,))]
    produce_all(kafka.bootstrap_servers, f"{unique}dead-letters", records)
    letters.put([{}])
    assert len(command("dead-letters", "list")) == 1
    assert replay("--all") == 0
    assert _sent(letters.read("predictions")) == {b"v0": 1}


def _processes(kafka: Kafka, prefix: str, count: int) -> list[subprocess.Popen[bytes]]:
    shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", prefix]
    return [
        subprocess.Popen([*_COMMAND, "replay", "--all", *shared], stderr=subprocess.DEVNULL)
        for _ in range(count)
    ]


def _wait_for_some(letters: Letters, least: int) -> None:
    deadline = time.monotonic() + 60
    while len(letters.read("predictions")) < least:
        assert time.monotonic() < deadline


def test_a_replay_that_is_killed_goes_on_with_what_was_not_sent(
    letters: Letters, kafka: Kafka, unique: str
) -> None:
    count = 20_000
    letters.put([{} for _ in range(count)])
    (first,) = _processes(kafka, unique, 1)
    _wait_for_some(letters, 1)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    before = len(letters.read("predictions"))
    assert 0 < before < count, "it was killed half way"
    (second,) = _processes(kafka, unique, 1)
    assert second.wait(100) == 0
    assert _sent(letters.read("predictions")) == {b"v%d" % n: 1 for n in range(count)}


def test_two_replays_at_once_send_each_record_once(
    letters: Letters, kafka: Kafka, unique: str
) -> None:
    count = 8_000
    letters.put([{} for _ in range(count)])
    (first,) = _processes(kafka, unique, 1)
    _wait_for_some(letters, 1)
    others = _processes(kafka, unique, 2)
    codes = [process.wait(100) for process in (first, *others)]
    assert 0 in codes and set(codes) <= {0, 3}
    assert _sent(letters.read("predictions")) == {b"v%d" % n: 1 for n in range(count)}
