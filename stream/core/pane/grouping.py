"""The groups that a monitor's `segment_by` makes of rows: their names, in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stream.core.conditions import Condition, columns_of, text_of
from stream.core.expression import is_expression, parse
from stream.core.rules import SegmentRule
from stream.core.specs import FEATURE_PREFIX, MonitorSpec, Profile

__all__ = [
    "MAX_SEGMENTS",
    "MAX_SETS",
    "Grouping",
    "columns_of_segment",
    "columns_wanted",
    "groupings",
    "left_out",
]

MAX_SEGMENTS: Final = 100  # of a model, besides all rows
MAX_SETS: Final = 10_000  # combinations of groups that a monitor's rows may be in
_MAX_VALUE: Final = 200  # characters of a value that gets a segment


@dataclass(frozen=True, slots=True)
class Grouping:
    """One rule's groups: `names[code]` is a group's segment, "" of rows that are in none.

    Of a column the codes are those of `values` (`columns.Codes`), then other, then missing:
    `country=US`, `country=other`, `country=missing`. Of a `condition` 0 is where it doesn't
    hold (named `not (age >= 65)` if the rule is protected, else ""), 1 where it does.
    """

    rule: SegmentRule
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    condition: Condition | None = None

    @property
    def reference(self) -> str:
        """The segment that a protected rule's others are compared with; "": the largest."""
        return f"{self.rule.by}={self.rule.reference}" if self.rule.reference else ""


def groupings(
    monitor: MonitorSpec, profile: Profile | None, max_segments: int = MAX_SEGMENTS
) -> tuple[Grouping, ...]:
    """The groups of a monitor's rules, at most `max_segments` segments in all.

    A column's values are the rule's, else the published profile's segments, else its categories
    of that feature, else none, and all rows are `other`. Of what is too much, later rules are
    left out if their two segments at least don't fit (other and missing, or the condition and
    its contrary), or if more than MAX_SETS combinations would come of them; then values, the
    last first, which are `other`.
    """
    rules: list[SegmentRule] = []
    room = max_segments
    for rule in monitor.segments:
        if _least(rule) <= room:
            rules.append(rule)
            room -= _least(rule)
    found: list[Grouping] = []
    combinations = 1
    for rule in rules:
        values = () if is_expression(rule.by) else _values(rule, profile)[:room]
        grouping = _grouping(rule, values)
        if combinations * len(grouping.names) > MAX_SETS:
            continue
        combinations *= len(grouping.names)
        room -= len(values)
        found.append(grouping)
    return tuple(found)


def left_out(
    monitor: MonitorSpec, profile: Profile | None, max_segments: int = MAX_SEGMENTS
) -> tuple[str, ...]:
    """What of `segment_by` makes no segments of its own, in words, a rule each."""
    kept = {grouping.rule: grouping for grouping in groupings(monitor, profile, max_segments)}
    told = []
    for rule in monitor.segments:
        if rule not in kept:
            told.append(
                f"{rule.by}: is left out, as more than {max_segments} segments, or more "
                f"than {MAX_SETS} combinations of them, would come of it"
            )
        elif not is_expression(rule.by):
            values, named = _values(rule, profile), kept[rule].values
            if not values:
                told.append(
                    f"{rule.by}: neither the rule nor a published profile names values, "
                    "so all rows are in other"
                )
            elif len(named) < len(values):
                told.append(
                    f"{rule.by}: {len(values) - len(named)} of {len(values)} values are "
                    f"in other, as a model has at most {max_segments} segments"
                )
    return tuple(told)


def columns_wanted(rules: tuple[SegmentRule, ...]) -> tuple[str, ...]:
    """The columns that rules look at, sorted: features, and `tags.NAME`."""
    found: set[str] = set()
    for rule in rules:
        found.update(columns_of(parse(rule.by)) if is_expression(rule.by) else (rule.by,))
    return tuple(sorted(found))


def columns_of_segment(rules: tuple[SegmentRule, ...], segment: str) -> tuple[str, ...]:
    """The columns that tell a segment's rows from others, sorted; none for all rows.

    >>> columns_of_segment((SegmentRule("plan"), SegmentRule("age >= 65")), "plan=a")
    ('plan',)
    """
    return columns_wanted(tuple(rule for rule in rules if _makes(rule, segment)))


def _makes(rule: SegmentRule, segment: str) -> bool:
    if is_expression(rule.by):
        return bool(segment) and segment in _grouping(rule, ()).names
    return segment.startswith(f"{rule.by}=")


def _least(rule: SegmentRule) -> int:
    return 1 if is_expression(rule.by) and not rule.protected else 2


def _values(rule: SegmentRule, profile: Profile | None) -> tuple[str, ...]:
    if rule.values or profile is None:
        return rule.values
    values = dict(profile.segments).get(rule.by)
    if values is None:
        name = FEATURE_PREFIX + rule.by
        values = next((v.categories for v in profile.categorical if v.name == name), ())
    return tuple(value for value in values if len(value) <= _MAX_VALUE)


def _grouping(rule: SegmentRule, values: tuple[str, ...]) -> Grouping:
    if not is_expression(rule.by):
        names = tuple(f"{rule.by}={value}" for value in (*values, "other", "missing"))
        return Grouping(rule, names, values)
    condition = parse(rule.by)
    text = text_of(condition)
    return Grouping(rule, (f"not ({text})" if rule.protected else "", text), (), condition)
