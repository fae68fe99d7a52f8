"""Requests for metainfo: one for each document and language, unless you ask for a refresh."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

import anyio
import msgspec

from afas_async.calls.document import Document
from afas_async.errors import AfasError, ApiError, BadRequestError, BusinessError, NotFoundError
from afas_async.http.channel import Channel
from afas_async.vocabulary.connectors import GetConnector, row_fields
from afas_async.vocabulary.metainfo import GetMetainfo, ListedConnector, Metainfo, UpdateMetainfo
from afas_async.wire.json_documents import decode, not_as_documented, without_nulls
from afas_async.wire.metainfo_requests import list_request, metainfo_request, update_metainfo_request
from afas_async.wire.requests import Request

MetainfoT = TypeVar("MetainfoT", Metainfo, GetMetainfo, UpdateMetainfo)

Kind: TypeAlias = Literal["GetConnector", "UpdateConnector"]
_Ask: TypeAlias = Callable[..., Awaitable[GetMetainfo | UpdateMetainfo]]

DOCUMENT_LIMIT = 16 << 20

# AFAS writes the name of this attribute in one way for GetConnectors and in another for UpdateConnectors, and its
# clients have met both. Inside a string the quotes would be escaped, so this replaces the attribute only.
_DECIMALS_FIELD: Final[Mapping[Any, tuple[bytes, bytes]]] = {
    GetMetainfo: (b'"decimalFieldId"', b'"decimalsFieldId"'),
    UpdateMetainfo: (b'"decimalsFieldId"', b'"decimalFieldId"'),
}
# The errors that may stand for an unknown connector, or for one that the token may not use. The statuses 401 and 403
# are left out: after those nothing more is sent with the same credential.
_UNKNOWN: Final = (BusinessError, NotFoundError, BadRequestError)


async def field_ids(channel: Channel, connector: GetConnector[Any]) -> list[str]:
    """Return the field ids of a connector: those of its row type, or all that the service knows.

    Raises:
        AfasError: If metainfo is needed and cannot be fetched.
    """
    if (declared := row_fields(connector.row_type)) is not None:
        return list(declared)
    return [field.id for field in (await get_metainfo(channel, connector.name)).fields]


async def metainfo(channel: Channel, *, refresh: bool = False) -> Metainfo:
    """Return the connectors that the token may use.

    Raises:
        AfasError: If metainfo cannot be fetched.
    """
    return await _fetched(channel, list_request(), Metainfo, refresh=refresh)


async def get_metainfo(channel: Channel, connector: str, *, refresh: bool = False) -> GetMetainfo:
    """Return the description of a GetConnector.

    Raises:
        AfasError: If it cannot be fetched.
    """
    return await _described(channel, metainfo_request(connector), GetMetainfo, "GetConnector", refresh=refresh)


def known_root(channel: Channel, connector: str) -> str:
    """Return the name of a connector's element from metainfo that was fetched before; empty without such metainfo."""
    place = (update_metainfo_request(connector).path, channel.options.language.lower())
    described = channel.session.known.get(place)
    return described.name if isinstance(described, UpdateMetainfo) else ""


async def update_metainfo(channel: Channel, connector: str, *, refresh: bool = False) -> UpdateMetainfo:
    """Return the description of an UpdateConnector.

    Raises:
        AfasError: If it cannot be fetched.
    """
    request = update_metainfo_request(connector)
    return await _described(channel, request, UpdateMetainfo, "UpdateConnector", refresh=refresh)


async def _described(
    channel: Channel, request: Request, kind: type[MetainfoT], connectors: Kind, *, refresh: bool
) -> MetainfoT:
    try:
        return await _fetched(channel, request, kind, refresh=refresh)
    except _UNKNOWN as error:
        failure: ApiError = error
    failure.hint = await _hint(channel, request.connector, connectors)
    raise failure


async def all_metainfo(
    channel: Channel, names: Iterable[str] | None, *, refresh: bool = False
) -> list[GetMetainfo | UpdateMetainfo]:
    """Return the metainfo of the named connectors, or of all that the token may use.

    As many requests run at a time as the client may have in flight.

    Raises:
        AfasError: If metainfo cannot be fetched.
    """
    wanted = _wanted(await metainfo(channel, refresh=refresh), names)
    found = dict[int, GetMetainfo | UpdateMetainfo]()
    failures = list[AfasError]()
    ahead = enumerate(wanted)

    async def work() -> None:
        for index, (ask, name) in ahead:
            try:
                found[index] = await ask(channel, name, refresh=refresh)
            except AfasError as error:
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(channel.session.max_concurrency):
            group.start_soon(work)
    if failures:
        raise failures[0]
    return [found[index] for index in range(len(wanted))]


def _wanted(listed: Metainfo, names: Iterable[str] | None) -> list[tuple[_Ask, str]]:
    """Return the connectors to fetch, each with the function that fetches it; one name may match both kinds."""
    known: list[tuple[_Ask, str]] = [(get_metainfo, each.id) for each in listed.get_connectors]
    known += [(update_metainfo, each.id) for each in listed.update_connectors]
    if names is None:
        return known
    wanted = list[tuple[_Ask, str]]()
    for name in names:
        # A name that is not in the list is requested anyway: the service refuses it in its own words.
        same = [(ask, other) for ask, other in known if other.casefold() == name.casefold()]
        wanted += same or [(get_metainfo, name)]
    return wanted


async def explain(
    channel: Channel,
    error: BaseException,
    connector: str,
    *,
    kind: Kind,
    fields: Iterable[str] = (),
) -> None:
    """Add a "did you mean" hint to errors about unknown connectors or fields.

    Such an error is recognised by words that its message has in every language: the kind of connector, or the field.
    Only then one request for metainfo is sent.

    Args:
        channel: Sends the request.
        error: The error that a read or write ended with.
        connector: The name of the connector.
        kind: The kind of connector that the read or write expected.
        fields: The fields in the request.
    """
    if not isinstance(error, BusinessError) or error.hint:
        return
    if kind in error.message:
        error.hint = await _hint(channel, connector, kind)
    elif named := sorted(field for field in fields if re.search(rf"\b{field}\b", error.message)):
        error.hint = await _field_hint(channel, connector, named[0])


async def _field_hint(channel: Channel, connector: str, field: str) -> str:
    try:
        known = (await _fetched(_once(channel), metainfo_request(connector), GetMetainfo, refresh=False)).fields
    except AfasError:
        return ""
    if field in {other.id for other in known}:
        return ""  # the field exists, so the error has another cause
    ids = {name.casefold(): other.id for other in known for name in (other.label, other.id)}
    return _did_you_mean(field, ids) or f"it has no field {field}"


def _did_you_mean(name: str, known: Mapping[str, str]) -> str:
    """Return a hint with the names close to `name`; `known` holds the names by their compared form."""
    near = dict.fromkeys(known[match] for match in get_close_matches(name.casefold(), known))
    return f"did you mean {' or '.join(near)}?" if near else ""


async def _hint(channel: Channel, connector: str, kind: Kind) -> str:
    """Return a hint for an unknown connector; empty if the list of connectors cannot be fetched."""
    try:
        listed = await metainfo(_once(channel))
    except AfasError:
        return ""
    own, others, other = listed.get_connectors, listed.update_connectors, "an UpdateConnector"
    if kind == "UpdateConnector":
        own, others, other = others, own, "a GetConnector"
    known, elsewhere, name = _by_name(own), _by_name(others), connector.casefold()
    if name in known:
        return ""  # the connector exists, so the error has another cause
    if name in elsewhere:
        return f"{elsewhere[name]} is {other}"
    bare = {other.removeprefix("profit_"): own for other, own in known.items()}  # the prefix would make all names close
    near = _did_you_mean(name.removeprefix("profit_"), bare)
    return near or f"it is not one of the {len(known)} {kind}s of this token"


def _once(channel: Channel) -> Channel:
    """Return a channel without retries, for requests that only explain an error."""
    return replace(channel, options=msgspec.structs.replace(channel.options, max_retries=0))


def _by_name(connectors: Iterable[ListedConnector]) -> dict[str, str]:
    return {connector.id.casefold(): connector.id for connector in connectors}


async def _fetched(channel: Channel, request: Request, kind: type[MetainfoT], *, refresh: bool) -> MetainfoT:
    """Return a metainfo document, from the service or from an earlier request of the client in the same language."""
    channel.check()
    place = (request.path, channel.options.language.lower())
    known = channel.session.known
    if place in known and not refresh:
        return cast("MetainfoT", known[place])
    fetch = Document(channel, request, limit=DOCUMENT_LIMIT)
    await fetch.run()
    document = bytes(fetch.data)
    if spellings := _DECIMALS_FIELD.get(kind):
        document = document.replace(*spellings)
    content = decode(document, msgspec.json.Decoder())
    try:
        found = msgspec.convert(without_nulls(content), kind)
    except msgspec.ValidationError:
        raise not_as_documented(request.connector, "it is not metainfo") from None
    known[place] = found
    return found
