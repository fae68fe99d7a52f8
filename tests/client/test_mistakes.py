"""Mistakes of newcomers: each is refused before anything is sent, and the error says what to do."""

from __future__ import annotations

import base64
import math
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from afas_async import (
    AfasClient,
    BearerToken,
    ConfigurationError,
    Element,
    Environment,
    F,
    GetConnector,
    InvalidElementError,
    InvalidFilterError,
    InvalidNameError,
    JournalError,
    Limiter,
    Lookup,
    UnknownFieldError,
    UpdateConnector,
    UsageError,
)
from afas_async.simulator import Simulator
from tests.support import canary

HEADER = base64.b64encode(canary.TOKEN.encode()).decode()
ARTICLES = GetConnector("Profit_Article", key="ItemCode")
NAME = "Profit_Article"
HEX = "0" * 32


class Article(msgspec.Struct, rename="pascal"):
    item_code: str


class Token:
    """An object that is not a credential."""


async def an_async_function(*_: object) -> None:
    """Stands where a plain function is required."""


Made: TypeAlias = tuple[Callable[[], object], type[UsageError], str]


def client(*environment: Any, **options: Any) -> Callable[[], object]:
    options.setdefault("auth", canary.TOKEN)
    return lambda: AfasClient(*(environment or ("12345",)), **options)


MADE: list[Made] = [
    # where to
    (client(12345), UsageError, 'environment: expected the participant number as text, such as "12345", .*, got int$'),
    (client(("12345", "test")), UsageError, "environment: .*, got tuple$"),
    (client(None, base_url=5), UsageError, "base_url: expected a URL as text, got int$"),
    (client(None), ConfigurationError, "give an environment or a base_url: both are missing$"),
    (client("12345", base_url="https://a.nl"), ConfigurationError, "give an environment or a base_url, not both$"),
    (client("T12345"), ConfigurationError, r'Environment\("12345", "test"\)$'),
    (client("https://12345.rest.afas.online/profitrestservices"), ConfigurationError, "give a URL as base_url=$"),
    (client("A1B2" * 16), ConfigurationError, "^the text is not a participant number"),
    (lambda: Environment(12345), UsageError, "^id: expected the participant number as text"),
    (lambda: Environment("12345", ["test"]), UsageError, "^type: expected one of production, test"),
    (lambda: AfasClient.from_env(["AFAS_TOKEN"]), UsageError, "^variables: expected a mapping"),
    # credentials
    (client(auth=None), UsageError, "^auth: expected a token as str, .* or an async function, got None$"),
    (client(auth=canary.TOKEN.encode()), UsageError, "^auth: .*, got bytes$"),
    (client(auth=Token), UsageError, "^auth: .*, got the class Token$"),
    (client(auth=BearerToken), UsageError, "^auth: .*, got the class BearerToken$"),
    (client(auth=["token"]), UsageError, "^auth: .*, got list$"),
    (client(auth=f"AfasToken {HEADER}"), UsageError, "value of the Authorization header: give only the part after"),
    (client(auth=f"afastoken\n{HEADER}"), ConfigurationError, "the part after the word AfasToken$"),
    (client(auth="Bearer a.b.c"), ConfigurationError, r"give BearerToken\(...\) with the part after"),
    # options
    *(
        (client(**{name: value}), UsageError, f"^{name}: expected .*, got ")
        for name, values in {
            "max_concurrency": ("5", 5.0, True),
            "limiter": (5, Limiter),
            "memory": (None, 1e6, "16 MiB"),
            "drift": (None, ["error"]),
            "timeout": ("30", None, True, [30]),
            "max_retries": ("3", None, 1.0, False),
            "language": (None, 5, b"nl-nl"),
            "proxy": (5, b"http://a:1"),
            "ssl_context": (False, "cert.pem"),
            "integration_id": (12345, b"x"),
            "on_event": ("print", 5, an_async_function),
        }.items()
        for value in values
    ),
    *(
        (lambda name=name, value=value: client()().with_options(**{name: value}), UsageError, f"^{name}: expected ")
        for name, value in {
            "timeout": "30",
            "max_retries": "3",
            "language": 5,
            "drift": 5,
            "priority": 5,
            "on_event": "print",
        }.items()
    ),
    (client(limiter=Limiter(2), max_concurrency=2), ConfigurationError, "^give max_concurrency or limiter, not both"),
    (client(memory=1000), ConfigurationError, "^memory must be 1048576 bytes or more, not 1000$"),
    (client(drift="loud"), ConfigurationError, '^drift must be "warn" or "error", not .loud.$'),
    (lambda: client()().with_options(priority="high"), ConfigurationError, '^priority must be "interactive" or'),
    (lambda: Limiter(9), ConfigurationError, "^limit must be 1 to 8, not 9$"),
    (lambda: Limiter("5"), UsageError, "^limit: expected a whole number from 1 to 8, got str$"),
    # conditions
    (lambda: F.Price > 1 & F.Price < 5, InvalidFilterError, "^Price: .*parentheses"),
    (lambda: 1 < F.Price < 5, InvalidFilterError, r"chained comparison as between\(\)"),
    (lambda: F.ItemCode in ["a", "b"], InvalidFilterError, r"`in` as in_\(\)"),
    (lambda: F.Price == None, InvalidFilterError, r"^Price: .*is_empty\(\)"),  # noqa: E711
    (lambda: F.Price > math.inf, InvalidFilterError, "^Price: a filter cannot hold infinity or NaN$"),
    (lambda: F.Code.contains(5), InvalidFilterError, r"^Code.contains\(\): expected str, got int$"),
    (lambda: F.Code.in_(5), InvalidFilterError, r"^Code.in_\(\): expected several values, such as a list, got int$"),
    (lambda: F.Blocked.is_("x"), InvalidFilterError, r"^Blocked.is_\(\): expected True or False, got str$"),
    (lambda: F.Code == [1], InvalidFilterError, "^Code: expected str, int, .*, got list$"),
    # connectors
    (lambda: GetConnector(5), UsageError, "^connector: expected the name of a connector .*, got int$"),
    (lambda: GetConnector(NAME, key=5), UsageError, f"^{NAME}: key: expected field ids .*, got int$"),
    (lambda: GetConnector(NAME, key=("A", 5)), UsageError, f"^{NAME}: key: expected field ids .*, got int$"),
    (lambda: GetConnector(NAME, Token), UsageError, f"^{NAME}: row_type: expected .*, got the class Token$"),
    (lambda: GetConnector(NAME, Article, key="item_code"), UnknownFieldError, "use the field id 'ItemCode'$"),
    (lambda: UpdateConnector(5), UsageError, "^connector: expected the name .*, got int$"),
    (lambda: UpdateConnector("A", root=5), UsageError, "^A: root: expected .*, got int$"),
    (lambda: UpdateConnector("A", single="no"), UsageError, "^A: single: expected True or False, got str$"),
    (lambda: UpdateConnector.described("A"), UsageError, "^metainfo: expected the result of .*, got str$"),
    (lambda: Lookup(NAME, lambda _: F.A == 1), UsageError, "^connector: expected a GetConnector, got str$"),
    (lambda: Lookup(ARTICLES, F.A == 1), UsageError, "^where: expected a function .*, got Condition$"),
]


@pytest.mark.parametrize("made", MADE, ids=[f"{number}: {made[2][:30]}" for number, made in enumerate(MADE)])
def test_what_is_made(made: Made) -> None:
    """A wrong client, condition or connector is refused where it is made."""
    mistake, kind, words = made
    with pytest.raises(kind, match=words) as raised:
        mistake()
    assert raised.type is kind or kind is UsageError


async def file_on(afas: AfasClient, **options: Any) -> None:
    await afas.file(HEX, "a.pdf", **options)


Sent: TypeAlias = tuple[Callable[[Any], object], type[Exception], str]

# `Any` in place of AfasClient, as type checkers report nearly all of these.
READS: list[Sent] = [
    *(
        (lambda afas, name=name, value=value: afas.rows(NAME, key="ItemCode", **{name: value}), UsageError, words)
        for name, value, words in (
            ("take", "20", "take: expected a whole number such as 100, got str$"),
            ("take", True, "take: .*, got bool$"),
            ("take", 1.5, "take: .*, got float$"),
            ("window", "2", "window: expected a whole number from 1 to 5, got str$"),
            ("window", 50, "window must be 1 to 5"),
            ("where", F.Blocked, r"where: expected a condition such as F.Blocked.is_\(False\), got Field$"),
            ("where", "Price > 10", "where: .*, got str$"),
            ("where", {"Price": 10}, "where: .*, got dict$"),
            ("where", True, "where: .*, got bool$"),
            ("order_by", 5, "order_by: expected a field id .*, got int$"),
            ("order_by", F.Price, "order_by: .*, got Field$"),
            ("order_by", [5], "order_by: .*, got int$"),
            ("after", "hello", "after: expected a cursor, the text of `rows.cursor`, got another text$"),
            ("after", 5, "after: .*, got int$"),
            ("part", 5, r"part: expected one of the parts that plan\(\) returned, got int$"),
            ("part", [{"lower": 1}], "part: .*, got list$"),
            ("part", {"lower": 1}, "part: .*, got another dict$"),
            ("verify", "no", "verify: expected True or False, got str$"),
            ("verify", None, "verify: .*, got None$"),
        )
    ),
    (lambda afas: afas.rows(NAME, order_by="Price desc"), InvalidNameError, 'or "-Price" for descending$'),
    (lambda afas: afas.rows(NAME, key=5), UsageError, f"^{NAME}: key: expected field ids .*, got int$"),
    (lambda afas: afas.rows(ARTICLES, key="ItemCode"), UsageError, f"^{NAME}: give key= to GetConnector"),
    (lambda afas: afas.rows(5), UsageError, "^connector: expected a GetConnector or its name, got int$"),
    (lambda afas: afas.rows(5, take=-1), UsageError, "^connector: .*, got int$"),
    (lambda afas: afas.rows(UpdateConnector("KnSubject")), UsageError, "^connector: .*, got UpdateConnector$"),
    (lambda afas: afas.rows(Article), UsageError, "^connector: .*, got the class Article$"),
    (lambda afas: afas.pages(ARTICLES, take="20"), UsageError, f"^{NAME}: take: .*, got str$"),
    (lambda afas: afas.pages(ARTICLES, take=-1), UsageError, rf"^{NAME}: .*use rows\(\) for take=-1$"),
    (lambda afas: afas.page(NAME, take="20"), UsageError, f"^{NAME}: take: .*, got str$"),
    (lambda afas: afas.page(NAME, skip=None), UsageError, f"^{NAME}: skip: .*, got None$"),
    (lambda afas: afas.page(NAME, take=False), UsageError, f"^{NAME}: take: .*, got bool$"),
    (lambda afas: afas.page(NAME, take=0), UsageError, f"^{NAME}: skip must be 0 or more and take 1 or more"),
    (lambda afas: afas.page(NAME, where=F.Blocked), UsageError, f"^{NAME}: where: .*, got Field$"),
    (lambda afas: afas.page(f"connectors/{NAME}"), InvalidNameError, "cannot be the name of a connector"),
    (lambda afas: afas.plan(ARTICLES, parts="4"), UsageError, f"^{NAME}: parts: expected a whole number .*, got str$"),
    (lambda afas: afas.plan(5, parts=4), UsageError, "^connector: .*, got int$"),
    (lambda afas: afas.changes(ARTICLES, modified=5), UsageError, f"^{NAME}: modified: expected a field id, got int$"),
    (lambda afas: afas.changes(ARTICLES, modified="M", since=date(2024, 1, 1)), UsageError, "since: .*, got date$"),
    (lambda afas: afas.changes(ARTICLES, modified="M", since="x"), UsageError, "since: .*, got another text$"),
    (lambda afas: afas.deleted_keys(5, ["1"]), UsageError, "^connector: expected a GetConnector or its name, got int$"),
    (lambda afas: afas.deleted_keys(ARTICLES, 5), UsageError, f"^{NAME}: known_keys: expected several keys, got int$"),
    (lambda afas: afas.deleted_keys(ARTICLES, "1"), UsageError, "known_keys: .*, got one str$"),
    (lambda afas: list(afas.rows(ARTICLES)), UsageError, f"^{NAME}: use `async for`"),
    (lambda afas: afas.rows(ARTICLES).__await__(), UsageError, r"`await rows.to_list\(\)`$"),
    (lambda afas: list(afas.pages(ARTICLES)), UsageError, f"^{NAME}: use `async for`"),
    (lambda afas: afas.get_metainfo(ARTICLES), UsageError, "^connector: expected the name .*, got GetConnector$"),
    (lambda afas: afas.update_metainfo(5), UsageError, "^connector: .*, got int$"),
    (lambda afas: afas.all_metainfo(NAME), UsageError, "^names: expected several names, .*, got one str"),
    (lambda afas: afas.all_metainfo(5), UsageError, "^names: .*, got int$"),
    (lambda afas: afas.all_metainfo([NAME, 5]), UsageError, "^connector: .*, got int$"),
]
WRITES: list[Sent] = [
    (lambda afas: afas.insert(5, {"StId": 1}), UsageError, "^connector: expected an UpdateConnector .*, got int$"),
    (lambda afas: afas.insert(ARTICLES, {"StId": 1}), UsageError, "^connector: .*, got GetConnector$"),
    (
        lambda afas: afas.insert("KnSubject", [{"StId": 1}]),
        InvalidElementError,
        "^KnSubject: expected an Element, a dict of fields or a msgspec.Struct, got list$",
    ),
    (lambda afas: afas.update("KnSubject", None), InvalidElementError, "^KnSubject: expected .*, got None$"),
    (lambda afas: afas.insert("KnSubject", {5: 1}), InvalidElementError, "^KnSubject: expected field ids .*, got int$"),
    (
        lambda afas: afas.insert("KnSubject", Element([1])),
        InvalidElementError,
        "^KnSubject: expected dicts .*, got list",
    ),
    (lambda afas: afas.insert("KnSubject", {"StId": {1}}), InvalidElementError, "^KnSubject: StId: .*, got set$"),
    (
        lambda afas: afas.insert("KnPerson", Element({}, objects={"KnBank": "x"})),
        InvalidElementError,
        "^KnPerson: KnBank: expected an Element, .*, got str$",
    ),
    (
        lambda afas: afas.insert("KnSubject", {"KnSubject": {"Element": {"Fields": {"StId": 1}}}}),
        InvalidElementError,
        "^KnSubject: KnSubject: the library writes the body: give fields by their names",
    ),
    (lambda afas: afas.insert("KnSubject", {"Fields": {"StId": 1}}), InvalidElementError, "^KnSubject: the library"),
    (lambda afas: afas.insert("KnSubject", {"StId": 1}, sub=5), UsageError, "^KnSubject: sub: .*, got int$"),
    (lambda afas: afas.delete("KnSubject", key="1"), UsageError, "^KnSubject: key: expected a dict .*, got str$"),
    (lambda afas: afas.delete("KnSubject", key=["1"]), UsageError, "^KnSubject: key: .*, got list$"),
    (lambda afas: afas.delete("KnSubject", key={"SbId": 1.5}), InvalidElementError, "SbId: expected .*, got float$"),
    (lambda afas: afas.delete("KnSubject", key={"SbId": 1}, root=5), UsageError, "^KnSubject: root: .*, got int$"),
    (
        lambda afas: afas.delete("KnSubject", key={"SbId": 1}, sub="KnLine", sub_key=5),
        UsageError,
        "^KnSubject: sub_key: expected a dict .*, got int$",
    ),
    (lambda afas: afas.validate("KnSubject", {"StId": 1}), UsageError, r"^KnSubject: elements: .*, got one dict: use"),
    (lambda afas: afas.validate("KnSubject", 5), UsageError, "^KnSubject: elements: expected several .*, got int$"),
    (lambda afas: afas.outcomes("KnSubject", {"StId": 1}), UsageError, "^KnSubject: elements: .*, got one dict: use"),
    (lambda afas: afas.outcomes("KnSubject", None), UsageError, "^KnSubject: elements: .*, got None$"),
    (lambda afas: afas.load(ARTICLES), UsageError, "^connector: .*, got GetConnector$"),
    (lambda afas: afas.load("KnSubject", action=["insert"]), UsageError, "^KnSubject: action must be .*, not list$"),
    *(
        (lambda afas, name=name, value=value: afas.load("KnSubject", **{name: value}), UsageError, words)
        for name, value in {
            "max_elements": "5",
            "max_bytes": 1e6,
            "target_seconds": "60",
            "in_flight": True,
            "on_reject": None,
            "transaction": "no",
            "validate": None,
            "lookup": ARTICLES,
            "journal": 5,
        }.items()
        for words in (f"^KnSubject: {name}: expected .*, got {'None' if value is None else type(value).__name__}$",)
    ),
    (lambda afas: afas.outcomes("KnSubject", [], in_flight="4"), UsageError, "^KnSubject: in_flight: .*, got str$"),
]
OTHERS: list[Sent] = [
    (lambda afas: afas.file(5, "a.pdf"), UsageError, "^file_id: expected 32 hex digits as text, got int$"),
    (lambda afas: afas.file(HEX, None), UsageError, "^filename: expected .*, got None$"),
    (lambda afas: afas.subject(1, 5), UsageError, "^file_id: .*, got int$"),
    (lambda afas: afas.subject(subject_id=True, file_id=HEX), InvalidNameError, "is not the id of a dossier item"),
    (lambda afas: afas.subject(None, HEX), InvalidNameError, "is not the id of a dossier item"),
    (
        lambda afas: afas.image(5.0),
        UsageError,
        "^image_id: expected a whole number, a GUID or 32 hex digits, got float$",
    ),
    (lambda afas: afas.image(HEX, ["medium"]), UsageError, "^format: expected one of original, .*, got list$"),
    (lambda afas: afas.image(HEX, "large"), InvalidNameError, "unknown image format 'large': use original"),
    (lambda afas: afas.report(5), UsageError, "^guid: expected a GUID as text, got int$"),
    (lambda afas: afas.report(HEX, where="x"), UsageError, "where: expected a condition .*, got str$"),
    (lambda afas: file_on(afas, to=5), UsageError, "to: expected a path, got int$"),
    (lambda afas: file_on(afas, binary="yes"), UsageError, "binary: expected True or False, got str$"),
    (lambda afas: file_on(afas, on_progress=5), UsageError, "^on_progress: expected a plain function .*, got int$"),
    (
        lambda afas: file_on(afas, on_progress=an_async_function),
        UsageError,
        "^on_progress: expected a plain function .*, got an async function$",
    ),
    (lambda afas: afas.request(5, "metainfo"), UsageError, "^method: expected one of DELETE, GET, .*, got int$"),
    (lambda afas: afas.request("get", "metainfo"), UsageError, "^unknown method 'get': use one of DELETE, GET"),
    (lambda afas: afas.request("GET", 5), UsageError, "^path: expected text such as .*, got int$"),
    (lambda afas: afas.request("GET", "a", params="take=1"), UsageError, "^params: expected a dict .*, got str$"),
    (lambda afas: afas.request("GET", "a", params={5: 1}), UsageError, "^params: expected names as text, got int$"),
    (lambda afas: afas.request("GET", "a", params={"x": 1.5}), UsageError, r"^params\['x'\]: expected .*, got float$"),
    (lambda afas: afas.request("GET", "a", headers=["X"]), UsageError, "^headers: expected a dict .*, got list$"),
    (lambda afas: afas.request("GET", "a", headers={"X": 5}), UsageError, r"^headers\['X'\]: expected str, got int$"),
    (lambda afas: afas.request("POST", "a", json=object()), UsageError, "`json` cannot be written as JSON"),
    (lambda afas: afas.__enter__(), UsageError, "^use `async with`"),
    (lambda afas: afas.with_options().aclose(), UsageError, "^with_options returns a view"),
]


@pytest.mark.parametrize("calls", [READS, WRITES, OTHERS], ids=["reads", "writes", "others"])
async def test_what_is_called(simulator: Simulator, afas: AfasClient, calls: list[Sent]) -> None:
    """A call with a mistake is refused, and nothing is sent."""
    for mistake, kind, words in calls:
        with pytest.raises(kind, match=words) as raised:
            await refused(mistake(afas))
        assert raised.type is kind, words
        assert not canary.leaks(str(raised.value))
    assert not simulator.requests


async def refused(pending: object) -> None:
    if isinstance(pending, Awaitable):
        await pending
    pytest.fail(f"{pending} was not refused")


async def test_auth_functions_that_are_not_async(simulator: Simulator) -> None:
    """A plain function is noticed only when it is called, as it may return an awaitable, which works."""
    for given, name in ((canary.TOKEN, "str"), (None, "None"), (canary.TOKEN.encode(), "bytes")):
        auth: Any = lambda given=given: given  # noqa: E731
        async with AfasClient(base_url=simulator.base_url, auth=auth) as afas:
            with pytest.raises(ConfigurationError, match=rf"auth: .* async function \(async def\), .* returns {name}$"):
                await afas.page(NAME)
    assert not simulator.requests

    async def token() -> str:
        return canary.TOKEN

    async with AfasClient(base_url=simulator.base_url, auth=lambda: token()) as afas:  # noqa: PLW0108 - not async itself
        assert len((await afas.page(NAME, take=1)).rows) == 1


async def test_plain_with() -> None:
    """A client needs `async with`, and plain `with` says so."""
    afas: Any = AfasClient("12345", auth=canary.TOKEN)
    with pytest.raises(UsageError, match=r"^use `async with` to open and close the client"), afas:
        pass


async def test_journals_without_a_folder(simulator: Simulator, afas: AfasClient, tmp_path: Path) -> None:
    """A journal in a folder that does not exist is refused, and the error names the folder."""
    load = afas.load("KnSubject", journal=tmp_path / "missing" / "x.journal", validate=False)
    with pytest.raises(JournalError, match=r"x.journal: the journal cannot be opened: the folder .*missing does not"):
        await load.__aenter__()
    assert not simulator.requests


async def test_row_types_with_names_of_attributes(afas: AfasClient) -> None:
    """A row type with Python-style field names gets an error that says how to map the field ids."""

    class Unnamed(msgspec.Struct):
        item_code: str

    class Filled(msgspec.Struct, rename="pascal"):
        price: float

    with pytest.raises(Exception, match=r'row 0: .*`item_code`.*rename="pascal"'):
        await afas.page(GetConnector(NAME, Unnamed), take=2)
    with pytest.raises(Exception, match=r"got `null`.*declare it with `\| None`"):
        await afas.rows(GetConnector(NAME, Filled), verify=False).to_list()
