"""The observe agent: rows in, delta partials of panes out.

One task is one partition of every source topic. All tasks' rows of a slice are decoded, timed
and folded together. At each commit the groups since the last one go out to `partials`, by
model, and after them the positions, watermarks and claims of silence of all sources here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream import schemas
from stream.agents.observe.astray import Astray
from stream.agents.observe.dead_letters import DeadLetters
from stream.agents.observe.invalid import InvalidShare
from stream.agents.observe.observer import ObserveObserver, SilentObserveObserver
from stream.agents.observe.silence import Silence
from stream.agents.observe.state import KEY, SourceState, read_state, write_state
from stream.agents.profiles import hear_profile
from stream.core.catalog import Profiles
from stream.core.decode import DecodeLimits, Decoder
from stream.core.decode.avro import SchemaSource
from stream.core.pane.fold import Fold
from stream.core.pane.partial import encode_partials
from stream.core.pane.watermark import Watermarks
from stream.core.partitioner import partitions_of
from stream.core.records import (
    Batch,
    Claim,
    Decoded,
    Group,
    Output,
    Partial,
    Progress,
    RawBatch,
    Slice,
    Source,
    Told,
)
from stream.core.specs import TimeSpec
from stream.engine.agent import Broadcast, Change, Commit

__all__ = ["ObserveAgent", "ObserveSettings"]

_Number = TypeVar("_Number", bound=np.integer)


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """What observe needs to know of its deployment.

    `partitions` is the number of partitions of each source topic, `partials_partitions` that of
    `partials`. `record_bytes` bounds the partials and dead letters that are written.
    """

    sources: tuple[str, ...]
    partitions: int
    partials_partitions: int
    times: TimeSpec
    limits: DecodeLimits
    max_invalid_share: float = 0.5
    record_bytes: int = 900_000


class ObserveAgent:
    """Decodes, times and folds the rows of the source topics (see `engine.agent.Agent`)."""

    name: str = "observe"
    broadcasts = ("profiles",)

    def __init__(
        self,
        settings: ObserveSettings,
        registry: SchemaSource | None = None,
        observer: ObserveObserver | None = None,
    ) -> None:
        times = settings.times
        self.inputs = settings.sources
        self.broadcast_every_ms = times.pane_ms
        self._settings = settings
        self._observer = observer or SilentObserveObserver()
        self._profiles = Profiles()
        rows = {name: schemas.schema(name) for name in ("prediction", "feature_row")}
        self._decoder = Decoder(self._profiles, registry, rows, settings.limits)
        self._fold = Fold(self._profiles, times.pane_ms)
        self._watermarks = Watermarks(times.out_of_orderness_ms)
        self._silence = Silence(times.idle_after_ms, times.max_hold_ms)
        self._invalid = InvalidShare(settings.max_invalid_share)
        self._astray = Astray(settings.partitions)
        self._letters = DeadLetters(self.name, settings.record_bytes)
        self._schema = schemas.schema("pane_partial")
        self._active: set[int] = set()
        self._positions: dict[Source, int] = {}
        self._states: dict[Source, SourceState] = {}

    def _sources(self, task: int) -> list[Source]:
        return [Source(topic, task) for topic in self.inputs]

    def assign(
        self, task: int, positions: Mapping[Source, int], state: Mapping[bytes, bytes]
    ) -> None:
        """Builds a task from its watermarks; see `engine.agent.Agent.assign`."""
        known = read_state(state[KEY]) if KEY in state else {}
        for source in self._sources(task):
            self._watermarks.forget(source)
            self._states.pop(source, None)
            if source in known:
                self._states[source] = known[source]
                self._watermarks.restore({source: known[source].mark})
            self._positions[source] = positions.get(source, 0)
        self.resume(task)

    def resume(self, task: int) -> None:
        """The task's sources are watched afresh: what was silence elsewhere is not known here."""
        self._active.add(task)
        self._silence.watch(self._sources(task))

    def suspend(self, task: int) -> None:
        """Keeps the task's watermarks, says nothing more for its sources."""
        self._active.discard(task)
        self._silence.forget(self._sources(task))
        for source in self._sources(task):
            self._invalid.forget(source)

    def drop(self, task: int) -> None:
        """Forgets a task; an active one's uncommitted rows were aborted, with all others'."""
        if task in self._active:
            self._fold.clear()
        self.suspend(task)
        for source in self._sources(task):
            self._watermarks.forget(source)
            self._states.pop(source, None)
            self._positions.pop(source, None)

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        """Takes in new profiles."""
        for record in records:
            if not hear_profile(self._profiles, record, self._settings.times.pane_ms):
                self._observer.refused_profile()
        return ()

    def wants_broadcasts(self, slice_: Slice) -> bool:  # noqa: ARG002  # the protocol's argument
        """Never: a row of a model without profile goes forward raw."""
        return False

    def paused(self, now_ms: int) -> AbstractSet[Source]:
        """Sources that held mostly refused records (DESIGN, State and failure)."""
        paused = self._invalid.paused(now_ms)
        self._silence.held(paused)
        return paused

    @property
    def stopped(self) -> frozenset[Source]:
        """Sources that are paused, or on trial: the worker isn't ready while there are any."""
        return self._invalid.stopped()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        """Folds a slice; what was refused is returned as dead letters."""
        letters: list[Output] = []
        if len(slice_):
            decoded = self._decoder.decode(slice_)
            self._fold_rows(slice_, decoded, now_ms)
            letters = self._refuse(slice_, decoded, now_ms)
            for topic, count in self._astray.look(slice_, now_ms).items():
                self._observer.astray(topic, count)
            self._silence.heard(slice_.sources, now_ms)
        self._silence.ended(source for source, _ in slice_.ends)
        return letters

    def _fold_rows(self, slice_: Slice, decoded: Decoded, now_ms: int) -> None:
        """Times all rows of the slice together, in the order of their records, and folds them."""
        parts: list[Batch | RawBatch] = [*decoded.batches, *decoded.raw]
        if not parts:
            return
        record = _joined([part.record for part in parts])
        event_ms = _joined([part.event_time_ms for part in parts])
        order = None
        if len(parts) > 1:
            order = np.lexsort((np.concatenate([part.row for part in parts]), record))
            record, event_ms = record[order], event_ms[order]
        source, timestamp_ms = slice_.source[record], slice_.timestamp_ms[record]
        effective, _ = self._watermarks.advance(
            slice_.sources, source, event_ms, timestamp_ms, now_ms
        )
        if order is not None:
            unsorted = np.empty_like(effective)
            unsorted[order] = effective
            effective = unsorted
        late = start = 0
        for part in parts:
            times = effective[start : start + len(part)]
            start += len(part)
            late += (
                self._fold.add(part, times)
                if isinstance(part, Batch)
                else (self._fold.add_raw(part, times))
            )
        counts = np.bincount(source, minlength=len(slice_.sources)).tolist()
        for (topic, _), count in zip(slice_.sources, counts, strict=True):
            self._observer.rows(topic, count)
        if late:
            self._observer.late(late)

    def _refuse(self, slice_: Slice, decoded: Decoded, now_ms: int) -> list[Output]:
        """The dead letters; and each source's share of them, which may pause it."""
        sources = len(slice_.sources)
        refused = np.zeros(len(slice_), dtype=np.int64)
        for rejected in decoded.rejected:
            refused[rejected.record] = 1
            self._observer.rejected(rejected.reason.value, max(1, len(rejected.rows)))
        records = np.bincount(slice_.source, minlength=sources).tolist()
        bad = np.bincount(slice_.source[refused > 0], minlength=sources).tolist()
        for source, count, wrong in zip(slice_.sources, records, bad, strict=True):
            self._invalid.saw(source, count, wrong, now_ms)
        return [self._letters.letter(slice_, item, now_ms) for item in decoded.rejected]

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        """The partials since the last commit, and the watermarks as state."""
        groups = self._fold.take()
        claims = self._silence.claims(positions, now_ms)
        progress = tuple(
            Progress(source, self._positions.get(source, after), after)
            for source, after in sorted(positions.items())
        )
        moved = any(before != after for _, before, after in progress)
        if not (groups or claims or moved):
            return Commit()
        told, changes = self._tell(positions)
        outputs = self._outputs(groups, progress, told, claims)
        self._positions.update(positions)
        return Commit(outputs, changes)

    def _tell(self, positions: Mapping[Source, int]) -> tuple[tuple[Told, ...], list[Change]]:
        """Watermarks that crossed a pane's end since they were last told; the changed states."""
        pane_ms = self._settings.times.pane_ms
        told = []
        touched = set()
        lowest: dict[str, int] = {}
        for source in sorted(positions):
            mark = self._watermarks.mark(source)
            watermark_ms = self._watermarks.watermark_ms(source)
            state = SourceState(mark, watermark_ms // pane_ms * pane_ms)
            known = self._states.get(source)
            if mark.high_ms and state != known:
                touched.add(source.partition)
                self._states[source] = state
                if state.told_end_ms > (known.told_end_ms if known else 0):
                    told.append(Told(source, watermark_ms, mark.k_ms))
            if mark.high_ms:
                lowest[source.topic] = min(watermark_ms, lowest.get(source.topic, watermark_ms))
        for topic, watermark_ms in lowest.items():
            self._observer.watermark(topic, watermark_ms)
        return tuple(told), [self._change(task) for task in sorted(touched)]

    def _change(self, task: int) -> Change:
        known = {s: self._states[s] for s in self._sources(task) if s in self._states}
        return Change(task, KEY, write_state(known))

    def _outputs(
        self,
        groups: list[Group],
        progress: tuple[Progress, ...],
        told: tuple[Told, ...],
        claims: tuple[Claim, ...],
    ) -> list[Output]:
        count = self._settings.partials_partitions
        shares: list[list[Group]] = [[] for _ in range(count)]
        places = partitions_of([group.model.model.encode() for group in groups], count)
        for group, place in zip(groups, places.tolist(), strict=True):
            shares[place].append(group)
        return [
            Output("partials", None, value, partition=place)
            for place, share in enumerate(shares)
            for value in encode_partials(
                Partial(tuple(share), progress, told, claims),
                self._schema,
                self._settings.record_bytes,
            )
        ]


def _joined(arrays: Sequence[npt.NDArray[_Number]]) -> npt.NDArray[_Number]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
