"""What changed in a detect task since its last commit: what its changelog has to be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.core.pane.spans import Counted, Move, Subject, Tally
from stream.core.pane.window import Range
from stream.core.records import Group, ModelKey

__all__ = ["Journal"]


@dataclass(slots=True)
class Journal:
    """Collects changes until `clear`.

    `counted` are rows added, by span, subject and what counted them; `kept` raw groups that wait
    for a profile; `settled` models whose raw groups are needed no more; `released` spans that no
    subject holds; `moved` are moves noted, `unmoved` subjects whose earlier moves are to be
    written afresh; `touched` subjects of which anything else changed; `forgotten` those gone.
    """

    counted: dict[Range, dict[tuple[Subject, Counted], Tally]] = field(default_factory=dict)
    kept: dict[ModelKey, list[Group]] = field(default_factory=dict)
    settled: set[ModelKey] = field(default_factory=set)
    released: set[Range] = field(default_factory=set)
    moved: dict[Subject, list[Move]] = field(default_factory=dict)
    unmoved: set[Subject] = field(default_factory=set)
    touched: set[Subject] = field(default_factory=set)
    forgotten: set[Subject] = field(default_factory=set)

    def count(self, span: Range, subject: Subject, counted: Counted, tally: Tally) -> None:
        """Notes rows that were added to a span; the tally stays the caller's."""
        held = self.counted.setdefault(span, {})
        mine = held.get((subject, counted))
        if mine is None:
            mine = held[subject, counted] = Tally()
        mine.add(tally)

    def keep(self, group: Group) -> None:
        """Notes a raw group that waits for a profile."""
        self.kept.setdefault(group.model, []).append(group)

    def settle(self, model: ModelKey) -> None:
        """Notes that none of the model's raw groups are needed any more."""
        self.kept.pop(model, None)
        self.settled.add(model)
        self.touched.add(Subject(model))

    def release(self, span: Range) -> None:
        """Notes that no subject holds the span."""
        self.counted.pop(span, None)
        self.released.add(span)

    def move(self, subject: Subject, move: Move) -> None:
        """Notes rows of closed panes that came."""
        self.moved.setdefault(subject, []).append(move)

    def unmove(self, subject: Subject) -> None:
        """Notes that some of a subject's moves are needed no more."""
        self.moved.pop(subject, None)
        self.unmoved.add(subject)

    def forget(self, subject: Subject) -> None:
        """Notes that nothing is kept of a subject any more."""
        self.touched.discard(subject)
        self.unmove(subject)
        self.forgotten.add(subject)

    def clear(self) -> None:
        """Forgets everything: it is committed."""
        for changes in (self.counted, self.kept, self.moved):
            changes.clear()
        for names in (self.settled, self.released, self.unmoved, self.touched, self.forgotten):
            names.clear()
