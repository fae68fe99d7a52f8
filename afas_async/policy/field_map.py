"""Which column of a file is which field of a connector, and the records that its lines make."""

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
LEFT_OUT: Final = ""  # what a column is mapped to that is no field


class UnfitRecordError(ValueError):
    """A line that no record can be made of. The text does not hold its cells, which may be personal data."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the cells of a column go.

    Attributes:
        objects: The objects around the field, from the outside; none for a field of the element itself.
        id: The id of the field.
        is_key: Whether it stands in the key of its element.
        place: The whole of it, as a person writes it, such as `KnBasicAddressAdr.ZpCd`.
        label: What Profit calls the field.
        read: What reads its cells.
    """

    objects: tuple[str, ...]
    id: str
    is_key: bool
    place: str
    label: str
    read: Reading

    def shown(self, column: str) -> str:
        """Return what a message calls it."""
        known = f"{self.place} ({self.label})" if self.label else self.place
        return known if column in {self.place, self.place.lstrip("@")} else f"column {column!r}, {known}"


@dataclass(frozen=True, slots=True)
class _Part:
    """An element or an object in it, with what its members are called."""

    fields: Mapping[str, UpdateField]
    labels: Mapping[str, list[str]]
    objects: Mapping[str, _Part]


class FieldMap:
    """Says which field a column is: by a map that was given, by the id of a field, or by its label.

    Args:
        metainfo: What the service tells about the connector.
        columns: By the name of a column its field: an id, with an `@` for the key, or the id of a field in an object
            after the object's name and a dot. An empty text leaves the column out.
        dutch: Whether numbers and dates are written as in Dutch.

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
        """Return where each column of a file goes; None for one that is left out.

        Raises:
            UsageError: If a column is no field, stands for several, or has the same field as another. All of these are
                named.
        """
        found, faults = list[Target | None](), list[str]()
        for column in header:
            try:
                found.append(self.target(column))
            except UsageError as error:
                faults.append(str(error))
                found.append(None)
        faults += [
            f"no column is named {column!r}, which the map has" for column in self._columns if column not in header
        ]
        taken: dict[str, str] = {}
        for column, target in zip(header, found, strict=True):
            if target is not None:
                if target.place in taken:
                    faults.append(f"columns {taken[target.place]!r} and {column!r} are both {target.place}")
                taken.setdefault(target.place, column)
        if faults:
            raise UsageError(f"{self._connector}: {'; '.join(faults)}")
        return found

    def target(self, column: str, within: tuple[str, ...] = ()) -> Target | None:
        """Return where a column goes; None if it is left out.

        Args:
            column: Its name.
            within: The objects that it stands in.

        Raises:
            UsageError: If it is no field, or may be several.
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
                raise UsageError(f"column {column!r} is the label of {' and '.join(ids)}: say with --map which it is")
            if not ids:
                raise UsageError(self._unknown(column, given, part))
            bare = ids[0]
        described = part.fields[bare]
        # A field of the key finds the record, so that it stands beside the fields, unless the map says otherwise.
        is_key = described.primary_key if given is None else last.startswith("@")
        is_key = is_key or last.startswith("@")
        place = ".".join((*around, f"@{bare}" if is_key else bare))
        return Target(tuple(around), bare, is_key, place, described.label, reading_of(described, dutch=self._dutch))

    def has_object(self, name: str, within: tuple[str, ...]) -> bool:
        """Whether an object may stand there."""
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
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `fields` lists what there is"
        what = f"column {column!r} is no field" if given is None else f"the map has {given!r}, which is no field"
        return f"{what}, by id or label{hint}" if given is None else f"{what}{hint}"


@dataclass(slots=True)
class RecordMaker:
    """Makes the records of the lines of a file.

    Args:
        field_map: Which field a column is.
        empty: What an empty cell means: "omit" leaves the field as it is, "clear" clears it. A field of the key, and a
            line of objects of which every cell is empty, are left out in any case.
        constants: Values that every record has, by the place of their field.
    """

    field_map: FieldMap
    empty: Empty
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _known: dict[tuple[tuple[str, ...], str], Target | None] = field(
        default_factory=dict[tuple[tuple[str, ...], str], Target | None], init=False
    )

    def of_cells(self, header: Sequence[str]) -> Callable[[Sequence[Any]], Element]:
        """Return what makes the record of a line of cells, one for each column of a header.

        Raises:
            UsageError: If a column is no field. The function raises UnfitRecordError for a line that does not fit.
        """
        targets = self.field_map.targets(header)
        plan = [(number, target, target.read) for number, target in enumerate(targets) if target is not None]
        fixed, width, clear = self._fixed(), len(header), self.empty == "clear"

        def make(cells: Sequence[Any]) -> Element:
            if len(cells) != width:
                raise UnfitRecordError(f"the line has {len(cells)} cells, and the header {width}")
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
        """Make sure that the members of all lines of JSON are fields or objects, each with the objects around it.

        Raises:
            UsageError: If one is not; all of these are named.
        """
        faults = dict.fromkeys(fault for within, name in sorted(names) if (fault := self._fault_of_name(within, name)))
        if faults:
            raise UsageError("; ".join(faults))

    def _fault_of_name(self, within: tuple[str, ...], name: str) -> str:
        for depth, each in enumerate(within):
            if not self.field_map.has_object(each, within[:depth]):
                return ""  # it stands in what is named as a fault itself
        if not self.field_map.has_object(name, within) and name != "@Action":
            try:
                self.field_map.target(name, within)
            except UsageError as error:
                return str(error)
        return ""

    def of_object(self, line: object) -> Element:
        """Return the record of a line of JSON: an object by ids or labels, with objects in it.

        Raises:
            UnfitRecordError: If it is no object, or does not fit.
            UsageError: If a member is no field.
        """
        if not isinstance(line, dict):
            raise UnfitRecordError("the line is no JSON object")
        record = self._converted(cast("dict[str, Any]", line), ())
        for target, value in self._fixed():
            _put(record, target, value, replaces=True)
        return element_of(record)

    def _converted(self, line: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for column, cell in line.items():
            if isinstance(cell, (dict, list)) and self.field_map.has_object(column, within):
                if column in record:
                    raise UnfitRecordError(f"{column}: another member of the line is a field of it, by the map")
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
    """Return what stands in the place of an object: several in a list, or one."""
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _put(record: dict[str, Any], target: Target, value: Any, *, beyond: int = 0, replaces: bool = False) -> None:
    """Put a value into a record or an object, and into the objects in it; a key by its id has an `@` there.

    Raises:
        UnfitRecordError: If an object has several lines, or there is a value already, unless the new one replaces it.
    """
    for name in target.objects[beyond:]:
        inner: object = record.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UnfitRecordError(f"{target.place}: {name} has a list of lines, and it is not said which one is meant")
        record = cast("dict[str, Any]", inner)
    place = f"@{target.id}" if target.is_key else target.id
    if place in record and not replaces:
        raise UnfitRecordError(f"{target.place}: two members of the line are this field")
    record[place] = value


def _without_empty_objects(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the objects that have nothing but empty fields: nobody means to clear those."""
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
