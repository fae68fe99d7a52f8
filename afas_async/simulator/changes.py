"""Scripted changes: rows appear, vanish and change while your code reads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import msgspec

from afas_async.simulator.storage.store import DuplicateKeyError, Store

Row = Mapping[str, str | int | float | bool | None]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Changes the rows of a connector in the middle of a read.

    You test your reader, which must return each row once that exists during the whole read:

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

    All of it happens at once, before the simulator responds to request number `after` + 1 for rows of the connector.
    You see it in that response first. An earlier response that is still being sent may show a part of it.

    Attributes:
        connector: The name of the GetConnector; letter case does not count.
        after: How many requests for its rows pass first, counted from when you add the change. A request that gets a
            fault with a status does not count, a refused one does.
        delete: Rows to remove, before all else: those that have these values. You usually give the fields of the key.
            No row need have them.
        update: Rows to change, as pairs: the values that a row has, and those that it gets.
        insert: Rows to add. Fields that you leave out are empty.

    Raises:
        ValueError: The change does nothing, or one of its rows has no field.
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
        """All rows in the change, with the fields that it names."""
        return [*self.delete, *(row for pair in self.update for row in pair), *self.insert]


class Changes:
    """Your script of changes, as `simulator.changes`. You can use it from any thread.

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
        """The changes that have not happened yet, in the order in which you added them; `after` counts down."""
        return list(self._script)

    def add(self, *changes: Change) -> None:
        """Add changes to your script. Those for the same moment happen in the order in which you added them.

        Raises:
            ValueError: A connector or a field does not exist. Then none of the changes is added.
        """
        for change in changes:
            name = self._names.get(change.connector.lower())
            if name is None:
                raise ValueError(f"there is no connector {change.connector!r}: give the name of a GetConnector")
            known = {field.id for field in self._store.connectors[name].fields}
            for field in (field for row in change.rows() for field in row):
                if field not in known:
                    raise ValueError(f"{name} has no field {field!r}")
        with self._lock:
            self._script.extend(changes)

    def add_json(self, content: bytes) -> None:
        """Add a change, or an array of changes, in JSON.

        Raises:
            ValueError: The text is not JSON, or not a change; or as for `add`.
        """
        changes = msgspec.json.decode(content, type=Change | list[Change])
        self.add(*([changes] if isinstance(changes, Change) else changes))

    def clear(self) -> None:
        """Remove all changes from your script."""
        with self._lock:
            self._script.clear()

    def count_request(self, name: str) -> None:
        """Count a request for rows of a connector, and carry out the changes that are due.

        Raises:
            ValueError: A change would give two rows the same key. It is undone, and removed from the script.
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
                raise ValueError(f"a scripted change would give two rows of {name} the same key: {change}") from None
