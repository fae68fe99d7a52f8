"""UpdateConnectors as metainfo describes them: fields and objects that AFAS's examples use, cut down."""

from __future__ import annotations

from typing import Any

from afas_async.vocabulary.metainfo import Code, UpdateField, UpdateMetainfo, UpdateObject

CUSTOM = "U2DE284248374B083C966F9B4EEEE9E21"


def text(name: str, length: int = 50, label: str = "", **facts: Any) -> UpdateField:
    return UpdateField(id=name, data_type="string", length=length, label=label, **facts)


def whole(name: str, length: int = 9, label: str = "", **facts: Any) -> UpdateField:
    return UpdateField(id=name, data_type="int", length=length, label=label, **facts)


def amount(name: str) -> UpdateField:
    return UpdateField(id=name, data_type="decimal", length=15, decimals=2)


def flag(name: str, **facts: Any) -> UpdateField:
    return UpdateField(id=name, data_type="boolean", length=1, **facts)


def day(name: str, **facts: Any) -> UpdateField:
    return UpdateField(id=name, data_type="date", length=10, **facts)


def address(name: str) -> UpdateObject:
    fields = [
        text("CoId", 3, "Country", mandatory=True),
        flag("PbAd"),
        text("Ad", 60, "Street"),
        whole("HmNr", 8),
        text("ZpCd", 15, "Postal code"),
        text("Rs", 50, "City"),
        day("BeginDate"),
        flag("ResZip"),
    ]
    return UpdateObject(name=name, fields=fields)


MATCHES = [Code(str(number), "") for number in range(8)]
PERSON_FIELDS = [
    flag("PadAdr"),
    flag("AutoNum"),
    text("MatchPer", 1, values=MATCHES),
    whole("BcId", primary_key=True, mandatory=True),
    text("BcCo", 15, "Number", primary_key=True),
    text("FiNm", 50, "First name"),
    text("LaNm", 50, "Last name", mandatory=True),
    flag("SpNm"),
    text("ViGe", 1, values=[Code("M", "Male"), Code("V", "Female")]),
    text(CUSTOM, 255, "Shoe size"),
]
BANK = UpdateObject(name="KnBankAccount", fields=[text("CoId", 3), text("Iban", 40, mandatory=True), flag("AcCk")])
CONTACT = UpdateObject(
    name="KnContact",
    fields=[text("ViKc", 3, values=[Code("AFD"), Code("PRS")], mandatory=True), text("FuDs"), text("MbNr", 255)],
    objects=[UpdateObject(name="KnPerson", fields=PERSON_FIELDS), address("KnBasicAddressAdr")],
)
PERSON = UpdateMetainfo(
    id="KnPerson",
    name="KnPerson",
    fields=PERSON_FIELDS,
    objects=[address("KnBasicAddressAdr"), address("KnBasicAddressPad"), BANK, CONTACT],
)
LINK = UpdateObject(
    name="KnSubjectLink",
    fields=[whole("SbId", primary_key=True, mandatory=True), text("SfTp", 2, mandatory=True), text("SfId", 20)],
)
ATTACHMENT = UpdateObject(
    name="KnSubjectAttachment", fields=[text("FileName", 255), UpdateField(id="FileStream", data_type="blob")]
)
SUBJECT = UpdateMetainfo(
    id="KnSubject",
    fields=[
        whole("SbId", label="Dossier item", primary_key=True, mandatory=True),
        whole("StId", 5, "Type of dossier item", mandatory=True),
        text("Ds", 255, "Subject"),
        UpdateField(id="SbTx", data_type="blob"),
        day("DtFr"),
        text("St", 1, values=[Code("A", "Active"), Code("C", "Closed")]),
    ],
    objects=[LINK, ATTACHMENT],
)
ENTRY_FIELDS = [text("VaAs", 1, mandatory=True), text("AcNr", 16, "Account", mandatory=True), day("EnDa"), day("BpDa")]
ENTRIES = UpdateMetainfo(
    id="FiEntries",
    name="FiEntryPar",
    fields=[
        whole("Year", 4, mandatory=True),
        whole("Peri", 2, mandatory=True),
        whole("UnId", 3),
        text("JoCo", 5, mandatory=True),
        flag("AuNu"),
    ],
    objects=[
        UpdateObject(
            name="FiEntries",
            fields=[*ENTRY_FIELDS, text("BpNr", 16), amount("AmDe"), amount("AmCr"), whole("EnNo", primary_key=True)],
            objects=[UpdateObject(name="FiDimEntries", fields=[text("DiC1", 16, mandatory=True)])],
        )
    ],
)
EMPLOYEE = UpdateMetainfo(
    id="KnEmployee",
    name="AfasEmployee",
    fields=[text("EmId", 15, "Employee", primary_key=True, mandatory=True), text("ViSe", 1), flag("Bl")],
    objects=[
        UpdateObject(name="KnPerson", fields=PERSON_FIELDS),
        UpdateObject(
            name="AfasContract", fields=[day("DaBe", primary_key=True, mandatory=True), text("ClId", mandatory=True)]
        ),
        UpdateObject(
            name="AfasBankInfo",
            fields=[text("AcId", 40, primary_key=True), flag("NoBk", primary_key=True), text("Iban"), flag("SaAc")],
        ),
        UpdateObject(name="AfasTimeTable", fields=[day("DaBg", primary_key=True), amount("HrWk")]),
    ],
)
NOTE = UpdateMetainfo(
    id="FbDeliveryNote",
    fields=[text("OrNu", 12, primary_key=True), text("RfCs")],
    objects=[UpdateObject(name="FbDeliveryNoteLines", fields=[text("VaIt", 2, mandatory=True), text("GuLi", 38)])],
)
USER = UpdateMetainfo(
    id="KnUser", fields=[text("UsId", primary_key=True), text("MtCd", 1, mandatory=True), text("Nm", mandatory=True)]
)
DIMENSION = UpdateMetainfo(
    id="KnDimCode", fields=[whole("AxId", primary_key=True), text("VbCo", primary_key=True), text("Ds", mandatory=True)]
)
BARE = UpdateMetainfo(id="PtRealization", fields=[text("VaIt", mandatory=True), amount("Qu")])
