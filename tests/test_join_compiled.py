"""The join's compiled loops: all compiled before records come, wherever the package stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from stream.core.compiled import compiled
from stream.core.join import JoinBuffer, JoinRules, arena, chains, runs, seen, settle, wait
from stream.core.join.index import all_pairs
from stream.core.join.warm import warm_up
from stream.core.labels import Form
from stream.core.outcomes import Cohort, LabelRows, PredictionRows
from stream.core.records import ModelKey
from tests.join_run import SPEC

_ROWS = 3_000
_MODULES = (arena, chains, runs, seen, settle, wait)


def _twice(number: int) -> int:
    return 2 * number


def _loops(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, value in vars(module).items():
        if hasattr(value, "py_func"):
            yield f"{module.__name__}.{name}", value


def _versions() -> dict[str, int]:
    """How many versions of each loop were compiled, one for each kind of arguments."""
    loops = (loop for module in _MODULES for loop in _loops(module))
    return {name: len(loop.signatures) for name, loop in loops}


def test_after_warming_up_nothing_is_left_to_compile_whatever_the_columns_are_like() -> None:
    warm_up()
    before = _versions()
    assert sum(before.values()) >= 10
    cohorts = [Cohort(ModelKey("a", "1"), SPEC)]
    join = JoinBuffer(JoinRules(1, 10, 2 * _ROWS, 3 * _ROWS), cohorts)
    ids = np.frombuffer(bytes(np.arange(2 * _ROWS)), dtype=np.uint64).reshape(_ROWS, 2)
    assert not ids.flags.writeable
    zeros = np.zeros(2 * _ROWS, dtype=np.int32)[::2]  # not in one piece
    times_ms = np.arange(_ROWS)
    labels = LabelRows(
        task=zeros,
        ids=ids,
        time_ms=times_ms,
        watermark_ms=times_ms,
        form=np.full(_ROWS, Form.NUMBER, dtype=np.uint8),
        bits=ids[:, 0],
        model=zeros - np.int32(1),
        late=zeros != 0,
        offset=times_ms,
    )
    rows = PredictionRows(zeros, ids, zeros, times_ms, zeros, np.zeros(_ROWS))
    join.labels(labels)
    assert len(join.predictions(rows).outcomes) == _ROWS
    assert join.predictions(rows).duplicate.all()
    join.changes(0)
    join.labels(labels)
    join.changes(0)
    cohorts.append(Cohort(ModelKey("b", "1"), SPEC))
    challengers = replace(rows, cohort=zeros + np.int32(1))
    assert len(join.predictions(challengers).outcomes) == _ROWS
    join.labels(labels)
    join.changes(0)
    join.advance(0, 1 << 40, 1 << 40)
    assert join.pending(0) == join.waiting(0) == 0
    assert _versions() == before


def test_where_no_folder_can_be_written_to_a_loop_is_compiled_all_the_same() -> None:
    code = _twice.__code__.replace(co_filename="<nowhere>")
    assert compiled(FunctionType(code, {}))(21) == 42


def test_pairs_that_don_t_fit_are_asked_for_again() -> None:
    sizes = [3, 0, 90, 1, 40, 200]  # pairs of each number, more than there is room for at first

    def pairs_from(
        who: np.ndarray[Any, Any], slots: np.ndarray[Any, Any], start: int
    ) -> tuple[int, int]:
        count = 0
        for number in range(start, len(sizes)):
            if count + sizes[number] > len(who):
                return number, count
            who[count : count + sizes[number]] = number
            slots[count : count + sizes[number]] = np.arange(sizes[number])
            count += sizes[number]
        return len(sizes), count

    found: Callable[..., Any] = all_pairs
    who, slots = found(pairs_from, len(sizes))
    assert who.tolist() == [number for number, size in enumerate(sizes) for _ in range(size)]
    assert slots.tolist() == [place for size in sizes for place in range(size)]
