"""Which column belongs to which field, and the records that lines make."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from afas_async.errors import UsageError
from afas_async.policy.field_map import Empty, FieldMap, RecordMaker, UnfitRecordError
from afas_async.vocabulary.elements import Element
from afas_async.vocabulary.metainfo import UpdateField, UpdateMetainfo, UpdateObject

INNER = UpdateObject(name="Line", fields=[UpdateField(id="QuUn", label="Aantal", data_type="decimal")])
METAINFO = UpdateMetainfo(
    id="FbItemArticle",
    fields=[
        UpdateField(id="ItCd", label="Artikel", data_type="string", primary_key=True),
        UpdateField(id="Ds", label="Omschrijving", data_type="string"),
        UpdateField(id="SaPr", label="Prijs", data_type="decimal"),
        UpdateField(id="Un1", label="Eenheid", data_type="string"),
        UpdateField(id="Un2", label="Eenheid", data_type="string"),
        UpdateField(id="TeNr", label="Tel.nr. werk", data_type="string"),
    ],
    objects=[
        UpdateObject(
            name="Adr",
            fields=[
                UpdateField(id="ZpCd", label="Postcode", data_type="string"),
                UpdateField(id="Rs", label="Res. plaats"),
            ],
            objects=[INNER],
        )
    ],
)


def maker(empty: Empty = "omit", **options: Any) -> RecordMaker:
    columns = options.pop("columns", {})
    return RecordMaker(FieldMap(METAINFO, columns, dutch=True), empty, options.pop("constants", {}))


def plain(element: Element) -> dict[str, Any]:
    """An element as one dict, as a user gives it."""
    return {f"@{name}": value for name, value in element.key.items()} | {**element.fields} | {**element.objects}


def test_columns_by_id_label_object_and_map() -> None:
    """A column is an id, a label in any case, a field of an object, or a name in the map. A key gets an @ by itself."""
    columns = {"Nr": "ItCd", "Weg": "", "Stad": "Adr.Rs"}
    found = FieldMap(METAINFO, columns).targets(["Nr", "omschrijving", "Adr.Postcode", "Weg", "Stad", "Adr.Line.QuUn"])
    assert [None if target is None else target.place for target in found] == [
        "ItCd",
        "Ds",
        "Adr.ZpCd",
        None,
        "Adr.Rs",
        "Adr.Line.QuUn",
    ]
    assert [each.place for each in FieldMap(METAINFO, {}).targets(["Artikel", "@ItCd"][:1]) if each] == ["@ItCd"]


@pytest.mark.parametrize(
    ("columns", "header", "text"),
    [
        ({}, ["Omschrijvin"], "column 'Omschrijvin' is not the id or label of a field; did you mean Ds?"),
        ({}, ["Qqq"], "the command `fields` lists all fields"),
        ({}, ["Eenheid"], "column 'Eenheid' is the label of Un1 and Un2: choose one with --map"),
        ({}, ["Ad.ZpCd"], "column 'Ad.ZpCd' is not the id or label of a field"),
        ({"Nr": "ItCod"}, ["Nr"], "the map has 'ItCod', which is not a field; did you mean ItCd?"),
        ({"Nr": "ItCd"}, ["Ds"], "the map has 'Nr', but the file has no such column"),
        ({}, ["Ds", "Omschrijving"], "columns 'Ds' and 'Omschrijving' are both for the field Ds"),
        ({}, ["One", "Two"], "'One' is not the id or label of a field.*'Two' is not the id or label"),
    ],
)
def test_a_column_that_is_no_field(columns: dict[str, str], header: list[str], text: str) -> None:
    """All unknown columns are named at once, with the names that could be meant."""
    with pytest.raises(UsageError, match=text):
        FieldMap(METAINFO, columns).targets(header)


@pytest.mark.parametrize(
    ("empty", "cells", "record"),
    [
        (
            "omit",
            ["01", "", "1.234,50", "1234 AB"],
            {"@ItCd": "01", "SaPr": Decimal("1234.50"), "Adr": {"ZpCd": "1234 AB"}},
        ),
        ("clear", ["01", "", "", "1"], {"@ItCd": "01", "Ds": "", "SaPr": "", "Adr": {"ZpCd": "1"}}),
        ("omit", ["", None, None, None], {}),
        ("clear", ["", None, "1", ""], {"Ds": "", "SaPr": Decimal(1)}),
    ],
)
def test_empty_cells(empty: Empty, cells: list[Any], record: dict[str, Any]) -> None:
    """Empty cells leave a field as it is, or clear it; a key is never cleared, nor an object without content."""
    assert plain(maker(empty).of_cells(["ItCd", "Ds", "SaPr", "Adr.ZpCd"])(cells)) == record


def test_constants() -> None:
    """Every record has the constants, read as cells are."""
    make = maker(constants={"Adr.Line.QuUn": "1,5", "Ds": ""}).of_cells(["Artikel"])
    assert plain(make(["7"])) == {"@ItCd": "7", "Adr": {"Line": {"QuUn": Decimal("1.5")}}, "Ds": ""}
    with pytest.raises(UsageError, match="the constant SaPr is not a number"):
        maker(constants={"SaPr": "x"}).of_cells(["Artikel"])


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (["1"], "the line has 1 cells, but the header has 2"),
        (["1", "x"], r"column 'Prijs', SaPr \(Prijs\): is not a number"),
    ],
)
def test_a_line_that_does_not_fit(cells: list[str], text: str) -> None:
    """The error names the line and says what is wrong, without its cells."""
    with pytest.raises(UnfitRecordError, match=text):
        maker().of_cells(["ItCd", "Prijs"])(cells)


def test_lines_of_json() -> None:
    """A line has ids or labels, with objects and lists in it.

    Numbers may be JSON numbers, and empty values are left out.
    """
    line = {"Artikel": "007", "SaPr": 1.5, "Ds": None, "Adr": {"Postcode": "1", "Line": [{"Aantal": 2}, {"QuUn": "3"}]}}
    expected = {"@ItCd": "007", "SaPr": Decimal("1.5"), "Adr": {"ZpCd": "1", "Line": [{"QuUn": 2}, {"QuUn": 3}]}}
    assert plain(maker().of_object(line)) == expected
    deleted = maker("clear", columns={"x": ""}).of_object({"x": 1, "@ItCd": "", "Ds": "", "@Action": "delete"})
    assert deleted == Element({"Ds": ""}, action="delete")
    assert maker(constants={"Ds": "x", "@ItCd": "1"}).of_object({}) == Element({"Ds": "x"}, key={"ItCd": "1"})
    assert maker(constants={"Ds": "x", "@ItCd": "1"}).of_cells([])([]) == Element({"Ds": "x"}, key={"ItCd": "1"})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ([], "not a JSON object"),
        ({"Adr": [1]}, "Adr: its lines must be JSON objects"),
        ({"ItCd": 7}, "no leading zeros"),
    ],
)
def test_a_line_of_json_that_does_not_fit(line: object, text: str) -> None:
    """A number for a text is refused, as everywhere."""
    with pytest.raises(UnfitRecordError, match=text):
        maker().of_object(line)


def test_names_are_checked_before_anything_is_made() -> None:
    """All members without a field are named, each once."""
    maker().check_names({
        ((), "Artikel"),
        ((), "Adr"),
        (("Adr",), "ZpCd"),
        (("Adr", "Line"), "Aantal"),
        ((), "@Action"),
    })
    with pytest.raises(
        UsageError, match=r"'Prize' is not the id or label of a field.*'Zip' is not the id or label"
    ) as refused:
        maker().check_names({((), "Prize"), (("Adr",), "Zip"), (("Nothing",), "x"), ((), "Nothing")})
    assert "'x'" not in str(refused.value)


def test_a_label_with_dots() -> None:
    """Such a label does not name a field of an object, unless an object is named before it."""
    found = FieldMap(METAINFO, {}).targets(["tel.nr. werk", "Adr.Res. plaats"])
    assert [each.place for each in found if each] == ["TeNr", "Adr.Rs"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"Ds": "x", "Omschrijving": "y"}, "Ds: two members of the line are for this field"),
        ({"zip": "1", "Adr": {"ZpCd": "2"}}, "Adr: the map puts another member of the line into it"),
        ({"Adr": {"ZpCd": "2"}, "zip": "1"}, "Adr.ZpCd: two members of the line are for this field"),
        ({"Adr": [{"ZpCd": "2"}], "zip": "1"}, "Adr.ZpCd: Adr has a list of lines"),
    ],
)
def test_two_members_for_one_field(line: dict[str, Any], text: str) -> None:
    """Neither wins silently; the line is refused."""
    with pytest.raises(UnfitRecordError, match=text):
        maker(columns={"zip": "Adr.ZpCd"}).of_object(line)


def test_a_constant_replaces_what_a_line_has() -> None:
    """A constant overrides the line, in objects too; a list of such objects is refused."""
    made = maker(constants={"Ds": "always", "Adr.ZpCd": "9000"})
    record = plain(made.of_object({"Ds": "x", "Adr": {"ZpCd": "1"}}))
    assert (record["Ds"], record["Adr"]["ZpCd"]) == ("always", "9000")
    with pytest.raises(UnfitRecordError, match="Adr has a list of lines"):
        made.of_object({"Adr": [{"ZpCd": "1"}]})
