"""The record that a letter holds, made fit to be sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stream.cli.dead_letters.letter import ATTEMPT, Letter
from stream.core.errors import InputError
from stream.core.records import Header

__all__ = ["INPUTS", "Original", "original_of"]

INPUTS = ("features", "predictions", "labels")


@dataclass(frozen=True, slots=True)
class Original:
    """A record to be sent for a letter; the partition is used where it has no key."""

    letter: Letter
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def topic(self) -> str:
        """The topic, by its logical name."""
        return self.letter.topic

    def marked(self) -> list[Header]:
        """The headers, and before them which attempt this is."""
        own = [(name, value) for name, value in self.headers if name != ATTEMPT]
        return [(ATTEMPT, b"%d" % (self.letter.attempt + 1)), *own]


def original_of(letter: Letter) -> Original:
    """The record; of a batch only the rows that were refused, for the others have been counted.

    Raises InputError where the letter doesn't hold it whole.
    """
    if letter.topic not in INPUTS:
        raise InputError(f"is of {letter.topic!r}, which is no input topic")
    if letter.truncated:
        what = "is not in the letter" if letter.value is None else "was cut"
        raise InputError(f"its record {what}: the producer has to send it again")
    value = letter.value
    if letter.rows and value is not None:
        value = _only(value, letter.rows)
    return Original(letter, letter.key, value, letter.headers)


def _only(value: bytes, rows: Sequence[int]) -> bytes:
    """The Arrow stream with these of its rows only."""
    try:
        table: Any = pa.ipc.open_stream(value).read_all().take(pa.array(rows))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    except (pa.ArrowException, OSError, ValueError) as broken:
        raise InputError(f"rows {rows[0]}… cannot be taken out of it: {broken}") from broken
    taken: bytes = sink.getvalue().to_pybytes()
    return taken
