"""The design's join and performance windows in plain pandas: what topics' records must lead to.

Written from the design's rules alone and slowly, so that it can be wrong only in other ways than
what it is compared with. `predictions` has the columns partition, offset, kafka_ms, event_ms, id,
model, version, prediction, score, group; `labels` partition, offset, kafka_ms, event_ms, id,
label, model (None: any). Records that can't be read aren't in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

GROUPS = ("a", "b")  # the values that have a segment of their own
_BEGINNING = -(1 << 60)
_MODEL = ["model", "version"]


@dataclass(frozen=True)
class Rules:
    """What is decided by. `horizon_ms` is by model.

    With `numbers` a text is a label of the wrong kind, with `only` what is none of these classes.
    """

    pane_ms: int
    out_of_orderness_ms: int
    max_clock_skew_ms: int
    early_ms: int
    horizon_ms: Mapping[str, int]
    numbers: bool = False
    only: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Joined:
    """What became of the records.

    `predictions` are those that count, `repeated` the others, both with pane_ms. `outcomes` have
    a prediction's columns and pane_ms (of the outcome), late, out (values that were taken out)
    and label: the value in force at the end, None after a retraction. `events` counts what
    happened, by name.
    """

    predictions: pd.DataFrame
    repeated: pd.DataFrame
    outcomes: pd.DataFrame
    events: Counter[str]


def value_of(scalar: object, *, number: bool) -> float | str | None:
    """A label or prediction as its class, or as a number where it is one; None of nothing."""
    if scalar is None or scalar != scalar:
        return None
    if number:
        try:
            return float(str(scalar))
        except ValueError:
            return str(scalar)
    if isinstance(scalar, str):
        return scalar
    as_number = float(str(int(scalar) if isinstance(scalar, bool) else scalar))
    return str(int(as_number)) if as_number.is_integer() else str(as_number)


def join(predictions: pd.DataFrame, labels: pd.DataFrame, rules: Rules) -> Joined:
    """What is known of predictions and their labels after all records."""
    events: Counter[str] = Counter()
    predictions = _timed(predictions, rules, events)
    labels = _timed(labels, rules, events)
    reached = predictions.groupby("partition").high_ms.max() - rules.out_of_orderness_ms
    duplicates = _duplicates(predictions, rules)
    events["duplicate"] += len(duplicates)
    repeated, predictions = predictions.loc[duplicates], predictions.drop(index=duplicates)
    pairs = _pairs(predictions, labels, rules)
    alone = labels[~labels.index.isin(pairs.label_row)]
    waited = alone.partition.map(reached).fillna(_BEGINNING) > alone.time_ms + rules.early_ms
    events["unmatched"] += int(waited.sum())
    outcomes = [
        outcome
        for _, own in pairs.sort_values("offset_label").groupby("prediction_row", sort=False)
        if (outcome := _outcome(own, rules, events)) is not None
    ]
    columns = [*_MODEL, "group", "prediction", "score", "pane_ms", "late", "out", "label"]
    found = pd.DataFrame(outcomes, columns=columns, dtype=object)
    return Joined(predictions, repeated, found, events)


def _timed(rows: pd.DataFrame, rules: Rules, events: Counter[str]) -> pd.DataFrame:
    """The valid rows with high_ms, watermark_ms (just before each) and time_ms (effective)."""
    future = rows.event_ms > rows.kafka_ms + rules.max_clock_skew_ms
    events["event_time_in_future"] += int(future.sum())
    rows = rows[~future].sort_values(["partition", "offset"]).reset_index(drop=True)
    rows["high_ms"] = rows[["event_ms", "kafka_ms"]].min(axis=1)
    rows["high_ms"] = rows.groupby("partition").high_ms.cummax()
    before = rows.groupby("partition").high_ms.shift(1, fill_value=_BEGINNING)
    rows["watermark_ms"] = before - rules.out_of_orderness_ms
    rows["time_ms"] = rows[["event_ms", "watermark_ms"]].max(axis=1)
    pane_ms = rows.time_ms // rules.pane_ms * rules.pane_ms
    return rows.assign(pane_ms=pane_ms, late=rows.event_ms < pane_ms)


def _duplicates(predictions: pd.DataFrame, rules: Rules) -> list[int]:
    """The rows of the time in which an earlier prediction of the same is known."""
    duplicates: list[int] = []
    for _, same in predictions.groupby(["partition", *_MODEL, "id"], sort=False):
        until_ms = _BEGINNING
        for index, model, time_ms in zip(same.index, same.model, same.time_ms, strict=True):
            if time_ms <= until_ms:
                duplicates.append(index)
            else:
                until_ms = max(until_ms, time_ms + rules.horizon_ms[model])
    return duplicates


def _pairs(predictions: pd.DataFrame, labels: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Each label with the earliest prediction of each model@version that it matches."""
    pairs = predictions.reset_index(names="prediction_row").merge(
        labels.reset_index(names="label_row"), on=["partition", "id"], suffixes=("", "_label")
    )
    horizon_ms = pairs.model.map(rules.horizon_ms).astype("int64")
    meant = pairs.model_label.isna() | (pairs.model_label == pairs.model)
    in_time = pairs.time_ms_label <= pairs.time_ms + horizon_ms
    begun = pairs.time_ms <= pairs.time_ms_label + rules.early_ms
    pairs = pairs[meant & in_time & begun].sort_values(["time_ms", "offset"])
    return pairs.drop_duplicates(["label_row", *_MODEL], keep="first")


def _outcome(own: pd.DataFrame, rules: Rules, events: Counter[str]) -> dict[str, Any] | None:
    """What a prediction's labels, in the order of their offsets, make of it."""
    found: dict[str, Any] | None = None
    in_force: float | str | None = None
    pane_ms = out = 0
    for pair in own.to_dict("records"):
        value = value_of(pair["label"], number=rules.numbers)
        if value is not None and _is_wrong(value, rules):
            events["wrong_label"] += 1
        elif found is None:
            if value is None:
                events["null_first"] += 1
                continue
            events["joined"] += 1
            in_force = value
            pane_ms = max(pair["time_ms"], pair["time_ms_label"]) // rules.pane_ms * rules.pane_ms
            found = {name: pair[name] for name in (*_MODEL, "group", "prediction", "score")}
            found |= {"pane_ms": pane_ms, "late": pair["late_label"]}
        elif value == in_force:
            events["duplicate_label"] += 1
        elif pane_ms + rules.pane_ms <= pair["watermark_ms_label"]:
            events["correction_late"] += 1
        else:
            events["correction"] += 1
            out += in_force is not None
            in_force = value
    return None if found is None else {**found, "out": out, "label": in_force}


def _is_wrong(value: float | str, rules: Rules) -> bool:
    """Whether a label goes to the dead letters when it meets a prediction, and does nothing."""
    return isinstance(value, str) and (
        rules.numbers or (bool(rules.only) and value not in rules.only)
    )


@dataclass(frozen=True)
class Window:
    """A performance window as it is due; `scored` are the outcomes that its metrics are of."""

    rows: int
    late_rows: int
    corrections: int
    scored: pd.DataFrame | None
    scored_from_ms: int | None


def windows(
    joined: Joined, window_ms: int, hop_ms: int, min_rows: int
) -> dict[tuple[str, str, str, int], Window]:
    """By model, version, segment and start. Too few outcomes are carried to the next window."""
    found: dict[tuple[str, str, str, int], Window] = {}
    carried: dict[tuple[str, str, str], tuple[int, pd.DataFrame]] = {}
    placed = in_windows(in_segments(joined.outcomes), window_ms, hop_ms)
    for place, own in placed.groupby([*_MODEL, "segment", "start_ms"]):
        model, version, segment, start_ms = cast(tuple[str, str, str, int], place)
        subject = (model, version, segment)
        held = own[own.label.notna()]
        if held.empty:
            continue
        from_ms, before = carried.pop(subject, (None, held.iloc[:0]))
        scored = pd.concat([before, held])
        enough = len(scored) >= min_rows
        if not enough:
            carried[subject] = (start_ms if from_ms is None else from_ms, scored)
        found[*subject, start_ms] = Window(
            rows=len(held),
            late_rows=int(own.late.sum()),
            corrections=int(own.out.sum()),
            scored=scored if enough else None,
            scored_from_ms=from_ms if enough else None,
        )
    return found


def in_segments(rows: pd.DataFrame) -> pd.DataFrame:
    """Each row once for all rows (segment "") and once in its group's segment."""
    group = rows.group.map(
        lambda name: "missing" if name is None else name if name in GROUPS else "other"
    )
    return pd.concat([rows.assign(segment=""), rows.assign(segment="tags.group=" + group)])


def panes_of(rows: pd.DataFrame) -> Counter[tuple[str, str, str, int]]:
    """How many rows there are by model, version, segment (`in_segments`) and pane's start."""
    return Counter(zip(rows.model, rows.version, rows.segment, rows.pane_ms, strict=True))


def in_windows(rows: pd.DataFrame, window_ms: int, hop_ms: int) -> pd.DataFrame:
    """Each row once for every window that holds its pane, with the window's start_ms."""
    last_ms = rows.pane_ms // hop_ms * hop_ms
    each = [rows.assign(start_ms=last_ms - back) for back in range(0, window_ms, hop_ms)]
    placed = pd.concat(each)
    return placed[placed.start_ms + window_ms > placed.pane_ms]
