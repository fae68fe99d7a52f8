"""Writing through UpdateConnectors: the guide to single calls, loads in batches, and the journal.

You call `AfasClient.insert`, `update`, `delete`, `load`, `outcomes` and `validate`; their docstrings describe the
arguments. This guide shows them at work, and lists their guarantees and limits.

One record
----------

A single call returns a result with the keys that AFAS has given, or raises an error that says whether your record was
applied. Each example of this guide gets a client of a simulator:

    >>> import asyncio
    >>> import tempfile
    >>> from pathlib import Path
    >>> from afas_async import AfasClient, Element, F, GetConnector, Lookup
    >>> from afas_async.simulator import Fault, Simulator
    >>> def run(example):
    ...     async def main():
    ...         async with (
    ...             Simulator(rows=500) as simulator,
    ...             AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...         ):
    ...             await example(afas, simulator)
    ...     asyncio.run(main())
    >>> async def one_record(afas, simulator):
    ...     result = await afas.insert("KnSubject", {"StId": 1, "Ds": "Offerte 4711", "St": "A"})
    ...     await afas.update("KnSubject", Element({"St": "C"}, key=result.keys[0]))
    ...     print(result.keys)
    >>> run(one_record)
    ({'SbId': '201'},)

Many records
------------

A load sends any number of records in batches, and checks each record against metainfo first. You get exactly one
outcome for each record. `report.failed` lists those that are not known to be applied, in the order of your source:

    >>> async def many_records(afas, simulator):
    ...     async with afas.load("KnSubject", on_reject="split") as load:
    ...         for number in range(2_000):
    ...             await load.add({"StId": 1, "Ds": f"Reference {number}", "St": "Z" if number == 1_234 else "A"})
    ...     print(load.report)
    ...     for outcome in load.report.failed:
    ...         print(outcome.index, outcome.status, type(outcome.error).__name__)
    >>> run(many_records)
    2,000 elements: 1,999 applied, 0 rejected, 0 unknown, 1 not_sent
    1234 not_sent InvalidElementError

`outcomes()` is the same as a stream, one outcome for each record, in the order of your source:

    >>> async def a_stream(afas, simulator):
    ...     bolts = [{"@ItCd": "000001", "Ds": "Bolt"}, {"@ItCd": "000002", "Ds": "Nut"}]
    ...     async with afas.outcomes("FbItemArticle", bolts, action="update") as outcomes:
    ...         print([outcome.status async for outcome in outcomes])
    >>> run(a_stream)
    ['applied', 'applied']

When a response is lost, or your program
----------------------------------------

If a response gets lost, only AFAS knows whether it applied the record. A `lookup` finds out. With a `journal`, you can
repeat a load after a crash: run it with the same journal and the same records in the same order.

    >>> async def a_lost_response(afas, simulator):
    ...     simulator.faults.add(Fault(method="POST", cut="reset"))  # after the service has done its work
    ...     by_reference = Lookup(
    ...         GetConnector("Profit_Subjects", key="SubjectId"), lambda element: F.Subject == element.fields["Ds"]
    ...     )
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         journal = Path(folder) / "subjects.journal"
    ...         async with afas.load("KnSubject", journal=journal, lookup=by_reference) as load:
    ...             for number in range(100):
    ...                 await load.add({"StId": 1, "Ds": f"Reference {number}", "St": "A"})
    ...     print(load.report)
    >>> run(a_lost_response)
    100 elements: 100 applied, 0 rejected, 0 unknown, 0 not_sent

In a service, call `load.stop()` to end a load early without an unknown record. `async for progress in load.watch()`
shows you from another task how far it is. With `must="apply"`, the end of the block raises unless every record is
applied. `python -m afas_async journal subjects.journal` shows what your load has done, and which records are rejected
or unknown.

Guarantees
----------

- **One outcome for each record.** "applied": the service has your record, once. "rejected" and "not_sent": the service
  does not have it. "unknown": the response was lost. The load then never sends your record again before a lookup has
  shown that it is absent.
- **A write is repeated only if it had no effect.** That means: there was no connection, a record was locked, or the
  service said that it did not process the call (429, or 503 with a time to wait). If a refusal comes after 840 seconds,
  it counts as unknown, whatever it says: the service ends a call after 900 seconds, and may finish its work. One table
  decides all of this: `afas_async.policy.verdicts`.
- **The time-out of a write starts with its last byte.** From then on you wait up to 960 seconds for the response
  (`write_timeout`). Sending the body may take a minute, plus a second for each 16 KiB.
- **A call stays below the service's limit of 15 minutes.** The load measures how long your calls take, and sizes them
  so that each takes about `target_seconds` (60). If the service suddenly becomes ten times slower, a call still ends
  before 900 seconds.
- **You can interrupt a load.** With a journal, each call is on disk before it is sent. After `kill -9`, run the same
  load again: it continues, and repeats no record that AFAS may have. Refused records are sent again, with the other
  records of their calls. If a record that you removed moves others to new positions, you get a JournalError before
  one is sent in place of another that AFAS may have. Records missing at the end are counted in `report.beyond`. You
  also get one if you use the journal of a finished load again, unless you give each load its own `load_id`.
- **Changes to one record keep their order.** Two records with the same key are never in flight together, however you
  spell the key (3, "03", 3.0). If one of them is not applied, the later ones are not sent. If the load cannot know the
  key of your updates (`validate=False`, no `@`, no `UpdateConnector(key=...)`), it sends one call at a time.
- **A load that you stop leaves nothing unknown.** After `load.stop()`, for example on SIGTERM, nothing more is sent,
  and the load waits for the responses to the calls in flight.
- **You keep every record that fails.** `outcome.item` is your record. With `load(..., failures=path)`, each record that
  is not applied is written to a file, with its message. `failed_records(path)` returns those that you can load again.
  If a report has failures and you never look at it, you find a warning in your log.

Limits
------

- **A refused call of several records** rejects all of them, as AFAS does not say which one was at fault. With
  `on_reject="split"` the load finds it for you.
- **Several records in one call** rely on `@Action`: AFAS documents that such a call is one transaction. If you leave it
  out with `transaction=False`, the records of a refused call are "unknown". Some connectors take one record in a call.
  The load knows those that AFAS names, such as FiEntries; for others, give `UpdateConnector(..., single=True)`. If the
  response has fewer keys than you sent records, the other records are "unknown".
- **A locked record** is sent again up to eight times. If it is still locked, it is "not_sent". With
  `on_reject="split"`, the halves of a locked call wait once more. If both are locked, all of their records are
  "not_sent".
- **An absent record** counts as absent only after 16 minutes, when two lookups miss it and a control record is found: a
  record of your load that is known to be applied.
- **The journal** needs a local disk. A thread writes it and waits for the disk. Keep the `-wal` file next to it: it is
  part of the journal. The `-lock` file is its lock. Where locks do not work, as on some network drives, the load that
  you opened last continues, and the other one stops. If your process forks while a journal is open, the child cannot
  open that journal. The 16 minutes get shorter only if you set the clock forward and restart the machine.

Why not a loop
--------------

The README compares a loop that you write by hand with this library. More differences:

- A loop retries after every exception. Here one table decides which calls are worth a retry, and obeys Retry-After.
- One by one, 200,000 records take you a night. In one call they exceed the limit of 15 minutes. Here calls grow to the
  time that you allow, several at a time. They shrink at once when the service slows down.
"""

__docformat__ = "google"

__all__: list[str] = []  # the reference shows the guide alone: the names are those of `afas_async`
