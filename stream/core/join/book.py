"""What numbers of this process stand for, so that others can read the state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from stream.core.errors import StateError
from stream.core.join.cohorts import CohortColumns
from stream.core.labels import LabelKind, LabelSpec
from stream.core.outcomes import Cohort
from stream.core.records import ModelKey

__all__ = ["CohortBook", "ModelBook", "Names", "read_cohort", "write_cohort"]

_PREFIX = b"join/cohort/"
_Record = tuple[bytes, bytes | None]


class Names(Protocol):
    """Turns numbers into texts and back, for a task's bucket that ends at a time."""

    def texts(self, task: int, end_ms: int, numbers: Sequence[int]) -> list[str]:
        """What to write for these numbers."""

    def numbers(self, task: int, end_ms: int, texts: Sequence[str]) -> list[int]:
        """The numbers of what was written."""


class ModelBook:
    """Names of models; -1 is none."""

    def __init__(self, cohorts: CohortColumns) -> None:
        self._cohorts = cohorts

    def texts(self, _task: int, _end_ms: int, numbers: Sequence[int]) -> list[str]:
        """A dash and the name, nothing for none."""
        return ["" if number < 0 else f"-{self._cohorts.names[number]}" for number in numbers]

    def numbers(self, _task: int, _end_ms: int, texts: Sequence[str]) -> list[int]:
        """Reads them, and gives new names numbers."""
        return [self._cohorts.number(text[1:]) if text else -1 for text in texts]


@dataclass(slots=True)
class _Known:
    last_ms: dict[str, int] = field(default_factory=dict)  # the end of the last bucket with it
    number: dict[str, int] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)


class CohortBook:
    """Cohorts by a hash of their content; the content is a record of the task that uses it."""

    def __init__(self, cohorts: CohortColumns) -> None:
        self._cohorts = cohorts
        self._hashes: list[tuple[str, bytes]] = []
        self._tasks: dict[int, _Known] = {}

    def texts(self, task: int, end_ms: int, numbers: Sequence[int]) -> list[str]:
        """The cohorts' hashes."""
        for cohort in self._cohorts.entries[len(self._hashes) :]:
            content = write_cohort(cohort)
            self._hashes.append((hashlib.sha256(content).hexdigest()[:32], content))
        known = self._tasks.setdefault(task, _Known())
        texts = [self._hashes[number][0] for number in numbers]
        for text, number in zip(texts, numbers, strict=True):
            if text not in known.last_ms:
                known.new.append(text)
            known.number[text] = number
            known.last_ms[text] = max(end_ms, known.last_ms.get(text, end_ms))
        return texts

    def numbers(self, task: int, end_ms: int, texts: Sequence[str]) -> list[int]:
        """The numbers that `restore` gave the hashes; StateError for one it wasn't given."""
        known = self._tasks.setdefault(task, _Known())
        for text in texts:
            if text not in known.number:
                raise StateError(
                    f"the join's state of task {task} lacks the cohort {text}: "
                    "`driftstream state reset --agent observe`"
                )
            known.last_ms[text] = max(end_ms, known.last_ms.get(text, end_ms))
        return [known.number[text] for text in texts]

    def changes(self, task: int, from_ms: int | None) -> Iterator[_Record]:
        """The contents not yet written, and those no bucket has that ends at `from_ms` or later."""
        known = self._tasks.setdefault(task, _Known())
        gone = {t for t, ms in known.last_ms.items() if from_ms is None or ms < from_ms}
        for text in known.new:
            if text not in gone:
                yield _PREFIX + text.encode(), self._hashes[known.number[text]][1]
        for text in sorted(gone):
            del known.last_ms[text], known.number[text]
            if text not in known.new:
                yield _PREFIX + text.encode(), None
        known.new.clear()

    def restore(
        self, task: int, records: Mapping[bytes, bytes], intern: Callable[[Cohort], int]
    ) -> None:
        """Reads a task's contents; `intern` gives each a number of this process."""
        known = self._tasks[task] = _Known()
        for key, value in records.items():
            if key.startswith(_PREFIX):
                text = key.removeprefix(_PREFIX).decode()
                known.number[text] = intern(read_cohort(value))
                known.last_ms[text] = 0

    def drop(self, task: int) -> None:
        """Forgets a task."""
        self._tasks.pop(task, None)


def write_cohort(cohort: Cohort) -> bytes:
    """A cohort's content; equal cohorts have equal bytes."""
    return orjson.dumps(
        {
            "v": 1,
            "model": list(cohort.model),
            "kind": cohort.spec.kind.value,
            "classes": cohort.spec.classes,
            "edges": cohort.spec.edges,
            "segments": cohort.segments,
            "horizon_ms": cohort.horizon_ms,
            "joined": cohort.joined,
        }
    )


def read_cohort(value: bytes) -> Cohort:
    """Reads what `write_cohort` wrote; StateError for another version's."""
    content = orjson.loads(value)
    if content["v"] != 1:
        raise StateError(
            f"a cohort in the join's state has the format {content['v']}, this release reads 1: "
            "use the release that wrote it, or `driftstream state reset`"
        )
    spec = LabelSpec(LabelKind(content["kind"]), tuple(content["classes"]), tuple(content["edges"]))
    return Cohort(
        ModelKey(*content["model"]),
        spec,
        tuple(content["segments"]),
        content["horizon_ms"],
        content["joined"],
    )
