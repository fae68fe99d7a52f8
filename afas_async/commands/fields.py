"""The command `fields`: list the fields of a connector, of either kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.options import AsJson, ConnectorName, OwnSimulator
from afas_async.commands.terminal import print_json, print_table

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient
    from afas_async.vocabulary.metainfo import (
        Code,
        GetMetainfo,
        MetainfoField,
        UpdateField,
        UpdateMetainfo,
        UpdateObject,
    )

EPILOG: Final = ENVIRONMENT
_CODES_SHOWN: Final = 4
_SIZED: Final = {"string", "int", "decimal"}


async def described(afas: AfasClient, name: str, *, update: bool) -> GetMetainfo | UpdateMetainfo:
    """Return the metainfo of a connector of either kind.

    Args:
        afas: An open client.
        name: The connector.
        update: Whether you mean the UpdateConnector. If only one kind has the name, that one is returned.

    Raises:
        AfasError: If the connector does not exist, or no response comes back.
    """
    listed = await afas.metainfo()
    is_update = any(each.id == name for each in listed.update_connectors)
    is_get = any(each.id == name for each in listed.get_connectors)
    if update or (is_update and not is_get):
        return await afas.update_metainfo(name)
    return await afas.get_metainfo(name)


def _type_text(field: MetainfoField | UpdateField) -> str:
    sizes = [str(size) for size in (field.length, field.decimals) if size]
    return f"{field.data_type}({','.join(sizes)})" if sizes and field.data_type in _SIZED else field.data_type


def _codes(values: Sequence[Code] | None) -> str:
    if not values:
        return ""
    texts = [f"{code.id}={code.description}" for code in values[:_CODES_SHOWN]]
    more = len(values) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")


def _get_rows(metainfo: GetMetainfo) -> list[tuple[object, ...]]:
    return [(field.id, _type_text(field), field.label, _codes(field.values)) for field in metainfo.fields]


def _update_rows(
    fields: Sequence[UpdateField], objects: Sequence[UpdateObject] | None, place: str = ""
) -> Iterator[tuple[object, ...]]:
    for field in fields:
        demands = ("key " if field.primary_key else "") + ("mandatory" if field.mandatory else "")
        name = f"{place}{'@' if field.primary_key else ''}{field.id}"
        yield name, _type_text(field), field.label, demands.strip(), _codes(field.values)
    for inner in objects or ():
        yield from _update_rows(inner.fields, inner.objects, f"{place}{inner.name}.")


def command(
    name: ConnectorName,
    *,
    update: Annotated[
        bool, typer.Option("--update", help="Show the UpdateConnector, if both kinds have the name.")
    ] = False,
    language: Annotated[
        str, typer.Option(metavar="CODE", help="The language of the labels, such as en-us or nl-nl.")
    ] = "nl-nl",
    as_json: AsJson = False,
    simulator: OwnSimulator = False,
) -> int:
    """List the fields of a connector, with their types, lengths, labels and codes.

    For an UpdateConnector you see the names that `load` takes. A key has an @ before it. A field of an object has the
    object's name and a dot before it.
    """

    async def work() -> GetMetainfo | UpdateMetainfo:
        async with client(simulator=simulator, language=language) as afas:
            return await described(afas, name, update=update)

    metainfo: Any = completed(work())
    if as_json:
        print_json(msgspec.to_builtins(metainfo))
    elif hasattr(metainfo, "objects"):
        headers = ("field", "type", "label", "demands", "codes")
        print_table(headers, _update_rows(metainfo.fields, metainfo.objects), whole=2)
    else:
        print_table(("field", "type", "label", "codes"), _get_rows(metainfo), whole=2)
    return 0
