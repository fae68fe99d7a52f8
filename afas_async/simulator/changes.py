"""Scripted changes: rows that appear, vanish and change while a client reads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import msgspec

from afas_async.simulator.storage.store import DuplicateKeyError, Store

Row = Mapping[str, str | int | float | bool | None]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happens to the rows of a connector at a moment of a read.

    A test of your own reader, for which every row must come once that was there from beginning to end:

        async with Simulator(rows=1_000) as simulator:
            simulator.changes.add(
                Change(
                    connector="Profit_Article",
                    after=7,
                    delete=[{"ItemCode": "000003"}],
                    insert=[{"ItemCode": "000003a", "Description": "New"}],
                    update=[({"ItemCode": "000005"}, {"Stock": 0})],
                )
            )
            rows = await your_reader(simulator.base_url, simulator.token)
            assert simulator.changes.left == []  # it has happened
            assert {row["ItemCode"] for row in rows} >= {f"{number:06}" for number in range(6, 1_001)}

    It happens all at once, directly before the request number `after` + 1 for rows of the connector is answered, and
    this answer is the first to show it. One that is still on its way then may show a part of it.

    Attributes:
        connector: The GetConnector, in any case of letters.
        after: How many requests for its rows are answered first, counted from when the change is added. One that meets
            a fault with a status is not counted, and one that is refused is.
        delete: Rows to remove, first of all: those that have these values, mostly the fields of the key. It is no error
            if there are none.
        update: Rows to change, each as a pair of the values that they have and those that they get.
        insert: Rows to add; fields that are not named are empty.

    Raises:
        ValueError: The change does nothing, or a part of it names no field.
    """

    connector: str
    after: int = 0
    delete: Sequence[Row] = []
    update: Sequence[tuple[Row, Row]] = []
    insert: Sequence[Row] = []

    def __post_init__(self) -> None:
        if self.after < 0:
            raise ValueError("`after` must be 0 or more")
        if not (self.delete or self.update or self.insert):
            raise ValueError("the change does nothing: give `delete`, `update` or `insert`")
        if not all(self.rows()):
            raise ValueError("each row of `delete`, `update` and `insert` must name a field")

    def rows(self) -> list[Row]:
        """All parts of rows that the change names."""
        return [*self.delete, *(row for pair in self.update for row in pair), *self.insert]


class Changes:
    """The script of a simulator: the changes that are still to come; for any thread.

    Args:
        store: The rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names = {name.lower(): name for name in store.connectors}
        self._lock = threading.Lock()
        self._script: list[Change] = []

    @property
    def left(self) -> list[Change]:
        """The changes still to come, in the order in which they were added, with what is left of `after`."""
        return list(self._script)

    def add(self, *changes: Change) -> None:
        """Put changes at the end of the script; of several for one moment the first added comes first.

        Raises:
            ValueError: There is no such connector, or it has no such field; then none of the changes is added.
        """
        for change in changes:
            name = self._names.get(change.connector.lower())
            if name is None:
                raise ValueError(f"there is no connector {change.connector!r}")
            known = {field.id for field in self._store.connectors[name].fields}
            for field in (field for row in change.rows() for field in row):
                if field not in known:
                    raise ValueError(f"{name} has no field {field!r}")
        with self._lock:
            self._script.extend(changes)

    def add_json(self, content: bytes) -> None:
        """Put one change, or an array of them, in JSON at the end of the script.

        Raises:
            ValueError: It is not JSON or no change, or as for `add`.
        """
        changes = msgspec.json.decode(content, type=Change | list[Change])
        self.add(*([changes] if isinstance(changes, Change) else changes))

    def clear(self) -> None:
        """Forget all changes."""
        with self._lock:
            self._script.clear()

    def pass_request(self, name: str) -> None:
        """Count a request for rows of a connector, and carry out the changes that come before it is answered.

        Raises:
            ValueError: A row to add has a key that is there already, or a change gives two rows one key. The change is
                undone, and is over.
        """
        for change in self._due(name):
            self._carry_out(name, change)

    def _due(self, name: str) -> list[Change]:
        due: list[Change] = []
        left: list[Change] = []
        with self._lock:
            for change in self._script:
                if change.connector.lower() != name.lower():
                    left.append(change)
                elif change.after:
                    left.append(msgspec.structs.replace(change, after=change.after - 1))
                else:
                    due.append(change)
            self._script = left
        return due

    def _carry_out(self, name: str, change: Change) -> None:
        with self._store.transaction(name):
            try:
                for row in change.delete:
                    self._store.delete(name, row)
                for row, values in change.update:
                    self._store.update(name, row, values)
                for row in change.insert:
                    self._store.insert(name, row)
            except DuplicateKeyError:
                raise ValueError(f"a scripted change would give two rows of {name} one key: {change}") from None
