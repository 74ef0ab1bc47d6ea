"""Labels, segments and metrics as people write them in a monitor file."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from pydantic import BeforeValidator, Field

from stream.adapters.documents import Document, Duration
from stream.core.conditions import text_of
from stream.core.errors import ConfigError
from stream.core.expression import is_expression, parse
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import category

__all__ = ["Labels", "LabelsDocument", "MetricDocument", "Segment", "SegmentDocument"]

_DEFAULT = LabelRule()


def _class(value: object) -> str:
    if not isinstance(value, str | int | float) or value != value:
        raise ValueError(f"{value!r} is no class: write a text, a number, true or false")
    return category(value) or ""


Class = Annotated[str, BeforeValidator(_class)]
"""A class or a category, written as a text, a number or a boolean."""


class LabelsDocument(Document):
    """How labels are read; what is left out is taken from the published profile."""

    kind: str = Field("", description="binary, multiclass or regression")
    classes: list[Class] = Field(default_factory=list, description="the classes, if there are any")
    positive: Class = Field("", description="of two classes the positive one")
    horizon: Duration = Field(_DEFAULT.horizon_ms, description="how long labels are waited for")
    sample: float = Field(_DEFAULT.sample, description="the share of predictions that is joined")

    def rule(self) -> LabelRule:
        """The document as the core reads it."""
        return LabelRule(
            kind=self.kind,
            classes=tuple(self.classes),
            positive=self.positive,
            horizon_ms=self.horizon,
            sample=self.sample,
        )


class _NoLabels(LabelsDocument):
    """`labels: none`."""

    def rule(self) -> LabelRule:
        return LabelRule(wanted=False)


def _labels(value: object) -> object:
    if value == "none":
        return _NoLabels.model_validate({})
    if not isinstance(value, dict | LabelsDocument):
        raise ValueError("write none, or what labels are: {kind: binary, positive: approve}")
    return value


Labels = Annotated[LabelsDocument, BeforeValidator(_labels)]
"""How labels are read, or `none`."""


class SegmentDocument(Document):
    """What rows are told apart by."""

    by: str = Field(min_length=1, description="a feature, tags.NAME, or an expression")
    values: list[Class] = Field(default_factory=list, description="else the profile's")
    protected: bool = Field(False, description="compare its groups for fairness")
    reference: Class = Field("", description="the group to compare with; else the largest")

    def rule(self) -> SegmentRule:
        """The document as the core reads it, an expression in its one form."""
        by = self.by
        if is_expression(by):
            with suppress(ConfigError):  # it is told with the monitor's other problems
                by = text_of(parse(by))
        return SegmentRule(by, tuple(self.values), self.protected, self.reference)


def _segment(value: object) -> object:
    return {"by": value} if isinstance(value, str) else value


Segment = Annotated[SegmentDocument, BeforeValidator(_segment)]
"""A segment rule; a text alone is its `by`."""


class MetricDocument(Document):
    """When a metric is bad."""

    min: float | None = Field(None, description="bad below it")
    max: float | None = Field(None, description="bad above it")
    max_drop: float | None = Field(None, description="bad so far below the reference's value")
    max_rise: float | None = Field(None, description="bad so far above the reference's value")
    point: bool = Field(False, description="the value alone decides, not its whole interval")

    def rule(self) -> MetricRule:
        """The document as the core reads it."""
        return MetricRule(self.min, self.max, self.max_drop, self.max_rise, self.point)
