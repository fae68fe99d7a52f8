"""Ask which connectors there are, and what each is made of."""

from __future__ import annotations

__docformat__ = "google"

from collections.abc import Iterable

from afas_async.calls.metainfo import all_metainfo, get_metainfo, metainfo, update_metainfo
from afas_async.errors import UsageError
from afas_async.http.channel import Caller, operation
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.metainfo import GetMetainfo, Metainfo, UpdateMetainfo
from afas_async.vocabulary.names import connector_name


class Catalogue(Caller):
    """The methods of a client that read metainfo, and keep it for its views, reads and loads."""

    @operation
    async def ping(self) -> Metainfo:
        """Send one request that shows whether the service answers and accepts your credential: a "test connection".

        After a refusal, a client sends nothing with the same credential for a minute. `ping` ends that wait, for itself
        and all requests after it, and asks your `auth` function for a new token. So it works as soon as you have
        repaired the token, the app connector or the vault.

        Returns:
            What the token may use, fresh from the service. Its `info` names the environment.

        Raises:
            AuthenticationError: If the credential is refused.
            AfasError: If no valid response comes back.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return (await afas.ping()).info.envid
            >>> asyncio.run(main())
            'T12345AA'
        """
        self._channel.check()
        self._session.forget_refusals()
        return await metainfo(self._channel, refresh=True)

    @operation
    async def metainfo(self, *, refresh: bool = False) -> Metainfo:
        """Return what the token may use: its connectors, and the environment it belongs to.

        The client keeps all metainfo as long as it lives, for each language. Your views, reads and loads share it, so
        do not change it. If somebody changes a definition, AFAS needs up to 30 minutes to show it; then `refresh`.

        Args:
            refresh: Whether to send a request even if the client has the metainfo.

        Returns:
            The connectors of each kind, and facts about the token. Members that this library does not know are left
            out.

        Raises:
            AuthenticationError: If the token is refused.
            AnswerError: If the response is not such a list.
            AfasError: If no valid response comes back.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         metainfo = await afas.metainfo()
            ...         return metainfo.info.envid, metainfo.get_connectors[0]
            >>> asyncio.run(main())
            ('T12345AA', ListedConnector(id='Profit_Article', description='Articles (Profit)'))
        """
        return await metainfo(self._channel, refresh=refresh)

    @operation
    async def get_metainfo(self, connector: str, *, refresh: bool = False) -> GetMetainfo:
        """Return the description of a GetConnector: its fields with their types and labels.

        The client keeps it; see `metainfo`.

        Args:
            connector: The connector's name.
            refresh: Whether to send a request even if the client has the description.

        Returns:
            The description. What the service leaves out is empty or 0. Members that this library does not know are left
            out.

        Raises:
            InvalidNameError: If the name cannot be part of a URL. Nothing was sent.
            ApiError: If the connector does not exist, or the token's app connector does not include it. The `hint` of
                the error lists similar names, for which the list of connectors is requested once.
            AnswerError: If the response is not a list of fields with their ids.
            AfasError: If no valid response comes back.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         article = await afas.get_metainfo("Profit_Article")
            ...         return [(field.id, field.data_type, field.label) for field in article.fields[:2]]
            >>> asyncio.run(main())
            [('ItemCode', 'string', 'Item code'), ('Description', 'string', 'Description')]
        """
        return await get_metainfo(self._channel, connector, refresh=refresh)

    @operation
    async def update_metainfo(self, connector: str, *, refresh: bool = False) -> UpdateMetainfo:
        """Return the description of an UpdateConnector: its fields and the objects in its records.

        The client keeps it; see `metainfo`.

        Args:
            connector: The connector's name.
            refresh: Whether to send a request even if the client has the description.

        Returns:
            The description, as for `get_metainfo`.

        Raises:
            InvalidNameError: If the name cannot be part of a URL. Nothing was sent.
            ApiError: If the connector does not exist or is not included; see `get_metainfo`.
            AnswerError: If the response is not such a description.
            AfasError: If no valid response comes back.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return UpdateConnector.described(await afas.update_metainfo("KnEmployee")).element_name
            >>> asyncio.run(main())
            'AfasEmployee'
        """
        return await update_metainfo(self._channel, connector, refresh=refresh)

    @operation
    async def all_metainfo(
        self, names: Iterable[str] | None = None, *, refresh: bool = False
    ) -> list[GetMetainfo | UpdateMetainfo]:
        """Return the descriptions of many connectors, several requests at a time.

        It uses as many slots as the client may. Use it to generate models, or to check a whole environment.

        Args:
            names: The connectors, of either kind. None means all that the token may use.
            refresh: Whether to send requests even if the client has the descriptions.

        Returns:
            The descriptions in the order of `names`, or in that of `metainfo()`: GetConnectors first.

        Raises:
            UsageError: If a name is not text, or cannot be part of a URL. Nothing was sent.
            AfasError: If one of the descriptions cannot be read; see `get_metainfo`.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         found = await afas.all_metainfo(["Profit_Article", "KnPerson"])
            ...         return [type(each).__name__ for each in found]
            >>> asyncio.run(main())
            ['GetMetainfo', 'UpdateMetainfo']
        """
        if isinstance(names, str):
            raise UsageError("names: expected several names, such as a list, got one str: use get_metainfo for one")
        check_type("names", names, Iterable | None, "several names, such as a list")
        names = None if names is None else [connector_name(name) for name in names]
        return await all_metainfo(self._channel, names, refresh=refresh)
