"""Certificates for TLS tests, made once, and a simulator."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.thoroughness import by_default

SIMULATED = by_default(1_000, 3_000)


class Certificates:
    """A certificate authority that no client trusts by default, and the certificates it signed."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self._servers = {
            "localhost": self._authority.issue_cert("localhost"),
            "other": self._authority.issue_cert("other.example"),
            "expired": self._authority.issue_cert(
                "localhost", not_before=yesterday - timedelta(days=30), not_after=yesterday
            ),
        }

    def server(self, name: str = "localhost") -> ssl.SSLContext:
        """Return the context of a server with a certificate: "localhost", "other" or "expired"."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._servers[name].configure_cert(context)
        return context

    def write_authority(self, path: Path) -> str:
        """Write the authority's certificate to a file, and return its name."""
        self._authority.cert_pem.write_to_path(str(path))
        return str(path)

    def client(self) -> ssl.SSLContext:
        """Return the context of a client that trusts the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=SIMULATED, token=canary.TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()
