"""Holds back a topic that is far ahead of its partner, so that what waits for it stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from stream.core.records import Source

__all__ = ["Lead", "follows"]

_PARTNERS = (("predictions", "labels"), ("labels", "predictions"))


def follows(sources: Iterable[str]) -> Mapping[str, str]:
    """Labels are read behind predictions: one that finds its prediction costs half as much."""
    return {"labels": "predictions"} if {"labels", "predictions"} <= set(sources) else {}


class Lead:
    """Which sources lead their partner, the same partition of labels or predictions, by too much.

    A source is held when its watermark leads by more than `max_lead_ms`, and until the lead is
    half of that (reading stops and starts cost), the partner is at its end, or it is stuck.
    What is held decides nothing but memory: joins don't depend on the order of topics.
    """

    def __init__(self, max_lead_ms: int) -> None:
        self._max_lead_ms = max_lead_ms
        self._held: frozenset[Source] = frozenset()

    def held(
        self,
        tasks: Iterable[int],
        watermark_ms: Callable[[Source], int],
        expected: Callable[[Source], bool],
    ) -> frozenset[Source]:
        """The sources of these tasks that must not be read now.

        `expected` tells whether rows of a source may come at once.
        """
        self._held = frozenset(self._leading(tasks, watermark_ms, expected))
        return self._held

    def _leading(
        self,
        tasks: Iterable[int],
        watermark_ms: Callable[[Source], int],
        expected: Callable[[Source], bool],
    ) -> Iterator[Source]:
        for task in tasks:
            for topic, partner in _PARTNERS:
                source, other = Source(topic, task), Source(partner, task)
                limit_ms = self._max_lead_ms // (2 if source in self._held else 1)
                if watermark_ms(source) - watermark_ms(other) > limit_ms and expected(other):
                    yield source
