"""Inspection: the fields of a connector, and whether a key holds on its rows."""

from __future__ import annotations

from typing import Any

import pytest

from afas_async import AfasClient
from afas_async.commands.key_check import KeyCheck, candidates, declaration, type_fault
from afas_async.models.shapes import constant_name
from afas_async.simulator.storage.store import Store
from afas_async.vocabulary.metainfo import MetainfoField
from tests.support.command_line import environment, refused, run

ARTICLE = "Profit_Article"
LINES = "Profit_JournalLines"


# --- the check, row by row ---


def checked(*keys: tuple[Any, ...]) -> KeyCheck:
    check = KeyCheck(tuple(f"Field{number}" for number in range(len(keys[0]))))
    check.feed(keys)
    return check


@pytest.mark.parametrize(
    "keys",
    [
        [(1,), (2,), (30,)],
        [("b",), ("B1",), ("a",)],  # the order of texts is the database's own
        [(1, "b"), (1, "a"), (2, "a")],
        [("a", 2), ("b", 1)],
        [(-5,), (0,)],
    ],
)
def test_a_key_that_holds(keys: list[tuple[Any, ...]]) -> None:
    """Different keys of str and int, numbers in order, are a key."""
    assert checked(*keys).faults() == []


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ([(1,), (1,), (2,)], "1 row has the key of the row before it"),
        ([("a",), ("A",)], "1 row has the key of the row before it"),
        ([("a",), ("a ",)], "1 row has the key of the row before it"),
        ([("a", 1), ("A", 1)], "1 row has the key of the row before it"),
        ([(1,)] * 9_996, "9,995 rows have the key of the row before them"),
        ([(None,), (None,), (1,)], "2 rows have no value (null)"),
        ([(1, None), (1, 2)], "1 row has no value (null)"),
        ([("",), (" ",), ("a",)], "2 rows have an empty text"),
        ([(1.5,), (2.5,)], "Field0 has values of float"),
        ([(False,), (True,)], "Field0 has values of bool"),
        ([(1,), ("a",)], "Field0 has values of int and str"),
        ([("a", 1.0), ("b", 2.0)], "Field1 has values of float"),
        ([(1,), (3,), (2,)], "1 row has a lower number than the row before it"),
        ([(1, "a", 2), (1, "a", 1)], "1 row has a lower number than the row before it"),
        ([(2, "a"), (1, "b")], "1 row has a lower number than the row before it"),
        ([(3,), (2,), (1,)], "2 rows have a lower number than the row before them"),
    ],
)
def test_a_key_that_does_not_hold(keys: list[tuple[Any, ...]], fault: str) -> None:
    """Each fault of a candidate is reported, and nothing else."""
    (told,) = checked(*keys).faults()
    assert fault in told


def test_equal_keys_are_noticed_across_batches_and_three_are_kept() -> None:
    """The check goes on where the last batch ended, and keeps three different examples, however many there are."""
    check = KeyCheck(("Id",))
    for number in range(1_000):
        check.feed([(number,)])
        check.feed([(number,), (number,)])
    assert (check.rows, check.duplicates) == (3_000, 2_000)
    assert check.examples == [(0,), (1,), (2,)]
    assert len(check.tail) == 100


def fields(**types: str) -> list[MetainfoField]:
    return [MetainfoField(name, kind) for name, kind in types.items()]


def test_candidates() -> None:
    """Fields named like an identifier come first. Other types, and fields with nulls or duplicates, are left out."""
    described = fields(Name="string", Price="decimal", Email="string", Kind="string", ItemCode="string", Nr="int")
    rows = [
        {"Name": f"n{n}", "Price": n, "Email": f"e{n}" if n else None, "Kind": "k", "ItemCode": f"c{n}", "Nr": n}
        for n in range(3)
    ]
    assert candidates(described, rows, 1) == [("Nr",), ("ItemCode",), ("Name",)]
    assert candidates(described, rows, 2) == [("ItemCode", "Nr")]
    assert candidates(described, [*rows, rows[0] | {"ItemCode": "C0"}], 1) == []


def test_a_field_that_cannot_be_sorted_by_is_no_candidate() -> None:
    """Profit refuses ids with a dot in a sort order, so such a field is not proposed, and the reason is given."""
    rows = [{"Item.Code": f"c{n}", "Nr": n} for n in range(3)]
    described = [MetainfoField("Item.Code", "string"), MetainfoField("Nr", "int")]
    assert candidates(described, rows, 1) == [("Nr",)]
    assert "cannot sort" in str(type_fault(described[0]))


@pytest.mark.parametrize(
    ("connector", "key", "line"),
    [
        ("Profit_Article", ("ItemCode",), 'ARTICLE = GetConnector("Profit_Article", key="ItemCode")'),
        ("my-own.list", ("A", "B"), 'MY_OWN_LIST = GetConnector("my-own.list", key=("A", "B"))'),
        ("1st", ("A",), 'CONNECTOR_1ST = GetConnector("1st", key="A")'),
    ],
)
def test_the_declaration_is_python(connector: str, key: tuple[str, ...], line: str) -> None:
    """Whatever the connector is called, the line that declares it compiles."""
    assert declaration(connector, key) == line
    compile(line, "declaration", "exec")


# --- the command ---


def test_a_key_that_holds_is_declared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All rows are read, in pages and one request at a time, and the declaration is the last line."""
    monkeypatch.setattr("afas_async.commands.key_proposal.TAKE", 700)
    with environment(monkeypatch) as simulator:
        ended = run(capsys, "inspect", ARTICLE, "--key", "ItemCode")
        assert simulator.counters.peak_in_flight == 1
        pages = [request for request in simulator.requests if "orderbyfieldids" in request.query]
        assert [request.query["skip"] for request in pages[:-1]] == ["0", "700", "1400", "2100", "2800", "3000"]
    assert ended.status == 0
    assert "3,000 read, all of them" in ended.out
    assert "the same in reverse" in ended.out
    assert "str" not in ended.out.replace("string", "")  # the types have the service's names, each once
    assert ended.out.rstrip().endswith('ARTICLE = GetConnector("Profit_Article", key="ItemCode")')


def test_the_fields_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each field has its id, type, length, decimals and label, but never the `fieldId`, which names nothing."""
    with environment(monkeypatch):
        ended = run(capsys, "inspect", ARTICLE, "--key", "ItemCode")
    lines = [line.split(maxsplit=4) for line in ended.out.splitlines()]
    assert ["ItemCode", "string", "30", "0", "Item code"] in lines
    assert ["Price", "decimal", "15", "2", "Sales price"] in lines
    assert "U001" not in ended.out


@pytest.mark.parametrize(
    ("connector", "key", "facts"),
    [
        ("Profit_Debtor", "Email", ["681 with null", "681 rows have no value (null)"]),
        (LINES, "UnitId,EntryNo", ["duplicates   1,125", "1,125 rows have the key of the row before them"]),
        (LINES, "Account,LineNo", ["rows have the key of the row before them"]),
        (ARTICLE, "Price", ["Price is of type decimal: only string and int can be sent back in a filter unchanged"]),
        (ARTICLE, "ItemCode,ModifiedOn", ["ModifiedOn is of type date"]),
        (ARTICLE, "Blocked", ["Blocked is of type boolean"]),
        ("Profit_Empty", "Id", ["the connector has no rows to test it on"]),
    ],
)
def test_a_key_that_does_not_hold_is_refused(
    connector: str, key: str, facts: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The faults are reported with numbers, and no declaration is printed."""
    with environment(monkeypatch):
        ended = run(capsys, "inspect", connector, "--key", key)
    assert (ended.status, ended.err) == (1, "")
    for fact in facts:
        assert fact in ended.out
    assert "GetConnector(" not in ended.out


def test_pages_that_disagree_on_equal_rows_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows with equal keys come in another order on each page, and are still counted correctly."""
    monkeypatch.setattr("afas_async.commands.key_proposal.TAKE", 7)
    with environment(monkeypatch, rows=400) as simulator:
        ended = run(capsys, "inspect", LINES, "--key", "EntryNo")
        assert simulator.counters.rows > 200
    assert "duplicates   183 " in ended.out  # 200 lines of 17 entries
    assert ended.status == 1


def test_one_bad_row_among_many(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A single null, a single empty text and a key that differs in letter case only are each found."""

    def prepare(store: Store) -> None:
        store.execute("UPDATE Profit_Employees SET EmployeeId = NULL WHERE EmployeeId = 'E00250'")
        store.execute("UPDATE Profit_Employees SET EmployeeId = '' WHERE EmployeeId = 'E00300'")
        store.execute("UPDATE Profit_Debtor SET City = 'c' || DebtorId")
        store.execute("UPDATE Profit_Debtor SET City = 'C10001' WHERE DebtorId = '10700'")

    with environment(monkeypatch, prepare=prepare):
        employees = run(capsys, "inspect", "Profit_Employees", "--key", "EmployeeId")
        debtors = run(capsys, "inspect", "Profit_Debtor", "--key", "City")
    assert employees.status == debtors.status == 1
    assert "1 with null, 1 with an empty text" in employees.out
    assert "duplicates   1 " in debtors.out


def test_values_are_shown_on_request_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys may be personal data: up to three are printed with `--show`, and none without."""
    with environment(monkeypatch):
        hidden = run(capsys, "inspect", "Profit_Employees", "--key", "LastName")
        shown = run(capsys, "inspect", "Profit_Employees", "--key", "LastName", "--show")
    assert "Jansen" not in hidden.out
    assert "--show" in hidden.out
    assert shown.out.count("LastName='") == 3


def test_rows_that_were_not_read_are_not_vouched_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--rows` stops the read, and the verdict says so; where the rows end before, it does not."""
    with environment(monkeypatch) as simulator:
        part = run(capsys, "inspect", ARTICLE, "--key", "ItemCode", "--rows", "250")
        assert simulator.counters.rows == 250
        exact = run(capsys, "inspect", ARTICLE, "--key", "ItemCode", "--rows", "3000")
        whole = run(capsys, "inspect", ARTICLE, "--key", "ItemCode", "--rows", "9999")
    assert part.status == exact.status == whole.status == 0
    assert "The key holds in the first 250 rows, where the test stopped." in part.out
    assert "The key holds in the first 3,000 rows, where the test stopped." in exact.out
    assert "The key holds. Declare" in whole.out


def test_a_service_that_does_not_sort(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the order is not that of the key, equal keys need not be neighbours, so the key is not vouched for."""
    page = AfasClient.page

    async def unsorted(self: AfasClient, connector: Any, *, order_by: Any = (), **options: Any) -> Any:
        del order_by
        return await page(self, connector, order_by=["Stock", "ItemCode"], **options)

    monkeypatch.setattr(AfasClient, "page", unsorted)
    with environment(monkeypatch):
        ended = run(capsys, "inspect", ARTICLE, "--key", "ItemCode")
    assert ended.status == 1
    assert "another one in reverse" in ended.out
    assert "it does not sort by this key" in ended.out


@pytest.mark.parametrize(
    ("connector", "proposed"),
    [
        (ARTICLE, ["ItemCode"]),
        ("Profit_Debtor", ["DebtorId"]),
        (LINES, ["UnitId,EntryNo,LineNo"]),
        ("Profit_Wide", ["Id", "Code"]),
    ],
)
def test_candidates_are_proposed(
    connector: str, proposed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a key the command proposes some candidates, the likeliest first."""
    with environment(monkeypatch):
        ended = run(capsys, "inspect", connector)
    assert ended.status == 0
    advice = f"  python -m afas_async inspect {connector} --key "
    keys = [line.removeprefix(advice) for line in ended.out.splitlines() if line.startswith(advice)]
    assert keys[: len(proposed)] == proposed
    assert "Candidates" in ended.out
    assert "GetConnector(" not in ended.out


@pytest.mark.parametrize(
    ("connector", "prepare", "told"),
    [
        ("Profit_Empty", "SELECT 1", "No key can be proposed from 0 rows"),
        ("Profit_Employees", "UPDATE Profit_Employees SET EmployeeId = NULL", "No candidate for a key"),
    ],
)
def test_nothing_to_propose(
    connector: str,
    prepare: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If no field is unique and never empty, or there are no rows, the command says so, with status 1."""
    with environment(monkeypatch, prepare=lambda store: store.execute(prepare)):
        ended = run(capsys, "inspect", connector)
    assert ended.status == 1
    assert told in ended.out


def test_a_field_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A key field by another name than its id is refused before anything is read."""
    with environment(monkeypatch) as simulator:
        line = refused(run(capsys, "inspect", ARTICLE, "--key", "ItemCode,U001"))
        assert simulator.counters.rows == 0
    assert "no field U001" in line


@pytest.mark.usefixtures("within")
def test_what_is_proposed_works_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The command for the likeliest key, found in a simulator, tests it in a simulator too, and it holds."""
    proposed = run(capsys, "inspect", "Profit_Employees", "--simulator").out
    command = next(line.split() for line in proposed.splitlines() if line.startswith("  python"))
    assert command[:3] == ["python", "-m", "afas_async"]
    ended = run(capsys, *command[3:])
    assert ended.status == 0
    assert 'EMPLOYEES = GetConnector("Profit_Employees", key="EmployeeId")' in ended.out


@pytest.mark.parametrize("connector", ["Profit_JournalLines", "XMLData", "1st", "Profit_Article 2"])
def test_one_name_for_a_connector(connector: str) -> None:
    """What `inspect` proposes and what `models` writes have the same name."""
    assert declaration(connector, ("Id",)).partition(" =")[0] == constant_name(connector)
