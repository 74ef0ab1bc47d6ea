"""The command: what it prints, its exit codes, and that errors are one message that helps."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import orjson
import pytest
import typer

from stream.cli.application import COMMANDS, run
from stream.cli.logs import JsonLines, configure_logs
from stream.cli.output import instant, print_table
from stream.cli.window_line import window_line
from stream.topics import TOPICS

_BASE_ONLY = """
import sys, importlib.util
known = importlib.util.find_spec
missing = {"typer", "pydantic"}
importlib.util.find_spec = lambda name, package=None: None if name in missing else known(name)
from stream.cli.entry import main
main()
"""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("DRIFTSTREAM_", "KAFKA_")):
            monkeypatch.delenv(name)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)
    assert "Exit codes" in printed


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Usage: driftstream" in printed
    assert "completion" not in printed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["topics", "list"], 2, "KAFKA_BOOTSTRAP_SERVERS"),
        (["topics", "list", "--set", "pnae=1s"], 2, "did you mean `pane`"),
        (["topics", "list", "--set", "sasl.password=x"], 2, "`kafka.sasl.password`"),
        (["topics", "list", "--set", "pane"], 2, "KEY=VALUE"),
        (["topics", "list", "--config", "absent.toml"], 2, "absent.toml"),
        (["topics", "list", "-b", "h:1", "--set", "kafka.no.such=1"], 2, "no.such"),
        (["worker", "-b", "h:1", "--agents", "act"], 2, "observe, detect"),
        (["worker", "-b", "h:1", "--http-port", "99999"], 2, "65535"),
        (["produce", "absent.csv", "--model", "m", "-b", "h:1"], 1, "absent.csv"),
        (["produce", "x.csv", "--model", "m", "-b", "h:1", "--label-delay", "9"], 2, "unit"),
        (
            ["produce", "x.csv", "--model", "m", "-b", "h:1", "--rate", "1", "--time-column", "t"],
            2,
            "exclude each other",
        ),
        (["produce", "-b", "h:1"], 2, "--labels FILE"),
        (["produce", "x.csv", "--labels", "y.csv", "-b", "h:1"], 2, "either FILE"),
        (["produce", "x.csv", "-b", "h:1"], 2, "--model is missing"),
        (["produce", "x.csv", "--model", "m", "--retract", "-b", "h:1"], 2, "--retract"),
        (["produce", "--labels", "x.csv", "--version", "3", "-b", "h:1"], 2, "--labels goes"),
        (["produce", "--labels", "absent.csv", "-b", "h:1"], 1, "absent.csv"),
        (["demo", "--data", "x.csv"], 2, "belong together"),
        (["demo", "--data", "x.csv", "--reference", "y.csv", "--duration", "1s"], 2, "12s"),
        (["schemas", "show", "nothing"], 1, "there are alert"),
        (["no-such-command"], 2, "No such command"),
        (["dev", "kafka", "--brokers", "2"], 2, "1 or 3"),
    ],
)
def test_errors_say_what_to_do(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("content", [b"PAR1\x15\x04\xff", b"x,y\n1,2\n", b'{"x": 1}\n{"x": 2}\n'])
def test_publishing_a_table_says_to_build_a_profile_first(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "reference.parquet"
    table.write_bytes(content)
    assert run(["profile", "publish", str(table), "-b", "127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert "is no profile" in said
    assert f"build it first: `driftstream profile build {table} --model" in said


@pytest.mark.parametrize("topic", ["alerts", "windows"])
def test_a_broker_that_is_away_is_exit_code_3_when_the_time_is_over(
    topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert run([topic, "tail", "-b", "127.0.0.1:1", "--timeout", "1"]) == 3
    assert time.monotonic() - began < 3
    assert "Kafka at 127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_a_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 3_000
    print_table(("first", "second"), [(long, "[b]y[/b]"), ("1", long)])
    head, one, two = capsys.readouterr().out.splitlines()
    assert head.split() == ["first", "second"]
    assert one.split() == [long, "[b]y[/b]"]
    assert two.split() == ["1", long]
    assert not head.endswith(" ")


def test_a_table_on_a_narrow_terminal_is_folded_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("name", "hash"), [("n" * 50, "h" * 32)])
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()[1:]) <= 40
    assert (printed.count("n"), printed.count("h")) == (50 + 1, 32 + 2)


def test_a_demo_on_a_broker_that_is_away_ends_soon_with_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    began = time.monotonic()
    assert run(["demo", "-b", "127.0.0.1:1"]) == 3
    assert time.monotonic() - began < 12
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("driftstream: Kafka at 127.0.0.1:1 does not answer: ")


def test_schemas_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "list", "--json"]) == 0
    listed = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "prediction" in [schema["name"] for schema in listed]
    assert run(["schemas", "show", "prediction"]) == 0
    assert orjson.loads(capsys.readouterr().out)["name"] == "Prediction"


def test_asyncapi_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "asyncapi"]) == 0
    document = orjson.loads(capsys.readouterr().out)
    assert document["asyncapi"].startswith("3.1")
    assert len(document["channels"]) >= len(TOPICS)


def test_without_the_worker_extra_it_says_what_to_install() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _BASE_ONLY], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "pip install 'driftstream[worker]'" in ended.stderr
    assert "typer, pydantic" in ended.stderr


def test_a_command_imports_only_what_it_needs() -> None:
    script = (
        "import sys\nfrom stream.cli.application import run\nrun(['schemas', 'list'])\n"
        "heavy = {'pyarrow', 'confluent_kafka', 'yaml'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = [sys.executable, "-c", "from stream.cli.entry import main; main()", "schemas"]
    with subprocess.Popen(
        [*program, "asyncapi"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=30)
    assert errors == b""


def test_log_lines_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    logging.getLogger("stream.test").info("counted %d", 3, extra={"topic": "t"})
    logging.getLogger("stream.test").debug("not shown")
    line = orjson.loads(capsys.readouterr().err)
    assert (line["message"], line["level"], line["topic"]) == ("counted 3", "info", "t")


def test_a_log_line_tells_its_exception() -> None:
    record = logging.makeLogRecord({"msg": "failed", "levelno": logging.ERROR})
    try:
        raise ValueError("why")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: why" in orjson.loads(JsonLines().format(record))["exception"]


def test_times_for_people() -> None:
    assert instant(0) == "1970-01-01 00:00:00"
    assert instant(10**18) == str(10**18)


def test_a_window_in_a_line() -> None:
    window = {"model": "m", "version": "", "start_ms": 0, "end_ms": 60_000, "rows": 1200}
    scored = {**window, "scored": True, "drift_share": 0.25, "drifted": ["age"], "late_rows": 2}
    assert window_line(scored) == (
        "1970-01-01 00:00:00 - 00:01:00  m  1,200 rows (2 late)  drifted 25%: age"
    )
    unkept = {**scored, "unkept_rows": 1_000}
    assert "  1,200 rows (2 late, 1,000 kept for no label)  " in window_line(unkept)
    few = {**window, "version": "3", "scored": False, "reason": "min_rows"}
    assert window_line(few).endswith("m@3  1,200 rows  not scored: min_rows")


def test_a_performance_window_in_a_line() -> None:
    window = {
        "model": "m", "version": "3", "segment": "country=US", "kind": "performance",
        "start_ms": 0, "end_ms": 60_000, "rows": 1200, "late_rows": 3, "scored": True,
        "coverage": 0.934, "drifted": [],
        "metrics": {
            "accuracy": {"value": 0.81234, "low": 0.79, "high": 0.83},
            "f1": {"value": None, "low": None, "high": None},
            "ece": {"value": 0.05, "low": None, "high": None},
        },
        "estimated": {"accuracy": {"value": 0.9, "low": 0.88, "high": 0.92}},
        "breaches": [{"metric": "accuracy", "value": 0.81234, "rule": "min", "limit": 0.85}],
    }  # fmt: skip
    assert window_line(window) == (
        "1970-01-01 00:00:00 - 00:01:00  m@3 [country=US]  1,200 outcomes (3 late)  coverage 93%  "
        "accuracy 0.8123 [0.79, 0.83] (estimated 0.9)  f1 unknown  crossed: accuracy 0.8123 < 0.85"
    )
    assert "coverage 93%  ece 0.05  crossed" in window_line(window, ["ece"])
    few = {**window, "scored": False, "reason": "min_rows", "breaches": []}
    assert window_line(few).endswith("coverage 93%  not scored: min_rows")


def test_a_data_window_shows_estimates_and_serving_metrics_that_are_asked_for() -> None:
    window = {
        "model": "m", "version": "", "kind": "data", "start_ms": 0, "end_ms": 60_000, "rows": 9,
        "scored": True, "drift_share": 0.0, "drifted": [],
        "estimated": {"accuracy": {"value": 0.9, "low": 0.88, "high": 0.92}},
        "serving": {"latency_p99": {"value": 120.0, "low": 110.0, "high": 131.0}},
    }  # fmt: skip
    assert window_line(window).endswith("drifted 0%: none  estimated accuracy 0.9 [0.88, 0.92]")
    assert window_line(window, ["latency_p99", "f1"]).endswith(
        "drifted 0%: none  latency_p99 120 [110, 131]  f1 unknown"
    )


def test_each_command_module_offers_a_typer() -> None:
    for place in COMMANDS.values():
        module, _, attribute = place.partition(":")
        assert isinstance(getattr(import_module(module), attribute), typer.Typer)


def test_every_command_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"| `{name}" not in page and f"`{name}`" not in page] == []
