"""Any table as the demo's traffic: a reference, and later rows that are sent in their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.adapters.tables import RoleOptions, assign_roles, read_table, scalars, variables
from stream.cli.demo.traffic import Rows
from stream.cli.rows import chunk_of
from stream.core.errors import InputError
from stream.core.records import ModelKey, Scalar

__all__ = ["TableTraffic"]


class TableTraffic:
    """Rows of a file, measured against another file's; what only one of them has is left out.

    Where both have a column of labels, they follow their rows; `positive` is their positive class,
    empty where the labels tell it. `left_out` names what is left out.
    Raises InputError where they have no column in common.
    """

    story = ""

    def __init__(
        self,
        data: Path,
        reference: Path,
        model: str | None = None,
        ignore: Sequence[str] = (),
        positive: str = "",
    ) -> None:
        self.positive = positive
        (columns, labels), (own, truths) = (_columns(path, ignore) for path in (data, reference))
        common = columns.keys() & own.keys()
        if not common:
            raise InputError(f"{data} and {reference} have no column in common to compare")
        self.left_out = sorted(columns.keys() ^ own.keys())
        rows, known = (
            chunk_of({name: values[name] for name in sorted(common)}) for values in (columns, own)
        )
        if labels is None or truths is None:
            labels = truths = None
        self._rows, self._labels = rows, labels
        self.reference = Rows(known, truths)
        self._next = 0
        self.total: int | None = len(rows)
        self.model = ModelKey(model or data.name.partition(".")[0], "")

    def take(self, rows: int, moved: float) -> Rows | None:
        """The next rows of the file, whatever `moved` is; None after the last."""
        del moved
        if self._next >= len(self._rows):
            return None
        part = slice(self._next, self._next + rows)
        chunk = self._rows.part(part.start, part.stop)
        self._next += len(chunk)
        return Rows(chunk, None if self._labels is None else self._labels[part])


def _columns(path: Path, ignore: Sequence[str]) -> tuple[dict[str, object], list[Scalar] | None]:
    """The file's variables by name, and its labels where a column is named like them."""
    table = read_table(path)
    known = tuple(name for name in ignore if name in table.column_names)
    roles = assign_roles(table, RoleOptions(ignore=known))
    labels = None if roles.label is None else scalars(table.column(roles.label), roles.label)
    return dict(variables(table, roles)), labels
