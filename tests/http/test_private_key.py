"""Tokens for an app that signs with a private key and has no secret."""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from afas_async import AfasClient, AuthenticationError, ConfigurationError, PrivateKeyCredentials
from afas_async.simulator import Simulator
from tests.support.each_case import each_case
from tests.support.granting import ARTICLES, grants, others

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
URL = "https://12345.rest.afas.online/profitrestservices/oauth/token"


def private(key: Key, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def client(simulator: Simulator, credentials: PrivateKeyCredentials) -> AfasClient:
    return AfasClient(base_url=simulator.base_url, auth=credentials)


def assertion(credentials: PrivateKeyCredentials, now: float) -> str:
    fields = parse_qs(credentials.form(URL, now).decode("ascii"), strict_parsing=True)
    assert fields.pop("grant_type") == ["client_credentials"]
    assert fields.pop("client_id") == ["id&x"]
    assert fields.pop("client_assertion_type") == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    ((found,),) = fields.values()
    assert list(fields) == ["client_assertion"]
    return found


@pytest.mark.parametrize(
    ("key", "algorithm", "used"),
    [(RSA, None, "RS256"), (RSA, "PS256", "PS256"), (P256, None, "ES256")],
    ids=["RS256", "PS256", "ES256"],
)
def test_the_assertion(key: Key, algorithm: Any, used: str) -> None:
    """The assertion is from this app for this service, valid for less than 5 minutes, and different each time."""
    now = time.time()
    credentials = PrivateKeyCredentials(" id&x\n", private(key).decode(), algorithm=algorithm, key_id="k1")
    texts = [assertion(credentials, now) for _ in range(2)]
    assert all(jwt.get_unverified_header(text) == {"alg": used, "typ": "JWT", "kid": "k1"} for text in texts)
    claims = [jwt.decode(text, public(key), algorithms=[used], audience=URL) for text in texts]
    assert {len(each) for each in claims} == {6}
    for one in claims:
        assert (one["iss"], one["sub"]) == ("id&x", "id&x")
        assert one["iat"] <= now < one["exp"] <= now + 240
        assert one["exp"] - one["iat"] < 300
    assert all(one["jti"] != other["jti"] for one, other in pairwise(claims))


@pytest.mark.parametrize("key", [RSA, P256], ids=["RSA", "P-256"])
async def test_a_token_for_an_assertion(simulator: Simulator, key: Key) -> None:
    """The client gets its token for an assertion, and the next token for another assertion."""
    simulator.oauth.public_key = public(key)
    async with client(simulator, PrivateKeyCredentials(simulator.oauth.client_id, private(key))) as afas:
        await afas.page(ARTICLES, take=1)
        simulator.oauth.revoke()
        await afas.page(ARTICLES, take=1)
    assert [grant.status for grant in grants(simulator)] == [200, 200]
    assert others(simulator) == [200, 401, 200]


@pytest.mark.parametrize("known", [None, public(P256), "no key"], ids=["no key", "another key", "an odd key"])
async def test_a_key_that_the_service_does_not_know(simulator: Simulator, known: Any) -> None:
    """One error says what may be wrong, after one request."""
    simulator.oauth.public_key = known if known != "no key" else public(rsa.generate_private_key(65537, 2048))
    async with client(simulator, PrivateKeyCredentials(simulator.oauth.client_id, private(RSA))) as afas:
        with pytest.raises(AuthenticationError, match="the private key, the client id or the client secret is wrong"):
            await afas.page(ARTICLES, take=1)
    assert [grant.status for grant in grants(simulator)] == [400]


async def test_an_assertion_is_used_once(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator refuses an assertion that was used before, is valid for too long, or is for another service."""
    simulator.oauth.public_key = public(RSA)
    credentials = PrivateKeyCredentials(simulator.oauth.client_id, private(RSA))
    url = f"{simulator.base_url}/oauth/token"
    for form, status in (
        (credentials.form(url, time.time()), 200),
        (credentials.form(URL, time.time()), 400),
        (credentials.form(url, time.time() - 300), 400),
    ):
        monkeypatch.setattr(PrivateKeyCredentials, "form", lambda *_, form=form: form)
        for again in range(2):
            async with client(simulator, credentials) as afas:
                if status == 200 and not again:
                    await afas.page(ARTICLES, take=1)
                else:
                    with pytest.raises(AuthenticationError):
                        await afas.page(ARTICLES, take=1)
    assert [grant.status for grant in grants(simulator)] == [200, 400, 400, 400, 400, 400]


WRONG: tuple[Any, ...] = (
    lambda: PrivateKeyCredentials("", private(RSA)),
    lambda: PrivateKeyCredentials(5, private(RSA)),  # type: ignore[arg-type]
    lambda: PrivateKeyCredentials("id", "MARK"),
    lambda: PrivateKeyCredentials("id", private(RSA).replace(b"A", b"B")),
    lambda: PrivateKeyCredentials("id", private(RSA, b"MARK")),
    lambda: PrivateKeyCredentials("id", public(RSA)),
    lambda: PrivateKeyCredentials("id", None),  # type: ignore[arg-type]
    lambda: PrivateKeyCredentials("id", private(RSA), algorithm="ES256"),
    lambda: PrivateKeyCredentials("id", private(P256), algorithm="RS256"),
    lambda: PrivateKeyCredentials("id", private(RSA), algorithm="HS256"),  # type: ignore[arg-type]
    lambda: PrivateKeyCredentials("id", private(ec.generate_private_key(ec.SECP384R1()))),
)


@each_case("make", WRONG)
def test_what_is_no_key(make: Any) -> None:
    """An invalid key is refused before anything is sent. Neither the error nor its frames show any of it."""
    with pytest.raises(ConfigurationError, match="the client id or the private key is malformed") as caught:
        make()
    error = caught.value
    assert error.__cause__ is error.__context__ is None
    frame = error.__traceback__
    while frame is not None:
        if "afas_async" in frame.tb_frame.f_code.co_filename and "tests" not in frame.tb_frame.f_code.co_filename:
            assert "MARK" not in (shown := repr(frame.tb_frame.f_locals))
            assert "PRIVATE" not in shown
        frame = frame.tb_next


def test_it_shows_nowhere() -> None:
    """The repr shows neither key nor id, and the object cannot be pickled."""
    credentials = PrivateKeyCredentials("the id", private(RSA))
    assert repr(credentials) == f"{credentials}" == "PrivateKeyCredentials(***)"
    assert not any("PRIVATE KEY" in repr(getattr(credentials, name, None)) for name in dir(credentials))
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        credentials.__reduce__()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what to install."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigurationError, match=r'needs PyJWT: run `pip install "afas_async\[oauth\]"`') as caught:
        PrivateKeyCredentials("id", private(RSA))
    assert caught.value.__cause__ is None
