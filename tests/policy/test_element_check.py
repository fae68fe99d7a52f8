"""Elements against metainfo: every fault is reported with its place, and anything the service might accept passes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from afas_async.policy.element_check import Checker
from afas_async.vocabulary.elements import Action, Element, Item, element_of
from afas_async.vocabulary.metainfo import UpdateMetainfo, UpdateObject
from tests.support.described import (
    BARE,
    CUSTOM,
    DIMENSION,
    EMPLOYEE,
    ENTRIES,
    NOTE,
    PERSON,
    SUBJECT,
    USER,
    text,
)
from tests.support.each_case import each_case

CREATED = {"PadAdr": "1", "AutoNum": "1", "MatchPer": "7", "FiNm": "Jan", "LaNm": "Jansen", "SpNm": "0", "ViGe": "M"}
HOME = {"PbAd": "0", "Ad": "Dorpsweg", "HmNr": "105", "ZpCd": "3833 LC", "CoId": "NL", "Rs": "Leusden", "ResZip": "0"}


def faults(metainfo: UpdateMetainfo, action: Action, item: object, *, allow_none: bool = False) -> list[str]:
    return [str(fault) for fault in Checker(metainfo, action, allow_none=allow_none).faults(element_of(item))]


# --- elements that pass ---

ACCEPTED: list[tuple[UpdateMetainfo, Action, object]] = [
    # A person as the service's documentation changes one, with the key beside the fields, among them, or in both.
    (
        PERSON,
        "update",
        {"@BcCo": "1000123", "FiNm": "Jan", "LaNm": "Jansen", "KnBasicAddressAdr": {"CoId": "NL", "ZpCd": "3811 HN"}},
    ),
    (PERSON, "update", {"MatchPer": "0", "BcCo": "123456897", CUSTOM: "333"}),
    (PERSON, "update", {"@BcCo": "1", "BcCo": "1", "FiNm": "Jan"}),
    (PERSON, "update", {"MatchPer": "3", "FiNm": "Jan"}),
    (PERSON, "insert", {**CREATED, "KnBasicAddressAdr": HOME, "KnBasicAddressPad": HOME}),
    (PERSON, "insert", {**CREATED, "KnBasicAddressAdr": HOME, "KnBasicAddressPad": {"PbAd": "1"}}),
    (PERSON, "insert", {"MatchPer": "0", "BcCo": "1000780", "KnContact": {"FuDs": "Directeur"}}),
    (PERSON, "insert", {"FiNm": "Jan"}),
    (PERSON, "insert", {**CREATED, "KnContact": {"ViKc": "PRS", "KnPerson": {"MatchPer": "0", "BcCo": "1000368"}}}),
    # A subject without its number, which the service gives, or with one, which it ignores.
    (SUBJECT, "insert", {"StId": "15", "Ds": "Offerte", "DtFr": "2024-08-22T10:00:00", "St": "A"}),
    (SUBJECT, "insert", {"SbId": 7, "StId": 15, "DtFr": date(2024, 8, 22)}),
    (
        SUBJECT,
        "insert",
        {
            "StId": "15",
            "KnSubjectLink": {"SfTp": "17", "SfId": "000255"},
            "KnSubjectAttachment": [
                {"FileName": "example.png", "FileStream": b"\x89PNG" * 1_000},
                {"FileName": "example_2.png", "FileStream": "iVBORw0KGgo="},
            ],
        },
    ),
    (SUBJECT, "update", {"SbId": "999999", "Ds": "", "KnSubjectAttachment": []}),
    (SUBJECT, "delete", {"@SbId": 7}),
    (
        ENTRIES,
        "insert",
        {
            "Year": "2023",
            "Peri": "6",
            "UnId": "1",
            "JoCo": "80",
            "FiEntries": [
                {
                    "VaAs": "1",
                    "AcNr": "0100",
                    "EnDa": "2023-01-01",
                    "AmDe": "0",
                    "AmCr": "100",
                    "FiDimEntries": {"DiC1": 11},
                },
                {"VaAs": "1", "AcNr": "0200", "EnDa": "2023-01-01", "AmDe": Decimal("100.00"), "AmCr": 0},
            ],
        },
    ),
    # An employee without a number, with a person that is there already, and lines with their keys.
    (
        EMPLOYEE,
        "insert",
        {
            "@Action": "insert",
            "ViSe": "I",
            "Bl": "0",
            "KnPerson": {"MatchPer": "0", "BcCo": "8976786"},
            "AfasContract": {"@action": "insert", "@DaBe": "2022-03-01", "ClId": "basis"},
            "AfasBankInfo": {"@Action": "insert", "@AcId": "NL09", "@NoBk": False, "SaAc": True, "Iban": "NL09"},
        },
    ),
    (
        EMPLOYEE,
        "update",
        {
            "@action": "update",
            "@EmId": "ALLARDJ",
            "AfasBankInfo": [{"@AcId": "NL57", "@NoBk": False, "SaAc": "false"}, {"@AcId": "NL40", "@NoBk": False}],
            "AfasContract": {"@Action": "delete", "@DaBe": "2022-03-01"},
            "AfasTimeTable": {"DaBg": "2024-03-01", "HrWk": "32"},
        },
    ),
    (EMPLOYEE, "delete", {"@EmId": "FLOORA", "@ViSe": "U"}),
    # Whether a line without a key is a new one differs from connector to connector.
    (NOTE, "update", {"OrNu": "70000137", "FbDeliveryNoteLines": {"GuLi": "{F09F8B2C-17AB-492D-86D6-C8140F63B214}"}}),
    (USER, "update", {"UsId": "12345.JAN", "MtCd": "4"}),
    (USER, "insert", {"UsId": "12345.JAN", "MtCd": 6}),
    (BARE, "update", {"Qu": 3.5}),
    (BARE, "insert", {"VaIt": "1", "Qu": "-.5"}),
]


@each_case(("metainfo", "action", "item"), ACCEPTED)
def test_what_the_service_accepts(metainfo: UpdateMetainfo, action: Action, item: object) -> None:
    """Bodies from AFAS's documentation and examples have no fault, in any form of an element."""
    assert faults(metainfo, action, item) == []


def test_elements_dicts_and_structs() -> None:
    """All forms of an element are checked alike, one or many, at any depth."""

    class Line(msgspec.Struct, rename={"street": "Ad", "number": "HmNr"}):
        street: str | msgspec.UnsetType = msgspec.UNSET
        number: int | msgspec.UnsetType | None = msgspec.UNSET

    forms: list[Item] = [Line(street="x" * 61), {"Ad": "x" * 61}, Element({"Ad": "x" * 61})]
    element = Element({}, key={"BcCo": "1"}, objects={"KnContact": Element({}, objects={"KnBasicAddressAdr": forms})})
    assert faults(PERSON, "update", element) == [
        f"Objects.KnContact[0].Objects.KnBasicAddressAdr[{index}].Ad (Street): has 61 characters; the maximum is 60:"
        " shorten it"
        for index in range(3)
    ]


def test_an_object_that_metainfo_does_not_describe() -> None:
    """Where metainfo describes neither fields nor objects, nothing is judged."""
    metainfo = UpdateMetainfo(id="A", fields=[text("B")], objects=[UpdateObject(name="C")])
    assert faults(metainfo, "insert", {"C": {"anything": "x" * 999, "D": {"E": 1}}}) == []


# --- names ---


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("lanm", "use LaNm (Last name)"),
        ("Last name", "use LaNm (Last name)"),
        ("LaNme", "did you mean LaNm (Last name)?"),
        ("Lastname", "did you mean LaNm (Last name)?"),
        ("Street", "see the metainfo for all fields"),
        (
            "HmNr",
            "it is a field of Objects.KnBasicAddressAdr or Objects.KnBasicAddressPad or Objects.KnContact.Objects.",
        ),
        ("KnBankAccount", "it is an object: give an element, or a list of elements, in `objects`"),
        ("@BcCo", "write BcCo without the @, in `key` or among the fields"),
        (CUSTOM.lower(), f"use {CUSTOM} (Shoe size)"),
    ],
)
def test_unknown_fields(name: str, advice: str) -> None:
    """An unknown field is reported with the name that was probably meant."""
    (fault,) = faults(PERSON, "update", Element({"BcCo": "1", name: "x"}))
    assert fault.startswith(f"{name}: unknown field: {advice}")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("KnBasicAdressAdr", "did you mean KnBasicAddressAdr or KnBasicAddressPad?"),
        ("knbankaccount", "did you mean KnBankAccount?"),
        ("KnPerson", "it is an object of Objects.KnContact"),
        ("FiNm", "it is a field: give it a value"),
        ("Fields", "the library writes the body: give fields by their names, and objects by theirs"),
        ("Zzz", "the objects are KnBasicAddressAdr, KnBasicAddressPad, KnBankAccount, KnContact"),
    ],
)
def test_unknown_objects(name: str, advice: str) -> None:
    """An unknown object is reported with the name that was probably meant."""
    (fault,) = faults(PERSON, "update", {"BcCo": "1", name: {"FiNm": "Jan"}})
    assert fault == f"Objects.{name}: unknown object: {advice}"


def test_no_objects_at_all() -> None:
    """The fault says that a connector has no objects."""
    assert faults(BARE, "insert", {"VaIt": "1", "A": {}}) == ["Objects.A: unknown object: this part has no objects"]


def test_a_field_in_an_object_is_none_of_the_element() -> None:
    """A part of an element accepts its own names only."""
    (fault,) = faults(PERSON, "update", {"@BcCo": "1", "KnBankAccount": [{"Iban": "NL1"}, {"Ibn": "NL2"}]})
    assert fault == "Objects.KnBankAccount[1].Ibn: unknown field: did you mean Iban?"


def test_what_is_no_element() -> None:
    """A value that cannot be an element is reported with its place."""
    (fault,) = faults(PERSON, "update", Element(key={"BcCo": "1"}, objects={"KnBankAccount": [{}, "NL1"]}))  # type: ignore[list-item]
    assert fault.startswith("Objects.KnBankAccount[1]: expected an Element, a dict of fields")


# --- keys ---


def test_names_of_keys() -> None:
    """Only key fields stand beside the fields; a delete may have other fields in its URL."""
    assert faults(SUBJECT, "update", {"@SbId": 7, "@Ds": "x"}) == [
        "@Ds (Subject): is not in the key, SbId (Dossier item): give it as a field"
    ]
    assert faults(SUBJECT, "delete", {"@SbId": 7, "@Ds": "x"}) == []
    assert faults(SUBJECT, "delete", {"@Sbid": 7}) == ["@Sbid: unknown field: use SbId (Dossier item)"]
    assert faults(SUBJECT, "update", Element(key={"@SbId": 7})) == [
        "@@SbId: unknown field: write SbId without the @, in `key` or among the fields"
    ]
    (fault,) = faults(SUBJECT, "update", {"@SbId": "x"})
    assert fault.startswith("@SbId (Dossier item): is not a number: give an int")
    assert faults(ENTRIES, "insert", {"@Year": 2024, "Peri": 1, "JoCo": "80"}) == []  # metainfo declares no key
    assert faults(PERSON, "update", {"@FiNm": "Jan", "MatchPer": "3"}) == []  # any field may find a person


@pytest.mark.parametrize("action", ["update", "delete"])
@pytest.mark.parametrize("item", [{"Ds": "x"}, {"@VbCo": ""}, {"AxId": msgspec.UNSET}, Element(action=None), {}])
def test_a_record_that_cannot_be_found(action: Action, item: object) -> None:
    """An update or a delete needs a key, where metainfo declares one."""
    assert faults(DIMENSION, action, item) == [f"key: nothing identifies the record to {action}: give AxId and VbCo"]
    assert faults(DIMENSION, "insert", {"Ds": "x"}) == []


# --- mandatory fields ---


@pytest.mark.parametrize("value", ["", msgspec.UNSET])
def test_mandatory_fields_of_an_insert(value: object) -> None:
    """An insert needs its mandatory fields, with a value; an update and a delete do not."""
    missing = ["StId (Type of dossier item): is mandatory for a new record: add it"]
    assert faults(SUBJECT, "insert", {"Ds": "x"}) == missing
    assert faults(SUBJECT, "insert", {"StId": value}) == missing
    assert faults(SUBJECT, "insert", {"@SbId": 7, "Ds": "x"}) == missing
    assert faults(SUBJECT, "update", {"@SbId": 7, "StId": value}) == []
    assert faults(SUBJECT, "delete", {"@SbId": 7}) == []


def test_an_action_of_its_own() -> None:
    """The element's own action overrules that of the load, wherever it is written."""
    (missing,) = faults(SUBJECT, "update", Element({"Ds": "x"}, action="insert"))
    assert missing.startswith("StId")
    assert faults(SUBJECT, "insert", Element({"SbId": 7}, action="update")) == []
    assert faults(SUBJECT, "insert", {"@SbId": 7, "@action": "Update"}) == []
    for fields in ({"@Action": "update"}, {"@action": "update"}):
        assert faults(SUBJECT, "insert", Element({"SbId": 7, **fields})) == []
    (unfound,) = faults(SUBJECT, "insert", {"@action": "delete"})
    assert unfound.startswith("key: nothing identifies the record to delete")
    for odd in (Element({"SbId": 7}, action="upsert"), {"@SbId": 7, "@action": "upsert"}):  # type: ignore[arg-type]
        assert faults(SUBJECT, "update", odd) == ["@Action: unknown action: use insert or update or delete"]


def test_mandatory_fields_of_objects() -> None:
    """An object that is certainly new needs them: without a key in a new element, or by its own action."""
    there = "Objects.KnBankAccount[0].Iban: is mandatory for a new record: add it"
    bank = {"KnBankAccount": {"CoId": "NL"}}
    assert faults(PERSON, "insert", {**CREATED, **bank}) == [there]
    assert faults(PERSON, "insert", {"MatchPer": "0", "BcCo": "1", **bank}) == []
    assert faults(PERSON, "update", {"BcCo": "1", **bank}) == []
    assert faults(PERSON, "update", {"BcCo": "1", "KnBankAccount": {"@Action": "insert"}}) == [there]
    assert faults(PERSON, "insert", {**CREATED, "KnBankAccount": {"@Action": "update"}}) == []
    (missing,) = faults(
        EMPLOYEE, "update", {"@EmId": "J", "AfasContract": {"@Action": "insert", "@DaBe": "2022-03-01"}}
    )
    assert missing.startswith("Objects.AfasContract[0].ClId")
    lines = [{"AcNr": "1"}, {"AcNr": "1", "EnNo": 5}, {"VaAs": "1", "AcNr": "1", "FiDimEntries": {}}]
    assert faults(ENTRIES, "insert", {"Year": 2024, "Peri": 1, "JoCo": "80", "FiEntries": lines}) == [
        "Objects.FiEntries[0].VaAs: is mandatory for a new record: add it",
        "Objects.FiEntries[2].Objects.FiDimEntries[0].DiC1: is mandatory for a new record: add it",
    ]


@pytest.mark.parametrize(("match", "demanded"), [("7", True), (7, True), ("0", False), ("1", False), ("", False)])
def test_records_that_are_matched(match: object, demanded: bool) -> None:  # noqa: FBT001 (a table)
    """Only "always new" makes a person certainly new."""
    assert bool(faults(PERSON, "insert", {"MatchPer": match, "FiNm": "Jan"})) is demanded


@pytest.mark.parametrize(("own", "demanded"), [("1", False), (True, False), ("true", False), ("0", True), ("", True)])
def test_a_postal_address_that_is_ignored(own: object, demanded: bool) -> None:  # noqa: FBT001 (a table)
    """If the address is also the postal address, the other one may be incomplete."""
    person = {**CREATED, "PadAdr": own, "KnBasicAddressPad": {"Rs": "Leusden"}}
    assert bool(faults(PERSON, "insert", person)) is demanded


def test_none() -> None:
    """None is one fault where it is not allowed, and counts as no value where it is."""
    (fault,) = faults(SUBJECT, "insert", {"StId": None})
    assert fault.startswith("StId (Type of dossier item): None is ambiguous")
    assert faults(SUBJECT, "update", {"SbId": 7, "StId": None}, allow_none=True) == []
    (fault,) = faults(SUBJECT, "insert", {"StId": None}, allow_none=True)
    assert fault == "StId (Type of dossier item): is mandatory for a new record: add it"


# --- all of them ---


def test_every_fault_is_told() -> None:
    """A fault does not hide another one, and no text contains a value."""
    element = Element(
        {"FiNm": "secret" * 10, "ViGe": "secret", "MatchPer": "7", "SpNm": "secret", "Xx": "secret"},
        objects={"KnBasicAddressAdr": [HOME, {"HmNr": "secret", "BeginDate": "secret"}], "KnX": {}},
    )
    found = faults(PERSON, "insert", element)
    assert [fault.partition(":")[0] for fault in found] == [
        "FiNm (First name)",
        "ViGe",
        "SpNm",
        "Xx",
        "LaNm (Last name)",
        "Objects.KnBasicAddressAdr[1].HmNr",
        "Objects.KnBasicAddressAdr[1].BeginDate",
        "Objects.KnBasicAddressAdr[1].CoId (Country)",
        "Objects.KnX",
    ]
    assert "secret" not in "".join(found)


def test_a_checker_keeps_nothing_of_an_element() -> None:
    """One checker serves all elements of a load, in any order."""
    checker = Checker(SUBJECT, "insert")
    good, bad = Element({"StId": 1}), Element({"Xx": 1})
    first = checker.faults(bad)
    assert checker.faults(good) == []
    assert checker.faults(bad) == first
    assert len(first) == 2
