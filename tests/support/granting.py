"""A simulator that gives access tokens which the canary knows, and clients that ask for them."""

from __future__ import annotations

import itertools
import secrets

import pytest

from afas_async import AfasClient, AfasError, ClientCredentials, GetConnector
from afas_async.simulator import Simulator
from afas_async.simulator.traffic import RequestRecord
from tests.support import canary

ARTICLES = GetConnector("Profit_Article", key="ItemCode")
CLIENT_ID = "5f0c2b1e"


def mark(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Give a simulator the canary's secret, and let each of its access tokens begin with the canary's letters."""
    numbers = itertools.count()
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: f"{canary.ACCESS}.{next(numbers)}")
    simulator.oauth.client_id = CLIENT_ID
    simulator.oauth.client_secret = canary.SECRET
    return simulator


def client(simulator: Simulator, watch: canary.Watch, *, secret: str = canary.SECRET, **options: object) -> AfasClient:
    """Return a client with credentials, whose events are watched."""
    return AfasClient(
        base_url=simulator.base_url,
        auth=ClientCredentials(CLIENT_ID, secret),
        on_event=lambda event: watch.texts.append(repr(event)),
        **options,  # type: ignore[arg-type]
    )


def grants(simulator: Simulator) -> list[RequestRecord]:
    """Return the requests for a token."""
    return [request for request in simulator.requests if request.path.endswith("/oauth/token")]


def others(simulator: Simulator) -> list[int | None]:
    """Return the statuses of all other requests."""
    return [request.status for request in simulator.requests if not request.path.endswith("/oauth/token")]


async def refusal(afas: AfasClient, connector: GetConnector = ARTICLES) -> AfasError:  # type: ignore[type-arg]
    """Return the error of a request that must fail."""
    with pytest.raises(AfasError) as raised:
        await afas.page(connector, take=1)
    return raised.value
