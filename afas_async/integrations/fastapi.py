"""AFAS in a FastAPI app: one client for its whole life, typed rows in its OpenAPI, streams, and errors that say why.

The guide is `afas_async.integrations`, with a complete app. Everything of `afas_async.integrations.starlette` is here,
too. Of this module's own are what a path operation declares:

- `afas: Afas`, the client of the app, and `tenant_client(...)`, the client of the tenant who asks.
- `paging: PageParameters`, the query parameters `skip`, `take` and `order_by`, for `afas.page(CONNECTOR, **paging)`.
- `responses=rows_schema(Article)`, so that the OpenAPI describes your Structs.
"""

# Without `from __future__ import annotations`: FastAPI looks at the annotations of the functions here.
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeAlias, TypedDict, cast

import msgspec

from afas_async.client.client import AfasClient
from afas_async.integrations.starlette import (
    csv_response,
    install_error_handlers,
    json_response,
    lifespan,
    ndjson_response,
    parquet_response,
    problem_response,
    sse_response,
)

try:
    from fastapi import Depends, Query
    from fastapi.requests import HTTPConnection
except ImportError as _missing:  # pragma: no cover
    raise ImportError('install FastAPI: pip install "afas-async[fastapi]"') from _missing

__all__ = [
    "Afas",
    "PageArguments",
    "PageParameters",
    "csv_response",
    "install_error_handlers",
    "json_response",
    "lifespan",
    "ndjson_response",
    "parquet_response",
    "problem_response",
    "rows_schema",
    "sse_response",
    "tenant_client",
]


async def _client(connection: HTTPConnection) -> AfasClient:
    return cast("AfasClient", connection.app.state.afas)


Afas: TypeAlias = Annotated[AfasClient, Depends(_client)]


def tenant_client(tenant: Callable[..., Any]) -> Any:
    """Return the dependency of a path operation on the client of a tenant, out of the app's `ClientPool`.

    It is open until the response has been sent, streams included: the pool closes no client that is in use.

        async def tenant(user: Annotated[User, Depends(signed_in)]) -> str:
            return user.company

        TenantAfas = Annotated[AfasClient, tenant_client(tenant)]

    Args:
        tenant: A dependency of yours that returns the name of the tenant. Take it from who is signed in: a header that
            anybody can send protects nothing.
    """

    async def client(connection: HTTPConnection, name: Annotated[str, Depends(tenant)]) -> AsyncIterator[AfasClient]:
        async with connection.app.state.afas.client(name) as afas:
            yield afas  # noqa: ASYNC119 - FastAPI makes a context manager of it

    return Depends(client)


class PageArguments(TypedDict):
    """What `afas.page` takes out of the query parameters of a request: see `PageParameters`."""

    skip: int
    take: int
    order_by: list[str]


async def _page_arguments(
    skip: Annotated[int, Query(ge=0, le=100_000, description="Rows to leave out.")] = 0,
    take: Annotated[int, Query(ge=1, le=1_000, description="Rows to return at most.")] = 100,
    order_by: Annotated[
        list[str] | None, Query(description="Fields to sort by, a leading - for descending; by default the key.")
    ] = None,
) -> PageArguments:
    return PageArguments(skip=skip, take=take, order_by=order_by or [])


PageParameters: TypeAlias = Annotated[PageArguments, Depends(_page_arguments)]


def rows_schema(
    row_type: type[Any], media_type: str = "application/json", *, single: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a path operation that returns rows, so that its OpenAPI describes them.

    Args:
        row_type: A Struct, or another type that msgspec knows.
        media_type: "application/json" for a list of rows. Another one, such as "application/x-ndjson", describes a
            line; give `response_class=Response` to the path operation then.
        single: Whether it is one object instead, as a page with its rows in it.

    Example:
        >>> class Article(msgspec.Struct, rename="pascal"):
        ...     item_code: str
        >>> schema = rows_schema(Article)[200]["content"]["application/json"]["schema"]
        >>> schema["type"], schema["items"]["properties"]
        ('array', {'ItemCode': {'type': 'string'}})
    """
    (schema,), components = msgspec.json.schema_components([row_type], ref_template="{name}")
    described = _inlined(schema, components)
    if media_type == "application/json" and not single:
        described = {"type": "array", "items": described}
    return {200: {"description": "Rows of AFAS", "content": {media_type: {"schema": described}}}}


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    """Return a schema with its parts in place: where OpenAPI keeps parts, only FastAPI adds to them."""
    match schema:
        case {"$ref": name}:
            return _inlined(components[name], components)
        case dict():
            return {name: _inlined(each, components) for name, each in cast("dict[str, Any]", schema).items()}
        case [*parts]:
            return [_inlined(part, components) for part in parts]
        case _:
            return schema
