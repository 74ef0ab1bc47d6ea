"""Records among windows and alerts that are none: told apart, and the others are hashed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from stream import cloudevents
from stream.cli.application import run
from stream.cli.digest.canonical import Place, Read, digest_of
from tests.conftest import Command, Kafka
from tests.kafka_io import Record, produce_all

Change = Callable[[dict[str, Any]], object]

_WINDOW: dict[str, Any] = {
    "model": "credit",
    "version": "1",
    "segment": "",
    "kind": "data",
    "start_ms": 0,
    "end_ms": 60_000,
    "moves": [],
    "scored_from_ms": None,
}
_ALERT: dict[str, Any] = {
    "incident_id": "i-1",
    "model": "credit",
    "version": "1",
    "segment": "",
    "kind": "drift",
    "state": "opened",
    "opened_ms": 60_000,
    "at_ms": 60_000,
}
_VALUES: tuple[object, ...] = (None, 7, 1.5, "x", True, [], {})


def _window(offset: int, fields: dict[str, Any]) -> Read:
    return Read(Place("windows", 0, offset), b"credit@1", orjson.dumps(fields))


def _alert(offset: int, fields: dict[str, Any]) -> Read:
    told = cloudevents.CloudEvent(
        id=f"e-{offset}", source="here", type="io.driftstream.x", data=orjson.dumps(fields)
    )
    headers, value = cloudevents.encode(told)
    return Read(Place("alerts", 0, offset), b"i-1", value, headers)


def _others(record: dict[str, Any]) -> list[tuple[str, object]]:
    """Each field with values of the types that it can't have."""
    return [
        (name, value)
        for name, right in record.items()
        for value in _VALUES
        if type(value) is not type(right) and (name, value) != ("scored_from_ms", 7)
    ]


@pytest.mark.parametrize(("name", "other"), _others(_WINDOW))
def test_a_window_with_a_field_of_another_type_is_left_out(name: str, other: object) -> None:
    good = {**_WINDOW, "start_ms": 60_000, "end_ms": 120_000}
    found = digest_of([_window(0, good), _window(1, {**_WINDOW, name: other})], [])
    assert [str(odd.place) for odd in found.odd] == ["windows/0@1"]
    assert f"is no window: its {name!r} is no" in str(found.odd[0])
    assert found.hex == digest_of([_window(0, good)], []).hex


@pytest.mark.parametrize(("name", "other"), _others(_ALERT))
def test_an_alert_with_a_field_of_another_type_is_left_out(name: str, other: object) -> None:
    good = {**_ALERT, "incident_id": "i-2"}
    found = digest_of([], [_alert(0, good), _alert(1, {**_ALERT, name: other})])
    assert [str(odd.place) for odd in found.odd] == ["alerts/0@1"]
    assert found.hex == digest_of([], [_alert(0, good)]).hex


def test_they_are_told_in_one_order_in_whatever_order_they_come() -> None:
    windows = [_window(offset, {}) for offset in (7, 3, 11)]
    assert [odd.place.offset for odd in digest_of(windows, []).odd] == [3, 7, 11]


def test_what_it_says_of_them_moves_no_terminal() -> None:
    strange = Read(Place("alerts", 0, 1), None, b"{}", (("ce_specversion", b"\x1b[31m"),))
    [odd] = digest_of([], [strange]).odd
    assert str(odd).isprintable()


def test_the_command_goes_on_and_ends_with_a_code_of_its_own(
    kafka: Kafka, unique: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command("topics", "create", "--partitions", "1")

    def produce(topic: str, *reads: Read) -> None:
        records = [Record(each.value, each.key, each.headers) for each in reads]
        produce_all(kafka.bootstrap_servers, unique + topic, records)

    def digest(*arguments: str) -> tuple[int, str, list[str]]:
        code = run(["digest", *arguments, "-b", kafka.bootstrap_servers, "--topic-prefix", unique])
        told = capsys.readouterr()
        return code, told.out, told.err.splitlines()

    produce("windows", _window(0, _WINDOW))
    produce("alerts", _alert(0, _ALERT))
    forms = [("--list",), ("--list", "--json")]
    clean = [digest(*form) for form in forms]
    assert [(code, said) for code, _, said in clean] == [(0, [])] * 2
    garbage = Read(Place("", 0, 0), b"x", b"\xff garbage")
    produce("windows", garbage, _window(0, {**_WINDOW, "start_ms": "\x1b[2J"}))
    produce("alerts", garbage)
    found = [digest(*form) for form in forms]
    assert [(code, out) for code, out, _ in found] == [(4, out) for _, out, _ in clean]
    said = found[0][2]
    assert said == found[1][2]
    assert [line.split(": ")[1] for line in said] == [
        "alerts/0@1 is no alert",
        "windows/0@1 is no window",
        "windows/0@2 is no window",
        "3 records are in no hash",
    ]
    assert "\x1b" not in "".join(said)
    assert digest("--model", "nobody")[0] == 1
    produce("windows", _window(0, _WINDOW))
    code, out, said = digest("--list")
    assert (code, out, len(said)) == (1, "", 5)
    assert "found twice" in said[-1]
