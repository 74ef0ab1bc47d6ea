"""Records on `partials` that no worker of this release wrote: refused, never counted wrong."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fastavro
import numpy as np
import orjson
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.core.errors import StateError
from stream.core.ledger import SERVING
from stream.core.pane.packing import pack_column
from stream.core.pane.partial import decode_partial, encode_partials
from stream.core.pane.seal import seal, unseal
from stream.core.pane.sense import require_sense
from stream.core.records import CARRIES_COLUMN, Group, Kind, Partial
from tests.detect_agents import A, Observer, agent_of, to, values
from tests.detect_world import (
    CREDIT,
    FRAUD,
    PANE,
    binned_group,
    partial,
    profile_broadcast,
    profile_of,
    raw_group,
    records_slice,
)

SCHEMA: dict[str, Any] = schemas.schema("pane_partial")
PROFILE = profile_of(CREDIT)
Body = dict[str, Any]


def _good() -> Partial:
    served = np.zeros(SERVING.width, dtype=np.int64)
    served[:5] = 3
    groups = (
        binned_group(PROFILE, 0, 7),
        Group(CREDIT, PROFILE.hash, PANE, 1, 1, 0, 0, None, codes=np.array([0, 3]), width=40),
        Group(CREDIT, "", 0, 0, 0, 0, 0, served, kind=Kind.SERVING),
        raw_group(FRAUD, 0, 5),
    )
    return partial(*groups, progress=[(A, 3, 9)], told=[(A, PANE, PANE)], claims=[(A, 9, 40_000)])


[GOOD] = encode_partials(_good(), SCHEMA, 900_000)


def _read(value: bytes) -> Partial:
    found = decode_partial(value, SCHEMA)
    require_sense(found)
    return found


def _changed(change: Callable[[Body], Any]) -> bytes:
    """The good record with its body changed and sealed again, as a wrong program would."""
    body: Any = fastavro.schemaless_reader(io.BytesIO(unseal(GOOD)), SCHEMA, None)
    change(body)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, body)
    return seal(out.getvalue())


def _set(name: str, *numbers: int) -> Callable[[Body], None]:
    """Another column in place of this one."""
    return lambda body: body.__setitem__(name, pack_column(np.array(numbers, dtype=np.int64)))


def _raw(**columns: object) -> Callable[[Body], None]:
    """Other raw rows, with the lengths that fit."""

    def change(body: Body) -> None:
        body["raw"] = orjson.dumps({"columns": columns, "not_finite": []})
        body["length"] = pack_column(np.array([*_LENGTHS[:3], len(body["raw"])]))

    return change


_BODY: Any = fastavro.schemaless_reader(io.BytesIO(unseal(GOOD)), SCHEMA, None)
_LENGTHS = [
    _BODY["length"]["base"] + int(v)
    for v in np.frombuffer(_BODY["length"]["values"], f"<u{_BODY['length']['size']}")
]
_HUGE = {"base": 0, "size": 0, "length": 1 << 24, "values": b""}
_COLUMNS = [name for name, value in _BODY.items() if isinstance(value, dict)]

CHANGES: dict[str, Callable[[Body], Any]] = {
    "rows below zero": _set("rows", 7, 1, 0, -5),
    "more raw rows than there are": _set("rows", 7, 1, 0, 50),
    "rows without end": _set("rows", 1 << 60, 1, 0, 5),
    "late rows below zero": _set("late_rows", -1, 0, 0, 0),
    "a column too short": _set("rows", 7, 1, 0),
    "a column too long": _set("pane_ms", 0, 0, 0, 0, 0),
    "no such kind": _set("kind", 0, 0, 1, 9),
    "raw outcomes": _set("kind", 0, 0, 1, 2),
    "raw serving": _set("kind", 0, 0, 1, 1),
    "serving of another length": _set("kind", 1, 0, 1, 0),
    "no such name": _set("name", 0, 0, 1, 77),
    "a pane before time": _set("pane_ms", -PANE, 0, 0, 0),
    "a pane behind time": _set("pane_ms", 1 << 60, 0, 0, 0),
    "vectors without end": _set("width", 1 << 31, 1 << 31, 1 << 31, 0),
    "places beyond the vector": _set("width", 1, 1, 1, 0),
    "lengths that don't add up": _set("length", *[n + 1 for n in _LENGTHS]),
    "lengths below zero": _set("length", *[-n for n in _LENGTHS]),
    "lengths without end": _set("length", *[1 << 62 for _ in _LENGTHS]),
    "items of three bytes": _set("count_size", 3, 3, 3, 0),
    "bytes behind the raw rows": lambda body: body.update(raw=body["raw"] + b" "),
    "counts that are missing": lambda body: body.update(counts1=b""),
    "counts that nobody has": lambda body: body.update(counts8=b"12345678"),
    "places that nobody has": lambda body: body.update(places4=b"1234"),
    "raw rows that are no JSON": lambda body: body.update(raw=b"\xff" * len(body["raw"])),
    "raw rows of nothing": _raw(),
    "raw rows that carry texts": _raw(**{CARRIES_COLUMN: ["a"] * 5}),
    "raw rows that carry lists": _raw(**{CARRIES_COLUMN: [[1]] * 5}),
    "raw rows that carry too much": _raw(**{CARRIES_COLUMN: [9] * 5}),
    "raw columns of another length": _raw(**{CARRIES_COLUMN: [3] * 5, "features.age": [1.0] * 4}),
    "raw columns that are texts": _raw(**{CARRIES_COLUMN: [3] * 5, "features.age": "12345"}),
    "raw values that are lists": _raw(**{CARRIES_COLUMN: [3] * 5, "features.age": [[1]] * 5}),
    "raw values that are objects": _raw(**{CARRIES_COLUMN: [3] * 5, "features.age": [{}] * 5}),
    "names cut off": lambda body: body["models"].pop(),
    "positions that go back": lambda body: body["progress"][0].update(after=1),
    "positions below zero": lambda body: body["progress"][0].update(before=-4),
    "a partition below zero": lambda body: body["progress"][0].update(partition=-1),
    "a watermark behind time": lambda body: body["told"][0].update(watermark_ms=1 << 62),
    "a watermark told before time": lambda body: body["told"][0].update(watermark_ms=-9),
    "a claim behind time": lambda body: body["claims"][0].update(at_ms=1 << 62),
    "a claim below zero": lambda body: body["claims"][0].update(position=-1),
    **{
        f"{name} without end": lambda body, name=name: body.update({name: _HUGE})  # type: ignore[misc]
        for name in _COLUMNS
    },
    "all columns without end": lambda body: body.update(dict.fromkeys(_COLUMNS, _HUGE)),
}


def test_the_good_record_is_read() -> None:
    found = _read(GOOD)
    assert [group.rows for group in found.groups] == [7, 1, 0, 5]
    assert _read(_changed(lambda body: None)).progress == found.progress


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_whose_parts_disagree_is_refused(what: str) -> None:
    value = _changed(CHANGES[what])
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, TypeError, KeyError, IndexError, EOFError)):
            _read(value)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8_000_000


def test_every_record_that_was_cut_off_is_refused() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(ValueError, match=r"no partial|cut off"):
            _read(GOOD[:length])
    with pytest.raises(ValueError, match="cut off or damaged"):
        _read(GOOD + b"\0")
    with pytest.raises(ValueError, match="behind its end"):
        _read(seal(unseal(GOOD) + b"\0"))


def test_another_release_is_named() -> None:
    head, body = GOOD[:3] + bytes([7]), unseal(GOOD)
    with pytest.raises(StateError, match="format 7, and this release reads 2"):
        _read(head + xxhash.xxh3_64_digest(head + body) + body)


def test_the_release_before_is_named() -> None:
    body = b"what it wrote, behind a checksum of that alone"
    with pytest.raises(StateError, match="format 1, and this release reads 2"):
        _read(b"DSP\x01" + xxhash.xxh3_64_digest(body) + body)


def test_panes_of_another_length_are_not_mixed_with_ours() -> None:
    agent = agent_of()
    other = replace(partial(binned_group(PROFILE, 0, 100)), width_ms=2 * PANE)
    records = [bytes(value) for value in encode_partials(other, SCHEMA, 100_000)]
    with pytest.raises(StateError, match=r"partials 0 offset 0: observe counts in panes of 2000ms"):
        agent.step(records_slice(records), 0)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_byte_that_changed_is_seen(place: int, bits: int) -> None:
    value = bytearray(GOOD)
    value[place] ^= bits
    with pytest.raises(ValueError):  # noqa: PT011  # which one depends on the place
        _read(bytes(value))


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda start, end, middle: unseal(GOOD)[:start] + middle + unseal(GOOD)[end:],
            st.integers(0, len(GOOD)),
            st.integers(0, len(GOOD)),
            st.binary(max_size=12),
        ),
    )
)
def test_whatever_stands_there_the_agent_goes_on(body: bytes) -> None:
    """Sealed by a wrong program: what it takes is told, and the rows of others are counted."""
    observer = Observer()
    agent = agent_of(observer=observer)
    agent.hear([profile_broadcast(PROFILE)])
    slice_ = records_slice([seal(body), body, None])
    try:
        agent.wants_broadcasts(slice_)
    except StateError:
        assert decode_partial(seal(body), SCHEMA).width_ms != PANE
        return
    agent.step(slice_, 0)
    agent.commit({}, 0)
    assert 2 <= len(observer.refusals) <= 3


def test_the_agent_counts_the_good_ones_among_the_bad() -> None:
    observer = Observer()
    agent = agent_of(observer=observer)
    agent.hear([profile_broadcast(PROFILE)])
    bad = [_changed(change) for change in CHANGES.values()]
    good = [partial(binned_group(PROFILE, pane * PANE, 50)) for pane in range(4)]
    encoded = [v for item in good for v in encode_partials(item, SCHEMA, 900_000)]
    mixed = [*bad, encoded[0], *bad, *encoded[1:], b"", None, GOOD[:50]]
    outputs = list(agent.step(records_slice(mixed), 0))
    told = encode_partials(to(A, 4 * PANE), SCHEMA, 900_000)
    outputs += agent.step(records_slice(told, len(mixed)), 0)
    [window] = values(outputs)
    assert (window["rows"], window["scored"]) == (200, True)
    assert observer.refusals == ["partials"] * (2 * len(CHANGES) + 3)
