"""Digests: independent of order, touched by every byte that counts; doubles are told."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import cloudevents
from stream.cli.digest.canonical import Digest, Place, Read, digest_of, record_hash

PANE_MS = 60_000


def window(offset: int = 0, partition: int = 0, **fields: Any) -> Read:
    """A window's record, with no more than a digest looks at and one value."""
    record = {
        "model": "credit",
        "version": "1",
        "segment": "",
        "kind": "data",
        "start_ms": 0,
        "end_ms": PANE_MS,
        "moves": [],
        "scored_from_ms": None,
        "rows": 7,
        **fields,
    }
    key = f"{record['model']}@{record['version']}".encode()
    return Read(Place("windows", partition, offset), key, orjson.dumps(record))


def alert(offset: int = 0, event: str = "", source: str = "live", **fields: Any) -> Read:
    """An alert's record in CloudEvents' binary mode."""
    record = {
        "incident_id": "i-1",
        "model": "credit",
        "version": "1",
        "segment": "",
        "kind": "drift",
        "state": "opened",
        "opened_ms": PANE_MS,
        "at_ms": PANE_MS,
        **fields,
    }
    told = cloudevents.CloudEvent(
        id=event or f"{record['incident_id']}-{record['state']}-{record['at_ms']}",
        source=source,
        type="io.driftstream.incident.opened.v1",
        data=orjson.dumps(record),
    )
    headers, value = cloudevents.encode(told)
    return Read(Place("alerts", 0, offset), str(record["incident_id"]).encode(), value, headers)


def _hex(windows: Sequence[Read], alerts: Sequence[Read] = ()) -> str:
    return digest_of(windows, alerts).hex


def _identity(read: Read) -> tuple[Any, ...]:
    record = orjson.loads(read.value or b"")
    return tuple(
        record[name] for name in ("model", "version", "segment", "kind", "start_ms", "end_ms")
    )


_WINDOWS = st.lists(
    st.builds(
        lambda model, version, segment, kind, start, rows: window(
            model=model,
            version=version,
            segment=segment,
            kind=kind,
            start_ms=start,
            end_ms=start + PANE_MS,
            rows=rows,
        ),
        st.sampled_from(["credit", "fraud", "Ł@"]),
        st.sampled_from(["", "1", "2"]),
        st.sampled_from(["", "country=US"]),
        st.sampled_from(["data", "performance"]),
        st.integers(0, 5).map(lambda k: k * PANE_MS),
        st.integers(0, 9),
    ),
    unique_by=_identity,
    max_size=12,
)


@settings(deadline=None)
@given(_WINDOWS, st.randoms(use_true_random=False))
def test_neither_order_nor_place_counts(windows: list[Read], random: Any) -> None:
    shuffled = [
        replace(read, place=Place("windows", random.randrange(12), random.randrange(99)))
        for read in random.sample(windows, len(windows))
    ]
    assert digest_of(shuffled, []).hex == digest_of(windows, []).hex
    assert [f.what for f in digest_of(shuffled, []).windows] == sorted(map(_identity, windows))


@settings(deadline=None)
@given(_WINDOWS.filter(bool), st.data())
def test_every_byte_counts(windows: list[Read], data: st.DataObject) -> None:
    before = _hex(windows)
    place = data.draw(st.integers(0, len(windows) - 1))
    read = windows[place]
    for other in (
        replace(read, key=(read.key or b"") + b"x"),
        replace(read, key=None),
        replace(read, value=(read.value or b"") + b" "),
    ):
        assert _hex([*windows[:place], other, *windows[place + 1 :]]) != before
    assert _hex([*windows[:place], *windows[place + 1 :]]) != before


def test_a_digest_can_be_computed_by_hand() -> None:
    first, second = window(), window(start_ms=PANE_MS, end_ms=2 * PANE_MS)
    opened = alert(source="one")

    def framed(text: bytes) -> bytes:
        return len(text).to_bytes(8, "big") + text

    def of_record(read: Read, *headers: bytes) -> bytes:
        parts = (read.key or b"", read.value or b"", *headers)
        return hashlib.sha256(b"".join(map(framed, parts))).digest()

    told = [part for name, value in opened.headers if name != "ce_source" for part in (name, value)]
    headers = [part.encode() if isinstance(part, str) else part for part in told]
    expected = hashlib.sha256(
        (2).to_bytes(8, "big")
        + of_record(first)
        + of_record(second)
        + (1).to_bytes(8, "big")
        + of_record(opened, *headers)
    ).hexdigest()
    assert _hex([second, first], [opened]) == expected


@settings(deadline=None)
@given(st.binary(max_size=4), st.binary(max_size=4))
def test_no_byte_can_pass_from_the_key_to_the_value(key: bytes, value: bytes) -> None:
    joined = key + value
    hashes = {record_hash(joined[:cut], joined[cut:]) for cut in range(len(joined) + 1)}
    assert len(hashes) == len(joined) + 1
    assert record_hash(None, value) != record_hash(b"", value)


@pytest.mark.parametrize(("rows", "how"), [(7, "the same bytes"), (8, "other bytes")])
def test_a_window_that_stands_twice_is_told_with_both_places(rows: int, how: str) -> None:
    found = digest_of([window(3), window(9, 2, rows=rows), window(4, kind="performance")], [])
    assert found.doubled == [
        f"window credit@1 data 0 - 60000: at windows/0@3 and at windows/2@9, {how}"
    ]


def test_an_alert_that_stands_twice_is_told() -> None:
    found = digest_of([], [alert(0), alert(1), alert(2, state="resolved", at_ms=3 * PANE_MS)])
    assert found.doubled == [
        "alert i-1-opened-60000 of incident i-1: at alerts/0@0 and at alerts/0@1, the same bytes"
    ]


def test_of_an_incident_the_last_record_counts_and_no_earlier_one() -> None:
    resolved = alert(5, state="resolved", at_ms=4 * PANE_MS)
    assert _hex([], [alert(0), resolved]) == _hex([], [resolved])
    assert _hex([], [alert(0), resolved]) != _hex([], [alert(0)])
    (found,) = digest_of([], [alert(0), resolved]).incidents
    assert (found.what.at_ms, found.place.offset) == (4 * PANE_MS, 5)  # type: ignore[union-attr]  # an incident


def test_the_deployment_s_name_is_left_out_and_other_headers_are_not() -> None:
    assert _hex([], [alert(source="one")]) == _hex([], [alert(source="two")])
    assert _hex([], [alert(event="a")]) != _hex([], [alert(event="b")])


def test_incidents_are_ordered_by_their_ids() -> None:
    one, other = alert(incident_id="a"), alert(incident_id="b")
    assert _hex([], [one, other]) == _hex([], [other, one])


def _starts(found: Digest) -> tuple[list[int], list[int]]:
    def starts(part: list[Any]) -> list[int]:
        return [each.what.start_ms // PANE_MS for each in part]

    return starts(found.windows), starts(found.moved)


def test_windows_with_moved_rows_stand_apart_with_those_that_carry_their_rows() -> None:
    def at(place: int, **fields: Any) -> Read:
        return window(start_ms=place * PANE_MS, end_ms=(place + 1) * PANE_MS, **fields)

    moves = [{"topic": "predictions", "partition": 0, "before": 1, "after": 2, "pane_ms": PANE_MS}]
    windows = [
        at(0),
        at(1, moves=moves),
        at(2, scored_from_ms=PANE_MS),  # carries the rows of window 1 …
        at(3, scored_from_ms=2 * PANE_MS),  # … and so does this, by way of window 2
        at(4, scored_from_ms=4 * PANE_MS),
        at(5, kind="performance", scored_from_ms=PANE_MS),  # another kind carries none of them
    ]
    found = digest_of(windows[::-1], [])
    assert _starts(found) == ([0, 4, 5], [1, 2, 3])
    assert found.hex == _hex([windows[0], windows[4], windows[5]])
    assert found.moved_hex != digest_of(windows[:1], []).moved_hex


def test_segments_of_a_window_with_moved_rows_stand_apart() -> None:
    moves = [{"topic": "predictions", "partition": 0, "before": 1, "after": 2, "pane_ms": 0}]
    windows = [window(moves=moves), window(segment="a=1"), window(segment="a=1", version="2")]
    found = digest_of(windows, [])
    assert [each.what.version for each in found.windows] == ["2"]
    assert [each.what.segment for each in found.moved] == ["", "a=1"]


def test_models_and_times_limit_what_counts() -> None:
    windows = [
        window(model=model, start_ms=k * PANE_MS, end_ms=(k + 1) * PANE_MS)
        for model in ("credit", "fraud")
        for k in range(4)
    ]
    alerts = [alert(k, incident_id=f"i-{k}", at_ms=k * PANE_MS, model="fraud") for k in range(1, 5)]
    found = digest_of(windows, alerts, models=["fraud"], from_ms=PANE_MS, to_ms=3 * PANE_MS)
    assert {each.what.model for each in found.windows} == {"fraud"}
    assert _starts(found)[0] == [1, 2]
    assert [each.what.id for each in found.incidents] == ["i-2", "i-3"]  # type: ignore[union-attr]  # incidents
    whole = digest_of(windows, alerts)
    assert whole.models == ["credit", "fraud"]
    assert whole.of_model("fraud").hex == digest_of(windows[4:], alerts).hex != whole.hex


@pytest.mark.parametrize(
    ("windows", "alerts", "says"),
    [
        ([replace(window(2), value=b"{")], [], "windows/0@2 is no window"),
        ([replace(window(2), value=None)], [], "windows/0@2 is no window"),
        ([replace(window(2), value=b"[]")], [], "it is no object"),
        ([replace(window(2), value=b'{"model": "a"}')], [], "it has no 'version'"),
        ([], [replace(alert(3), headers=())], "alerts/0@3 is no alert"),
        ([], [replace(alert(3), value=b"{}")], "alerts/0@3 is no alert: it has no"),
    ],
)
def test_what_is_no_window_or_alert_is_told_and_left_out(
    windows: list[Read], alerts: list[Read], says: str
) -> None:
    found = digest_of([window(), *windows], [*alerts, alert()])
    [odd] = found.odd
    assert says in str(odd)
    assert found.hex == _hex([window()], [alert()])
