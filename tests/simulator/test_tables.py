"""A user's own rows as GetConnectors."""

from __future__ import annotations

import datetime as dt
import json
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afas_async.simulator import Simulator
from tests.simulator.conftest import Client

ARTICLES = b"""\
\xef\xbb\xbfItemCode,Price,Stock,Blocked,Since,Changed,Note,Nothing
007,12.30,5,true,2024-01-31,2024-01-31T09:30,"a ""quoted"", note",
008,-.5,-3,FALSE,,2024-02-29 23:59:59,"two
lines",
009,,9,,2023-12-01,2024-01-31T09:30:00Z,caf\xc3\xa9,
"""


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def body(client: Client, name: str, source: Any, **query: Any) -> bytes:
    async with Simulator(rows=5, connectors={name: source}) as simulator:
        return (await client.get(simulator, f"/connectors/{name}", **query)).body


async def types(client: Client, source: Any) -> dict[str, tuple[str, int, int]]:
    async with Simulator(rows=5, connectors={"My_Rows": source}) as simulator:
        fields = (await client.get(simulator, "/metainfo/get/My_Rows")).json["fields"]
    return {field["id"]: (field["dataType"], field["length"], field["decimals"]) for field in fields}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_csv(client: Client, tmp_path: Path, delimiter: str) -> None:
    """A CSV file of any usual delimiter is served with the types that its columns have."""
    text = ARTICLES.replace(b'"a ""quoted"", note"', b"NOTE").replace(b",", delimiter.encode())
    path = write(tmp_path, "articles.CSV", text.replace(b"NOTE", b'"a ""quoted"", note"'))
    rows = json.loads(await body(client, "Profit_Article", path, orderbyfieldids="ItemCode"), parse_float=Decimal)
    assert rows["rows"] == [
        {
            "ItemCode": "007",
            "Price": Decimal("12.30"),
            "Stock": 5,
            "Blocked": True,
            "Since": "2024-01-31T00:00:00Z",
            "Changed": "2024-01-31T09:30:00Z",
            "Note": 'a "quoted", note',
            "Nothing": None,
        },
        {
            "ItemCode": "008",
            "Price": Decimal("-0.5"),
            "Stock": -3,
            "Blocked": False,
            "Since": None,
            "Changed": "2024-02-29T23:59:59Z",
            "Note": "two\nlines",
            "Nothing": None,
        },
        {
            "ItemCode": "009",
            "Price": None,
            "Stock": 9,
            "Blocked": None,
            "Since": "2023-12-01T00:00:00Z",
            "Changed": "2024-01-31T09:30:00Z",
            "Note": "café",
            "Nothing": None,
        },
    ]
    assert await types(client, str(path)) == {
        "ItemCode": ("string", 3, 0),
        "Price": ("decimal", 5, 2),
        "Stock": ("int", 2, 0),
        "Blocked": ("boolean", 1, 0),
        "Since": ("date", 19, 0),
        "Changed": ("date", 19, 0),
        "Note": ("string", 16, 0),
        "Nothing": ("string", 1, 0),
    }


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ("1 0 -12", "int"),
        ("1 007", "string"),
        ("00 0", "string"),
        ("1 +2", "string"),
        ("9223372036854775807 -9223372036854775808", "int"),
        ("1 9223372036854775808", "decimal"),
        ("1" * 60, "decimal"),
        ("1 2.50", "decimal"),
        ("1.5 1e5", "string"),
        ("1.5 NaN", "string"),
        ("12,5", "string"),
        ("true 1", "string"),
        ("true False TRUE", "boolean"),
        ("2024-02-29 2024-02-29T10:00:00", "date"),
        ("2023-02-29", "string"),
        ("2024-02-29T10:00:00.5", "string"),
        ("2024-02-29T10:00:00+01:00", "string"),
        ("2024-02-29 5", "string"),
    ],
)
async def test_types_of_columns(client: Client, tmp_path: Path, cells: str, kind: str) -> None:
    """The type of a column follows from all of its values, and nothing is lost where they differ."""
    path = write(tmp_path, "x.csv", "\n".join(["A;B", *(f"{cell};" for cell in cells.split(" "))]))
    assert (await types(client, path))["A"][0] == kind
    text = (await body(client, "X", path)).decode()
    assert all((cell if kind != "boolean" else cell.lower()) in text for cell in cells.split(" "))


@pytest.mark.parametrize(
    "number", ["12.30", "0.1", "-0.00", "1234567890123456789.123456789", "0.30000000000000004", "99999999999999999999"]
)
@pytest.mark.parametrize("suffix", ["csv", "ndjson", "jsonl"])
async def test_decimals_are_exact(client: Client, tmp_path: Path, number: str, suffix: str) -> None:
    """A decimal is served with the digits that the file has."""
    text = f"P\n{number}\n" if suffix == "csv" else f'{{"P":{number}}}\n'
    assert await body(client, "X", write(tmp_path, f"x.{suffix}", text)) == (
        b'{"skip":0,"take":100,"rows":[{"P":%b}]}' % number.encode()
    )


async def test_decimals_are_numbers(client: Client, tmp_path: Path) -> None:
    """Decimals sort by their value, and a change of one is seen."""
    path = write(tmp_path, "x.csv", "P\n9.5\n10.10\n-3.00\n\n")
    async with Simulator(rows=5, connectors={"X": path}) as simulator:
        reply = await client.get(simulator, "/connectors/X", orderbyfieldids="-P")
        assert b'[{"P":10.10},{"P":9.5},{"P":-3.00}]' in reply.body
        simulator.store.execute("UPDATE X SET P = 8.25 WHERE P > 10")
        simulator.store.execute("UPDATE X SET P = NULL WHERE P < 0")
        reply = await client.get(simulator, "/connectors/X", orderbyfieldids="P")
        assert b'[{"P":null},{"P":8.25},{"P":9.5}]' in reply.body


async def test_json_lines(client: Client, tmp_path: Path) -> None:
    """JSON lines keep their types; a field may come late, and is null where it is missing."""
    text = '{"A":1,"B":"x\\u0000y","C":true}\n\n{"B":null,"A":2.50,"D":"2024-01-31T09:30:00Z","E":"007"}\n{"D":null}\n'
    path = write(tmp_path, "x.ndjson", text)
    async with Simulator(rows=5, connectors={"X": path}) as simulator:
        rows = [
            row for _ in range(3) for row in (await client.get(simulator, "/connectors/X", orderbyfieldids="A")).rows
        ]
    assert rows[0] == {"A": None, "B": None, "C": None, "D": None, "E": None}
    assert rows[1] == {"A": 1, "B": "x\0y", "C": True, "D": None, "E": None}
    assert rows[2] == {"A": 2.5, "B": None, "C": None, "D": "2024-01-31T09:30:00Z", "E": "007"}
    found = await types(client, path)
    assert [found[name][0] for name in "ABCDE"] == ["decimal", "string", "boolean", "date", "string"]


async def test_python_rows(client: Client) -> None:
    """Rows can come from Python, out of a generator as well."""
    rows = (
        {"Id": number, "Price": price, "Day": day}
        for number, price, day in (
            (1, Decimal("1.10"), dt.date(2024, 1, 31)),
            (2, 0.1, dt.datetime(2024, 1, 31, 9, 30)),  # noqa: DTZ001 (the service's times have no zone)
            (3, 7, None),
        )
    )
    assert await body(client, "X", rows, orderbyfieldids="Id") == (
        b'{"skip":0,"take":100,"rows":[{"Id":1,"Price":1.10,"Day":"2024-01-31T00:00:00Z"},'
        b'{"Id":2,"Price":0.1,"Day":"2024-01-31T09:30:00Z"},{"Id":3,"Price":7,"Day":null}]}'
    )


async def test_connectors_of_both_kinds(client: Client, tmp_path: Path) -> None:
    """Own connectors come before the samples, and take the place of one of the same name."""
    path = write(tmp_path, "x.csv", "Id\n")
    async with Simulator(rows=5, connectors={"profit_article": [{"Id": 1}], "Mine": path}) as simulator:
        listed = [entry["id"] for entry in (await client.get(simulator, "/metainfo")).json["getConnectors"]]
        assert listed[:3] == ["profit_article", "Mine", "Profit_Debtor"]
        assert "Profit_Article" not in listed
        assert (await client.get(simulator, "/connectors/Profit_Article")).rows == [{"Id": 1}]
        assert (await client.get(simulator, "/connectors/Mine")).rows == []
        assert len((await client.get(simulator, "/connectors/Profit_Wide")).rows) == 5


async def test_no_key(client: Client) -> None:
    """Without a sort, and where a sort leaves rows equal, their order changes; the checksum is of the given order."""
    rows = [{"Id": number, "Same": "x"} for number in range(300)]
    async with Simulator(rows=5, connectors={"X": rows}) as simulator:
        for query in ({}, {"orderbyfieldids": "Same"}):
            one, two = [(await client.get(simulator, "/connectors/X", take=300, **query)).rows for _ in range(2)]
            assert one != two
            assert sorted(row["Id"] for row in one) == sorted(row["Id"] for row in two) == list(range(300))
        pages = [
            (await client.get(simulator, "/connectors/X", skip=skip, take=70, orderbyfieldids="-Id")).rows
            for skip in range(0, 300, 70)
        ]
        assert [row["Id"] for page in pages for row in page] == list(range(299, -1, -1))
        crc32 = 0
        for row in rows:
            crc32 = zlib.crc32(json.dumps(row, separators=(",", ":")).encode() + b"\n", crc32)
        checksum = simulator.store.checksum("X")
        assert (checksum.rows, checksum.crc32) == (300, crc32)


async def test_many_fields(client: Client) -> None:
    """A connector may have more fields than a function of SQLite has arguments."""
    row = {f"F{number}": number if number % 3 else Decimal("1.5") for number in range(170)}
    async with Simulator(rows=5, connectors={"X": [row, dict.fromkeys(row)]}) as simulator:
        found = (await client.get(simulator, "/connectors/X", orderbyfieldids="-F1")).rows
    assert found == [{name: float(value) for name, value in row.items()}, dict.fromkeys(row)]
    assert list(found[0]) == list(row)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "A,B\n1,2\n1,2,3\n", "x.csv, line 3: 3 values for 2 fields"),
        ("x.csv", "A,B\n\n1\n", "x.csv, line 3: 1 values for 2 fields"),
        ("x.csv", "A,A\n", "x.csv, line 1: two fields have the name 'A'"),
        ("x.csv", "Name,NAME\n", "x.csv, line 1: two fields have the name 'NAME'"),
        ("x.csv", "A,,C\n", "x.csv, line 1: column 2 has no name"),
        ("x.csv", "sep=;\r\nA;B;\r\n1;2;\r\n", "x.csv, line 2: column 3 has no name"),
        ("x.csv", "Item code\n", "x.csv, line 1: 'Item code' cannot be the name of a field: use letters"),
        ("x.csv", "A,B\r1,2\r", "x.csv, line 1: a line ends in CR alone"),
        ("x.csv", "A,B\n1,2\n1,2\r3,4\n", "x.csv, line 3: a line ends in CR alone"),
        ("x.csv", ",".join(f"F{number}" for number in range(2000)), "x.csv: 2000 fields are too many: 1999 at most"),
        ("x.csv", "Id,json\n", "x.csv, line 1: no field can have the name 'json'"),
        ("x.csv", "", "x.csv: there are no rows"),
        ("x.csv", b"A\n1\n\x81\n", "x.csv, line 3: the text is not in UTF-8 or Windows-1252"),
        ("x.jsonl", b'{"A": "\xff"}', "x.jsonl, line 1: the text is not in UTF-8"),
        ("x.csv", 'A\n1\n"x" y\n', "x.csv, line 3: "),
        ("x.csv", 'A\n1\n"x\n', "x.csv, line 3: unexpected end"),
        ("x.ndjson", '{"A":1}\n{"A":\n', "x.ndjson, line 2: "),
        ("x.ndjson", '{"A":1}\n[1]\n', "x.ndjson, line 2: "),
        (
            "x.ndjson",
            '{"A":1}\n\n{"A":"x"}\n',
            "x.ndjson, line 3: A has a value of type string, but earlier rows have type int",
        ),
        ("x.ndjson", '{"A":{"B":1}}\n', "x.ndjson, line 1: A is {'B': 1}: give a text"),
        ("x.ndjson", '{"A":1}\n{"a":1}\n', "x.ndjson, line 2: two fields have the name 'a'"),
        ("x.ndjson", "\n", "x.ndjson: there are no rows"),
        ("x.txt", "A\n", "x.txt: give a file whose name ends in .csv, .ndjson or .jsonl"),
    ],
)
def test_malformed(tmp_path: Path, name: str, content: bytes | str, message: str) -> None:
    """The error of a file names the file and the line."""
    path = write(tmp_path, name, content)
    with pytest.raises(ValueError, match=message):
        Simulator(connectors={"X": path})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "the rows of X: there are no rows"),
        ([{"A": 1}, {"A": float("nan")}], "the rows of X, row 2: A is nan"),
        ([{"A": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)}], "the rows of X, row 1: A is datetime"),
        ({"A": ["x"]}, "the rows of X, row 1: 'A' is not a dict"),
        ({"A": {"Id": 1}}, "the rows of X, row 1: 'A' is not a dict"),
        ([{"A": 1}, ["A"]], "the rows of X, row 2: .* is not a dict"),
        ([{1: 2}], "the rows of X, row 1: 1 cannot be the name of a field"),
        ([{"A": "x"}, {"A": "\ud800"}], "the rows of X, row 2: A .* surrogates not allowed"),
        (
            [{f"F{number}": 1.5 for number in range(1000)}],
            "the rows of X: 1000 fields are too many: .* a decimal counts twice",
        ),
    ],
)
def test_bad_rows(rows: Any, message: str) -> None:
    """The error of rows of Python names the number of the row."""
    with pytest.raises(ValueError, match=message):
        Simulator(connectors={"X": rows})


async def test_most_fields(client: Client) -> None:
    """A connector may have as many fields as documented."""
    row = {f"F{number}": number if number > 2 else Decimal("1.50") for number in range(1996)}
    async with Simulator(rows=5, connectors={"X": [row]}) as simulator:
        found = (
            await client.get(simulator, "/connectors/X", orderbyfieldids="F1", filterfieldids="F5", filtervalues=5)
        ).rows
    assert found == [{name: float(value) for name, value in row.items()}]


async def test_files_of_excel(client: Client, tmp_path: Path) -> None:
    """The line in which Excel names the delimiter is not a row, and decides the delimiter."""
    path = write(tmp_path, "x.csv", "\ufeffsep=;\r\nItemCode;Note\r\n007;a,b,c\r\n")
    assert json.loads(await body(client, "X", path))["rows"] == [{"ItemCode": "007", "Note": "a,b,c"}]


async def test_names_like_those_of_the_store(client: Client) -> None:
    """No name of a connector meets a name that the simulator itself has given."""
    names = ("Profit_Article.key", "Profit_Article_key", "Profit_Article-by-ItemCode", "Profit_Debtor.json")
    async with Simulator(rows=5, connectors={name: [{"Id": 1}] for name in names}) as simulator:
        for _ in range(2):
            assert len((await client.get(simulator, "/connectors/Profit_Article", orderbyfieldids="Unit")).rows) == 5
            for name in names:
                assert (await client.get(simulator, f"/connectors/{name}", orderbyfieldids="Id")).rows == [{"Id": 1}]


@pytest.mark.parametrize("name", ["a/b", "", "sqlite_x", "A B", 'x"; DROP'])
def test_bad_names(name: str) -> None:
    """The name of a connector must be a valid name."""
    with pytest.raises(ValueError, match=r"cannot be the name|SQLite"):
        Simulator(connectors={name: [{"A": 1}]})


def test_two_of_one_name() -> None:
    """Names that differ only in case are one name."""
    with pytest.raises(ValueError, match="two connectors"):
        Simulator(connectors={"X": [{"A": 1}], "x": [{"A": 1}]})


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is said to be missing."""
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        Simulator(connectors={"X": tmp_path / "nothing.csv"})
