"""Writing through UpdateConnectors: the guide to single calls, loads in batches, and the journal.

You call `AfasClient.insert`, `update`, `delete`, `load`, `outcomes` and `validate`; their docstrings describe the
arguments. This guide shows a load at work, and lists what holds and where that ends.

One record, or many
-------------------

A single call returns a result, or raises an error that says whether the record was applied. A load sends any number of
records in batches, which are checked against metainfo first. Each record ends with exactly one outcome. With a journal,
you repeat the load after a crash: the same lines, the same records, the same journal. Nothing is sent twice.

    >>> import asyncio
    >>> import tempfile
    >>> from pathlib import Path
    >>> from afas_async import AfasClient, Element, F, GetConnector, Lookup
    >>> from afas_async.simulator import Fault, Simulator
    >>> SUBJECTS = GetConnector("Profit_Subjects", key="SubjectId")
    >>> async def main(journal):
    ...     async with (
    ...         Simulator(rows=500) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...     ):
    ...         result = await afas.insert("KnSubject", {"StId": 1, "Ds": "Offerte 4711", "St": "A"})
    ...         await afas.update("KnSubject", Element({"St": "C"}, key=result.keys[0]))
    ...
    ...         # The response to the third call gets lost after the work was done.
    ...         simulator.faults.add(Fault(method="POST", cut="reset", after=2))
    ...         by_reference = Lookup(SUBJECTS, lambda element: F.Subject == element.fields["Ds"])
    ...         async with afas.load("KnSubject", journal=journal, lookup=by_reference, on_reject="split") as load:
    ...             for number in range(2_000):
    ...                 await load.add({"StId": 1, "Ds": f"Reference {number}", "St": "A" if number != 1_234 else "Z"})
    ...         print(load.report)  # the unknown records were looked up, and found
    ...         print([(outcome.index, type(outcome.error).__name__) for outcome in load.report.not_sent])
    ...
    ...         # Or as a stream: one outcome for each record, in their order.
    ...         async with afas.outcomes("FbItemArticle", [{"@ItCd": "000001", "Ds": "Bolt"}], action="update") as each:
    ...             print([outcome.status async for outcome in each])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(Path(folder) / "subjects.journal"))
    2,000 elements: 1,999 applied, 0 rejected, 0 unknown, 1 not_sent
    [(1234, 'InvalidElementError')]
    ['applied']

In a service, `load.stop()` ends a load without an unknown record, `async for progress in load.watch()` shows another
task how far it is, and `must="apply"` makes the end of the block raise unless every record is applied.
`python -m afas_async journal subjects.journal` shows what a load has done, and which records are left to look at.

What holds
----------

One outcome for each record
    "applied": it is there, once. "rejected" and "not_sent": it is not there. "unknown": the response was lost. Then the
    record is never sent again before it was looked up.
A write is repeated only where it had no effect
    No connection stood, the service said that it did not process it (429, 503 with a time to wait), or a record was
    locked. A refusal that comes after 840 seconds counts as unknown, whatever it says: the service ends a call after
    900, and may finish its work. One table decides all of that, `afas_async.policy.verdicts`.
The clock of a write starts with its last byte
    Then you wait up to 960 seconds for the answer (`write_timeout`). A body may take a minute, and a second for each 16
    KiB, to be sent.
A call stays below the limit of 15 minutes
    It is sized by the time that calls took, so that it lasts `target_seconds` (60). A service that is suddenly ten
    times slower still ends it before 900 seconds.
A load can be interrupted
    With a journal, each call is on disk before it is sent. After `kill -9` the same load continues, and sends nothing
    twice. What was refused is sent again, and so are the other records of a refused call. A record that you took out
    of the source is noticed before the others are sent in its place. A journal whose load is finished raises
    JournalError, unless you give each load a `load_id`.
Changes to one record keep their order
    Two records with the same key are never in flight together, however the key is spelled (3, "03", 3.0). After one
    that is not applied, the later ones are held back. Where nothing names the key of an update (`validate=False`, no
    `@`, no `UpdateConnector(key=...)`), calls go one after the other.
A load that is stopped leaves nothing unknown
    `load.stop()`, for example on SIGTERM, sends nothing more and waits for what is at the service.
Nothing is lost of what fails
    `outcome.item` is your record. `load(..., failures=path)` writes each one that is not applied to a file, with its
    message, and `failed_records(path)` reads what you can load again. If nobody looks at a report with failures, a
    warning in the log says so.

Limits, today
-------------

A refused call of several records
    rejects all of them, as AFAS does not say which was at fault: `on_reject="split"` finds it.
Several records in one call
    rest on `@Action`, with which AFAS documents one transaction. `transaction=False` leaves it out; a refused call is
    "unknown" then. `UpdateConnector(..., single=True)` sends one record in a call, as FiEntries and others do by
    themselves, of which AFAS says so. If an answer has fewer keys than there were records, the rest is "unknown".
A locked record
    is waited for, eight times; then it is "not_sent". With `on_reject="split"`, halves of a locked call wait once more,
    and where both are locked, both are "not_sent".
An absent record
    counts as absent only 16 minutes after it was sent, when two lookups miss it and a control record is found.
The journal
    wants a local disk. Its commits wait for the disk, in a thread of their own. The `-wal` file next to it is part of
    it, and `-lock` is its lock. Where locks do not hold, as on some network drives, the load that was opened last goes
    on; the other one stops. A process that was forked while a journal was open cannot open that journal. A clock that
    is set forward shortens the 16 minutes only together with a restart of the machine.

Why not a loop
--------------

The README compares a loop written by hand with this library. Further rows of that table:

The loop: `except Exception: retry`.
    Here: one table decides what is worth another attempt, and obeys Retry-After.
The loop: 200,000 records one by one take a night; in one call they pass the limit of 15 minutes.
    Here: calls grow to the time that you allow, several at a time. They shrink at once when the service slows down.
"""

__all__: list[str] = []  # the reference shows the guide alone: the names are those of `afas_async`
