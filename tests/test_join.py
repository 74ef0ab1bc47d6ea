"""The join against the design's table in plain Python: any interleaving, any slices."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.join import JoinEvent, JoinRules
from stream.core.labels import Form
from tests.join_oracle import NULL, Label, Prediction, Value, oracle
from tests.join_run import Run

_UNIT_MS = 10 * 60_000  # buckets are an hour and a minute long: eviction takes part
_PANE_MS = 2 * _UNIT_MS
_EARLY_MS = 3 * _UNIT_MS
_RULES = JoinRules(_PANE_MS, _EARLY_MS, 1000, 1000)
_VALUES: list[Value] = [NULL, (Form.NUMBER, 1), (Form.NUMBER, 2), (Form.TEXT, 1)]
_MODELS = [("a", "1", 6), ("a", "2", 6), ("b", "1", 6), ("a", "1", 2)]  # horizon in units
_TASKS = 2


@dataclass
class _Topic:
    """Turns event times into effective ones, as watermarks do."""

    allowance_ms: int
    watermark_ms: int = -1

    def take(self, event_ms: int) -> tuple[int, int]:
        """The row's effective time and the watermark just before it."""
        before = self.watermark_ms
        self.watermark_ms = max(before, event_ms - self.allowance_ms)
        return max(event_ms, before), before


_ROW = st.tuples(
    st.integers(0, _TASKS - 1),  # task
    st.integers(1, 3),  # id
    st.integers(0, 3),  # model, or the label's value
    st.integers(-2, 3),  # by how much its event time is ahead of the last one's
    st.integers(0, 2),  # what a label names
)
_STEP = st.tuples(
    st.lists(_ROW, max_size=6),
    st.lists(_ROW, max_size=6),
    st.booleans(),  # whether time advances
    st.sampled_from(["", "", "commit", "restart"]),
)
_Steps = list[tuple[list[tuple[int, ...]], list[tuple[int, ...]], bool, str]]


def _rows(
    steps: _Steps, allowance: int
) -> tuple[list[list[Prediction]], list[list[Label]], list[list[tuple[int, int]]]]:
    """The predictions and the labels of each step, and each task's watermarks after it."""
    topics = [(_Topic(allowance), _Topic(allowance)) for _ in range(_TASKS)]
    clocks = [[0, 0] for _ in range(_TASKS)]
    predictions: list[list[Prediction]] = []
    labels: list[list[Label]] = []
    marks: list[list[tuple[int, int]]] = []
    offset = 0
    for made, known, _, _ in steps:
        predictions.append([])
        labels.append([])
        for task, id_, model, ahead, _ in made:
            clocks[task][0] = max(0, clocks[task][0] + ahead)
            time_ms, _before = topics[task][0].take(clocks[task][0] * _UNIT_MS)
            name, version, horizon = _MODELS[model]
            row = Prediction(task, id_, name, version, horizon * _UNIT_MS, time_ms, model)
            predictions[-1].append(row)
        for task, id_, value, ahead, names in known:
            offset += 1
            clocks[task][1] = max(0, clocks[task][1] + ahead)
            event_ms = clocks[task][1] * _UNIT_MS
            time_ms, before = topics[task][1].take(event_ms)
            model_name = (None, "a", "b")[names]
            late = (event_ms // _PANE_MS + 1) * _PANE_MS <= before
            labels[-1].append(
                Label(task, id_, time_ms, before, _VALUES[value], model_name, late, offset)
            )
        marks.append([(p.watermark_ms, q.watermark_ms) for p, q in topics])
    return predictions, labels, marks


@settings(max_examples=400, deadline=None)
@given(
    st.lists(_STEP, max_size=14),
    st.sampled_from([0, _UNIT_MS // 2, 4 * _UNIT_MS]),
    st.sampled_from(["as they come", "predictions first", "labels first", "one by one"]),
    st.sampled_from([700_000, 1]),  # with so small records, state is written after each slice too
)
def test_any_slices_interleaving_and_restarts_give_what_the_table_says(
    steps: _Steps,
    allowance: int,
    way: str,
    record_bytes: int,
) -> None:
    predictions, labels, marks = _rows(steps, allowance)
    flat = [row for part in predictions for row in part]
    expected = oracle(flat, [row for part in labels for row in part], _PANE_MS, _EARLY_MS)
    run = Run(_RULES, _TASKS, record_bytes)
    numbered = list(enumerate(flat))
    if way == "predictions first":
        run.predictions(numbered)
        _advance(run, [(p, -1) for p, _ in marks[-1]] if marks else [])
    if way == "labels first":
        for part in labels:
            run.labels(part)
        _advance(run, [(-1, q) for _, q in marks[-1]] if marks else [])
    at = 0
    for i, (made, known) in enumerate(zip(predictions, labels, strict=True)):
        rows, at = numbered[at : at + len(made)], at + len(made)
        single = way == "one by one"
        if way != "predictions first":
            for piece in [[row] for row in rows] if single else [rows]:
                run.predictions(piece)
        if way != "labels first":
            for label in [[row] for row in known] if single else [known]:
                run.labels(label)
        _pass(run, way, marks[i], marks[-1], steps[i][2])
        run.end_of_step(steps[i][3])
    run.finish()
    run.commit()
    assert not any(run.changelog)
    assert [run.duplicate[number] for number, _ in numbered] == expected.duplicate
    assert run.outcomes == expected.outcomes
    assert run.tally == expected.tally
    assert not any(run.buffer.pending(task) + run.buffer.waiting(task) for task in range(_TASKS))


def _pass(
    run: Run, way: str, now: list[tuple[int, int]], last: list[tuple[int, int]], told: bool
) -> None:
    """Tells the watermarks as they are after a step."""
    if way == "predictions first":
        _advance(run, [(last[task][0], now[task][1]) for task in range(_TASKS)])
    elif way == "labels first":
        _advance(run, [(now[task][0], last[task][1]) for task in range(_TASKS)])
    elif told:
        _advance(run, now)


def _advance(run: Run, marks: list[tuple[int, int]]) -> None:
    for task, (predicted_ms, labelled_ms) in enumerate(marks):
        run.advance(task, predicted_ms, labelled_ms)


def _prediction(id_: int, time_ms: int = 0, task: int = 0) -> Prediction:
    return Prediction(task, id_, "a", "1", 6 * _UNIT_MS, time_ms, 1)


def _label(id_: int, time_ms: int, value: Value, offset: int = 0, watermark_ms: int = 0) -> Label:
    return Label(0, id_, time_ms, watermark_ms, value, None, False, offset)


def test_beyond_max_pending_nothing_new_is_kept_and_nothing_kept_is_given_up() -> None:
    run = Run(JoinRules(_PANE_MS, _EARLY_MS, 3, 1000), 2)
    run.predictions(list(enumerate([_prediction(i) for i in (1, 2, 2, 3, 4, 5, 1, 4)])))
    run.predictions([(8, _prediction(7, task=1))])
    unkept = [number for number, said in run.unkept.items() if said]
    assert unkept == [4, 5, 7]
    assert [number for number, said in run.duplicate.items() if said] == [2, 6]
    assert (run.buffer.pending(0), run.buffer.pending(1)) == (3, 1)
    run.labels([_label(i, 1, (Form.NUMBER, 1), i) for i in range(1, 6)])
    assert sorted(outcome.id for outcome in run.outcomes) == [1, 2, 3]
    assert run.tally[0, JoinEvent.UNKEPT] == 3


def test_beyond_max_waiting_labels_are_refused_but_still_join_what_is_here() -> None:
    run = Run(JoinRules(_PANE_MS, _EARLY_MS, 1000, 2), 1)
    run.predictions([(0, _prediction(9))])
    run.labels([_label(i, 1, (Form.NUMBER, 1), i) for i in (1, 2, 3, 9)])
    assert run.buffer.waiting(0) == 2
    assert run.tally[0, JoinEvent.REFUSED] == 2
    assert [outcome.id for outcome in run.outcomes] == [9]
    run.predictions([(i, _prediction(i)) for i in (1, 2, 3)])
    assert sorted(outcome.id for outcome in run.outcomes) == [1, 2, 9]


def test_before_the_first_label_ever_the_predictions_watermark_alone_evicts() -> None:
    run = Run(_RULES, 1)
    run.predictions([(0, _prediction(1))])
    run.advance(0, 6 * _UNIT_MS + _EARLY_MS, None)
    assert run.buffer.pending(0) == 1
    run.advance(0, 6 * _UNIT_MS + _EARLY_MS + 1, None)
    assert run.buffer.pending(0) == 0


def test_extras_travel_with_their_predictions_and_go_with_them() -> None:
    run = Run(_RULES, 1)
    run.predictions([(0, _prediction(1))])
    run.predictions([(1, _prediction(2)), (2, _prediction(3))], [b"two", None])
    run.labels([_label(i, 1, (Form.NUMBER, 1), i) for i in (1, 2, 3)])
    assert sorted(run.extras) == [(1, None), (2, b"two"), (3, None)]
    run.finish()
    run.extras.clear()
    run.predictions([(3, _prediction(4)), (4, _prediction(5)), (5, _prediction(6))])
    run.labels([_label(i, 1, (Form.NUMBER, 1), i) for i in (4, 5, 6)])
    assert not run.extras


def test_one_id_labelled_again_and_again_in_one_slice_is_no_slower_than_others() -> None:
    run = Run(JoinRules(_PANE_MS, _EARLY_MS, 1000, 100_000), 1)
    run.predictions([(0, _prediction(1)), (1, _prediction(1))])
    values = [(Form.NUMBER, 1 + i % 2) for i in range(20_000)]
    run.labels([_label(1, i, value, i) for i, value in enumerate(values)])
    assert run.tally[0, JoinEvent.JOINED] == 1
    assert run.tally[0, JoinEvent.CORRECTION] == 19_999
    changes = Counter(outcome.change.name for outcome in run.outcomes)
    assert changes == {"FIRST": 1, "OUT": 19_999, "IN": 19_999}


def test_tasks_with_one_id_do_not_meet() -> None:
    run = Run(_RULES, 2)
    run.predictions([(0, _prediction(1, task=0)), (1, _prediction(1, task=1))])
    assert not any(run.duplicate.values())
    run.labels([_label(1, 1, (Form.NUMBER, 1))])
    assert [outcome.task for outcome in run.outcomes] == [0]


def test_a_dropped_task_leaves_nothing_and_others_stay() -> None:
    run = Run(_RULES, 2)
    run.predictions([(0, _prediction(1, task=0)), (1, _prediction(1, task=1))])
    run.labels([_label(2, 1, (Form.NUMBER, 1))])
    run.buffer.drop(0)
    assert [run.buffer.pending(task) for task in (0, 1)] == [0, 1]
    assert run.buffer.waiting(0) == 0
    run.predictions([(2, _prediction(1, task=0)), (3, _prediction(1, task=1))])
    assert not run.duplicate[2]
    assert run.duplicate[3]
