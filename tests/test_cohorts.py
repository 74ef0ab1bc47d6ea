"""Cohorts: how each row's labels are read, by its model's monitor and profile in its pane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.catalog import Monitors, Profiles
from stream.core.ids import ids_of
from stream.core.labels import Labels, LabelSpec, label_spec
from stream.core.outcomes import Cohort
from stream.core.pane.cohorts import NOT_JOINED, Cohorts, in_sample
from stream.core.records import Batch, ModelKey, RawBatch
from stream.core.rules import LabelRule
from stream.core.specs import MonitorSpec, Profile
from tests.pane_rows import profile
from tests.served_rows import PANE, batch, panes, raw, served

BINARY = LabelRule(kind="binary", classes=("0", "1"))
REGRESSION = LabelRule(kind="regression")
NONE = LabelRule(wanted=False)
UNSAID = LabelRule()
SAMPLED = LabelRule(kind="binary", classes=("no", "yes"), sample=0.25)


def monitor(model: str, start: int, labels: LabelRule, *, joined: bool = False) -> MonitorSpec:
    return MonitorSpec(model=model, effective_from_ms=start * PANE, labels=labels, joined=joined)


def expected(
    key: ModelKey, pane_ms: int, known: list[Profile], heard: list[MonitorSpec]
) -> Cohort | None:
    """What the design says, looked up in full lists."""
    rule, joined, latest = LabelRule(), False, -1
    for spec in heard:
        if spec.model == key.model and latest < spec.effective_from_ms <= pane_ms:
            rule, joined, latest = spec.labels, spec.joined, spec.effective_from_ms
    published = [
        p for p in known if p.model == key and not p.warmed_up and p.effective_from_ms <= pane_ms
    ]
    read = label_spec(published[0] if published else None, rule)
    return None if read is None else Cohort(key, read, (), rule.horizon_ms, joined)


RULES = st.sampled_from([BINARY, REGRESSION, NONE, UNSAID, replace(BINARY, horizon_ms=5)])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 5)), max_size=6),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), RULES, st.booleans()), max_size=8),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=12),
    st.integers(0, 6),
)
def test_a_row_is_judged_by_what_is_in_force_in_its_pane(
    models: list[tuple[int, bool, int]],
    changes: list[tuple[int, int, LabelRule, bool]],
    rows: list[tuple[int, int]],
    heard_first: int,
) -> None:
    """Whatever was heard before the rows or between two of them, in single and mixed batches."""
    rng = np.random.default_rng(0)
    profiles, monitors = Profiles(), Monitors()
    cohorts = Cohorts(profiles, monitors)
    specs: list[MonitorSpec] = []
    for model, start, rule, joined in sorted(changes, key=lambda change: change[1]):
        if (f"m{model}", start * PANE) not in {(s.model, s.effective_from_ms) for s in specs}:
            specs.append(monitor(f"m{model}", start, rule, joined=joined))
    news: list[Profile | MonitorSpec] = [
        replace(profile(f"m{model}", rng), warmed_up=warmed, effective_from_ms=start * PANE)
        for model, warmed, start in models
    ]
    news += specs

    def look() -> None:
        times = panes(*(pane for _, pane in rows))
        for model in range(4):
            key = ModelKey(f"m{model}", "1")
            entries = [i for i, p in enumerate(profiles.entries) if p.model == key]
            want = [
                expected(key, int(t), profiles.entries, [s for s in heard if s.model == key.model])
                for t in times
            ]
            batches: list[Batch | RawBatch] = [raw(key, len(times))]
            batches += [batch([i] * len(times)) for i in entries]
            for each in batches:
                found = cohorts.of(each, times).tolist()
                assert [None if i < 0 else cohorts.list[i] for i in found] == want
        known = [(i, pane) for i, pane in rows if i < len(profiles.entries)]
        mixed = cohorts.of(batch([i for i, _ in known]), panes(*(pane for _, pane in known)))
        for (i, pane), number in zip(known, mixed.tolist(), strict=True):
            want_one = expected(profiles.entries[i].model, pane * PANE, profiles.entries, heard)
            assert (None if number < 0 else cohorts.list[number]) == want_one

    heard: list[MonitorSpec] = []
    for i, piece in enumerate(news):
        if isinstance(piece, Profile):
            profiles.hear(piece)
        else:
            monitors.hear(piece)
            heard.append(piece)
        if i == heard_first:
            look()
    look()
    assert len(set(cohorts.list)) == len(cohorts.list)


def test_numbers_stay_whatever_becomes_known() -> None:
    profiles, monitors = Profiles(), Monitors()
    cohorts = Cohorts(profiles, monitors)
    monitors.hear(monitor("a", 0, BINARY))
    key = ModelKey("a", "1")
    first = cohorts.of(raw(key, 1), panes(0))
    monitors.hear(monitor("b", 0, REGRESSION))
    assert cohorts.of(raw(ModelKey("b", "1"), 1), panes(0)).tolist() != first.tolist()
    assert cohorts.of(raw(key, 1), panes(0)).tolist() == first.tolist()
    assert cohorts.number(cohorts.list[int(first[0])]) == int(first[0])


def test_segments_are_part_of_a_cohort() -> None:
    profiles, monitors = Profiles(), Monitors()
    monitors.hear(monitor("a", 0, BINARY))
    cohorts = Cohorts(profiles, monitors)
    names = [(), ("country=US",), ("country=US", "age >= 65")]
    sets = np.array([0, 2, 1, 2], dtype=np.int32)
    found = cohorts.of(raw(ModelKey("a", ""), 4), panes(0, 0, 1, 1), sets, names)
    assert [cohorts.list[i].segments for i in found] == [names[i] for i in sets]
    none = cohorts.of(raw(ModelKey("b", ""), 4), panes(0, 0, 1, 1), sets, names)
    assert none.tolist() == [NOT_JOINED] * 4


@pytest.mark.parametrize("places", [0, 50, 1 << 22])
def test_sets_of_segments_are_told_apart_with_and_without_a_table(places: int) -> None:
    rng = np.random.default_rng(places)
    profiles, monitors = Profiles(), Monitors()
    for model in range(5):
        profiles.hear(replace(profile("m", rng), model=ModelKey(f"m{model}", ""), hash=str(model)))
        monitors.hear(monitor(f"m{model}", model, NONE if model == 3 else BINARY))
    cohorts = Cohorts(profiles, monitors, places)
    names: list[tuple[str, ...]] = [()]
    for _ in range(8):
        names += [(f"s{len(names)}",), (f"s{len(names)}", "t")]
        entries, pane = rng.integers(0, 5, 50), rng.integers(0, 7, 50)
        sets = rng.integers(0, len(names), 50).astype(np.int32)
        found = cohorts.of(batch(entries.tolist()), panes(*pane.tolist()), sets, names).tolist()
        for entry, number, chosen, at in zip(entries, found, sets, pane, strict=True):
            if entry == 3 and at >= 3:
                assert number == NOT_JOINED
            else:
                cohort = cohorts.list[number]
                assert (cohort.model.model, cohort.segments) == (f"m{entry}", names[chosen])


def test_a_sample_is_of_ids() -> None:
    profiles, monitors = Profiles(), Monitors()
    monitors.hear(monitor("a", 0, SAMPLED))
    cohorts = Cohorts(profiles, monitors)
    rows = raw(ModelKey("a", ""), 4_000)
    joined = cohorts.of(rows, panes(*[0] * 4_000)) != NOT_JOINED
    assert rows.served is not None
    assert joined.tolist() == in_sample(rows.served.ids, np.full(4_000, 0.25)).tolist()
    assert 0.22 < joined.mean() < 0.28


@pytest.mark.parametrize("kind", ["uuid7", "counted", "one half"])
def test_a_sample_is_a_share_of_ids_of_any_make(kind: str) -> None:
    count = 20_000
    ids = {
        "uuid7": ids_of([f"01890a5d-ac96-774b-bcce-{i:012x}" for i in range(count)]),
        "counted": ids_of([f"order-{i}" for i in range(count)]),
        "one half": np.stack(
            [np.zeros(count, dtype=np.uint64), np.arange(count, dtype=np.uint64)], axis=1
        ),
    }[kind]
    small, large = (in_sample(ids, np.full(count, share)) for share in (0.05, 0.5))
    assert abs(small.mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / count)
    assert abs(large.mean() - 0.5) < 4 * np.sqrt(0.25 / count)
    assert not (small & ~large).any()
    assert in_sample(ids, np.ones(count)).all()
    assert not in_sample(ids, np.zeros(count)).any()


def labels(models: list[str | None]) -> Labels:
    names = sorted({name for name in models if name is not None})
    count = len(models)
    return Labels(
        np.arange(count, dtype=np.int32),
        np.zeros(count, dtype=np.int32),
        np.zeros(count, dtype=np.int64),
        served(count, 1).ids,
        np.ones(count, dtype=np.uint8),
        np.zeros(count, dtype=np.uint64),
        np.array([-1 if m is None else names.index(m) for m in models], dtype=np.int32),
        names,
        {},
    )


def test_labels_that_nothing_can_match_are_dropped() -> None:
    profiles, monitors = Profiles(), Monitors()
    profiles.hear(profile("known", np.random.default_rng(0), effective_from_ms=2 * PANE))
    monitors.hear(monitor("said", 0, BINARY))
    monitors.hear(monitor("none", 0, NONE))
    monitors.hear(monitor("ended", 0, BINARY))
    monitors.hear(monitor("ended", 3, NONE))
    cohorts = Cohorts(profiles, monitors)
    rows = labels(["known", "said", "none", "ended", "nobody", None])
    at_1 = cohorts.joinable(rows, panes(*[1] * 6)).tolist()
    at_4 = cohorts.joinable(rows, panes(*[4] * 6)).tolist()
    assert at_1 == [False, True, False, True, False, True]
    assert at_4 == [True, True, False, True, False, True]


def test_labels_without_any_model_that_wants_them() -> None:
    cohorts = Cohorts(Profiles(), Monitors())
    assert cohorts.joinable(labels([None, "a"]), panes(0, 0)).tolist() == [False, False]
    assert cohorts.joinable(labels([]), panes()).tolist() == []


def test_labels_are_sampled_as_their_predictions_are() -> None:
    monitors = Monitors()
    monitors.hear(monitor("a", 0, SAMPLED))
    monitors.hear(monitor("b", 0, replace(BINARY, sample=0.5)))
    cohorts = Cohorts(Profiles(), monitors)
    rows = labels(["a", "b", None] * 1_000)
    kept = cohorts.joinable(rows, panes(*[0] * 3_000))
    share = np.array([0.25, 0.5, 0.5] * 1_000)
    assert kept.tolist() == in_sample(rows.ids, share).tolist()


def test_a_warmed_up_profile_says_nothing_of_labels() -> None:
    profiles = Profiles()
    profiles.hear(profile("a", np.random.default_rng(0), warmed_up=True))
    cohorts = Cohorts(profiles, Monitors())
    assert cohorts.of(batch([0, 0]), panes(0, 9)).tolist() == [NOT_JOINED] * 2
    published = replace(profile("a", np.random.default_rng(1)), hash="other")
    profiles.hear(published)
    (number,) = set(cohorts.of(batch([0, 1]), panes(0, 9)).tolist())
    assert cohorts.list[number].spec == LabelSpec(
        cohorts.list[number].spec.kind, ("0", "1"), cohorts.list[number].spec.edges
    )


def test_models_without_profiles_do_not_fill_the_memory() -> None:
    cohorts = Cohorts(Profiles(), Monitors())
    for number in range(25_000):
        cohorts.of(raw(ModelKey("m", str(number)), 1), panes(0))
    assert cohorts.list == []
    assert len(cohorts._eras.list) <= 10_001
