"""Credentials: they go into the request, and show nowhere."""

from __future__ import annotations

import base64
import copy
import pickle
import traceback
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from afas_async import AppToken, BearerToken, ClientCredentials
from afas_async.errors import ConfigurationError
from tests.support import canary
from tests.support.each_case import each_case

# AFAS's own example (REST API for developers).
DATA = "54740093832496081845474abcdefghijklmnopq740093832496081841234127"
XML = f"<token><version>1</version><data>{DATA}</data></token>"
BASE64 = (
    "PHRva2VuPjx2ZXJzaW9uPjE8L3ZlcnNpb24+PGRhdGE+NTQ3NDAwOTM4MzI0OTYwODE4NDU0NzRhYmNkZWZnaGlqa2xtbm9wcTc0MDA5MzgzMjQ5"
    "NjA4MTg0MTIzNDEyNzwvZGF0YT48L3Rva2VuPg=="
)


@pytest.mark.parametrize(
    "spelling",
    [
        XML,
        DATA,
        BASE64,
        XML + "\r\n",
        f"\n  {XML}\t",
        f" {DATA}\n",
        BASE64 + "\n",
        "\r\n".join(BASE64[start : start + 76] for start in range(0, len(BASE64), 76)),
        XML.replace("><", ">\n  <"),
        f"{DATA[:30]}\n{DATA[30:]}",
        base64.b64encode(f"{XML}\r\n".encode()).decode(),
    ],
)
def test_spellings(spelling: str) -> None:
    """The XML text, its data and its base64, with any white space or line ends, give the documented header."""
    assert AppToken(spelling).header() == f"AfasToken {BASE64}"


@pytest.mark.parametrize("length", [20, 60, 64, 128])
def test_length_of_the_data(length: int) -> None:
    """AFAS's samples have 60 and 64 characters, so the length does not matter."""
    for spelling in ("A" * length, f"<token><version>1</version><data>{'A' * length}</data></token>"):
        header = AppToken(spelling).header().removeprefix("AfasToken ")
        assert base64.b64decode(header).decode() == f"<token><version>1</version><data>{'A' * length}</data></token>"


def test_other_versions() -> None:
    """The version in the XML text is kept."""
    xml = XML.replace(">1<", ">2<")
    assert base64.b64decode(AppToken(xml).header().removeprefix("AfasToken ")).decode() == xml


SECRET = "5ECRET5ECRET5ECRET5ECRET5ECRET"
BASE64_OF_SECRET = base64.b64encode(SECRET.encode()).decode()[:12]
MALFORMED = [
    f"{SECRET}!",
    SECRET[:10],
    SECRET * 10,
    f"<token><version>1</version><data>{SECRET}</data>",
    f"<token><version>x</version><data>{SECRET}</data></token>",
    f"<token><version>1</version><data>{SECRET}/</data></token>",
    f"<token><version>1</version><data></data></token>{SECRET}",
    f"<token><data>{SECRET}</data></token>",
    f"<token><version>1</version><data>{SECRET}</data></token><x/>",
    f"<!DOCTYPE x>{SECRET}",
    f"AfasToken {SECRET}==",
    base64.b64encode(f"<token>{SECRET}</token>".encode()).decode(),
    base64.b64encode(SECRET.encode("utf-16")).decode() + "=",
    f"{SECRET}é",
    f"{SECRET}\x00",
    f"{SECRET}\u0661",
    f"{SECRET}\ud800",
]


@pytest.mark.parametrize("spelling", ["", " \n", *MALFORMED])
def test_malformed(spelling: str) -> None:
    """Text in none of the three spellings is refused, and shown nowhere, not even where tracebacks show variables."""
    with pytest.raises(ConfigurationError) as caught:
        AppToken(spelling)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in report.stack if not frame.filename.endswith("test_credentials.py")]
    shown = [str(caught.value), repr(caught.value), *[repr(frame.locals) for frame in frames]]
    assert [text for text in shown if SECRET[:10] in text or BASE64_OF_SECRET in text] == []


@each_case(
    "show",
    [
        repr,
        str,
        format,
        ascii,
        "{}".format,
        "{!r:>40}".format,
        "%s".__mod__,
        lambda token: repr([token]),
        lambda token: repr({"auth": token}),
        lambda token: repr(dir(token)),
        lambda token: repr([getattr(token, name, None) for name in dir(token)]),
        lambda token: repr(token.__getstate__()),
    ],
)
@each_case("spelling", [canary.TOKEN, canary.DATA, canary.SPELLINGS[1]])
def test_never_shown(spelling: str, show: Callable[[AppToken], str]) -> None:
    """No text about a token contains it."""
    assert canary.leaks(canary.TOKEN)
    assert not canary.leaks(show(AppToken(spelling)))


def test_repr() -> None:
    """A token shows as asterisks."""
    assert (repr(AppToken(DATA)), f"{AppToken(DATA)}") == ("AppToken(***)", "AppToken(***)")


def test_no_dict() -> None:
    """A token has no dict that a crash reporter could walk, and takes no further attributes."""
    with pytest.raises(TypeError):
        vars(AppToken(DATA))
    with pytest.raises(AttributeError):
        AppToken(DATA).note = "x"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "copying", [pickle.dumps, copy.copy, copy.deepcopy, lambda token: copy.deepcopy({"a": [token]})]
)
def test_never_copied(copying: Callable[[AppToken], object]) -> None:
    """Pickling and copying are refused, and the refusal does not show the token."""
    with pytest.raises(TypeError) as caught:
        copying(AppToken(canary.TOKEN))
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in report.stack if not frame.filename.endswith("test_credentials.py")]
    assert not any(canary.leaks(repr(frame.locals)) for frame in frames)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_protocol(protocol: int) -> None:
    """No protocol of pickle gets round the refusal."""
    with pytest.raises(TypeError):
        pickle.dumps(AppToken(DATA), protocol)


ACCESS = f"{canary.ACCESS}.eyJz-_~+/x=="


def bearer() -> BearerToken:
    return BearerToken(ACCESS)


def client_credentials() -> ClientCredentials:
    return ClientCredentials("5f0c2b1e", canary.SECRET)


def test_access_token() -> None:
    """An access token goes into the header after the word Bearer, without the white space around it."""
    assert BearerToken(f" {ACCESS}\r\n").header() == f"Bearer {ACCESS}"


def test_form() -> None:
    """Client credentials make the documented form, escaped, without the white space around them."""
    form = ClientCredentials(" id&x\n", f"\t{canary.SECRET} ").form("", 0)
    assert form.startswith(b"grant_type=client_credentials&client_id=id%26x&client_secret=CA9A5EC2E7CA9A5EC2E7+")
    assert parse_qs(form.decode("ascii"), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["id&x"],
        "client_secret": [canary.SECRET],
    }


NO_ACCESS_TOKENS = ["", " ", "=", f"Bearer {ACCESS}", f"{ACCESS}===", f"{ACCESS}x", f"{canary.ACCESS}\r\nX: y"]
NO_ACCESS_TOKENS += [f"{canary.ACCESS}é", f"{canary.ACCESS}\u0661", canary.ACCESS * 1_000, f"{canary.ACCESS},x"]
NO_SECRETS = ["", " ", f"{canary.SECRET}\r\nX", f"{canary.SECRET}\x00", f"{canary.SECRET}é", canary.SECRET * 100]


@each_case(
    "make",
    [
        *(lambda text=text: BearerToken(text) for text in NO_ACCESS_TOKENS),
        lambda: BearerToken(canary.ACCESS.encode()),  # type: ignore[arg-type]
        lambda: BearerToken(None),  # type: ignore[arg-type]
        *(lambda text=text: ClientCredentials("5f0c2b1e", text) for text in NO_SECRETS),
        *(lambda text=text: ClientCredentials(text, canary.SECRET) for text in NO_SECRETS),
        lambda: ClientCredentials(5, canary.SECRET),  # type: ignore[arg-type]
        lambda: ClientCredentials("5f0c2b1e", canary.SECRET.encode()),  # type: ignore[arg-type]
        lambda: ClientCredentials("5f0c2b1e", None),  # type: ignore[arg-type]
    ],
)
def test_malformed_others(make: Callable[[], object]) -> None:
    """A malformed access token, client id or client secret is refused, and shown nowhere (see the canary)."""
    with pytest.raises(ConfigurationError, match="malformed") as caught:
        make()
    assert not canary.leaks(str(caught.value))


@pytest.mark.parametrize("make", [bearer, client_credentials])
def test_others_show_nowhere(make: Callable[[], object]) -> None:
    """You cannot get a text, a pickle or a copy of them."""
    made = make()
    assert repr(made) == f"{made}" == f"{type(made).__name__}(***)"
    inside = [getattr(made, name, None) for name in dir(made)]
    assert not canary.leaks(repr([made, inside, made.__getstate__(), {"auth": made}]))
    for refuse in (copy.copy, copy.deepcopy, *(lambda x, p=p: pickle.dumps(x, p) for p in range(6))):
        with pytest.raises(TypeError, match=type(made).__name__):
            refuse(made)
    with pytest.raises(TypeError):
        vars(made)
