"""AFAS in your FastAPI app: one client for its lifespan, typed rows in your OpenAPI, streams, and clear errors.

Install what this page uses with `pip install "afas-async[fastapi]" uvicorn httpx2`: a server, and what FastAPI's
`TestClient` needs.

A first service. With uvicorn, `app = make_app()` takes AFAS_TOKEN and AFAS_ENVIRONMENT from the environment. FastAPI
cannot encode Structs and decimals by itself, so return `json_response(...)`:

    >>> from fastapi import FastAPI, Response
    >>> from afas_async import AfasClient
    >>> from afas_async.integrations.fastapi import Afas, PageParameters, json_response
    >>> from afas_async.integrations.fastapi import install_error_handlers, lifespan
    >>> def make_app(variables=None):
    ...     app = FastAPI(lifespan=lifespan(lambda: AfasClient.from_env(variables)))
    ...     install_error_handlers(app)
    ...
    ...     @app.get("/articles")
    ...     async def list_articles(afas: Afas, page: PageParameters) -> Response:
    ...         found = await afas.page("Profit_Article", **page)
    ...         return json_response(found.rows)
    ...
    ...     return app

In a test, a simulator takes the place of AFAS:

    >>> from fastapi.testclient import TestClient
    >>> from afas_async.simulator import Simulator
    >>> with Simulator.running(rows=500) as simulator:
    ...     app = make_app({"AFAS_BASE_URL": simulator.base_url, "AFAS_TOKEN": simulator.token})
    ...     with TestClient(app) as http:
    ...         [article["ItemCode"] for article in http.get("/articles?take=2&order_by=ItemCode").json()]
    ...         http.get("/articles?order_by=ItemCod").status_code
    ['000001', '000002']
    422

The guide `afas_async.integrations` has a complete app, with tenants, streams and loads. You can import everything from
`afas_async.integrations.starlette` here, too. In addition, your path operations can declare:

- `afas: Afas`: the client of your app. With several tenants, use `tenant_client(...)`.
- `paging: PageParameters`: the query parameters `skip`, `take` and `order_by`, for `afas.page(CONNECTOR, **paging)`.
- `responses=rows_schema(Article)`: the schema of your Structs in the OpenAPI.
"""

__docformat__ = "google"

# No `from __future__ import annotations`: FastAPI evaluates the annotations of these functions.
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
    """Return a dependency on the client of a tenant, from the `ClientPool` of your app.

    The client stays open until your response has been sent, even if it is a stream.

    Args:
        tenant: Your dependency that returns the name of the tenant. Derive it from the user who is signed in. Do not
            take it from a header that anybody can send.

    Returns:
        The dependency, for `Annotated`.

    Example:
        >>> async def tenant() -> str:  # yours depends on the user who is signed in
        ...     return "acme"
        >>> TenantAfas = Annotated[AfasClient, tenant_client(tenant)]
        >>> async def list_articles(afas: TenantAfas):  # a path operation
        ...     return json_response((await afas.page("Profit_Article", take=10)).rows)
    """

    async def client(connection: HTTPConnection, name: Annotated[str, Depends(tenant)]) -> AsyncIterator[AfasClient]:
        async with connection.app.state.afas.client(name) as afas:
            yield afas  # noqa: ASYNC119 - FastAPI makes a context manager of it

    return Depends(client)


class PageArguments(TypedDict):
    """The arguments of `afas.page` from the query parameters of a request. Declare them as `PageParameters`."""

    skip: int
    take: int
    order_by: list[str]


async def _page_arguments(
    skip: Annotated[int, Query(ge=0, le=100_000, description="Rows to skip.")] = 0,
    take: Annotated[int, Query(ge=1, le=1_000, description="Maximum number of rows to return.")] = 100,
    order_by: Annotated[
        list[str] | None, Query(description="Fields to sort by; by default the key. A leading - sorts descending.")
    ] = None,
) -> PageArguments:
    return PageArguments(skip=skip, take=take, order_by=order_by or [])


PageParameters: TypeAlias = Annotated[PageArguments, Depends(_page_arguments)]


def rows_schema(
    row_type: type[Any], media_type: str = "application/json", *, single: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` argument for a path operation that returns rows, so that your OpenAPI describes them.

    Args:
        row_type: A Struct, or another type that msgspec supports.
        media_type: "application/json" for a list of rows. For a stream, such as "application/x-ndjson", the schema
            describes one line. Then also pass `response_class=Response` to the path operation.
        single: Whether the response is one object instead of a list, such as a page that contains rows.

    Returns:
        The response 200 with its schema.

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
    return {200: {"description": "Rows from AFAS", "content": {media_type: {"schema": described}}}}


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    """Return a schema with its references replaced: only FastAPI can add to the components of its OpenAPI."""
    match schema:
        case {"$ref": name}:
            return _inlined(components[name], components)
        case dict():
            return {name: _inlined(each, components) for name, each in cast("dict[str, Any]", schema).items()}
        case [*parts]:
            return [_inlined(part, components) for part in parts]
        case _:
            return schema
