"""What a client can ask about connectors: which ones there are, and what each is made of."""

from __future__ import annotations

from collections.abc import Iterable

from afas_async.calls.metainfo import all_metainfo, get_metainfo, metainfo, update_metainfo
from afas_async.errors import UsageError
from afas_async.http.channel import Caller, operation
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.metainfo import GetMetainfo, Metainfo, UpdateMetainfo
from afas_async.vocabulary.names import connector_name


class Catalogue(Caller):
    """The part of a client that asks for metainfo, and keeps it for its views, reads and loads."""

    @operation
    async def ping(self) -> Metainfo:
        """Send one request that shows whether the service answers and accepts the credential: a "test connection".

        After a refusal the client sends nothing for a minute with the same credential. `ping` ignores that memory, for
        itself and for all requests after it, and asks an `auth` function anew. So it works at the first press after
        somebody has mended the token, the app connector or the vault.

        Returns:
            What the token may use, as the service says now; `info` names the environment.

        Raises:
            AuthenticationError: If the credential is refused.
            AfasError: If no answer can be had. A cancelled call leaves nothing behind.

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

        All metainfo is kept as long as the client lives, for each language. It is shared with the client's views, reads
        and loads: do not change it. A change of a definition takes AFAS up to 30 minutes, and then a `refresh`.

        Args:
            refresh: Whether to ask the service even if it has told before, as a test of the connection does.

        Returns:
            The connectors of each kind, and facts about the token. Members that are not known here are left out.

        Raises:
            AuthenticationError: If the token is refused.
            AnswerError: If the answer is no such list.
            AfasError: If no answer can be had. A cancelled call leaves nothing behind.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         told = await afas.metainfo()
            ...         return told.info.envid, told.get_connectors[0]
            >>> asyncio.run(main())
            ('T12345AA', ListedConnector(id='Profit_Article', description='Articles (Profit)'))
        """
        return await metainfo(self._channel, refresh=refresh)

    @operation
    async def get_metainfo(self, connector: str, *, refresh: bool = False) -> GetMetainfo:
        """Return the description of a GetConnector: its fields with their types and labels.

        Args:
            connector: The connector's name.
            refresh: Whether to ask the service even if it has told before.

        Returns:
            The description. What the service does not tell is empty or 0, and what is not known here is left out.

        Raises:
            InvalidNameError: If the name may not enter a URL. Nothing was sent.
            ApiError: If there is no such connector, or the token's app connector does not include it. Its `hint` has
                the names that are similar, for which the list of connectors is asked for, once.
            AnswerError: If the answer is no list of fields with their ids.
            AfasError: If no answer can be had. A cancelled call leaves nothing behind.

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
        """Return the description of an UpdateConnector: its fields and objects.

        Args:
            connector: The connector's name.
            refresh: Whether to ask the service even if it has told before.

        Returns:
            The description, as for `get_metainfo`.

        Raises:
            InvalidNameError: If the name may not enter a URL. Nothing was sent.
            ApiError: See `get_metainfo`.
            AnswerError: If the answer is no such description.
            AfasError: If no answer can be had. A cancelled call leaves nothing behind.

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
        """Return the descriptions of many connectors, asked for at the same time as far as the client may.

        Args:
            names: The connectors, of either kind; None for all that the token may use.
            refresh: Whether to ask the service even if it has told before.

        Returns:
            The descriptions in the order of `names`, or in that of `metainfo()`: GetConnectors first.

        Raises:
            UsageError: If a name is not text, or may not enter a URL. Nothing was sent.
            AfasError: If one of them cannot be had; see `get_metainfo`. A cancelled call leaves nothing behind.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return [type(told).__name__ for told in await afas.all_metainfo(["Profit_Article", "KnPerson"])]
            >>> asyncio.run(main())
            ['GetMetainfo', 'UpdateMetainfo']
        """
        if isinstance(names, str):
            raise UsageError("names: expected several names, such as a list, got one str: use get_metainfo for one")
        check_type("names", names, Iterable | None, "several names, such as a list")
        names = None if names is None else [connector_name(name) for name in names]
        return await all_metainfo(self._channel, names, refresh=refresh)
