"""Requests for the descriptions of connectors."""

from __future__ import annotations

from urllib.parse import quote

from afas_async.vocabulary.names import connector_name
from afas_async.wire.requests import Request


def list_request() -> Request:
    """Return the request for the connectors that a token may use (AFAS, metainfo)."""
    return Request("GET", "metainfo", "", "metainfo")


def metainfo_request(connector: str) -> Request:
    """Return the request for the description of a GetConnector (AFAS, metainfo)."""
    return Request("GET", f"metainfo/get/{quote(connector_name(connector), safe='')}", "", connector)


def update_metainfo_request(connector: str) -> Request:
    """Return the request for the description of an UpdateConnector (AFAS, metainfo)."""
    return Request("GET", f"metainfo/update/{quote(connector_name(connector), safe='')}", "", connector)
