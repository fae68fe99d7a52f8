"""Certificates for tests of TLS, made once."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    """A certificate authority that nobody knows, and what it has signed."""

    directory: Path

    @property
    def authority(self) -> str:
        return str(self.directory / "authority.pem")

    def server(self, name: str = "localhost") -> ssl.SSLContext:
        """Return the context of a server with a certificate: "localhost", "other" or "expired"."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / f"{name}.pem", self.directory / "key.pem")
        return context

    def client(self) -> ssl.SSLContext:
        """Return the context of a client that trusts the authority."""
        return ssl.create_default_context(cafile=self.authority)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=directory, check=True, capture_output=True)  # noqa: S607

    openssl("ecparam -name prime256v1 -genkey -noout -out key.pem")
    openssl("req -x509 -new -key key.pem -subj /CN=authority -days 30 -out authority.pem")
    for name, host, days in (
        ("localhost", "localhost", 30),
        ("other", "other.example", 30),
        ("expired", "localhost", -1),
    ):
        (directory / "extensions").write_text(f"subjectAltName=DNS:{host}\n")
        openssl(f"req -new -key key.pem -subj /CN={host} -out request.csr")
        openssl(
            "x509 -req -in request.csr -CA authority.pem -CAkey key.pem -CAcreateserial"
            f" -days {days} -extfile extensions -out {name}.pem"
        )
    return Certificates(directory)
