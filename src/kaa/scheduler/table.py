"""Nodes as columns: one row per node, without gaps, so that every question is one vector operation.

A removed node's row is taken by the last one: row numbers are good until `layout` changes.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kaa.scheduler.arrays import EVERY, Bools, Ints, Rows, np

__all__ = ["Column", "LabelColumn", "Table"]

_ROWS_FIRST = 64
_LOG_MAX = 16384
# A label column forgets values no node has any more when it holds this many more than there are nodes.
_STALE_VALUES_MAX = 1024


class Column:
    """One number per node."""

    __slots__ = ("_table", "array", "fill")

    def __init__(self, table: "Table", dtype: Any, fill: int) -> None:
        self._table = table
        self.fill = fill
        self.array = np.full(table.capacity, fill, dtype)

    @property
    def view(self) -> Any:
        """The numbers of the nodes there are; shared, not to be written."""
        return self.array[: self._table.size]

    def at(self, rows: Rows) -> Any:
        """The numbers of some nodes."""
        return self.array[: self._table.size] if rows is EVERY else self.array[rows]


class LabelColumn:
    """One label of every node, as numbers: 0 where it is missing, otherwise an index into `values`.

    The numbers are also the domains of the topology with that key.
    """

    __slots__ = ("_ids", "_masks", "_table", "column", "key", "values")

    def __init__(self, table: "Table", key: str) -> None:
        self._table = table
        self.key = key
        self.column = table.column(np.int32)
        self.values: list[str | None] = [None]
        self._ids: dict[str, int] = {}
        self._masks: dict[Any, Any] = {}

    def set(self, row: int, value: str | None) -> bool:
        """A node's value; whether it is another than before."""
        number = 0 if value is None else self._ids.get(value)
        if number is None:
            number = self._ids[value] = len(self.values)  # type: ignore[index]
            self.values.append(value)
        if self.column.array[row] == number:
            return False
        self.column.array[row] = number
        return True

    def number(self, value: str) -> int:
        """The number of a value, -1 when no node has it."""
        return self._ids.get(value, -1)

    @property
    def stale(self) -> bool:
        """Most values belong to no node any more."""
        return len(self.values) > 2 * self._table.size + _STALE_VALUES_MAX

    def matching(self, token: Any, predicate: Callable[[str | None], bool], rows: Rows) -> Bools:
        """Where the predicate holds. It is asked once per distinct value, and remembered under `token`."""
        known = self._masks.get(token)
        count = len(self.values)
        if known is None or len(known) < count:
            start = 0 if known is None else len(known)
            fresh = np.fromiter((predicate(v) for v in self.values[start:]), np.bool_, count - start)
            known = fresh if known is None else np.concatenate((known, fresh))
            if len(self._masks) > 256:
                self._masks.clear()
            self._masks[token] = known
        return known[self.column.at(rows)]  # type: ignore[no-any-return]

    def sums(self, counts: Any) -> Ints:
        """Per domain, the sum of a number per node. Index 0 gathers the nodes outside of the topology."""
        return np.bincount(self.column.view, counts, len(self.values)).astype(np.int64)


class Table:
    """The rows: who has which, and what changed when."""

    def __init__(self) -> None:
        self.size = 0
        self.capacity = _ROWS_FIRST
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        #: Goes up whenever a row number came to mean another node, or rows were added.
        self.layout = 0
        self._columns: dict[int, Column] = {}
        self._log: list[int] = []  # row * 2, + 1 when the node itself changed and not only what is on it
        self._log_start = 0

    def column(self, dtype: Any = np.int64, fill: int = 0) -> Column:
        """A new column, kept in step with the rows."""
        column = Column(self, dtype, fill)
        self._columns[id(column)] = column
        return column

    def drop(self, column: Column) -> None:
        """Stop keeping a column."""
        self._columns.pop(id(column), None)

    def add(self, name: str) -> int:
        """A new row, with every column at its fill value."""
        if self.size == self.capacity:
            self.capacity *= 2
            for column in self._columns.values():
                grown = np.full(self.capacity, column.fill, column.array.dtype)
                grown[: self.size] = column.array[: self.size]
                column.array = grown
        row = self.size
        self.size += 1
        self.names.append(name)
        self.rows[name] = row
        for column in self._columns.values():
            column.array[row] = column.fill
        self.layout += 1
        return row

    def remove(self, name: str) -> None:
        """Give up a row; the last one moves into its place."""
        row = self.rows.pop(name)
        last = self.size - 1
        moved = self.names.pop()
        if row != last:
            self.names[row] = moved
            self.rows[moved] = row
            for column in self._columns.values():
                column.array[row] = column.array[last]
        self.size = last
        self.layout += 1

    # --- what changed ------------------------------------------------------------------------------------------------

    def touch(self, row: int, *, node: bool = False) -> None:
        """What is on the node changed, or (`node`) the node itself."""
        self._log.append(row * 2 + node)
        if len(self._log) > _LOG_MAX:
            half = _LOG_MAX // 2
            del self._log[:half]
            self._log_start += half

    @property
    def position(self) -> int:
        """Where the log of changes is."""
        return self._log_start + len(self._log)

    def changed_since(self, position: int) -> tuple[Any, bool] | None:
        """The rows changed since then, and whether any node itself did; None when that is not known any more."""
        start = position - self._log_start
        if start < 0:
            return None
        entries = self._log[start:]
        if len(entries) == 1:
            return np.array([entries[0] >> 1]), bool(entries[0] & 1)
        rows = {entry >> 1 for entry in entries}
        return np.fromiter(rows, np.int64, len(rows)), any(entry & 1 for entry in entries)


def all_of(masks: Iterable[Bools], size: int) -> Bools:
    """Where every mask holds; everywhere when there is none."""
    result = np.ones(size, np.bool_)
    for mask in masks:
        result &= mask
    return result
