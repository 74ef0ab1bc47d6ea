"""Which of a table's columns rows are told apart by, and what monitors call them."""

from __future__ import annotations

import pyarrow as pa

from stream.adapters.tables import TAG_PREFIX, Roles
from stream.core.errors import InputError

__all__ = ["segment_column"]


def segment_column(table: pa.Table, roles: Roles, name: str) -> tuple[str, str]:
    """What monitors call a column to segment by, and the column: a feature's name, or tags.NAME.

    A column that is no feature is a tag. Raises InputError where the table has none of the name.
    """
    if name in roles.features:
        return name, roles.features[name]
    names = {column: feature for feature, column in roles.features.items()}
    if name in names:
        return names[name], name
    tag = name.removeprefix(TAG_PREFIX)
    for column in (TAG_PREFIX + tag, tag):
        if column in table.column_names:
            return TAG_PREFIX + tag, column
    raise InputError(
        f"the table has no column {name!r} to segment by; it has {', '.join(table.column_names)}"
    )
