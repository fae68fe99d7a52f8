"""Typed models: the Python source made from metainfo, its equality with the types at run time, and what both decode."""

from __future__ import annotations

import ast
import copy
import json
import keyword
import pickle
import typing
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afas_async import (
    F,
    GetConnector,
    GetMetainfo,
    InvalidNameError,
    MetainfoField,
    UnknownFieldError,
    UpdateConnector,
    UpdateField,
    UpdateMetainfo,
    UpdateObject,
    UsageError,
    models,
)
from afas_async.models.generate import Codes, NumericCodes
from afas_async.vocabulary.metainfo import Code
from afas_async.wire.element_bodies import encode_element
from afas_async.wire.filter_parameters import filter_pairs

Meta: TypeAlias = GetMetainfo | UpdateMetainfo

TYPES = ("string", "int", "decimal", "boolean", "date", "blob", "", "moment")
CUSTOM = "U0F2A3B4C5D6E7F8091A2B3C4D5E6F708"
# The samples of the service's documentation.
ADMINISTRATIONS = b"""{"name":"Profit_Administrations","description":"Administraties (Profit)","fields":[
 {"id":"AdminId","fieldId":"U002","dataType":"int","label":"Administratie","length":3,
  "controlType":5,"decimals":0,"decimalsFieldId":""}]}"""
SUBJECT = b"""{"id":"KnSubject","name":"KnSubject","description":"Dossieritem",
 "fields":[{"fieldId":"SbId","primaryKey":true,"dataType":"int","label":"Dossieritem","mandatory":false,
   "length":9,"decimals":0,"decimalFieldId":"","notzero":false,"controlType":5,"values":null},
  {"fieldId":"St","primaryKey":false,"dataType":"string","label":"Status","mandatory":false,"length":1,
   "decimals":0,"decimalFieldId":"","notzero":false,"controlType":1,
   "values":[{"id":"A","description":"Actief"}]}],
 "objects":[{"name":"KnSubjectLink","fields":[],"objects":null}]}"""


def executed(source: str) -> dict[str, Any]:
    """Return the names that a module with this source defines."""
    module: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated", "exec", dont_inherit=True), module)  # noqa: S102 - that is what source is for
    return module


def get(*fields: MetainfoField | str, name: str = "Profit_Test") -> GetMetainfo:
    return GetMetainfo(
        name=name,
        description="Test",
        fields=[MetainfoField(field, "string") if isinstance(field, str) else field for field in fields],
    )


def names(struct: Any) -> dict[str, str]:
    """Return the attributes by the names that the service uses."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(struct)}


def shape(described: Any) -> Any:
    """Return everything that can differ between two types."""
    kind: Any = described
    if isinstance(described, type) and issubclass(described, msgspec.Struct):
        members = [
            (field.name, field.encode_name, field.default, shape(field.type)) for field in msgspec.structs.fields(kind)
        ]
        config = kind.__struct_config__
        return kind.__name__, kind.__doc__, config.frozen, members, hasattr(kind, "__post_init__")
    if isinstance(described, type) and issubclass(described, Enum):
        return kind.__name__, kind.__doc__, kind.__mro__[1], {name: each.value for name, each in _members(kind)}
    if arguments := typing.get_args(kind):
        return [shape(argument) for argument in arguments]
    return kind


def _members(kind: Any) -> list[tuple[str, Enum]]:
    return list(kind.__members__.items())


# --- names ---


@pytest.mark.parametrize(
    ("ids", "attributes"),
    [
        (["ItemCode", "FTE", "XMLData", "DaBi"], ["item_code", "fte", "xml_data", "da_bi"]),
        (["class", "From", "None", "lambda"], ["class_", "from_", "none", "lambda_"]),
        (
            ["Str", "int", "Date", "datetime", "Field", "Bool"],
            ["str_", "int_", "date_", "datetime_", "field_", "bool_"],
        ),
        (["1st", "2", "--", "é", "\N{EURO SIGN}"], ["field_1st", "field_2", "field_", "e", "field__2"]),
        (
            ["Item.Code", "Item Code", "ItemCode", "item_code"],
            ["item_code", "item_code_2", "item_code_3", "item_code_4"],
        ),
        (["_private_", "__init__", "a-b"], ["private", "init", "a_b"]),
    ],
)
def test_attributes_are_legal_and_unique(ids: list[str], attributes: list[str]) -> None:
    """An id becomes snake case. An id that is not a name, is taken or would hide a type gets another one."""
    assert names(models.define(get(*ids))) == dict(zip(ids, attributes, strict=True))


def test_custom_fields_are_called_by_their_labels() -> None:
    """Their ids say nothing, and differ between environments."""
    other = CUSTOM.replace("8", "9")
    meta = get(MetainfoField(CUSTOM, "string", "Kleur (hoofd)"), "Kleur", other)
    assert names(models.define(meta)) == {CUSTOM: "kleur_hoofd", "Kleur": "kleur", other: other.lower()}


def test_what_no_decoder_can_name_is_left_out_and_reported() -> None:
    """msgspec takes no member with a quote or a backslash in its name; the docstring lists what is missing."""
    struct = models.define(get("Id", 'a"b', "c\\d"))
    assert list(names(struct)) == ["Id"]
    assert 'Left out, because msgspec cannot decode their names: a"b, c\\d.' in str(struct.__doc__)
    assert executed(models.source([get("Id", 'a"b', "c\\d")]))["Test"].__doc__ == struct.__doc__


def test_classes_and_constants_are_unique() -> None:
    """Connectors that differ only in characters that class names lack get different classes.

    None takes an import's name.
    """
    metas = [
        get("Id", name=name) for name in ("Profit_Decimal", "Decimal", "a-b", "a.b", "1st", "Profit_ABC", "Struct")
    ]
    module = executed(models.source(metas))
    found: list[GetConnector[Any]] = [each for each in module.values() if isinstance(each, GetConnector)]
    assert {each.name for each in found} == {meta.name for meta in metas}
    assert len({each.row_type for each in found}) == len(metas)
    assert module["Decimal_2"].__name__ == "Decimal_2"
    assert (module["CONNECTOR_1ST"].row_type.__name__, module["ABC_2"].name) == ("Connector1st", "Profit_ABC")


# --- types ---


def test_the_types_of_rows() -> None:
    """Each data type has its Python type, in the order of the rows. A field of an unknown type keeps its JSON value."""
    meta = get(*(MetainfoField(f"F{number}", kind) for number, kind in enumerate(TYPES)))
    types = [str, int, Decimal, bool, datetime, str, Any, Any]
    fields = msgspec.structs.fields(models.define(meta))
    assert [field.type for field in fields] == [typing.Optional[kind] for kind in types]  # noqa: UP045
    assert [field.encode_name for field in fields] == [field.id for field in meta.fields]
    assert {field.default for field in fields} == {None}


def test_the_types_of_elements() -> None:
    """An element may leave anything out; days are dates, a blob is a text or a file, and a key has an @."""
    fields = [UpdateField(id=f"F{number}", data_type=kind) for number, kind in enumerate(TYPES)]
    meta = UpdateMetainfo(id="KnTest", fields=[UpdateField(id="Id", data_type="int", primary_key=True), *fields])
    described = msgspec.structs.fields(models.define(meta))
    types: list[Any] = [int, str, int, Decimal, bool, date, str | bytes, Any, Any]
    assert [field.type for field in described] == [kind | msgspec.UnsetType for kind in types]
    assert {field.default for field in described} == {msgspec.UNSET}
    assert [field.encode_name for field in described][:2] == ["@Id", "F0"]


def test_a_remark_is_a_text() -> None:
    """Among the blobs, Profit shows remarks by a control of their own: a remark is not stored in base64."""
    fields = [UpdateField(id="Re", data_type="blob", control_type=23), UpdateField(id="Fi", data_type="blob")]
    meta = UpdateMetainfo(id="KnTest", fields=fields)
    for struct in (models.define(meta), executed(models.source([meta]))["KnTest"]):
        described = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
        assert described == {"Re": str | msgspec.UnsetType, "Fi": str | bytes | msgspec.UnsetType}


def test_fields_that_a_release_adds_or_leaves_out() -> None:
    """A row is decoded whether it has more fields than the model or fewer."""
    struct = models.define(get("A", "B"))
    row: Any = msgspec.json.decode(b'{"New":[{"x":1}],"B":"b"}', type=struct)
    assert (row.a, row.b) == (None, "b")


def test_the_samples_of_the_documentation() -> None:
    """The metainfo that AFAS prints becomes models that accept the rows and bodies that it prints."""
    administrations = msgspec.json.decode(ADMINISTRATIONS, type=GetMetainfo)
    subject = msgspec.json.decode(SUBJECT, type=UpdateMetainfo)
    module = executed(models.source([subject, administrations], keys={"Profit_Administrations": "AdminId"}))
    decoder = msgspec.json.Decoder(module["Administrations"])
    assert [decoder.decode(row).admin_id for row in (b'{"AdminId":1}', b'{"AdminId":3}')] == [1, 3]
    assert module["ADMINISTRATIONS"].key == ("AdminId",)
    link = module["KnSubjectKnSubjectLink"]()
    item = module["KnSubject"](sb_id=5, st=module["KnSubjectSt"].ACTIEF, kn_subject_link=link)
    expected = b'{"Fields":{"St":"A"},"@SbId":5,"Objects":[{"KnSubjectLink":{"Element":{"Fields":{}}}}]}'
    assert encode_element(item) == expected


# --- codes ---


def coded(kind: str, *codes: tuple[str, str]) -> GetMetainfo:
    return get(MetainfoField("St", kind, "Status", values=[Code(*code) for code in codes]))


def test_codes_are_members_by_their_descriptions() -> None:
    """An enum has each code once, under a name that is legal and unique."""
    codes = [
        ("A", "Actief"),
        ("B", "actief"),
        ("C", ""),
        ("1", "1e keus"),
        ("", ""),
        ("A", "again"),
        ("D", "\N{EURO SIGN}"),
    ]
    kind = executed(models.source([coded("string", *codes)]))["TestSt"]
    members = {"ACTIEF": "A", "ACTIEF_2": "B", "C": "C", "CODE_1E_KEUS": "1", "CODE": "", "D": "D"}
    assert {name: each.value for name, each in _members(kind)} == members
    assert issubclass(kind, Codes)


@pytest.mark.parametrize(("kind", "base", "text"), [("string", Codes, '"{}"'), ("int", NumericCodes, "{}")])
def test_a_code_that_is_added_later_breaks_no_read(kind: str, base: type[Enum], text: str) -> None:
    """Such a code is a member without a name: equal to its value, and usable in a filter or a body."""
    meta = coded(kind, ("1", "Active"), ("2", "Closed"))
    for struct in (models.define(meta), executed(models.source([meta]))["Test"]):
        known: Any = msgspec.json.decode(f'{{"St":{text.format(2)}}}', type=struct)
        later: Any = msgspec.json.decode(f'{{"St":{text.format(37)}}}', type=struct)
        value: Any = json.loads(text.format(37))
        assert isinstance(known.st, base)
        kind_of: Any = type(known.st)
        assert known.st is kind_of.CLOSED
        assert (later.st, later.st.value, later.st.name, type(later.st)) == (value, value, "37", kind_of)
        assert hash(later.st) == hash(value)
        assert list(kind_of) == [kind_of.ACTIVE, kind_of.CLOSED]
        assert msgspec.json.decode(msgspec.json.encode(later)) == {"St": value}
        assert filter_pairs((F.St == later.st).groups()) == filter_pairs((F.St == value).groups())
        assert encode_element({"St": later.st}) == encode_element({"St": value})
        assert copy.deepcopy(later) == later
        for wrong in (b'{"St":1.5}', b'{"St":[]}', b'{"St":"x"}' if kind == "int" else b'{"St":1}'):
            with pytest.raises(msgspec.ValidationError):
                msgspec.json.decode(wrong, type=struct)


def test_a_code_can_be_pickled() -> None:
    """Rows that go to another process are pickled."""
    assert pickle.loads(pickle.dumps(Colour("green"))) == "green"  # noqa: S301 - our own
    assert pickle.loads(pickle.dumps(Colour.RED)) is Colour.RED  # noqa: S301


class Colour(Codes):
    RED = "red"


@pytest.mark.parametrize("kind", ["decimal", "boolean", "date", ""])
def test_codes_of_other_types_are_left_as_they_are(kind: str) -> None:
    """Only texts and whole numbers have enums."""
    assert shape(models.define(coded(kind, ("1", "One")))) == shape(
        models.define(get(MetainfoField("St", kind, "Status")))
    )


def test_whole_numbers_with_codes_that_are_none() -> None:
    """Codes that are not numbers cannot belong to a field of numbers, so that it stays a plain number."""
    assert msgspec.structs.fields(models.define(coded("int", ("1", "One"), ("x", "Other"))))[0].type == int | None


# --- keys ---


def test_the_key_is_declared_and_never_none() -> None:
    """The fields of the key are required, and have no codes: a read is sorted by them."""
    lines = get(MetainfoField("UnitId", "int", values=[Code("1", "One")]), "Line", "Text", name="Profit_Lines")
    text = models.source([lines], keys={"Profit_Lines": ("UnitId", "Line")})
    assert 'LINES = GetConnector("Profit_Lines", Lines, key=("UnitId", "Line"))' in text
    struct = models.define(lines, key=("UnitId", "Line"))
    assert [field.type for field in msgspec.structs.fields(struct)] == [int, str, str | None]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"UnitId":null,"Line":"1"}', type=struct)


def test_without_a_key_the_module_says_how_to_find_one() -> None:
    """Metainfo does not declare keys."""
    assert 'TEST = GetConnector("Profit_Test", Test)  # python -m afas_async inspect proposes a key' in models.source([
        get("Id")
    ])


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"Profit_Other": "Id"}, UsageError),
        ({"KnTest": "Id"}, UsageError),
        ({"Profit_Test": "Other"}, UnknownFieldError),
        ({"Profit_Test": "Price"}, UsageError),
        ({"Profit_Test": ("Id", "Id")}, UsageError),
    ],
)
def test_a_key_that_cannot_be_one(keys: dict[str, str | tuple[str, ...]], error: type[Exception]) -> None:
    """Such a key is refused here, and not when the module is imported."""
    metas: list[Meta] = [get("Id", MetainfoField("Price", "decimal")), UpdateMetainfo(id="KnTest", fields=[])]
    with pytest.raises(error):
        models.source(metas, keys=keys)


def test_a_connector_without_a_name() -> None:
    """A connector whose name may not enter a URL cannot be declared."""
    metas: list[Meta] = [get("Id", name=""), get("Id", name="a/b"), UpdateMetainfo(fields=[])]
    for meta in metas:
        with pytest.raises(InvalidNameError):
            models.source([meta])


# --- elements ---

PERSON = UpdateMetainfo(
    id="KnPerson",
    fields=[
        UpdateField(id="BcCo", data_type="string", primary_key=True),
        UpdateField(id="LaNm", data_type="string", mandatory=True, label="Name"),
        UpdateField(id="DaBi", data_type="date"),
    ],
    objects=[
        UpdateObject(
            name="KnAddress",
            fields=[UpdateField(id="ZpCd", data_type="string")],
            objects=[UpdateObject(name="KnPhone", fields=[UpdateField(id="Nr", data_type="int")])],
        )
    ],
)


def test_an_instance_is_an_element() -> None:
    """Keys, fields and objects in objects stand in their place in the body, and UNSET values are left out."""
    module = executed(models.source([PERSON]))
    phones = [module["KnPersonKnAddressKnPhone"](nr=number) for number in (1, 2)]
    address = module["KnPersonKnAddress"](zp_cd="3811 HN", kn_phone=phones)
    person = module["KnPerson"](bc_co="100", da_bi=date(2000, 2, 29), kn_address=address)
    assert json.loads(encode_element(person)) == {
        "@BcCo": "100",
        "Fields": {"DaBi": "2000-02-29"},
        "Objects": [
            {
                "KnAddress": {
                    "Element": {
                        "Fields": {"ZpCd": "3811 HN"},
                        "Objects": [{"KnPhone": {"Element": [{"Fields": {"Nr": 1}}, {"Fields": {"Nr": 2}}]}}],
                    }
                }
            }
        ],
    }
    assert msgspec.json.decode(msgspec.json.encode(person), type=module["KnPerson"]) == person
    assert module["KN_PERSON"] == UpdateConnector("KnPerson")


@pytest.mark.parametrize(
    ("id_", "name", "connector"),
    [
        ("KnEmployee", "AfasEmployee", 'UpdateConnector("KnEmployee")'),  # which the library knows
        ("KnOther", "AfasOther", 'UpdateConnector("KnOther", root="AfasOther")'),
        ("KnOther", "", 'UpdateConnector("KnOther")'),
        ("", "KnOther", 'UpdateConnector("KnOther")'),
    ],
)
def test_the_root_is_declared_where_it_differs(id_: str, name: str, connector: str) -> None:
    """Metainfo declares the name in bodies."""
    assert f" = {connector}\n" in models.source([UpdateMetainfo(id=id_, name=name, fields=[])])


# --- the module ---


def test_the_same_metainfo_is_the_same_text() -> None:
    """The order in which it comes, and how often it comes, make no difference."""
    metas: list[Meta] = [get("Id"), PERSON, get("Id", "Name", name="Profit_Other"), get("Id", name="A")]
    text = models.source(metas)
    assert models.source([*reversed(metas), metas[0]]) == text
    assert models.source(metas) == text


def test_a_field_that_is_listed_twice_is_there_once() -> None:
    """A struct cannot have it twice."""
    assert list(names(models.define(get("Id", "Id")))) == ["Id"]


def test_docstrings_tell_label_length_and_type() -> None:
    """They stand where editors show them."""
    price = MetainfoField("Price", "decimal", "Sales price", 15, 2)
    text = models.source([get("Id", price), PERSON])
    assert '    price: Decimal | None = field(name="Price", default=None)\n' in text
    assert '    """Sales price (decimal, length 15, decimals 2)."""\n' in text
    assert '    """Name (string, mandatory)."""\n' in text
    assert '    """Test: a row of Profit_Test."""\n' in text


def test_nothing_to_describe() -> None:
    """A token that may use nothing has a module without classes."""
    assert executed(models.source([])).keys() == executed('""').keys() | {"__doc__"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from([
    '"""',
    '"',
    "\\",
    "\\N{DIGIT ONE}",
    "a\nb = 1",
    "\r\n",
    "\u2028",
    "\u202e",
    "'''",
    '\\"""',
    "{x}",
    "#",
    "\x00",
    "é",
])
IDS = TEXTS | st.sampled_from([*keyword.kwlist, "ItemCode", "Item Code", "itemCode", "1", "Date", CUSTOM])
KINDS = st.sampled_from(TYPES)
CODES = st.none() | st.lists(st.builds(Code, IDS | st.integers(-5, 99).map(str), TEXTS), max_size=4)
ROW_FIELDS = st.builds(MetainfoField, IDS, KINDS, TEXTS, st.integers(0, 99), st.integers(0, 4), st.just(""), CODES)
FIELDS = st.builds(
    UpdateField,
    id=IDS,
    data_type=KINDS,
    label=TEXTS,
    primary_key=st.booleans(),
    mandatory=st.booleans(),
    length=st.integers(0, 99),
    values=CODES,
)
CONNECTORS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,9}", fullmatch=True)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(
        st.builds(UpdateObject, name=IDS, fields=st.lists(FIELDS, max_size=2), objects=inner), max_size=2
    )


METAS: st.SearchStrategy[Meta] = st.builds(
    GetMetainfo, name=CONNECTORS, description=TEXTS, fields=st.lists(ROW_FIELDS, max_size=6)
) | st.builds(
    UpdateMetainfo,
    id=CONNECTORS,
    description=TEXTS,
    fields=st.lists(FIELDS, max_size=4),
    objects=_objects(_objects(st.none())),
)
CALLED = {"GetConnector", "UpdateConnector", "field"}


@settings(deadline=None)
@given(st.lists(METAS, max_size=4))
def test_whatever_metainfo_says_is_a_module_of_models(metas: list[Meta]) -> None:
    """The source is Python that only declares, imports what it uses, and equals the types of `define`."""
    text = models.source(metas)
    tree = ast.parse(text)
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert all(isinstance(call, ast.Name) and call.id in CALLED for call in calls)
    top = (ast.Expr, ast.ImportFrom, ast.ClassDef, ast.Assign)
    assert all(isinstance(node, top) for node in tree.body)
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == imported & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    module = executed(text)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and "str | bytes" not in text:
            msgspec.json.Decoder(module[node.name])  # which takes no text that may be a file
    for meta in metas:
        alone = executed(models.source([meta]))
        struct = next(
            reversed([each for each in alone.values() if isinstance(each, type) and each.__module__ == "generated"])
        )
        assert shape(struct) == shape(models.define(meta))
