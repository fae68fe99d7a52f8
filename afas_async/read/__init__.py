"""GetConnectors as streams of rows: the guide to reading.

You call `AfasClient.rows`, `pages`, `page`, `plan`, `changes` and `deleted_keys`; their docstrings describe the
arguments. This guide shows them at work, and lists their guarantees and limits.

A stream
--------

Declare a connector once, with its row type and its key. Each example of this guide gets a client of a simulator:

    >>> import asyncio
    >>> from afas_async import AfasClient, F, GetConnector
    >>> from afas_async.simulator import Simulator
    >>> ARTICLES = GetConnector("Profit_Article", key="ItemCode")
    >>> def run(example):
    ...     async def main():
    ...         async with (
    ...             Simulator(rows=4_000) as simulator,
    ...             AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...         ):
    ...             await example(afas)
    ...     asyncio.run(main())

`rows()` returns a stream. Nothing is requested before you pull the first row:

    >>> async def count(afas):
    ...     rows = afas.rows(ARTICLES)
    ...     first = await anext(rows)
    ...     async for batch in rows.batches():  # lists of rows, about 64 KiB each: the fast form
    ...         pass
    ...     print(first["ItemCode"], "and", rows.progress.rows - 1, "others")
    >>> run(count)
    000001 and 3999 others

A row is a `dict`, a `msgspec.Struct` if you declare one, or a `msgspec.Raw` for bytes that you pass on. `to_list()` is
for small reads. `first()` requests only the first row, and `await afas.page(ARTICLES, take=3)` the first three.

Only some rows
--------------

`F` writes conditions with all 15 operators of the service. Combine them with `&`, `|` and `~`; `and`, `or` and `not`
raise an error. A list may have any number of values: it is split over as many requests as it needs, and each row comes
once.

    >>> async def conditions(afas):
    ...     cheap = (F.Price < 10) & F.Description.contains("box 7") & ~F.Blocked.is_(True)
    ...     print(len(await afas.rows(ARTICLES, where=cheap).to_list()), "cheap one")
    ...     codes = [f"{number:06}" for number in range(1, 4_001, 2)]
    ...     print(len(await afas.rows(ARTICLES, where=F.ItemCode.in_(codes)).to_list()), "of 2,000 codes")
    >>> run(conditions)
    1 cheap one
    2000 of 2,000 codes

Stop, and continue
------------------

`rows.cursor` is a text to store. A read that starts `after` it continues with the next row, here or in another process:

    >>> async def later_on(afas):
    ...     rows = afas.rows(ARTICLES)
    ...     before = [await anext(rows) for _ in range(1_234)]
    ...     after = await afas.rows(ARTICLES, after=rows.cursor).to_list()
    ...     print(len(before), "+", len(after), "rows")
    >>> run(later_on)
    1234 + 2766 rows

Share a read
------------

`plan()` cuts a connector into parts. A part is a dict that you send to another machine, which reads it alone:

    >>> async def in_parts(afas):
    ...     parts = await afas.plan(ARTICLES, parts=8)
    ...     found = await afas.rows(ARTICLES, part=parts[3]).to_list()
    ...     print(len(found), "rows of about", parts[3]["rows"])
    >>> run(in_parts)
    503 rows of about 503

Only what changed
-----------------

`changes()` reads the rows modified since your last run, to apply as inserts or updates. `deleted_keys()` finds out
which of your keys are gone.

    >>> async def every_night(afas):
    ...     async with afas.changes(ARTICLES, modified="ModifiedOn", since=None) as changes:
    ...         copy = {row["ItemCode"]: row async for row in changes}
    ...     watermark = changes.watermark  # text to store once the rows are safe: `since` of the next run
    ...     again = await afas.changes(ARTICLES, modified="ModifiedOn", since=watermark).to_list()
    ...     print(len(copy), "rows, then", len(again), "again")
    ...     print("gone:", await afas.deleted_keys(ARTICLES, [*copy, "A-4711"]))
    >>> run(every_night)
    4000 rows, then 1 again
    gone: ['A-4711']

Guarantees
----------

- **Complete.** A row that exists, meets the condition and keeps its key during the whole read comes exactly once. No
  key comes twice. Other rows may appear, vanish or change meanwhile. Each page is requested from the last row on and
  shares that row with the page before. If it is missing, the read repairs the gap.
- **In order.** Every read of several pages is sorted, and no row comes out of order. Without a key it raises
  SortKeyRequiredError.
- **Unique keys.** Duplicate and empty keys raise NonUniqueKeyError. So do two neighbouring keys where two pages meet
  that differ only in letter case or in blanks at the end: AFAS considers them equal.
- **Proved end.** A read ends only at a response without any row, or when each value of the key that you asked for has
  its row. A short page may come from a server that caps its responses. The read then requests the rows after it, with
  one request for each field of the key.
- **Flat cost per row.** A page skips the rows in flight before it, and the rows that share the first field of their
  key with the last one. Those are 10,000 at most: beyond that, a request names the next field too. If keys are whole
  numbers that are spaced about evenly, as consecutive numbers are, a page skips nothing. It begins at the key at
  which the page before should end. A wrong guess costs an extra request, never a row.
- **Short requests.** A request is your condition plus a few tests on the key, one for each field at most. A key of
  four fields leaves room for eight tests of yours.
- **Long conditions.** A condition beyond the service's 2,048 characters, such as `in_` with thousands of values, is
  split over several requests, and each row comes once. `in_` on the key takes a request for about 80 values. The
  order is kept: the requests follow each other in the order of the values, or their rows are merged if all fields of
  the order are whole numbers. If neither is possible, the read raises UsageError before it asks for any rows, and
  suggests what to change.
- **No change is missed.** Two runs of `changes` together see every version of a row, or a later one, that was
  committed before the first run began and at least 15 minutes before the second. The field must be stamped at each
  change, and no transaction may take longer than 15 minutes. A run reads from 76 minutes before `since`: those 15,
  one for clocks and rounding, and the hour that wall time repeats in October.
- **Moments as they are meant.** AFAS shows wall time in Amsterdam and puts a false `Z` after it. A `datetime` field
  of your row type is that wall time, without a time zone (a `__post_init__` of your own still sees UTC). A `date`
  field is a date; a dict keeps the text. You can give each of them back, in a filter, in `since=` or in an element.
  Compare with the current time like this: `row.modified <
  datetime.now(ZoneInfo("Europe/Amsterdam")).replace(tzinfo=None)`.
- **No silent column of None.** A field that your row type declares and no row has is reported with a
  SchemaDriftWarning, or raises with `AfasClient(drift="error")`. The check uses the first rows of a read: AFAS puts
  every field into every row, and null if it is empty. `await afas.verify(...)` checks all your connectors when your
  program starts.
- **Resumable.** You can read `rows.cursor` after any row, and give it as `after=cursor` anywhere. Only rows after the
  last cursor that you stored come again.
- **No broken response counts as complete.** A body that is cut anywhere, in plain text or gzip, is an error or is
  requested again. You never get a shorter page.
- **Bounded memory.** About 16 MiB of responses wait for their readers, whatever the size of the table, and however
  many streams a client has (`AfasClient(memory=...)`). Each stream has a page of its own, of 128 KiB if the others
  use up the rest. A response takes at most 16 MiB of memory, however long it is.
- **Others do not wait.** `page`, single writes, metainfo and files get the next free slot, before the pages of reads
  like this one. For 30 seconds after such a call, reads leave one slot free for the next.
- **Free event loop.** Rows are decoded in slices of 64 KiB, with a rest after half a millisecond. A single row is
  decoded at once, and may have 16 MiB.
- **Safe to leave.** After `break`, exceptions, time-outs, cancellation and garbage collection, no task, connection or
  slot is left, and no other task is cancelled.

Limits
------

- **A key that changes during a read** goes unnoticed: you may miss such a row or get it twice. `changes` returns it
  the next time, if it is stamped.
- **One response** is trusted to hold the rows that have existed for a while: AFAS documents no isolation. The rows of
  a read are not those of one moment.
- **Texts as keys** are compared for equality only, as the service's order of texts is unknown. It is known for two
  texts that first differ in a letter or a digit.
- **A row that moves from one alternative of a split condition to another** can be missing.
- **A dozen alternatives beside a key of texts** leave no space for the key in a request, so rows are counted: up to
  row 100,000, then the read raises PagingError. If rows vanish meanwhile, it begins again from its first row. Rows
  that were inserted during the read may come out of order, and rows that were deleted and created again may come
  twice.
- **A key that no request can hold** (a control character, or too long) is skipped by counting too, with the same
  limits. `rows.cursor` works there. If a service returns a single row at a time, counting is not safe: rows that
  vanish meanwhile hide others, or the read raises PagingError.
- **Moments in a filter** are compared with the stored value. AFAS stores fractions of a second, and shows the nearest
  second. So the row with the moment you give may not meet `>=`: go back a second, as `changes` does. For the same
  reason you cannot sort a read of several pages by a moment, but you can sort it by a date.
- **Pages of a single row** do not reveal two rows with the same key.
- **A response whose `rows` are null or missing** is requested once more, and then counts as one without rows.
- **A service that filters by the key in another order than it sorts** is noticed only if a response shows it.
- **Changes** do not see deletions (`deleted_keys` does), nor changes of joined tables, which AFAS does not stamp. They
  do not see a row whose `modified` is empty, except in a run without `since`. A changed key looks like a deleted
  row and a new one.
- **Parts of a plan** do not hold a row in which a field of the key becomes empty after the plan was made.
- **One response with everything (`take=-1`)** counts as complete when it ends.
- **A request that you cut off by leaving a stream** may continue at the service, which does not notice.

Why not a loop
--------------

The README compares a loop that you write by hand with this library. More differences:

- A job that breaks after an hour starts from scratch. Here you continue from `rows.cursor`, in another process too.
- `skip=500000` takes ever longer. Here no page skips more than the rows in flight, and most skip nothing. Row one
  million costs what the first one does.
- With one request at a time, the service's 50 ms for each page add up. Here 5 requests run at a time, as AFAS advises,
  and the rows come in order.
- Everything is in memory, and the event loop stands still while a page is parsed. Here rows are decoded in slices of 64
  KiB as they arrive. That takes about 10 MB for any table, with a rest after half a millisecond.
"""

__docformat__ = "google"

# The modules that the reference (pdoc) shows.
# pyright: reportUnsupportedDunderAll=false
__all__ = ["changes", "stream"]
