"""What a commit of observe tells detect: groups, progress, watermarks, claims, by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stream import schemas
from stream.agents.observe.state import SourceState
from stream.core.pane.block import Groups
from stream.core.pane.partial import encode_partials
from stream.core.pane.watermark import Watermarks
from stream.core.partitioner import partitions_of
from stream.core.records import Claim, Group, Output, Partial, Progress, Source, Told

__all__ = ["Telling"]


class Telling:
    """Makes partials, and remembers what was told of each source's watermark.

    `partitions` is how many `partials` has; every one of them is told the progress.
    """

    def __init__(
        self, watermarks: Watermarks, pane_ms: int, partitions: int, max_bytes: int
    ) -> None:
        self._watermarks = watermarks
        self._pane_ms = pane_ms
        self._partitions = partitions
        self._max_bytes = max_bytes
        self._schema = schemas.schema("pane_partial")
        self.states: dict[Source, SourceState] = {}

    def restore(self, states: Mapping[Source, SourceState]) -> None:
        """Goes on from what was told of these sources."""
        self.states.update(states)
        self._watermarks.restore({source: state.mark for source, state in states.items()})

    def forget(self, sources: Sequence[Source]) -> None:
        """Forgets sources, and their watermarks."""
        for source in sources:
            self.states.pop(source, None)
            self._watermarks.forget(source)

    def told(self, sources: Sequence[Source]) -> tuple[tuple[Told, ...], set[int]]:
        """Watermarks that crossed a pane's end since they were told; tasks whose state changed."""
        told = []
        touched = set()
        for source in sources:
            mark = self._watermarks.mark(source)
            watermark_ms = self._watermarks.watermark_ms(source)
            state = SourceState(mark, watermark_ms // self._pane_ms * self._pane_ms)
            known = self.states.get(source)
            if mark.high_ms and state != known:
                touched.add(source.partition)
                self.states[source] = state
                if state.told_end_ms > (known.told_end_ms if known else 0):
                    told.append(Told(source, watermark_ms, mark.k_ms))
        return tuple(told), touched

    def lowest_ms(self, sources: Sequence[Source]) -> dict[str, int]:
        """The lowest watermark of each topic's sources, of those that had a row."""
        lowest: dict[str, int] = {}
        for source in sources:
            if self._watermarks.mark(source).high_ms:
                watermark_ms = self._watermarks.watermark_ms(source)
                lowest[source.topic] = min(watermark_ms, lowest.get(source.topic, watermark_ms))
        return lowest

    def outputs(
        self,
        groups: Sequence[Group],
        progress: tuple[Progress, ...],
        told: tuple[Told, ...],
        claims: tuple[Claim, ...],
    ) -> list[Output]:
        """The records of `partials`: each model's groups in the partition of its name."""
        block = Groups.of(groups)
        names = partitions_of([name.model.model.encode() for name in block.names], self._partitions)
        places = names[block.column("name")]
        return [
            Output("partials", None, value, partition=place)
            for place in range(self._partitions)
            for value in encode_partials(
                Partial(
                    self._pane_ms,
                    block.take(np.flatnonzero(places == place)),
                    progress,
                    told,
                    claims,
                ),
                self._schema,
                self._max_bytes,
            )
        ]
