"""What cannot be logged never costs the caller its answer, unless it asked to hear of it."""

from __future__ import annotations

import datetime as dt
import pickle
import threading
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from stream.client import AlertSubscriber, LabelLogger, PredictionLogger
from stream.client.options import Format
from stream.core.errors import BufferFullError, DriftstreamError
from tests.client_offline import NOWHERE, offline


class Spiteful:
    """Raises whatever is asked of it."""

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


WRONG: list[dict[str, Any]] = [
    {"features": {"x": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}},
    {"features": {"x": np.datetime64("2026-01-01", "ns")}},
    {"features": {"x": np.timedelta64(5, "ns")}},
    {"features": {"x": [1, 2]}},
    {"features": {"x": "y" * 2_000_000}},
    {"features": {f"x{i}": 1.0 for i in range(100_000)}},
    {"features": {"x": "\ud800"}},
    {"features": {"x": Decimal("sNaN")}},
    {"features": {"x": Spiteful()}},
    {"features": 3},
    {"prediction": Spiteful()},
    {"prediction_id": Spiteful()},
    {"prediction_id": ""},
    {"event_time_ms": 1.5},
    {"score": "high"},
    {"tags": {"t": 1}},
    {"status": "fine"},
]
RIGHT: list[dict[str, Any]] = [
    {"features": {"x": np.float32(1.5), "y": np.int64(3), "z": np.bool_(True)}},
    {"features": {"x": float("nan"), "y": float("inf"), "z": -float("inf")}},
    {"features": {"x": Decimal("1.5"), "y": Decimal("NaN"), "z": 1 << 200}},
    {"features": {"x": np.str_("a"), "y": np.float64("nan"), "z": None}},
    {"score": {"a": np.float16(0.5), "b": float("nan")}, "latency_ms": np.float32(3)},
]


@pytest.mark.parametrize("wire", ["json", "avro", "arrow"])
def test_a_row_that_cannot_be_logged_is_counted_and_raises_nothing(
    wire: Format, caplog: pytest.LogCaptureFixture
) -> None:
    logger = offline(format=wire, on_error="warn")
    for number, row in enumerate(WRONG, 1):
        assert isinstance(logger.log(**row), str)
        assert logger.counters == (0, 0, 0, 0, number), row
    assert [each for each in caplog.messages if "1 rows were not logged: features.x: is" in each]
    for number, row in enumerate(RIGHT, 1):
        assert logger.log(**row)
        assert logger.counters == (0, 0, 0, number, len(WRONG)), row
    logger.close(0.0)


@pytest.mark.parametrize("wire", ["json", "avro", "arrow"])
def test_columns_that_cannot_be_logged_are_counted_by_rows(wire: Format) -> None:
    logger = offline(format=wire, on_error="warn")
    wrong = [dt.date(2026, 1, 1)] * 7
    assert logger.log_columns(features={"x": wrong}) == []
    assert logger.log_columns(features={"x": [1] * 5, "y": [1]}) == []
    assert logger.log_columns(features={"x": np.zeros(3, dtype="datetime64[ns]")}) == []
    assert logger.log_columns() == []
    assert logger.counters == (0, 0, 0, 0, 7 + 5 + 3 + 1)
    assert len(logger.log_columns(features={"x": [1] * 5})) == 5
    logger.close(0.0)


def test_labels_raise_unless_told_otherwise() -> None:
    with LabelLogger(bootstrap_servers=NOWHERE, exit_seconds=0.0) as labels:
        with pytest.raises(DriftstreamError, match="label"):
            labels.log("a", float("nan"))
        assert labels.counters.rejected == 0
        labels.close(0.0)
    labels = LabelLogger(bootstrap_servers=NOWHERE, exit_seconds=0.0, on_error="warn")
    labels.log("a", float("nan"))
    labels.log("", 1)
    labels.log_columns(["a", "b"], [1, float("inf")])
    assert labels.counters == (0, 0, 0, 0, 4)
    labels.close(0.0)


@pytest.mark.parametrize("wire", ["json", "avro", "arrow"])
def test_labels_of_a_model_that_no_monitor_could_name_are_counted(
    wire: Format, caplog: pytest.LogCaptureFixture
) -> None:
    with LabelLogger(
        bootstrap_servers=NOWHERE, format=wire, exit_seconds=0.0, on_error="warn"
    ) as labels:
        for _ in range(2):  # a name that was refused once is refused again
            labels.log("a", 1, model="credit@3")
        labels.log("a", 1, model="é" * 129)
        labels.log_columns(["a", "b"], [0, 1], model=["credit", "credit\x1b"])
        labels.log_columns(["a", "b"], [0, 1], model="credit ")
        assert labels.counters == (0, 0, 0, 0, 2 + 1 + 2 + 2)
        assert "1 rows were not logged: model must not contain @" in caplog.text
        labels.log("a", 1, model="é" * 128)
        labels.log("a", 1, model="credit")
        labels.log_columns(["a", "b"], [0, 1], model=["credit", None])
        assert labels.counters == (0, 0, 0, 4, 7)
        labels.close(0.0)


def test_what_a_full_buffer_raises_was_asked_for() -> None:
    logger = offline(on_error="warn", on_full="raise", buffer_rows=10)
    with pytest.raises(BufferFullError):
        logger.log_columns(features={"x": [1] * 1_000})
    logger.close(0.0)


def test_a_closed_logger_counts_what_comes_after(caplog: pytest.LogCaptureFixture) -> None:
    logger = offline(on_error="warn")
    assert logger.close(1.0)
    assert logger.close(1.0)
    assert logger.log(features={"x": 1})
    assert logger.counters == (0, 0, 0, 0, 1)
    assert "this logger is closed" in caplog.text


def test_rows_that_wait_for_room_when_it_closes_are_counted() -> None:
    logger = offline(on_full="block", block_seconds=60.0, buffer_rows=10, on_error="warn")
    logger.log_columns(features={"x": [1] * 5})
    threads = [
        threading.Thread(target=logger.log_columns, kwargs={"features": {"x": [1] * 5}})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while logger.counters.buffered < 10:
        assert time.monotonic() < deadline
    assert not logger.close(0.0)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    counters = logger.counters
    assert (counters.delivered, counters.buffered) == (0, 0)
    assert counters.failed + counters.dropped + counters.rejected == 25


def test_a_clock_that_is_set_back_changes_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = offline(on_full="block", block_seconds=0.1, buffer_rows=10, format="arrow")
    logger.log(features={"x": 1})
    start = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: start - 86_400 * 10**9)
    monkeypatch.setattr(time, "time", lambda: start / 1e9 - 86_400)
    begun = time.monotonic()
    while logger.counters.dropped == 0:
        logger.log(features={"x": 1})
        assert time.monotonic() - begun < 10
    assert not logger.flush(0.1)
    assert not logger.close(0.1)
    assert time.monotonic() - begun < 10


def test_what_belongs_to_a_process_cannot_be_pickled() -> None:
    with offline() as logger, pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(logger)
    subscriber = AlertSubscriber(bootstrap_servers=NOWHERE)
    with subscriber, pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(subscriber)


def test_an_error_callback_of_ones_own_hears_and_keeps_nothing_from_us(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[object] = []
    logger = PredictionLogger(
        model="m", bootstrap_servers=NOWHERE, exit_seconds=0.0, kafka={"error_cb": heard.append}
    )
    logger.log(features={"x": 1})
    deadline = time.monotonic() + 20
    while not heard or "does not answer" not in caplog.text:
        assert time.monotonic() < deadline
        logger.flush(0.05)
    logger.close(0.0)
