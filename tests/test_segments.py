"""Segments: which each row is in, by its monitor's rules, against a plain look at each row."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.catalog import Monitors, Profiles
from stream.core.pane.grouping import MAX_SETS, groupings, left_out
from stream.core.pane.segments import Segments
from stream.core.records import Batch, Int64s, ModelKey, RawBatch, Scalar
from stream.core.rules import SegmentRule
from stream.core.specs import MonitorSpec, Profile, category
from tests.pane_rows import categorical, profile
from tests.served_rows import PANE, batch, panes, raw

Plain = dict[str, list[Scalar]]

COUNTRY = SegmentRule("country", ("US", "1"))
CHANNEL = SegmentRule("tags.channel")
OLD = SegmentRule("age >= 65")
SEX = SegmentRule("sex", ("F", "M"), protected=True, reference="M")
OLD_PROTECTED = replace(OLD, protected=True)


def monitor(model: str, start: int, *rules: SegmentRule) -> MonitorSpec:
    return MonitorSpec(model=model, effective_from_ms=start * PANE, segments=rules)


def bring(rows: Batch | RawBatch, plain: Plain) -> Batch | RawBatch:
    assert rows.served is not None
    return replace(rows, served=replace(rows.served, plain=plain))


def names(segments: Segments, rows: Batch | RawBatch, at: Int64s) -> list[tuple[str, ...]]:
    found = segments.of(rows, at)
    return [()] * len(rows) if found is None else [segments.sets[number] for number in found]


def known(*specs: MonitorSpec, profiles: Profiles | None = None, most: int = 100) -> Segments:
    monitors = Monitors()
    for spec in specs:
        monitors.hear(spec)
    return Segments(monitors, profiles or Profiles(), most)


KEY = ModelKey("m", "1")


def test_rows_are_told_apart_by_columns_and_conditions() -> None:
    segments = known(monitor("m", 0, COUNTRY, OLD, SEX, OLD_PROTECTED))
    plain: Plain = {
        "country": ["US", True, "FR", None],
        "age": [70, 10.0, None, "65"],
        "sex": ["M", "F", "x", math.nan],
    }
    assert names(segments, bring(raw(KEY, 4), plain), panes(0, 0, 0, 0)) == [
        ("country=US", "age >= 65", "sex=M", "age >= 65"),
        ("country=1", "sex=F", "not (age >= 65)"),
        ("country=other", "sex=other", "not (age >= 65)"),
        ("country=missing", "sex=missing", "not (age >= 65)"),
    ]


def test_a_column_that_rows_do_not_bring_is_missing() -> None:
    segments = known(monitor("m", 0, COUNTRY))
    assert names(segments, bring(raw(KEY, 2), {}), panes(0, 0)) == [("country=missing",)] * 2


def test_nothing_is_paid_where_nobody_segments() -> None:
    segments = known(monitor("m", 0), monitor("n", 0, COUNTRY))
    assert segments.of(raw(KEY, 2), panes(0, 0)) is None
    assert segments.of(replace(raw(ModelKey("n", "1"), 2), served=None), panes(0, 0)) is None
    assert known(monitor("m", 0)).of(raw(KEY, 2), panes(0, 0)) is None
    assert segments.sets == [()]


def test_columns_that_rows_must_bring() -> None:
    segments = known(
        monitor("m", 0, COUNTRY, OLD),
        monitor("m", 5, CHANNEL, SegmentRule("not (`a b` in ['x'] and tags.c is missing)")),
    )
    assert segments.wanted("m") == ("a b", "age", "country", "tags.c", "tags.channel")
    assert segments.wanted("n") == ()


def reference(effective: int = 0, *, warmed_up: bool = False) -> Profile:
    made = profile(
        "m", np.random.default_rng(0), effective_from_ms=effective * PANE, warmed_up=warmed_up
    )
    return replace(
        made,
        categorical=(*made.categorical, categorical("features.zip", ["9", "7"], ["8"])),
        segments=(("country", ("DE", "FR")), ("tags.channel", ("web",))),
    )


def test_values_are_the_rules_then_the_profiles_segments_then_its_categories() -> None:
    def values(rule: SegmentRule, of: Profile | None) -> tuple[str, ...]:
        (found,) = groupings(monitor("m", 0, rule), of, 100)
        return found.values

    assert values(COUNTRY, reference()) == ("US", "1")
    assert values(SegmentRule("country"), reference()) == ("DE", "FR")
    assert values(CHANNEL, reference()) == ("web",)
    assert values(SegmentRule("zip"), reference()) == ("9", "7")
    assert values(SegmentRule("x0"), reference()) == ()
    assert values(CHANNEL, None) == ()
    (told,) = left_out(monitor("m", 0, CHANNEL), None, 100)
    assert told.startswith("tags.channel: neither the rule nor a published profile names values")


def test_a_warmed_up_profile_names_no_values() -> None:
    profiles = Profiles()
    profiles.hear(reference(warmed_up=True))
    segments = known(monitor("m", 0, SegmentRule("zip")), profiles=profiles)
    rows = bring(batch([0, 0]), {"zip": [9, 7]})
    assert names(segments, rows, panes(0, 9)) == [("zip=other",)] * 2
    profiles.hear(replace(reference(5), hash="published"))
    assert names(segments, rows, panes(0, 9)) == [("zip=other",), ("zip=7",)]


def test_segments_are_bounded_in_the_order_of_the_rules() -> None:
    many = SegmentRule("country", tuple(f"c{i}" for i in range(200)))
    spec = monitor("m", 0, many, SEX, OLD)
    assert [len(found.values) for found in groupings(spec, None, 100)] == [95, 0, 0]
    assert [len(found.values) for found in groupings(spec, None, 206)] == [200, 1, 0]
    assert left_out(spec, None, 206) == (
        "sex: 1 of 2 values are in other, as a model has at most 206 segments",
    )
    for most in range(12):
        kept = groupings(monitor("m", 0, SEX, OLD, COUNTRY, OLD_PROTECTED), None, most)
        assert sum(name != "" for found in kept for name in found.names) <= most
    one = names(known(spec, most=7), bring(raw(KEY, 2), {"country": ["c1", "c2"]}), panes(0, 0))
    assert [found[0] for found in one] == ["country=c1", "country=other"]


def test_combinations_are_bounded() -> None:
    rules = tuple(SegmentRule(f"x{i}", ("a", "b", "c")) for i in range(10))
    kept = groupings(monitor("m", 0, *rules), None, 100)
    assert math.prod(len(found.names) for found in kept) <= MAX_SETS
    assert len(kept) == 5
    assert len(left_out(monitor("m", 0, *rules), None, 100)) == 5


RULES = st.lists(
    st.sampled_from([COUNTRY, CHANNEL, OLD, SEX, SegmentRule("country != 'US' or age < 3")]),
    max_size=4,
    unique=True,
)
VALUES: dict[str, st.SearchStrategy[Scalar]] = {
    "country": st.sampled_from(["US", "FR", 1, True, "1", None, math.nan]),
    "tags.channel": st.sampled_from(["web", "app", None]),
    "age": st.sampled_from([2, 64.9, 65, 70.0, "70", None]),
    "sex": st.sampled_from(["F", "M", "x", None]),
}


def plainly(
    rules: tuple[SegmentRule, ...], of: Profile | None, row: dict[str, Scalar]
) -> tuple[str, ...]:
    found = []
    age, country = row["age"], category(row["country"])
    for rule in rules:
        if rule is OLD:
            if isinstance(age, float | int) and age >= 65:
                found.append("age >= 65")
        elif rule not in (COUNTRY, CHANNEL, SEX):
            young = isinstance(age, float | int) and age < 3
            if country not in (None, "US") or young:
                found.append('country != "US" or age < 3')
        else:
            values = rule.values or (dict(of.segments).get(rule.by, ()) if of else ())
            value = category(row[rule.by])
            shown = "missing" if value is None else value if value in values else "other"
            found.append(f"{rule.by}={shown}")
    return tuple(found)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), RULES), max_size=6),
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 6), st.fixed_dictionaries(VALUES)),
        min_size=1,
        max_size=10,
    ),
)
def test_a_row_is_in_what_the_monitor_and_profile_of_its_pane_say(
    changes: list[tuple[int, int, list[SegmentRule]]],
    published: list[int],
    rows: list[tuple[int, int, dict[str, Scalar]]],
) -> None:
    monitors, profiles = Monitors(), Profiles()
    segments = Segments(monitors, profiles)
    for model, start in enumerate(published):
        key = ModelKey(f"m{model}", "1")
        profiles.hear(replace(reference(start), model=key, hash=f"h{model}"))
    latest: dict[tuple[int, int], tuple[SegmentRule, ...]] = {}
    for model, start, rules in sorted(changes, key=lambda change: change[1]):
        latest[model, start] = tuple(rules)
        monitors.hear(monitor(f"m{model}", start, *rules))
    plain = {name: [row[name] for _, _, row in rows] for name in VALUES}
    mixed = bring(batch([model for model, _, _ in rows]), plain)
    at = panes(*(pane for _, pane, _ in rows))
    expected = []
    for model, pane, row in rows:
        starts = [start for (of, start) in latest if of == model and start <= pane]
        rules_then = latest[model, max(starts)] if starts else ()
        of = profiles.entries[model] if published[model] <= pane else None
        expected.append(plainly(rules_then, of, row))
    assert names(segments, mixed, at) == expected
    for model in range(3):
        own = [i for i, row in enumerate(rows) if row[0] == model]
        part = {name: [column[i] for i in own] for name, column in plain.items()}
        single = bring(raw(ModelKey(f"m{model}", "1"), len(own)), part)
        assert names(segments, single, at[own]) == [expected[i] for i in own]
    assert len(set(segments.sets)) == len(segments.sets)


def test_models_share_the_plan_of_equal_rules() -> None:
    monitors, profiles = Monitors(), Profiles()
    segments = Segments(monitors, profiles)
    base = profile("m", np.random.default_rng(0))
    for i in range(50):
        profiles.hear(replace(base, model=ModelKey(f"m{i}", ""), hash=str(i)))
        monitors.hear(monitor(f"m{i}", 0, COUNTRY))
    rows = bring(batch(list(range(50))), {"country": ["US"] * 50})
    assert names(segments, rows, panes(*[0] * 50)) == [("country=US",)] * 50
    assert len(segments._plans) == 1


@pytest.mark.parametrize("value", ["other", "missing"])
def test_a_value_that_is_called_as_a_group_is_counted_there(value: str) -> None:
    segments = known(monitor("m", 0, SegmentRule("country", (value, "US"))))
    rows = bring(raw(KEY, 3), {"country": [value, "x", None]})
    found = names(segments, rows, panes(0, 0, 0))
    assert found[0] == (f"country={value}",)
    assert json.dumps(found[1:]) == '[["country=other"], ["country=missing"]]'
