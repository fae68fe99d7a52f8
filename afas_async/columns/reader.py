"""GetConnectors for code without `await`: a `pyarrow.RecordBatchReader`, fed by an event loop in a thread."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Unpack

import pyarrow as pa

from afas_async.client.client import AfasClient
from afas_async.columns.stream import Batches, ColumnArguments, batches
from afas_async.errors import UsageError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector


def open_reader(
    connector: GetConnector[Any] | str, *, client: AfasClient | None = None, **options: Unpack[ColumnArguments]
) -> OpenReader:
    """Read a GetConnector without `await`: in a notebook, a script, Airflow or dbt.

    Within the block you have a `pyarrow.RecordBatchReader`. polars, DuckDB, pandas and database drivers accept it. An
    event loop in its own thread reads the rows as you need them, about 20 MB at a time. You can iterate over the reader
    once. When you leave the block, also after an error, the thread and its requests end. They also end when you drop
    the last reference without leaving the block.

    Args:
        connector: As for `batches`.
        client: A client that is not open yet: the reader opens and closes it. By default `AfasClient.from_env()`.
        options: As for `batches`.

    Returns:
        A context manager.

    Raises:
        ConfigurationError: If the environment variables are missing or malformed.
        AfasError: From the block, as for `batches`. If another library that reads the rows turns the error into one of
            its own, you get the AfasError when you leave the block.

    Example:
        >>> with Simulator.running(rows=500) as sim:
        ...     client = AfasClient(base_url=sim.base_url, auth=sim.token)
        ...     with columns.open_reader("Profit_Article", key="ItemCode", client=client) as reader:
        ...         table = reader.read_all()
        >>> table.num_rows
        500
    """
    check_type("client", client, AfasClient | None, "an AfasClient")
    name = connector.name if isinstance(connector, GetConnector) else connector
    thread = ReaderThread(
        name, AfasClient.from_env() if client is None else client, lambda afas: batches(afas, connector, **options)
    )
    return OpenReader(thread)


class OpenReader:
    """The context manager that you get from `open_reader`."""

    def __init__(self, thread: ReaderThread) -> None:
        self._thread = thread
        self._failure: Exception | None = None
        weakref.finalize(self, thread.stop)

    def __enter__(self) -> pa.RecordBatchReader:
        try:
            schema = self._thread.begin().schema
        except BaseException:
            self._thread.end()
            raise
        return pa.RecordBatchReader.from_batches(schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            while (batch := self._thread.pull()) is not None:
                yield batch
        except Exception as error:
            self._failure = error
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.end()
        # An error that passes through another library's C++ comes out as text only.
        if isinstance(error, Exception) and self._failure is not None and error is not self._failure:
            raise self._failure from error


class ReaderThread:
    """An event loop in a thread, with a client and a stream of batches that other threads pull from.

    Args:
        name: The name of the connector, for errors.
        client: A client that is not open yet: the thread opens and closes it.
        opening: Returns the stream for the open client.
    """

    def __init__(self, name: str, client: AfasClient, opening: Callable[[AfasClient], Batches]) -> None:
        self._name = name
        self._client = client
        self._opening = opening
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._stream: Future[Batches] = Future()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"afas_async reader of {name}", daemon=True)

    def begin(self) -> Batches:
        """Start the thread, and return its stream to read attributes from."""
        if self._thread.ident is not None:
            raise UsageError(f"{self._name}: this reader was opened before: call open_reader again")
        self._thread.start()
        return self._stream.result()

    def pull(self) -> pa.RecordBatch | None:
        """Return the next rows, or None at the end."""
        closed = UsageError(f"{self._name}: the reader is closed: read within its `with` block")
        if self._stopping:
            raise closed
        pulling = asyncio.run_coroutine_threadsafe(anext(self._stream.result(), None), self._loop)
        try:
            return pulling.result()
        except CancelledError:
            raise closed from None

    def stop(self) -> None:
        """Stop the thread without waiting for its end. The garbage collector may call this in any thread."""
        self._stopping = True
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._cancel)
        if self._thread.ident is None:
            self._loop.close()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """Stop the thread and wait for its end."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, suppress(asyncio.CancelledError):
            runner.run(self._live())

    async def _live(self) -> None:
        self._task = asyncio.current_task()
        try:
            if self._stopping:  # stop() came before there was a task to cancel
                self._cancel()
            async with self._client, self._opening(self._client) as stream:
                self._stream.set_result(stream)
                await asyncio.Event().wait()
        except BaseException as error:
            if not self._stream.done():
                self._stream.set_exception(error)
            if isinstance(error, asyncio.CancelledError):
                raise
