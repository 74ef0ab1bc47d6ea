"""Runs a JoinBuffer over plain rows, and reads what it says back as plain rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stream.core.join import JoinBuffer, JoinEvent, JoinRules
from stream.core.labels import LabelKind, LabelSpec
from stream.core.outcomes import Change, Cohort, LabelRows, Outcomes, PredictionRows
from stream.core.records import ModelKey
from tests.join_oracle import Label, Outcome, Prediction

SPEC = LabelSpec(LabelKind.MULTICLASS, ("a", "b", "c"), (0.0, 0.5, 1.0))
FAR_MS = 1 << 45


class Run:
    """A buffer, the cohorts it was given, and what it has said so far."""

    def __init__(self, rules: JoinRules, tasks: int, record_bytes: int = 700_000) -> None:
        self.rules = rules
        self.tasks = tasks
        self.record_bytes = record_bytes
        self.cohorts: list[Cohort] = []
        self.buffer = JoinBuffer(rules, self.cohorts, record_bytes)
        self.spilled: list[list[tuple[bytes, bytes | None]]] = [[] for _ in range(tasks)]
        self.duplicate: dict[int, bool] = {}
        self.unkept: dict[int, bool] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self.tally: Counter[tuple[int, JoinEvent]] = Counter()
        self.extras: list[tuple[int, bytes | None]] = []
        self.changelog: list[dict[bytes, bytes]] = [{} for _ in range(tasks)]

    def cohort(self, cohort: Cohort) -> int:
        if cohort not in self.cohorts:
            self.cohorts.append(cohort)
        return self.cohorts.index(cohort)

    def predictions(
        self,
        rows: Sequence[tuple[int, Prediction]],
        extras: Sequence[bytes | None] | None = None,
    ) -> None:
        """`rows` are numbered, as the answers are."""
        columns = [row for _, row in rows]
        cohorts = [
            self.cohort(Cohort(ModelKey(r.model, r.version), SPEC, (), r.horizon_ms))
            for r in columns
        ]
        joined = self.buffer.predictions(
            PredictionRows(
                task=np.array([r.task for r in columns], dtype=np.int32),
                ids=ids_of([r.id for r in columns]),
                cohort=np.array(cohorts, dtype=np.int32),
                time_ms=np.array([r.time_ms for r in columns], dtype=np.int64),
                code=np.array([r.code for r in columns], dtype=np.int32),
                value=np.array([r.code / 8 for r in columns], dtype=np.float64),
                extras=extras,
            )
        )
        for (number, _), again, unkept in zip(rows, joined.duplicate, joined.unkept, strict=True):
            self.duplicate[number] = bool(again)
            self.unkept[number] = bool(unkept)
        self._hear(joined.outcomes)
        self.tally += joined.tally
        self._spill()

    def labels(self, rows: Sequence[Label]) -> None:
        names = [-1 if r.model is None else self.buffer.name(r.model) for r in rows]
        joined = self.buffer.labels(
            LabelRows(
                task=np.array([r.task for r in rows], dtype=np.int32),
                ids=ids_of([r.id for r in rows]),
                time_ms=np.array([r.time_ms for r in rows], dtype=np.int64),
                watermark_ms=np.array([r.watermark_ms for r in rows], dtype=np.int64),
                form=np.array([r.value[0] for r in rows], dtype=np.uint8),
                bits=np.array([r.value[1] for r in rows], dtype=np.uint64),
                model=np.array(names, dtype=np.int32),
                late=np.array([r.late for r in rows], dtype=np.bool_),
                offset=np.array([r.offset for r in rows], dtype=np.int64),
            )
        )
        self._hear(joined.outcomes)
        self.tally += joined.tally
        self._spill()

    def advance(self, task: int, predicted_ms: int, labelled_ms: int | None) -> None:
        self.tally += self.buffer.advance(task, predicted_ms, labelled_ms)

    def commit(self) -> int:
        """Takes all changes into the changelogs; how many bytes that wrote."""
        written = 0
        for task, log in enumerate(self.changelog):
            changes = self.buffer.changes(task)
            assert len({key for key, _ in changes}) == len(changes)
            for key, value in (*self.spilled[task], *changes):
                written += len(key) + len(value or b"")
                if value is None:
                    del log[key]
                else:
                    assert key not in log
                    log[key] = value
            self.spilled[task].clear()
        return written

    def restart(self) -> None:
        """Another process, where cohorts and models have other numbers."""
        self.cohorts = [Cohort(ModelKey(name, "0"), SPEC) for name in ("x", "b")]
        self.buffer = JoinBuffer(self.rules, self.cohorts, self.record_bytes)
        for task, log in reversed(list(enumerate(self.changelog))):
            self.buffer.restore(task, {b"watermarks": b"{}", **log}, self.cohort)

    def end_of_step(self, then: str) -> None:
        if then:
            self.commit()
        if then == "restart":
            self.restart()

    def finish(self) -> None:
        """All time passes."""
        for task in range(self.tasks):
            self.advance(task, FAR_MS, FAR_MS)

    def _spill(self) -> None:
        """As after each slice; the next commit has it first."""
        for task, spilled in enumerate(self.spilled):
            spilled += self.buffer.spill(task)

    def _hear(self, outcomes: Outcomes) -> None:
        for i in range(len(outcomes)):
            cohort = self.cohorts[outcomes.cohort[i]]
            assert outcomes.value[i] == outcomes.code[i] / 8
            self.outcomes[
                Outcome(
                    task=int(outcomes.task[i]),
                    id=number_of(outcomes.ids[i]),
                    model=cohort.model.model,
                    version=cohort.model.version,
                    code=int(outcomes.code[i]),
                    value=(int(outcomes.form[i]), int(outcomes.bits[i])),
                    time_ms=int(outcomes.time_ms[i]),
                    delay_ms=int(outcomes.delay_ms[i]),
                    change=Change(int(outcomes.change[i])),
                    late=bool(outcomes.late[i]),
                    offset=int(outcomes.offset[i]),
                )
            ] += 1
        if outcomes.extras is not None:
            self.extras += [
                (number_of(i), e) for i, e in zip(outcomes.ids, outcomes.extras, strict=True)
            ]


def ids_of(numbers: Sequence[int]) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """Ids that share one half or the other, so that both must be compared."""
    pairs = [[number // 2, (number + 1) // 2] for number in numbers]
    return np.array(pairs, dtype=np.uint64).reshape(len(pairs), 2)


def number_of(pair: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> int:
    return int(pair[0]) + int(pair[1])
