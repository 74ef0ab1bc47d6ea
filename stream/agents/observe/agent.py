"""The observe agent: rows and labels in, delta partials of panes out.

One task is one partition of every source topic. All tasks' rows of a slice are decoded, timed,
joined and folded together. At each commit the groups since the last one go out to `partials`,
by model, and after them the positions, watermarks and claims of silence of all sources here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from stream import schemas
from stream.agents.monitors import hear_monitor
from stream.agents.observe.astray import Astray
from stream.agents.observe.counting import Counting
from stream.agents.observe.dead_letters import DeadLetters
from stream.agents.observe.decoding import Decoding
from stream.agents.observe.invalid import InvalidShare
from stream.agents.observe.joining import Joining
from stream.agents.observe.lead import Lead, follows
from stream.agents.observe.observer import ObserveObserver, SilentObserveObserver
from stream.agents.observe.refusing import Refusing
from stream.agents.observe.silence import Silence
from stream.agents.observe.state import KEY, read_state, write_state
from stream.agents.observe.telling import Telling
from stream.agents.profiles import hear_profile
from stream.core.catalog import Monitors, Profiles
from stream.core.decode import DecodeLimits, Decoder
from stream.core.decode.avro import SchemaSource
from stream.core.join.buffer import JoinRules
from stream.core.pane.fold import Fold
from stream.core.pane.segments import Segments
from stream.core.pane.serving import ServingFold
from stream.core.pane.watermark import Watermarks
from stream.core.records import Output, Progress, Slice, Source, Wants
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Broadcast, Change, Commit

__all__ = ["ObserveAgent", "ObserveSettings"]

_LABELS, _PREDICTIONS = "labels", "predictions"


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """What observe needs to know of its deployment.

    `partitions` is the number of partitions of each source topic, `partials_partitions` that of
    `partials`. `record_bytes` bounds the partials and dead letters that are written, and
    `max_pending` and `max_waiting` the predictions and labels that a partition keeps. Labels
    are joined where `labels` is among the sources. `monitor` applies to models without one of
    their own.
    """

    sources: tuple[str, ...]
    partitions: int
    partials_partitions: int
    times: TimeSpec
    limits: DecodeLimits
    max_invalid_share: float = 0.5
    record_bytes: int = 900_000
    max_pending: int = 1_000_000
    max_waiting: int = 1_000_000
    monitor: MonitorSpec = field(default_factory=MonitorSpec)

    @property
    def join(self) -> JoinRules:
        """The join's rules."""
        return JoinRules(
            pane_ms=self.times.pane_ms,
            early_label_horizon_ms=self.times.early_label_horizon_ms,
            max_pending=self.max_pending,
            max_waiting=self.max_waiting,
        )


class ObserveAgent:
    """Decodes, times, joins and folds the rows of the source topics (see `engine.agent.Agent`)."""

    name: str = "observe"
    broadcasts = ("profiles", "monitors")

    def __init__(
        self,
        settings: ObserveSettings,
        registry: SchemaSource | None = None,
        observer: ObserveObserver | None = None,
    ) -> None:
        times = settings.times
        self.inputs, self.rules = settings.sources, times.lasting
        self.broadcast_every_ms, self.follows = times.pane_ms, follows(settings.sources)
        self._settings = settings
        self._observer = observer or SilentObserveObserver()
        self._profiles, self._monitors = Profiles(), Monitors(settings.monitor)
        rows = {name: schemas.schema(name) for name in ("prediction", "feature_row", "label")}
        self._segments = Segments(self._monitors, self._profiles)
        decoder = Decoder(self._profiles, registry, rows, settings.limits, self._wants)
        self._decoding = Decoding(decoder, self._profiles)
        self._watermarks = Watermarks(times.out_of_orderness_ms)
        self._joining: Joining | None = None
        if _LABELS in settings.sources:
            self._joining = Joining(
                settings.join, self._profiles, self._monitors, self._segments.sets
            )
        self._counting = Counting(
            times.pane_ms,
            self._watermarks,
            self._segments,
            Fold(self._profiles, times.pane_ms),
            ServingFold(self._profiles, times.pane_ms),
            self._joining,
        )
        self._telling = Telling(
            self._watermarks, times.pane_ms, settings.partials_partitions, settings.record_bytes
        )
        self._silence = Silence(times.idle_after_ms, times.max_hold_ms)
        self._lead = Lead(times.max_lead_ms)
        self._invalid = InvalidShare(settings.max_invalid_share)
        self._astray = Astray(settings.partitions)
        letters = DeadLetters(self.name, settings.record_bytes)
        self._refusing = Refusing(letters, self._invalid, self._observer)
        self._active: set[int] = set()
        self._positions: dict[Source, int] = {}

    def _wants(self, model: str) -> Wants | None:
        """What a model's rows must carry for any of its monitors."""
        plain = self._segments.wanted(model)
        monitors = self._monitors.specs(model) or (self._monitors.default,)
        joined = self._joining is not None and any(m.labels.wanted for m in monitors)
        if joined or plain or any(monitor.serving for monitor in monitors):
            return Wants(plain, joined and any(monitor.joined for monitor in monitors))
        return None

    def assign(
        self, task: int, positions: Mapping[Source, int], state: Mapping[bytes, bytes]
    ) -> None:
        """Builds a task from its changelog; see `engine.agent.Agent.assign`."""
        known = read_state(state[KEY]) if KEY in state else {}
        sources = self._sources(task)
        self._telling.forget(sources)
        self._telling.restore({source: known[source] for source in sources if source in known})
        self._positions.update({source: positions.get(source, 0) for source in sources})
        if self._joining is not None:
            passed_ms = self._watermarks.watermark_ms(Source(_PREDICTIONS, task))
            self._joining.assign(task, state, passed_ms)
        self.resume(task)

    def resume(self, task: int) -> None:
        """The task's sources are watched afresh: what was silence elsewhere is not known here."""
        self._active.add(task)
        self._silence.watch(self._sources(task))

    def suspend(self, task: int) -> None:
        """Keeps the task's watermarks and what waits, says nothing more for its sources."""
        self._active.discard(task)
        self._silence.forget(self._sources(task))
        for source in self._sources(task):
            self._invalid.forget(source)

    def drop(self, task: int) -> None:
        """Forgets a task; an active one's uncommitted rows were aborted, with all others'."""
        aborted = task in self._active
        if aborted:
            self._counting.clear()
        if self._joining is not None:
            self._joining.drop(task, aborted=aborted)
        self.suspend(task)
        self._telling.forget(self._sources(task))
        for source in self._sources(task):
            self._positions.pop(source, None)

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        """Takes in new profiles and monitors."""
        pane_ms = self._settings.times.pane_ms
        for record in records:
            if record.topic == "monitors":
                hear_monitor(self._monitors, record, pane_ms)
            elif not hear_profile(self._profiles, record, pane_ms):
                self._observer.refused_profile()
        if records:
            self._decoding.ask_again()
        return ()

    def wants_broadcasts(self, slice_: Slice) -> bool:
        """Whether it holds rows of models that are new here: what applies to them may be too."""
        return self._decoding.holds_new(slice_)

    def paused(self, now_ms: int) -> AbstractSet[Source]:
        """Sources that held mostly refused records, or lead their partner by too much."""
        self._observer.invalid(len(self.stopped))
        paused = self._invalid.paused(now_ms)
        if self._joining is not None:
            paused |= self._lead.held(
                self._active,
                self._watermarks.watermark_ms,
                lambda source: source not in paused and self._silence.expected(source, now_ms),
            )
        self._silence.held(paused)
        return paused

    @property
    def stopped(self) -> frozenset[Source]:
        """Sources that are paused, or on trial: the worker isn't ready while there are any."""
        return self._invalid.stopped()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        """Folds a slice; joined rows and what was refused are returned."""
        outputs: list[Output] = []
        if len(slice_):
            decoded = self._decoding.decode(slice_)
            counts, late = self._counting.add(slice_, decoded, now_ms)
            for (topic, _), count in zip(slice_.sources, counts.tolist(), strict=True):
                self._observer.rows(topic, count)
            self._observer.late(late)
            outputs = self._refusing.records(slice_, decoded, now_ms)
            if self._joining is not None:
                self._make_room(self._joining, slice_, now_ms)
                outputs += self._tell_joined(self._joining, slice_, now_ms)
            for topic, count in self._astray.look(slice_, now_ms).items():
                self._observer.astray(topic, count)
        self._silence.heard((*slice_.sources, *slice_.kept), now_ms)
        self._silence.ended((source for source, _ in slice_.ends), now_ms)
        for source, _ in slice_.ends:
            self._invalid.ended(source, now_ms)
        return outputs

    def _tell_joined(self, joining: Joining, slice_: Slice, now_ms: int) -> list[Output]:
        """The joined rows, dead letters of labels of a wrong kind, and the join's counts."""
        outputs, wrong, tally = joining.told()
        for (_, event), count in tally.items():
            self._observer.joined(event.value, count)
        return outputs + self._refusing.labels(slice_, wrong, now_ms)

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        """The partials since the last commit, and what changed of the tasks' state."""
        groups = self._counting.take()
        claims = self._silence.claims(positions, now_ms)
        progress = tuple(
            Progress(source, self._positions.get(source, after), after)
            for source, after in sorted(positions.items())
        )
        moved = any(before != after for _, before, after in progress)
        if not (groups or claims or moved):
            return Commit()
        sources = sorted(positions)
        told, touched = self._telling.told(sources)
        changes = [self._change(task) for task in sorted(touched)]
        if self._joining is not None:
            tasks = sorted({source.partition for source in sources})
            changes += self._joined_changes(self._joining, tasks, now_ms)
        for topic, watermark_ms in self._telling.lowest_ms(sources).items():
            self._observer.watermark(topic, watermark_ms)
        outputs = self._telling.outputs(groups, progress, told, claims)
        self._positions.update(positions)
        return Commit(outputs, changes)

    def spill(self) -> Sequence[Change]:
        """What is long enough kept of predictions and labels, where there is much of it."""
        joining, tasks = self._joining, sorted(self._active)
        return [Change(t, *record) for t in tasks for record in joining.spill(t)] if joining else ()

    def _joined_changes(self, joining: Joining, tasks: Sequence[int], now_ms: int) -> list[Change]:
        """What changed of the pending predictions and waiting labels; what is past is forgotten."""
        changes: list[Change] = []
        for task in tasks:
            self._forget(joining, task, now_ms)
            changes += (Change(task, *record) for record in joining.changes(task))
            self._observer.pending(task, *joining.pending(task))
        return changes

    def _make_room(self, joining: Joining, slice_: Slice, now_ms: int) -> None:
        """Much comes between two commits: where room gets short, what is past goes at once."""
        for task in sorted({source.partition for source in slice_.sources}):
            if joining.crowded(task):
                self._forget(joining, task, now_ms)

    def _forget(self, joining: Joining, task: int, now_ms: int) -> None:
        """Forgets what nothing to come can meet, by the task's watermarks now.

        A partition's first label may be as old as it likes: before it nothing is past. Where
        room gets short and no label is to be read, predictions go by their own watermark.
        """
        labels = Source(_LABELS, task)
        heard = self._watermarks.mark(labels).high_ms > 0
        if heard or (joining.crowded(task) and not self._silence.expected(labels, now_ms)):
            joining.advance(
                task,
                self._watermarks.watermark_ms(Source(_PREDICTIONS, task)),
                self._watermarks.watermark_ms(labels) if heard else None,
            )

    def _sources(self, task: int) -> list[Source]:
        return [Source(topic, task) for topic in self.inputs]

    def _change(self, task: int) -> Change:
        states = self._telling.states
        known = {s: states[s] for s in self._sources(task) if s in states}
        return Change(task, KEY, write_state(known))
