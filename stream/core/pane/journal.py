"""What changed in a detect task since its last commit: what its changelog has to be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.core.pane.spans import Tally
from stream.core.pane.window import Range
from stream.core.records import Group, ModelKey

__all__ = ["Journal"]


@dataclass(slots=True)
class Journal:
    """Collects changes until `clear`.

    `counted` are rows added, by span, model and profile; `kept` raw groups that wait for a
    profile; `settled` models whose raw groups are needed no more; `released` spans that no model
    holds; `touched` models of which anything else changed; `forgotten` models that are gone.
    """

    counted: dict[Range, dict[tuple[ModelKey, str], Tally]] = field(default_factory=dict)
    kept: dict[ModelKey, list[Group]] = field(default_factory=dict)
    settled: set[ModelKey] = field(default_factory=set)
    released: set[Range] = field(default_factory=set)
    touched: set[ModelKey] = field(default_factory=set)
    forgotten: set[ModelKey] = field(default_factory=set)

    def count(self, span: Range, model: ModelKey, profile: str, tally: Tally) -> None:
        """Notes rows that were added to a span; the tally stays the caller's."""
        held = self.counted.setdefault(span, {})
        mine = held.get((model, profile))
        if mine is None:
            mine = held[model, profile] = Tally()
        mine.add(tally)

    def keep(self, group: Group) -> None:
        """Notes a raw group that waits for a profile."""
        self.kept.setdefault(group.model, []).append(group)

    def settle(self, model: ModelKey) -> None:
        """Notes that none of the model's raw groups are needed any more."""
        self.kept.pop(model, None)
        self.settled.add(model)
        self.touched.add(model)

    def release(self, span: Range) -> None:
        """Notes that no model holds the span."""
        self.counted.pop(span, None)
        self.released.add(span)

    def forget(self, model: ModelKey) -> None:
        """Notes that nothing is kept of a model any more."""
        self.touched.discard(model)
        self.forgotten.add(model)

    def clear(self) -> None:
        """Forgets everything: it is committed."""
        self.counted.clear()
        self.kept.clear()
        self.settled.clear()
        self.released.clear()
        self.touched.clear()
        self.forgotten.clear()
