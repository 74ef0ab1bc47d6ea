"""Any table as the demo's traffic: a reference, and later rows that are sent in their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.adapters.tables import RoleOptions, assign_roles, read_table, variables
from stream.cli.rows import Chunk, chunk_of
from stream.core.errors import InputError
from stream.core.records import ModelKey

__all__ = ["TableTraffic"]


class TableTraffic:
    """Rows of a file, measured against another file's; what only one of them has is left out.

    `left_out` names those columns. Raises InputError where they have no column in common.
    """

    story = ""

    def __init__(
        self, data: Path, reference: Path, model: str | None = None, ignore: Sequence[str] = ()
    ) -> None:
        columns = [_columns(path, ignore) for path in (data, reference)]
        common = columns[0].keys() & columns[1].keys()
        if not common:
            raise InputError(f"{data} and {reference} have no column in common to compare")
        self.left_out = sorted(columns[0].keys() ^ columns[1].keys())
        rows, self.reference = (
            chunk_of({name: values[name] for name in sorted(common)}) for values in columns
        )
        self._rows = rows
        self._next = 0
        self.total: int | None = len(rows)
        self.model = ModelKey(model or data.name.partition(".")[0], "")

    def take(self, rows: int, moved: float) -> Chunk | None:
        """The next rows of the file, whatever `moved` is; None after the last."""
        del moved
        if self._next >= len(self._rows):
            return None
        chunk = self._rows.part(self._next, self._next + rows)
        self._next += len(chunk)
        return chunk


def _columns(path: Path, ignore: Sequence[str]) -> dict[str, object]:
    table = read_table(path)
    known = tuple(name for name in ignore if name in table.column_names)
    return dict(variables(table, assign_roles(table, RoleOptions(ignore=known))))
