"""Maps the columns of a file to the fields of a connector, and makes records from its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeAlias, cast

from afas_async.errors import UsageError
from afas_async.policy.coercion import Reading, UnfitCellError, reading_of
from afas_async.vocabulary.elements import Element, element_of
from afas_async.vocabulary.metainfo import UpdateField, UpdateMetainfo, UpdateObject

Empty: TypeAlias = Literal["omit", "clear"]
LEFT_OUT: Final = ""  # the map has this for a column to leave out


class UnfitRecordError(ValueError):
    """A line does not make a record. The message does not hold its cells, which may be personal data."""


@dataclass(frozen=True, slots=True)
class Target:
    """The field for the cells of a column.

    Attributes:
        objects: The objects around the field, from the outside; empty for a field of the element itself.
        id: The id of the field.
        is_key: Whether the field goes into the key of its element.
        place: The full name of the field, such as `KnBasicAddressAdr.ZpCd`.
        label: The label of the field in Profit.
        read: The function that reads its cells.
    """

    objects: tuple[str, ...]
    id: str
    is_key: bool
    place: str
    label: str
    read: Reading

    def shown(self, column: str) -> str:
        """Return the name of the field for messages, with the column if that differs."""
        known = f"{self.place} ({self.label})" if self.label else self.place
        return known if column in {self.place, self.place.lstrip("@")} else f"column {column!r}, {known}"


@dataclass(frozen=True, slots=True)
class _Part:
    """An element or an object in it, with the names of its members."""

    fields: Mapping[str, UpdateField]
    labels: Mapping[str, list[str]]
    objects: Mapping[str, _Part]


class FieldMap:
    """Finds the field for a column: by your map, by the id of a field, or by its label.

    Args:
        metainfo: The metainfo of the connector.
        columns: Your map from columns to fields. A field is `Ds`, `@SbId` for the key, or `KnBasicAddressAdr.ZpCd` for
            a field in an object. An empty text leaves the column out.
        dutch: Whether your file has Dutch numbers and dates.

    Example:
        >>> price = UpdateField(id="SaPr", label="Sales price", data_type="decimal")
        >>> FieldMap(UpdateMetainfo(id="FbItemArticle", fields=[price]), {}).targets(["sales price"])[0].place
        'SaPr'
    """

    def __init__(self, metainfo: UpdateMetainfo, columns: Mapping[str, str], *, dutch: bool = False) -> None:
        self._connector = metainfo.id or metainfo.name
        self._root = _part(metainfo.fields, metainfo.objects)
        self._columns = columns
        self._dutch = dutch

    def targets(self, header: Sequence[str]) -> list[Target | None]:
        """Return the field for each column of a file; None for a column that is left out.

        Raises:
            UsageError: If a column has no field, matches several, or has the same field as another column. The message
                lists all such columns.
        """
        found, faults = list[Target | None](), list[str]()
        for column in header:
            try:
                found.append(self.target(column))
            except UsageError as error:
                faults.append(str(error))
                found.append(None)
        faults += [
            f"the map has {column!r}, but the file has no such column"
            for column in self._columns
            if column not in header
        ]
        taken: dict[str, str] = {}
        for column, target in zip(header, found, strict=True):
            if target is not None:
                if target.place in taken:
                    faults.append(
                        f"columns {taken[target.place]!r} and {column!r} are both for the field {target.place}"
                    )
                taken.setdefault(target.place, column)
        if faults:
            raise UsageError(f"{self._connector}: {'; '.join(faults)}")
        return found

    def target(self, column: str, within: tuple[str, ...] = ()) -> Target | None:
        """Return the field for a column; None if the column is left out.

        Args:
            column: The name of the column.
            within: The objects around it, from the outside.

        Raises:
            UsageError: If the column has no field, or matches several.
        """
        given = self._columns.get(".".join((*within, column)))
        if given == LEFT_OUT:
            return None
        last = (column if given is None else given).strip()
        part, around = self._root, list(within) if given is None else []
        for name in around:
            part = part.objects[name]
        while "." in last and (given is not None or last.casefold() not in part.labels):  # a label may have dots
            name, _, last = last.partition(".")
            if name not in part.objects:
                raise UsageError(self._unknown(column, given, part))
            part, around = part.objects[name], [*around, name]
        bare = last.removeprefix("@")
        if bare not in part.fields:
            ids = part.labels.get(bare.casefold(), []) if given is None else []
            if len(ids) > 1:
                raise UsageError(f"column {column!r} is the label of {' and '.join(ids)}: choose one with --map")
            if not ids:
                raise UsageError(self._unknown(column, given, part))
            bare = ids[0]
        described = part.fields[bare]
        # A field of the key identifies the record, so it goes into the key, unless the map says otherwise.
        is_key = described.primary_key if given is None else last.startswith("@")
        is_key = is_key or last.startswith("@")
        place = ".".join((*around, f"@{bare}" if is_key else bare))
        return Target(tuple(around), bare, is_key, place, described.label, reading_of(described, dutch=self._dutch))

    def has_object(self, name: str, within: tuple[str, ...]) -> bool:
        """Whether an object of this name can be there."""
        part = self._root
        for each in within:
            part = part.objects[each]
        return name in part.objects

    def _unknown(self, column: str, given: str | None, part: _Part) -> str:
        wanted = column if given is None else given
        names = {name.casefold(): name for name in part.fields} | {
            label: ids[0] for label, ids in part.labels.items() if label
        }
        names |= {f"{name}.": f"{name}.FIELD" for name in part.objects}
        near = list(dict.fromkeys(names[each] for each in get_close_matches(wanted.casefold(), names, n=2)))
        hint = f"; did you mean {' or '.join(near)}?" if near else "; the command `fields` lists all fields"
        if given is None:
            return f"column {column!r} is not the id or label of a field{hint}"
        return f"the map has {given!r}, which is not a field{hint}"


@dataclass(slots=True)
class RecordMaker:
    """Makes records from the lines of a file.

    Args:
        field_map: Finds the field for a column.
        empty: The meaning of an empty cell: "omit" leaves the field as it is, "clear" clears it. Empty cells of a key,
            and objects with only empty cells, are left out in any case.
        constants: Values for every record, by the full name of their field.
    """

    field_map: FieldMap
    empty: Empty
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _known: dict[tuple[tuple[str, ...], str], Target | None] = field(
        default_factory=dict[tuple[tuple[str, ...], str], Target | None], init=False
    )

    def of_cells(self, header: Sequence[str]) -> Callable[[Sequence[Any]], Element]:
        """Return a function that makes a record from the cells of a line, one for each column of a header.

        The function raises UnfitRecordError for a line that does not fit.

        Raises:
            UsageError: If a column has no field.
        """
        targets = self.field_map.targets(header)
        plan = [(number, target, target.read) for number, target in enumerate(targets) if target is not None]
        fixed, width, clear = self._fixed(), len(header), self.empty == "clear"

        def make(cells: Sequence[Any]) -> Element:
            if len(cells) != width:
                raise UnfitRecordError(f"the line has {len(cells)} cells, but the header has {width}")
            fields: dict[str, Any] = {}
            key: dict[str, Any] = {}
            objects: dict[str, Any] = {}
            for number, target, read in plan:
                cell = cells[number]
                if cell is None or cell == "":
                    if not clear or target.is_key:
                        continue
                    value: Any = ""
                else:
                    try:
                        value = read(cell)
                    except UnfitCellError as error:
                        raise UnfitRecordError(f"{target.shown(header[number])}: {error}") from None
                if target.objects:
                    _put(objects, target, value)
                elif target.is_key:
                    key[target.id] = value
                else:
                    fields[target.id] = value
            for target, value in fixed:
                if target.objects:
                    _put(objects, target, value, replaces=True)
                else:
                    (key if target.is_key else fields)[target.id] = value
            return Element(fields, key, _without_empty_objects(objects) if clear else objects)

        return make

    def check_names(self, names: Iterable[tuple[tuple[str, ...], str]]) -> None:
        """Check that the members of all lines of JSON are fields or objects.

        Args:
            names: The objects around each member, and its name.

        Raises:
            UsageError: If one is neither. The message lists all such members.
        """
        faults = dict.fromkeys(fault for within, name in sorted(names) if (fault := self._fault_of_name(within, name)))
        if faults:
            raise UsageError("; ".join(faults))

    def _fault_of_name(self, within: tuple[str, ...], name: str) -> str:
        for depth, each in enumerate(within):
            if not self.field_map.has_object(each, within[:depth]):
                return ""  # an object around it is reported already
        if not self.field_map.has_object(name, within) and name != "@Action":
            try:
                self.field_map.target(name, within)
            except UsageError as error:
                return str(error)
        return ""

    def of_object(self, line: object) -> Element:
        """Return the record of a line of JSON: an object with ids or labels as names, and objects in it.

        Raises:
            UnfitRecordError: If the line is not an object, or does not fit.
            UsageError: If a member has no field.
        """
        if not isinstance(line, dict):
            raise UnfitRecordError("the line is not a JSON object")
        record = self._converted(cast("dict[str, Any]", line), ())
        for target, value in self._fixed():
            _put(record, target, value, replaces=True)
        return element_of(record)

    def _converted(self, line: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for column, cell in line.items():
            if isinstance(cell, (dict, list)) and self.field_map.has_object(column, within):
                if column in record:
                    raise UnfitRecordError(f"{column}: the map puts another member of the line into it")
                parts = parts_of(cast("object", cell))
                if not all(isinstance(part, dict) for part in parts):
                    raise UnfitRecordError(f"{column}: its lines must be JSON objects")
                made = [self._converted(cast("dict[str, Any]", part), (*within, column)) for part in parts]
                record[column] = made if isinstance(cell, list) else made[0]
                continue
            if column == "@Action":
                record[column] = cell
                continue
            if (within, column) not in self._known:
                self._known[within, column] = self.field_map.target(column, within)
            target = self._known[within, column]
            if target is None:
                continue
            if cell is None or cell == "":
                if self.empty == "omit" or target.is_key:
                    continue
                value: Any = ""
            else:
                try:
                    value = target.read(cell)
                except UnfitCellError as error:
                    raise UnfitRecordError(f"{target.shown(column)}: {error}") from None
            _put(record, target, value, beyond=len(within))
        return record

    def _fixed(self) -> list[tuple[Target, Any]]:
        fixed = list[tuple[Target, Any]]()
        for place, value in self.constants.items():
            target = self.field_map.target(place)
            if target is not None:
                try:
                    fixed.append((target, target.read(value) if value != "" else ""))
                except UnfitCellError as error:
                    raise UsageError(f"the constant {place} {error}") from None
        return fixed


def parts_of(value: object) -> list[object]:
    """Return an object, or the objects in a list, as a list."""
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _put(record: dict[str, Any], target: Target, value: Any, *, beyond: int = 0, replaces: bool = False) -> None:
    """Put a value into a record or an object, and into the objects in it. A field of the key gets an `@`.

    Raises:
        UnfitRecordError: If an object has several lines, or the field has a value already; with `replaces`, the new
            value replaces it.
    """
    for name in target.objects[beyond:]:
        inner: object = record.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UnfitRecordError(
                f"{target.place}: {name} has a list of lines, so it is unclear which line gets this field"
            )
        record = cast("dict[str, Any]", inner)
    place = f"@{target.id}" if target.is_key else target.id
    if place in record and not replaces:
        raise UnfitRecordError(f"{target.place}: two members of the line are for this field")
    record[place] = value


def _without_empty_objects(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without objects that have only empty fields: nobody wants to clear those."""
    kept = dict[str, Any]()
    for name, value in record.items():
        if isinstance(value, dict):
            inner = _without_empty_objects(cast("dict[str, Any]", value))
            if any(each != "" for each in inner.values()):
                kept[name] = inner
        else:
            kept[name] = value
    return kept


def _part(fields: Iterable[UpdateField], objects: Iterable[UpdateObject] | None) -> _Part:
    known, labels = {each.id: each for each in fields}, dict[str, list[str]]()
    for each in known.values():
        if each.label:
            labels.setdefault(each.label.casefold(), []).append(each.id)
    return _Part(known, labels, {each.name: _part(each.fields, each.objects) for each in objects or ()})
